"""Tools behind `benchmarks.space.protocol.Tool`, each used as its documentation shows."""
