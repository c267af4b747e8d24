"""`discourage`: a network in which some evidence counts less, and what became of it. Imports what `ops` does."""
