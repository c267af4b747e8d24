"""`random_weights`: does the attribution change when the network's weights are random?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.curves import curve_field
from bbilang.runtime.trust.measure import Cost, Finding, Measure
from bbilang.runtime.trust.numbers import greatest, mean_of, number, rank_correlation
from bbilang.runtime.trust.reattribute import Reattribution

if TYPE_CHECKING:
    from torch import nn

    from bbilang.runtime.models.adapter import Adapter

T = TypeVar("T")
STAGES = 6
FAILS = 0.5  # rank correlation with the attribution of a network with random weights ...
UNMOVED = 0.9  # ... with that of a network whose last layer is random: its scores mean nothing
CHANCE = 3.0  # ... and beyond chance: this many standard deviations, 1 / sqrt(atoms - 1)


class RandomWeights(Measure):
    """Weights are replaced with random ones from the last layer down, cascading: the attribution of each partly random
    network is compared with that of the trained one by rank, with its signs and without.

    A random tensor is drawn from the normal distribution with the mean and the standard deviation of the trained one:
    values keep their scale, so that deep networks neither vanish nor overflow; running statistics stay. The network is
    a copy: the original is never changed.
    """

    name = "random_weights"
    title = "random weights"
    source = "Adebayo et al. 2018, cascading randomization"
    formula = "Spearman's rank correlation over atoms of A(network) and A(network with its last layers random)"
    means = (
        "near 0: the attribution depends on what the network has learned, which does not make it right; near 1: an "
        "untrained network would give the same"
    )
    curve = True

    def cost(self, n: int) -> Cost:
        return Cost(again=STAGES)

    def find(self, case: Case) -> Finding:
        own = case.attributions
        names, signed, plain = [], [], []
        for name, adapter in cascade(case.run.adapter, case.seed):
            attributions = Reattribution(case, adapter=adapter).attributions()[0]
            names.append(name)
            signed.append(rank_correlation(own, attributions))
            plain.append(rank_correlation(np.abs(own), np.abs(attributions)))
        correlations = {"signed": np.stack(signed), "magnitude": np.stack(plain)}  # (stage, input, target)
        last = [mean_of(values[-1]) for values in correlations.values()]
        words = (
            f"with all weights random, the rank correlation with this attribution is {number(last[0])} (of magnitudes "
            f"{number(last[1])}); with only `{names[0]}` random, {number(mean_of(signed[0]))} (of magnitudes "
            f"{number(mean_of(plain[0]))})"
        )
        warning = ""
        first = greatest(mean_of(values[0]) for values in correlations.values())
        if first >= max(UNMOVED, CHANCE / np.sqrt(max(case.atoms - 1, 1))):
            warning = (
                "This attribution fails the test of random weights: with a random last layer every score is "
                f"meaningless, and the attribution stays the same (rank correlation {number(first)}). It does not "
                "explain the scores."
            )
        if greatest(last) >= max(FAILS, CHANCE / np.sqrt(max(case.atoms - 1, 1))):
            which = "order" if last[0] == greatest(last) else "order by magnitude"
            warning = (
                f"This attribution fails the test of random weights: its {which} hardly changes when all weights are "
                f"random (rank correlation {number(greatest(last))}; 0 would show that it depends on the weights). It "
                "may say more about the picture and the architecture than about what the network has learned."
            )
        lines = {"with signs": correlations["signed"], "magnitudes": correlations["magnitude"]}
        ones = np.ones((1, *correlations["signed"].shape[1:]))
        lines = {word: np.concatenate([ones, array]) for word, array in lines.items()}
        steps = ["trained", *(f"down to {name}" for name in names[:-1]), "all random"]
        return Finding(
            words,
            warning,
            curve=curve_field(case, lines, steps, "rank correlation"),
            values={**correlations, "names": names},
        )


def stages(module: nn.Module) -> list[tuple[str, list[nn.Module]]]:
    """Split the modules that own parameters, from the last to the first, into `STAGES` parts: (name of the part's
    deepest module, its modules). The first part is the last module alone."""
    own = [(name, child) for name, child in module.named_modules() if any(True for _ in child.parameters(False))]
    own.reverse()
    parts = [own[:1], *(list(part) for part in _split(own[1:], STAGES - 1))]
    parts += [[] for _ in range(STAGES - len(parts))]  # a network of fewer modules is entirely random earlier
    names, known = [], ""
    for part in parts:
        known = part[-1][0] if part else known
        names.append(known or "the network")
    return [(name, [child for _, child in part]) for name, part in zip(names, parts, strict=True)]


def _split(items: list[T], count: int) -> list[list[T]]:
    """Split in order into parts of nearly equal size, none of them empty."""
    edges = np.linspace(0, len(items), min(count, len(items)) + 1).round().astype(int)
    return [items[a:b] for a, b in pairwise(edges)]


def cascade(adapter: Adapter, seed: int) -> Iterator[tuple[str, Adapter]]:
    """Yield (the deepest random module, an adapter of the partly random copy), from the last layer to the whole
    network. Every network is a separate copy: passes cache what they learn of a module."""
    from bbilang.runtime import passes
    from bbilang.runtime.models.copy_module import copy_module

    module = copy_module(adapter.module)
    for stage, (name, children) in enumerate(stages(module)):
        for index, child in enumerate(children):
            randomize(child, 7919 * (seed + 1) + 131 * stage + index)
        randomized = replace(adapter, module=copy_module(module), random=True, _hashed=None)
        passes.copy_behaviour(randomized, adapter)
        yield name, randomized


def randomize(module: nn.Module, seed: int) -> None:
    """Replace the parameters that a module owns with random ones, in place."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters(False):
            if not (parameter.is_floating_point() or parameter.is_complex()):
                continue
            kind = torch.complex64 if parameter.is_complex() else torch.float32
            fresh = torch.randn(parameter.shape, generator=generator, dtype=kind).to(parameter)
            several = parameter.numel() > 1
            deviation = parameter.std() if several else parameter.abs().mean()
            parameter.copy_(fresh * deviation + (parameter.mean() if several else 0))


MEASURES = (RandomWeights(),)
