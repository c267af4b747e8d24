"""Methods that change the input and look at the score: their parameters."""

from __future__ import annotations

from bbilang.compiler.op import Method, Parameter

FILL = Parameter(
    "baselines", "word", "what takes the place of what is hidden", "zero", choices=("zero", "mean", "blur", "noise")
)


class Occlusion(Method):
    """What the score loses when a window is hidden."""

    name = "occlusion"
    available = False
    maps_only = True
    parameters = (
        Parameter("window", "integer", "side of the window", 32, unit="px", minimum=1, maximum=4096),
        Parameter("stride", "integer", "step of the window", 16, unit="px", minimum=1, maximum=4096),
        FILL,
    )
    source = "Zeiler and Fergus 2014"


class Rise(Method):
    """Random masks weighted by the score that they leave."""

    name = "rise"
    available = False
    maps_only = True
    parameters = (
        Parameter("n_masks", "integer", "how many masks", 4000, minimum=1, maximum=1_000_000),
        Parameter("cells", "integer", "cells along each side of a mask", 7, minimum=1, maximum=64),
        Parameter("p", "number", "share of the cells that stay", 0.5, minimum=0.01, maximum=0.99),
    )
    source = "Petsiuk et al. 2018"


class MeaningfulPerturbation(Method):
    """The smallest blur that destroys the score."""

    name = "meaningful_perturbation"
    available = False
    input_only = True
    parameters = (Parameter("steps", "integer", "steps of the optimization", 500, minimum=1, maximum=100_000),)
    source = "Fong and Vedaldi 2017"


class ExtremalPerturbation(Method):
    """The mask of a given area that keeps the most of the score."""

    name = "extremal_perturbation"
    available = False
    input_only = True
    parameters = (
        Parameter("area", "number", "share of the picture that stays", 0.1, minimum=0.001, maximum=1),
        Parameter("steps", "integer", "steps of the optimization", 800, minimum=1, maximum=100_000),
    )
    source = "Fong, Patrick, Vedaldi 2019"


METHODS = (Occlusion(), Rise(), MeaningfulPerturbation(), ExtremalPerturbation())
