"""Attacks: one kind a file. Each changes or adds records as somebody who may write to a source could."""
