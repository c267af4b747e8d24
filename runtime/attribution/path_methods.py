"""Path methods: gradients at the activations that a method visits, by the network above the layer alone.

As written, without the optimizer, all of the network runs for each visit and target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbilang.compiler.contract import Parameters, bound
from bbilang.compiler.ir.program import OUTPUT, Rerun
from bbilang.compiler.optimize.cost import SLOTS
from bbilang.runtime import passes
from bbilang.runtime.attribution.slots import Keys, Requested, Slots, requested_keys, tables_of, within
from bbilang.runtime.attribution.target_scores import graph_at, scores_at, value_at
from bbilang.runtime.attribution.target_slots import Key, cotangents
from bbilang.runtime.fields.atoms import numpy_of

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.attribution.kinds import PathMethod
    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.passes import Captured

Compete: TypeAlias = "Callable[[Tensor, Tensor, Tensor], Tensor]"  # (contributions, highest, lowest) -> contributions
ROWS = 256  # activations that are prepared together


@dataclass
class _Path:
    """One method at one layer, with the activation and the baseline of its visits."""

    run: Run
    step: Rerun
    method: PathMethod
    captured: Captured
    activation: Tensor  # (input, *layer axes)
    baseline: Tensor | None  # likewise


def rerun(method: PathMethod, run: Run, step: Rerun, compete: Compete | None = None) -> None:
    """Fill the tables of a step with a method's contributions, from the gradients at the activations it visits.
    ``compete``: let them compete with those of rivals (`CompetitiveMethod.compete`)."""
    seed = int(run.program.setting("seed", 0))
    _, parameters = bound(run.registry, step.method, seed=(seed,), at=run.layer(step.layer))
    captured = run.forward(step.forward)
    baseline = run.forward(step.baseline)[step.layer] if step.baseline >= 0 else None
    path = _Path(run, step, method, captured, captured[step.layer], baseline)
    requested = tables_of(run, step)
    row_keys = requested_keys((table for _, table in requested), len(run.images))
    targets = max(map(len, row_keys))
    if step.rivals:
        row_keys = [_with_rivals(run, row, keys, step.rivals) for row, keys in enumerate(row_keys)]
    slots = Slots.of(row_keys)
    ends = _PathEnds(path) if method.completes else None
    size = SLOTS if step.above else 1
    results: Iterable[Result] = (
        (start, *_best_attempt(path, parameters, slots.keys[start : start + size], ends))
        for start in range(0, len(slots.keys), size)
    )
    if compete is not None:
        results = _after_competition(compete, results, targets)
    for start, contributions, check in results:
        _put(run, step, requested, slots, start, contributions, check)


def _with_rivals(run: Run, row: int, keys: list[Key], count: int) -> list[Key]:
    """Return the target classes of an input and the additional classes with the highest scores."""
    kinds = dict.fromkeys(kind for kind, _ in keys)
    order = np.argsort(-run.scores[row], kind="stable")[:count].tolist()
    return list(dict.fromkeys([*keys, *((kind, number) for kind in kinds for number in order)]))


Result = tuple[int, "Tensor", np.ndarray | None]  # first slot, contributions (slot, input, *layer axes), checks


def _after_competition(compete: Compete, results: Iterable[Result], targets: int) -> Iterator[Result]:
    """Return the contributions to the targets, which have the first slots, after the competition with rivals."""
    held: list[tuple[int, Tensor]] = []
    highest: Tensor | None = None
    lowest: Tensor | None = None
    for start, contributions, _ in results:
        high, low = contributions.amax(0), contributions.amin(0)
        highest = high if highest is None else highest.maximum(high)
        lowest = low if lowest is None else lowest.minimum(low)
        if start < targets:
            held.append((start, contributions[: targets - start].clone()))
    for start, contributions in held:
        assert highest is not None and lowest is not None
        yield start, compete(contributions, highest, lowest), None


def _put(
    run: Run, step: Rerun, requested: Requested, slots: Slots, start: int, contributions: Tensor,
    check: np.ndarray | None,
) -> None:  # fmt: skip
    """Write the contributions of some slots, (slot, input, *layer axes), into the tables of the requests."""
    for request, table in requested:
        positions = within(slots.positions(table), start, start + len(contributions))
        if positions.size:
            operation = run.registry.operations[request.node.op]
            values = operation.collect(request.node, run.layer(step.layer), contributions, run)
            table.put(step.layer, positions, numpy_of(values))
            if check is not None:
                table.put_check(step.layer, positions, check, len(run.images))


def _best_attempt(
    path: _Path, parameters: Parameters, keys: Keys, ends: _PathEnds | None
) -> tuple[Tensor, np.ndarray | None]:
    """Return contributions (slot, input, *layer axes) and, where the scores at both ends are known, (error, difference
    of the scores, steps, tolerance) as (4, slot, input). Each slot of an input keeps the result of the first attempt
    whose error is below the tolerance."""
    attempts = path.method.attempts(parameters)
    best: Tensor | None = None
    check: np.ndarray | None = None
    pending, left = list(range(len(keys))), keys
    for own in attempts:
        contributions = _accumulate(path, own, left)
        if ends is None:
            return contributions, None
        difference = ends.difference(left)
        error = np.abs(contributions.double().flatten(2).sum(-1).cpu().numpy() - difference)
        tolerance = own["tolerance"] if len(attempts) > 1 else np.nan
        now = np.stack([error, difference, *(np.full(error.shape, float(x)) for x in (own["n_steps"], tolerance))])
        if best is None or check is None:
            best, check = contributions, now
        else:
            for number, slot in enumerate(pending):
                for row, key in enumerate(left[number]):
                    if key is not None:
                        best[slot, row], check[:, slot, row] = contributions[number, row], now[:, number, row]
        open_ = check[0] > float(own["tolerance"]) * np.abs(check[1])
        pending = [slot for slot in range(len(keys)) if any(open_[slot, r] for r, k in enumerate(keys[slot]) if k)]
        left = [[k if open_[slot, r] else None for r, k in enumerate(keys[slot])] for slot in pending]
        if not pending:
            break
    assert best is not None
    return best, check


def _accumulate(path: _Path, parameters: Parameters, keys: Keys) -> Tensor:
    """Return the contributions (slot, input, *layer axes) of one attempt."""
    accumulator = path.method.accumulator(parameters, path.activation, path.baseline)
    pieces = (_gradients_above if path.step.above else _gradients_whole)(path, parameters, keys)
    for number, (point, gradient) in enumerate(_by_visit(pieces, len(path.activation))):
        accumulator.add(number, point, gradient)
    return accumulator.result()


def _by_visit(pieces: Iterable[tuple[Tensor, Tensor]], inputs: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Regroup chunks of consecutive rows (activation (row, *layer axes), gradient (slot, row, *layer axes)) into whole
    visits of ``inputs`` rows, so that the accumulated result does not depend on the chunks."""
    import torch

    points: Tensor | None = None
    gradients: Tensor | None = None
    for point, gradient in pieces:
        points = point if points is None else torch.cat([points, point])
        gradients = gradient if gradients is None else torch.cat([gradients, gradient], 1)
        while points is not None and gradients is not None and len(points) >= inputs:
            yield points[:inputs], gradients[:, :inputs]
            points, gradients = points[inputs:], gradients[:, inputs:]
            if not len(points):
                points = gradients = None


