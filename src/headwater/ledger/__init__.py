"""The ledger: every call remembered, each entry sealed by the one before and signed, the head witnessed elsewhere."""
