"""Results and pages that were computed before, so that only what is missing runs."""
