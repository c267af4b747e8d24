"""Matrix factorization: positions x channels into spatial factors and channel factors. Nothing here knows a model."""
