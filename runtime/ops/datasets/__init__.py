"""Operations over the examples of a dataset: one file each. Imports what the other operations do, and statistics."""
