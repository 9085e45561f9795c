"""Putting it together: spec, profile, build, run."""
