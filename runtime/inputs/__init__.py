"""Images, texts, tensors and baselines that a network is given. Imports runtime/{fields,cache}."""
