"""What an operation or a style needs of the model: activations, gradients, reruns, scores, icons."""

from __future__ import annotations

from typing import Any

from bbilang.compiler.ir.program import Node
from bbilang.grammar.frozen import frozen

Rule = tuple[Any, ...]  # (method, parameters) whose rule changes the way back, or nothing


@frozen
class Activations:
    """The operation needs the activations of the field's layers."""

    layers: tuple[str, ...]


@frozen
class Gradients:
    """The operation needs d target / d activation at the field's layers, and the activations there.

    ``parts``: not empty where its numbers are inner products of the gradient with parts that are known before
    (`Operation.parts`), so that tangents find them as well as cotangents do; equal names stand for equal parts.
    ``rule``: a method's name and parameters, whose `Method.around` the network runs in; empty for plain derivatives.
    ``combined``: a sum or difference of classes is one score, since the numbers are not sums over its classes.
    """

    target: Node
    layers: tuple[str, ...]
    parts: str = ""
    rule: Rule = ()
    combined: bool = False


@frozen
class Reruns:
    """The operation needs a method that runs the network above a layer again for each activation that it visits
    (`Method.finds` says what for): gradients there (path methods, noise), values (masks), or masks that are learned."""

    target: Node
    layers: tuple[str, ...]
    method: tuple[str, tuple[tuple[str, Any], ...]]  # name and all parameters
    combined: bool = False  # as in `Gradients`


@frozen
class Trials:
    """The operation puts an attribution to the test and runs the network for it by itself: the attribution ``again``,
    to ``classes`` others where that is not 0; ``rows`` changed activations of its layer, ``each`` more for every
    target, and ``gradients`` from which every target is followed down. ``words`` name the test. ``of``: equal for tests
    that are one. ``baseline``: the picture that the attribution's own path starts from, empty for none.
    """

    target: Node
    layers: tuple[str, ...]
    words: str
    of: str
    again: int = 0
    classes: int = 0
    rows: int = 0
    each: int = 0
    gradients: int = 0
    baseline: str = ""


@frozen
class Scores:
    """The operation needs the scores of all classes."""


@frozen
class IconsOf:
    """The element needs an icon for every atom that one of its states can show."""


Demand = Activations | Gradients | Reruns | Trials | Scores | IconsOf
