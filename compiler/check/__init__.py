"""Syntax tree to typed program, or errors with their spans. Imports grammar, contract and ir."""
