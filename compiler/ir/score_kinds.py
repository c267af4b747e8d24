"""The kinds of scores that a network may have: logits, probabilities, independent ones, values of a regression."""

from __future__ import annotations

LOGITS = "logits"  # of classes of which one is right: their softmax is the probability
PROBABILITIES = "probabilities"  # of such classes, after a softmax in the network
INDEPENDENT = "independent"  # probabilities of classes of which any number is right, after a sigmoid in the network
SIGMOID = "independent logits"  # the same before the sigmoid
VALUE = "value"  # numbers, of no classes: a regression
UNKNOWN = ""  # decided later, from the numbers themselves
UNLESS = "logits, unless they add up to 1"  # likewise: numbers between 0 and 1 may be logits by chance
UNDECIDED = "independent, from the numbers"  # with or without a sigmoid in the network: decided from the numbers

KINDS = (LOGITS, PROBABILITIES, INDEPENDENT, VALUE)  # what a text may declare
UNITS = {LOGITS: "logits", SIGMOID: "logits", VALUE: "score", PROBABILITIES: "probability", INDEPENDENT: "probability"}


def resolved_kind(declared: str | None, guessed: str) -> str:
    """Return the kind that a text declares, refined by the inferred one; the inferred one if the text declares none."""
    if declared is None:
        return guessed
    if declared == INDEPENDENT:
        if guessed in (UNKNOWN, UNLESS, UNDECIDED):
            return UNDECIDED
        return INDEPENDENT if guessed in (PROBABILITIES, INDEPENDENT) else SIGMOID
    return declared


def unit_of(kind: str) -> str:
    """Return the unit of the network's scores."""
    return UNITS.get(kind, "logits")
