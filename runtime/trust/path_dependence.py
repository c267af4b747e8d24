"""`path_dependence`: the spread of an attribution over random integration paths."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.fields.prose import percent
from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.measure import Cost, Finding, Measure
from bbilang.runtime.trust.numbers import mean_of, ratio

STEPS = 8  # segments of a path
CURVED = 4.0  # an atom's time runs as t ** g, with g between 1 / 4 and 4


class PathDependence(Measure):
    """The spread of each atom's attribution over random monotone paths from the baseline to the activation.

    On a path atom i is at b_i + t ** g_i (a_i - b_i), with log g_i uniform between -log 4 and log 4: some atoms come
    early, others late, none goes back. Along 8 segments of each the gradient at the middle times what the atom moves is
    summed; g = 1 for all is the straight path of integrated gradients.
    """

    name = "path_dependence"
    title = "path dependence"
    source = "Olah et al. 2018 ask for it; Sundararajan, Taly, Yan 2017 for path methods"
    formula = "standard deviation over paths p of sum over steps of d target / d atom(atom, p(t)) x d p(t)[atom]"
    means = (
        "short whiskers: the number hardly depends on the order in which the network gets to see the parts; that does "
        "not make the number right"
    )
    of_atoms = True
    interval = True

    def cost(self, n: int) -> Cost:
        return Cost(rows=n * STEPS, gradients=n * STEPS)

    def find(self, case: Case) -> Finding:
        paths = self.paths(case)  # (path, input, target, atom)
        spread = paths.std(0, ddof=1)
        own = case.attributions
        middle = paths.mean(0)
        size = np.abs(own).mean(-1)
        share, away = ratio(spread.mean(-1), size), ratio(np.abs(middle - own).mean(-1), size)
        words = (
            f"whiskers: ±1 SD over {case.n} random orders of adding the {case.atoms_words} to {case.baseline_words}; "
            f"the average SD is {percent(mean_of(share))} of the average size of a number, and the average over the "
            f"orders differs from the numbers shown by {percent(mean_of(away))}"
        )
        return Finding(words, spread=spread, values={"spread": spread, "mean": middle, "paths": paths})

    def paths(self, case: Case) -> np.ndarray:
        """Return the attributions along each path, (path, input, target, atom)."""
        import torch

        inputs, atoms = case.inputs, case.atoms
        generator = case.generator()
        log = (torch.rand(case.n, atoms, generator=generator, dtype=torch.float64) * 2 - 1) * np.log(CURVED)
        pace = log.exp()  # (path, atom)
        each = STEPS * inputs  # rows of a path: step by step, every input

        def position(rows: torch.Tensor, shift: float) -> torch.Tensor:
            """Return the position of every atom on its path, in [0, 1], (row, atom), ``shift`` of a step after the
            row's start."""
            path, step = rows // each, (rows % each) // inputs
            return (((step + shift) / STEPS)[:, None]) ** pace[path]

        def make(start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
            rows = torch.arange(start, stop)
            owners = rows % inputs
            return case.mixed(position(rows, 0.5), owners), owners

        total = np.zeros((case.n, inputs, case.index.shape[1], atoms))
        span = case.activation - case.baseline
        for start, gradient in case.gradients(make, case.n * each):
            rows = torch.arange(start, start + gradient.shape[1])
            owners = (rows % inputs).to(span.device)
            moved = (position(rows, 1.0) - position(rows, 0.0)).numpy()
            contributions = case.reduced(gradient * span[owners])  # (target, row, atom)
            np.add.at(
                total, ((rows // each).numpy(), owners.cpu().numpy()), contributions.transpose(1, 0, 2) * moved[:, None]
            )
        return total


MEASURES = (PathDependence(),)
