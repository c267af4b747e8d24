"""Reuse of earlier results and pages, so that only what is missing runs. Imports every stage of the runtime."""
