"""Programs of the peers' environment: they import nothing of Headwater."""
