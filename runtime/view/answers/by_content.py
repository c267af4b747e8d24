"""The sentence of a style that has none of its own: by what its frames hold."""

from __future__ import annotations

from bbilang.compiler.check.datasets import MEMBER
from bbilang.compiler.ir.types import PARTNER, SIMILARITY
from bbilang.runtime.view.answers.alike import alike
from bbilang.runtime.view.answers.checkpoints import along, is_along
from bbilang.runtime.view.answers.examples import over_examples
from bbilang.runtime.view.answers.flows import flow
from bbilang.runtime.view.answers.maps import where
from bbilang.runtime.view.answers.matched import matched
from bbilang.runtime.view.answers.predictions import predicted
from bbilang.runtime.view.answers.ranked import ranked
from bbilang.runtime.view.answers.shown import Shown
from bbilang.runtime.view.answers.weights import circuit, weights
from bbilang.runtime.view.model import Answer


def by_content(shown: Shown) -> Answer:
    """Describe links, cells over positions, or marks in a row."""
    if shown.type.content == "picture":
        return ()
    if shown.frame.columns:
        return circuit(shown) if shown.type.content == "weight" else flow(shown)
    if shown.type.content == "weight":
        return weights(shown)
    if shown.type.content == "prediction" and shown.drawing.drawn.cells is None:
        return predicted(shown)
    if shown.type.content == SIMILARITY:
        return alike(shown)
    if PARTNER in shown.drawing.field.coords:
        return matched(shown)
    if shown.drawing.drawn.cells is not None:
        return where(shown) if shown.drawing.drawn.series is None else ()
    if is_along(shown) and shown.drawing.drawn.series is None:
        return along(shown)
    return over_examples(shown) if {"example", MEMBER} & set(shown.type.spent) and shown.marks else ranked(shown)
