"""Matrix factorization of positions x channels, on plain tensors. Imports runtime/fields."""
