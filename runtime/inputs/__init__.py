"""Images, texts, tensors and baselines as inputs of a network. Imports runtime/{fields,cache}."""
