"""Methods that change the input and look at the score: their parameters."""

from __future__ import annotations

from bbilang.compiler.op import Method, Parameter


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


METHODS = (MeaningfulPerturbation(), ExtremalPerturbation())
