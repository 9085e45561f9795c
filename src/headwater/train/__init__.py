"""4. Learned from: the trainer port, search, evaluation, the registry of models."""
