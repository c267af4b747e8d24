"""The claims of a page: sentences, their numbers, and whether they hold."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from bbilang.compiler.contract import Operation, Run
from bbilang.compiler.contract.claims import CASES, Claim, Condition, claims_of
from bbilang.compiler.ir.models import CHECKPOINT_AXIS
from bbilang.compiler.ir.program import Node, source_dataset
from bbilang.runtime.fields.field import CONTROL, CONTROLS, Field, Named
from bbilang.runtime.fields.verdicts import Verdicts
from bbilang.runtime.statistics.claims import HOLDS, Outcome, corrected, outcome, verdicts

SOURCES = "sources"  # datasets that an intervention takes something from, and whose examples these are not
FORMATS = {"value": ".3~g", "from": ".3~g", "to": ".3~g", "p": ".2~g"}


class Claims(Operation):
    """Which claims of a page hold, a row for each condition."""

    name = "claims"
    head = True

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        claims = claims_of(node["claims"])
        outcomes = [[_outcome(each, node, inputs) for each in claim.conditions] for claim in claims]
        groups = tuple(each.text for c in claims for each in c.conditions if not _paired(each, node, inputs))
        words, adjusted = verdicts(outcomes), corrected(outcomes)
        names, rows = [], []
        for claim, results, verdict, p in zip(claims, outcomes, words, adjusted, strict=True):
            for number, (condition, result) in enumerate(zip(claim.conditions, results, strict=True)):
                several = f", {number + 1} of {len(results)}" if len(results) > 1 else ""
                bound = "" if condition.right >= 0 else f" ({condition.comparison} {condition.bound:g}{several})"
                names.append(f"{verdict}: {claim.sentence}{bound}")
                numbers = {"value": result.value, "from": result.low, "to": result.high, "p": p}
                rows.append([numbers[measure] for measure in node["measures"]])
        values = Named(("claim", "measure"), np.array(rows, np.float32))
        labels = {"claim": np.array(names, object), "measure": np.array(node["measures"], object)}
        table = [[float(part) for part in astuple(result)] for results in outcomes for result in results]
        return Verdicts(
            node.type,
            values,
            {name: Named((name,), np.arange(size)) for name, size in values.sizes.items()},
            {name: Named((name,), array) for name, array in labels.items()},
            notes=(*_notes(claims, outcomes), *_unpaired(groups)),
            title="Claims",
            finding=_finding(claims, words),
            formats=tuple(FORMATS[measure] for measure in node["measures"]),
            sentences=tuple(claim.sentence for claim in claims),
            verdicts=tuple(words),
            conditions=tuple((n, each.text) for n, claim in enumerate(claims) for each in claim.conditions),
            outcomes=Named(("claim", "part"), np.array(table, np.float64)),
            corrected=tuple(adjusted),
            checkpoints=tuple(_least(each, node, inputs) for claim in claims for each in claim.conditions),
        )


def _least(condition: Condition, node: Node, inputs: tuple[Field, ...]) -> str:
    """Return the checkpoint in which a condition is met least, whose numbers are shown; empty where it is of a single
    network."""
    left = inputs[condition.left]
    names = left.names.get(CHECKPOINT_AXIS)
    if names is None or [name for name in left.values.dims if name not in CASES] != [CHECKPOINT_AXIS]:
        return ""
    means = _cases(left.values).mean(1)
    if condition.right >= 0:
        means = means - _cases(inputs[condition.right].values).mean(1)
    if not np.isfinite(means).all():
        return ""
    least = (means if condition.comparison in (">", ">=") else -means).argmin()
    return str(names.data[least])


def _outcome(condition: Condition, node: Node, inputs: tuple[Field, ...]) -> Outcome:
    left = inputs[condition.left]
    own, others = _cases(left.values), None
    if condition.right >= 0:
        right = _cases(inputs[condition.right].values)
        own, others = (own - right, None) if _paired(condition, node, inputs) else (own, right)
    random = left.beside.get(CONTROLS) if condition.right < 0 else None
    controls = None
    if random is not None:
        controls = np.stack([_cases(random.take(CONTROL, Named((), np.array(number))))
                             for number in range(random.sizes[CONTROL])], -1)  # fmt: skip
    return outcome(own, condition.comparison, condition.bound, controls, others)


def _paired(condition: Condition, node: Node, inputs: tuple[Field, ...]) -> bool:
    """Return whether the two sides of a comparison are of the same cases, in one order."""
    if condition.right < 0:
        return True
    first, second = (
        (node.inputs[side], inputs[side].coords.get("example")) for side in (condition.left, condition.right)
    )
    if first[1] is None or second[1] is None:
        return True
    return _source(first[0]) == _source(second[0]) and np.array_equal(first[1].data, second[1].data)


def _source(node: Node) -> set[Node]:
    """Return the datasets whose examples are a node's."""
    while before := next((part for part in node.inputs if part.type.axis("example") is not None), None):
        node = before
    named = [value for name, value in node.parameters if name != SOURCES]
    given = [part for value in named for part in (value if isinstance(value, tuple) else (value,))]
    return {source_dataset(each) for each in given if isinstance(each, Node) and each.type.content == "dataset"} or {
        node
    }


def _unpaired(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Say which comparisons are of two groups."""
    if not texts:
        return ()
    which = " and ".join(f"`{text}`" for text in texts)
    return (f"{which}: of different examples, so two means are compared, with Welch's interval of their difference",)


def _cases(values: Named) -> np.ndarray:
    """Return (state, case): inputs and examples are cases; an axis of one atom is dropped."""
    cases = tuple(name for name in values.dims if name in CASES)
    ordered = values.ordered((*(name for name in values.dims if name not in CASES), *cases)).data
    count = int(np.prod([values.sizes[name] for name in cases])) if cases else 1
    return np.asarray(ordered, np.float64).reshape(-1, count)


def _notes(claims: tuple[Claim, ...], outcomes: list[list[Outcome]]) -> tuple[str, ...]:
    texts = tuple(f"`{each.text}`" for claim in claims for each in claim.conditions)
    sets = [o.sets for results in outcomes for o in results if o.sets]
    if not sets:
        return texts
    tested = sum(any(o.sets for o in results) for results in outcomes)
    least, most = min(sets), max(sets)
    count = f"{most}" if least == most else f"{least} to {most}"
    correction = f", corrected for {tested} claims (Holm)" if tested > 1 else ""
    note = f"p: the part of {count} random sets of like norm that do as much{correction}"
    return (*texts, note)


def _finding(claims: tuple[Claim, ...], words: list[str]) -> str:
    """Say in a sentence which claims hold."""
    count = sum(word == HOLDS for word in words)
    if count == len(words):
        return "the claim holds" if count == 1 else f"all {count} claims hold"
    others = "; ".join(f"\u201c{claim.sentence}\u201d {_said(word)}"
                       for claim, word in zip(claims, words, strict=True) if word != HOLDS)  # fmt: skip
    return others if len(words) == 1 else f"{count or 'none'} of {len(words)} claims hold{'s' * (count == 1)}: {others}"


def _said(verdict: str) -> str:
    return verdict if verdict.startswith(("fails", "cannot")) else f"is {verdict}"


OPERATIONS = (Claims(),)
