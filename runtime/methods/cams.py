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


class GradCam(Method):
    """Maps weighted by the mean gradient of each channel, then ReLU."""

    name = "grad_cam"
    available = False
    maps_only = True
    parameters = (LAYER,)
    source = "Selvaraju et al. 2017"


class GradCamPlusPlus(Method):
    """Grad-CAM with weights from higher derivatives."""

    name = "grad_cam_pp"
    available = False
    maps_only = True
    parameters = (LAYER,)
    source = "Chattopadhay et al. 2018"


METHODS = (Cam(), GradCam(), GradCamPlusPlus())
