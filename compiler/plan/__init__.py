"""Passes to an ordered plan with costs. Imports optimize, contract and ir."""
