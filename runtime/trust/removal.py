"""`falsifiability`, `completeness` and `infidelity`: compare the attribution's claims about scores with the scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import named_method
from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.measure import Cost, Finding, Measure
from bbilang.runtime.trust.numbers import mean_of, number, over, ratio

if TYPE_CHECKING:
    from torch import Tensor

SETS = 20  # random ones
SUBSETS = 100
INCOMPLETE = 0.05  # of the difference of the scores


def score_drop(case: Case, retained: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Return the drop of the score, (row, target), with some atoms at the baseline; retained (row, atom) is 1 for the
    rest."""
    import torch

    assert case.captured.scores is not None
    own = case.values(case.captured.scores, torch.arange(case.inputs)).cpu().numpy()  # (input, target)

    def make(start: int, stop: int) -> tuple[Tensor, Tensor]:
        rows = torch.from_numpy(owners[start:stop])
        return case.mixed(torch.from_numpy(retained[start:stop]).to(case.activation), rows), rows

    drops = np.empty((len(retained), own.shape[1]))
    for start, scores, rows in case.scores(make, len(retained)):
        values = case.values(scores, rows).cpu().numpy()
        drops[start : start + len(values)] = own[rows.cpu().numpy()] - values
    return drops


class Falsifiability(Measure):
    """Test the claim "without these atoms the score drops by this much": each shown atom is removed alone, all of them
    together, and random sets of as many atoms of the layer."""

    name = "falsifiability"
    title = "fall without it"
    source = "the article's last section asks for it; ablation as in Zeiler and Fergus 2014"
    formula = "score - score without the atom, for each atom; the same for all shown atoms and for random sets"
    means = (
        "where both bars are equally long, the attribution is right about this atom alone; several atoms can replace "
        "each other, so together they may matter more or less than their sum"
    )
    of_atoms = True
    of_shown = True

    def cost(self, n: int) -> Cost:
        return Cost(each=n + 1 + SETS)  # n: the shown atoms

    def find(self, case: Case) -> Finding:
        numbers = case.shown_atoms()  # (input, target, slot): -1 for none
        inputs, targets, slots = numbers.shape
        rows, owners, column, same = [], [], [], []
        for i in range(inputs):
            for t in range(targets):
                own = numbers[i, t]
                random = np.random.default_rng([case.seed, 3])  # independent of the other inputs and targets
                sets = [own[p : p + 1] for p in range(slots)] + [own]
                sets += [random.choice(case.atoms, (own >= 0).sum(), replace=False) for _ in range(SETS)]
                same += [set(chosen.tolist()) == set(own[own >= 0].tolist()) for chosen in sets[-SETS:]]
                for chosen in sets:
                    retained = np.ones(case.atoms, np.float32)
                    retained[chosen[chosen >= 0]] = 0
                    rows.append(retained)
                    owners.append(i)
                    column.append(t)
        falls = score_drop(case, np.stack(rows), np.array(owners))
        falls = falls[np.arange(len(rows)), column].reshape(inputs, targets, -1)
        alone, together, chance = falls[..., :slots], falls[..., slots], falls[..., slots + 1 :]
        own = np.take_along_axis(case.attributions, np.maximum(numbers, 0), -1)
        claim = np.where(numbers >= 0, own, 0).sum(-1)
        alone = np.where(numbers >= 0, alone, np.nan)
        other = ~np.array(same).reshape(chance.shape)  # a set of the very same atoms is no control
        beaten = ratio(((chance >= together[..., None]) & other).sum(-1), other.sum(-1))
        words = (
            f"by the attribution, removing all of these together lowers the score by {over(claim)}; in fact it changes "
            f"by {over(-together)}; "
        )
        if other.any():
            words += (
                f"removing random sets of this size changes it by {number(-mean_of(chance[other]))} on average, and "
                f"{over(100 * beaten)} % of {SETS} sets lower it at least as much"
            )
        else:
            words += "there is no control: these are all atoms of the layer, so any set of this size is the same"
        warning = ""
        if mean_of(beaten) >= 0.5 and mean_of(claim) > 0:
            warning = (
                "This attribution's claim is false here: removing these atoms lowers the score no more than removing "
                f"random ones does (by {number(mean_of(together))}; random ones by {number(mean_of(chance[other]))})."
            )
        values = {"alone": alone, "together": together, "claim": claim, "random": chance}
        return Finding(words, warning, spread=alone, values=values)


