"""The adversary: attacks on what a model learns from, and what the gates make of them. Nothing here is known to a gate."""
