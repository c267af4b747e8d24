"""A pipe as a differentiable loss of the network that is being trained. Imports models, passes and fields."""
