"""Model files: read safely, signed and verified."""
