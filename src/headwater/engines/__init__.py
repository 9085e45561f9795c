"""One file per engine that runs steps."""
