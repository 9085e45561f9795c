"""7. And again: policy, champion and challenger, the request that closes the loop."""
