"""1. From the world: what may enter (source), what a record must be (contract), what to fetch next (request)."""
