"""Fields: named axes, atoms of a layer, ranking and grouping of their numbers."""
