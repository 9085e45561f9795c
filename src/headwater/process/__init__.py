"""3. Made fit: steps, the engine port, increments, prepared tables."""
