"""Everything that a text with holes could be: each way with a sentence, its cost and its goals. Imports the stages of
the compiler up to plan."""
