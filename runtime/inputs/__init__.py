"""What a run is given: images, texts, tensors, baselines."""
