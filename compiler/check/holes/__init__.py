"""Holes of a text: what could stand at each, tried on the type rules of the checker. Imports check."""
