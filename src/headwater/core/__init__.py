"""The words everybody speaks: artifact, gate, digest, errors, names, secrets, keys. Imports nobody of ours."""
