"""Typed program to the passes that it needs, the fewest that give its numbers. Imports contract and ir."""
