"""Results to a view: plain numbers, words and images, no tensors."""
