"""6. Watched: drift, concept, quality, the report."""