def _gradients_above(path: _Path, parameters: Parameters, keys: Keys) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (activation, gradient) of consecutive rows from the network above the layer, many visits at a time."""
    import torch

    run, step, method, target_layer = path.run, path.step, path.method, path.step.target_layer
    count, inputs = method.visits(parameters), len(path.activation)
    block = max(1, ROWS // inputs)
    with passes.above(run.adapter, path.captured, step.layer, [target_layer], counter=run.passes) as upper:

        def cotangent(value: Tensor, owners: Tensor) -> Tensor:
            return cotangents(run, target_layer, keys, value, owners)

        for start in range(0, count, block):
            stop = min(start + block, count)
            visited = method.visit(parameters, start, stop, path.activation, path.baseline).flatten(0, 1)
            owners = torch.arange(inputs, device=visited.device).repeat(stop - start)
            for row, gradient in passes.rerun_gradient_chunks(
                upper, visited, owners, cotangent, target_layer, targets=len(keys), around=method.context(parameters)
            ):
                yield visited[row : row + gradient.shape[1]], gradient


def _gradients_whole(path: _Path, parameters: Parameters, keys: Keys) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the same from the whole network, one visit and one target at a time, as a call without an optimizer
    runs."""
    run, step, method = path.run, path.step, path.method
    reach = ["input", step.layer]
    layers = reach if step.target_layer == OUTPUT else [*reach, step.target_layer]
    around = method.context(parameters)
    for number in range(method.visits(parameters)):
        visited = method.visit(parameters, number, number + 1, path.activation, path.baseline)[0]
        again = passes.forward(
            run.adapter, run.images, layers, grad=True, counter=run.passes, replace={step.layer: visited},
            around=around,
        )  # fmt: skip
        value = graph_at(again, step.target_layer)
        cotangent = cotangents(run, step.target_layer, keys, value.detach())
        if again.relevance is not None:
            cotangent = again.relevance.seed(value, cotangent, step.target_layer)
        gradients = passes.vjp(again, value, cotangent, reach, run.passes, chunk=1)
        yield visited, gradients[step.layer]


class _PathEnds:
    """The targets' values at the picture and at the baseline; contributions should add up to their difference."""

    def __init__(self, path: _Path):
        self.path = path
        self.here = value_at(path.captured, path.step.target_layer)
        self.there: Tensor | None = None

    def difference(self, keys: Keys) -> np.ndarray:
        """Return the difference of the values, (slot, input)."""
        run, target_layer = self.path.run, self.path.step.target_layer
        if self.there is None or not self.path.step.above:
            self.there = self._at_baseline()
        return numpy_of(scores_at(run, target_layer, keys, self.here) - scores_at(run, target_layer, keys, self.there))

    def _at_baseline(self) -> Tensor:
        import torch

        run, step, point = self.path.run, self.path.step, self.path.baseline
        assert point is not None
        if not step.above:
            layers = [step.layer] if step.target_layer == OUTPUT else [step.layer, step.target_layer]
            again = passes.forward(run.adapter, run.images, layers, counter=run.passes, replace={step.layer: point})
            return value_at(again, step.target_layer)
        with (
            passes.above(run.adapter, self.path.captured, step.layer, [step.target_layer], counter=run.passes) as upper,
            torch.no_grad(),
        ):
            return upper(point, torch.arange(len(point), device=point.device))[step.target_layer]
