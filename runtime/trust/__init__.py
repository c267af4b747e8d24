"""Measures of how far an attribution can be believed: one file a family, each with a tuple `MEASURES`."""
