"""One file per system; the registry says where."""