class Completeness(Measure):
    """What the contributions add up to, beside the score's difference from that at the baseline."""

    name = "completeness"
    title = "completeness"
    source = "Sundararajan, Taly, Yan 2017"
    formula = "sum over atoms of A(atom) - (score(x) - score(baseline))"
    means = "a gap of 0: the numbers divide up the whole change of the score, which does not make each share right"

    def cost(self, n: int) -> Cost:
        return Cost(rows=1)

    def find(self, case: Case) -> Finding:
        method = case.run.registry.methods[named_method(case.attribution)[0]]
        retained = np.zeros((case.inputs, case.atoms), np.float32)
        difference = score_drop(case, retained, np.arange(case.inputs))  # (input, target)
        total = case.attributions.sum(-1)
        error = total - difference
        least = np.finfo(np.float32).eps * np.abs(case.attributions).sum(-1)  # what roundings alone may be
        share = ratio(np.abs(error), np.maximum(np.abs(difference), least))
        words = (
            f"all {case.atoms_words} add up to {over(total)}; going from {case.baseline_words} to what the network "
            f"computed changes the score by {over(difference)}; the gap is {over(np.abs(error))}"
        )
        if mean_of(share) < 10:
            words += f" ({over(100 * share)} %)"
        warning = ""
        if method.completes and mean_of(share) > INCOMPLETE:
            warning = (
                f"`{method.name}` guarantees that its numbers add up to the change of the score, and here they miss it "
                f"by {over(100 * share)} %: take more steps."
            )
        elif not method.completes:
            words += f". `{method.name}` does not guarantee that the two agree, so no pass or fail is given"
        return Finding(words, warning, values={"error": error, "difference": difference, "total": total})


class Infidelity(Measure):
    """Random sets of atoms go to the baseline: does the score fall by what the attribution says that they are worth?"""

    name = "infidelity"
    title = "infidelity"
    source = "Yeh et al. 2019"
    formula = (
        "mean over random sets S of (sum of A over S - (score(x) - score(x without S)))^2, and as a share of the mean "
        "squared fall, after the best common factor of A"
    )
    means = (
        "0: the attribution predicts the effect of removing any set of atoms; it says nothing about one atom alone, "
        "and without the removed atoms the network sees something unnatural"
    )

    def cost(self, n: int) -> Cost:
        return Cost(rows=SUBSETS)

    def find(self, case: Case) -> Finding:
        random = np.random.default_rng([case.seed, 7])
        share = random.random((SUBSETS, 1))
        gone = random.random((SUBSETS, case.atoms)) < share  # sets of every size
        retained = np.repeat(~gone, case.inputs, 0).astype(np.float32)
        falls = score_drop(case, retained, np.tile(np.arange(case.inputs), SUBSETS)).reshape(SUBSETS, case.inputs, -1)
        claims = np.einsum("sa,ita->sit", gone.astype(np.float64), case.attributions)
        raw = ((claims - falls) ** 2).mean(0)
        factor = np.nan_to_num(ratio((claims * falls).sum(0), (claims**2).sum(0)))  # claims of nothing stay nothing
        scaled = ratio(((factor * claims - falls) ** 2).mean(0), (falls**2).mean(0))
        words = (
            f"over {SUBSETS} random sets of {case.atoms_words}, the mean squared error of the predicted fall of the "
            f"score is {over(raw)}; with the best common factor, {over(100 * scaled)} % of the fall stay unexplained"
        )
        values = {"infidelity": raw, "scaled": scaled, "claims": claims, "falls": falls}
        return Finding(words, values=values)


MEASURES = (Falsifiability(), Completeness(), Infidelity())
