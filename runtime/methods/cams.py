"""Class activation maps: their parameters."""

from __future__ import annotations

from bbilang.compiler.op import Method, Parameter

LAYER = Parameter("layer", "layer", "the layer whose maps are weighted; the last with positions unless said", None)


class Cam(Method):
    """Maps weighted by the class's row of the linear layer after global average pooling."""

    name = "cam"
    available = False
    maps_only = True
    parameters = (LAYER,)
    source = "Zhou et al. 2016"


METHODS = (Cam(),)
