"""Gates: one rule a file. Each judges what is new before anything is learned from it."""
