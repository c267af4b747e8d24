"""Derivatives as explicit linear networks, without autograd. Imports the rest of runtime/passes."""
