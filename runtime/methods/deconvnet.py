"""`deconvnet`: backward signals pass a ReLU where they are positive, regardless of the activation."""

from __future__ import annotations

from bbilang.runtime.methods.guided_backprop import GuidedBackprop


class Deconvnet(GuidedBackprop):
    """The gradient with every ReLU's derivative replaced: max(0, signal), whether the unit was active or not.

    ReLU6 is treated the same way. Max pools send the signal to their maximum (the switches of the paper). Functions
    that are not rectifiers (sigmoid, tanh, softmax) keep their derivative. SiLU, GELU, ELU, and other smooth, leaky or
    shifted rectifiers, for which the paper has no rule, are refused, as are functions with a custom backward and
    compiled parts, which may contain one. Defined at every layer, for classes, differences and atoms of later layers.
    It runs one forward with these derivatives, shared by all attributions with this method, and one backward for each
    score. Captum: `Deconvolution`.
    """

    name = "deconvnet"
    title = "DeconvNet"
    known_as = ("deconvolution",)
    insensitive = (
        "Deconvnet draws much the same map for every class, and for random weights: it recovers edges of the picture "
        "more than reasons for a class (Nie, Zhang, Patel 2018; Sixt, Granz, Landgraf 2020)."
    )
    source = "Zeiler and Fergus 2014"


METHODS = (Deconvnet(),)
