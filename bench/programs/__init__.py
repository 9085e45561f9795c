"""What is measured, each file a whole program: one does the work with Headwater, one with the peer."""
