"""The methods of influence as a text names them: their units, costs and words for the legend. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

TYPICAL = "multiples of the root mean square"  # the scale of an estimate means little, the order of the examples more


@dataclass(frozen=True)
class Method:
    """``words``: for the legend, with the number of examples at {count}. ``damping``: the usual one; 0 without a
    curvature to damp. ``runs``: how often each example runs through the network. ``returns``: and back. ``along``: it
    takes checkpoints of the training."""

    name: str
    words: str
    damping: float = 0.0
    unit: str = TYPICAL
    runs: int = 1
    returns: bool = True
    along: bool = False


METHODS = {
    method.name: method
    for method in (
        Method("ekfac", "how the number would change if the example counted twice among the {count}, estimated by "
               "gradients and the curvature between them (EKFAC)", 0.1, runs=3),
        Method("dot", "how the number changes with one gradient step on the example, to first order"),
        Method("cosine", "the cosine between the gradients of the number and of the example's loss, positive where a "
               "step on the example makes the number larger", unit="cosine"),
        Method("tracin", "how the number changes with one gradient step on the example, to first order, summed over "
               "checkpoints of the training with one learning rate (TracIn)", along=True),
        Method("trak", "how the number would change without the example, estimated by a logistic regression on "
               "randomly projected gradients (TRAK)", 1e-3),
        Method("exact", "how much larger the number is with the example than without it, by one Newton step of the "
               "last layer's weights", 1e-3, unit="change of the number", returns=False),
    )
}  # fmt: skip
