"""5. Put to work: the predictor port, REST, the spool, rollout and rollback."""
