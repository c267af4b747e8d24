"""Values with named axes: atoms of a layer, ranking and grouping. Imports nothing else of the runtime."""
