"""What kind of numbers a network's scores are, and what follows for what may be asked of them."""

from __future__ import annotations

LOGITS = "logits"  # of classes of which one is right: their softmax is the probability
PROBABILITIES = "probabilities"  # of such classes, after a softmax in the network
INDEPENDENT = "independent"  # probabilities of classes of which any number is right, after a sigmoid in the network
SIGMOID = "independent logits"  # the same before the sigmoid
VALUE = "value"  # numbers, of no classes: a regression
UNKNOWN = ""  # to be seen from the numbers themselves
UNLESS = "logits, unless they add up to 1"  # likewise; between 0 and 1 they may be by chance
UNDECIDED = "independent, from the numbers"  # independent, with or without a sigmoid in the network: to be seen

KINDS = (LOGITS, PROBABILITIES, INDEPENDENT, VALUE)  # what a reader may say
UNITS = {LOGITS: "logits", SIGMOID: "logits", VALUE: "score", PROBABILITIES: "probability", INDEPENDENT: "probability"}


def said(kind: str | None, guessed: str) -> str:
    """What a reader said of scores, made exact by what the network shows; the guess where nobody said anything."""
    if kind is None:
        return guessed
    if kind == INDEPENDENT:
        if guessed in (UNKNOWN, UNLESS, UNDECIDED):
            return UNDECIDED
        return INDEPENDENT if guessed in (PROBABILITIES, INDEPENDENT) else SIGMOID
    return kind


def unit_of(kind: str) -> str:
    """The unit of scores as the network gives them."""
    return UNITS.get(kind, "logits")
