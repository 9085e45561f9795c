"""One file per learning library."""
