"""Numbers about many examples: ranks, reductions, slices, concepts. Imports nothing else of the runtime."""
