"""Feature visualization: images optimized by gradient ascent, in shared batches."""
