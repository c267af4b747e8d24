"""The model `edges` for bbilang. This module imports no torch, so that checking a text stays fast."""

from bbilang.runtime.models.registry import ModelEntry

MODELS = (
    ModelEntry(
        "edges",
        "Oriented edges",
        "A bank of Gabor filters that classifies the dominant orientation of a picture.",
        definition="bbilang_edges.network",
        package="bbilang-edges",  # its folder `models` has the weights
    ),
)
