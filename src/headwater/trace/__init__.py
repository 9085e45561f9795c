"""Answers read from the ledger and the lake: why, impact, verify, status."""
