"""Which channels of one network correspond to those of another. Imports linear, passes, and what they import."""
