"""Bring the channels of a network to one scale, the same for all its rescaled copies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bbilang.runtime.matching.groups import Numbers, Symmetries, rescaled
from bbilang.runtime.matching.wires import NOTHING

SMALLEST = 1e-12


def factors_of(symmetries: Symmetries, numbers: Mapping[str, Numbers]) -> np.ndarray:
    """Return the factor of each wire (wire of the network,) that gives what arrives on it a norm of 1: the weights and
    the bias of the first operation that writes to it, from wires that have their factor already."""
    known = symmetries.known
    factors, settled = np.ones(len(known.wires.parent)), np.array(known.wires.fixed, bool)
    for name, one in known.multiplications.items():
        weight, bias = numbers[name]
        inside = np.where(one.reads.wires == NOTHING, 0.0, 1 / factors[one.reads.wires])
        if one.kind == "dense":
            square = np.square(weight).sum(-1) @ np.square(inside)
        else:
            square = np.square(weight).sum((1, 2)) * np.square(inside)
        norm = np.sqrt(square + np.square(bias))
        for wire, length in zip(one.writes.wires.tolist(), norm.tolist(), strict=True):
            if wire != NOTHING and not settled[wire] and length > SMALLEST:
                factors[wire], settled[wire] = 1 / length, True
    return factors


def canonical(symmetries: Symmetries, numbers: Mapping[str, Numbers]) -> dict[str, Numbers]:
    """Return the numbers of the copy that has these factors."""
    factors = factors_of(symmetries, numbers)
    return {
        name: rescaled(symmetries.known.multiplications[name], own, factors) for name, own in numbers.items()
    }  # fmt: skip
