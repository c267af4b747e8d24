"""Results to a view: plain numbers, words and images, no tensors. Imports runtime/execution and below."""
