"""Compute the values of targets from scores or from a later layer's activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bbilang.compiler.ir.program import OUTPUT
from bbilang.compiler.ir.types import MADE
from bbilang.runtime.attribution.slots import Keys
from bbilang.runtime.attribution.target_slots import Kind
from bbilang.runtime.fields.atoms import reduce_part

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.compiler.ir.model_description import LayerDescription
    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.passes import Captured


def value_at(captured: Captured, target_layer: str) -> Tensor:
    """Return the result of a forward at a target layer: scores (input, class), or activation (input, *layer axes)."""
    value = captured.scores if target_layer == OUTPUT else captured[target_layer]
    assert value is not None
    return value


def graph_at(captured: Captured, target_layer: str) -> Tensor:
    """Return the value of `value_at`, attached to the forward's graph."""
    value = captured.score_graph if target_layer == OUTPUT else captured.graph[target_layer]
    assert value is not None
    return value


def scores_at(run: Run, target_layer: str, keys: Keys, value: Tensor, owners: Tensor | None = None) -> Tensor:
    """Return the value of each target, (slot, row); 0 for empty slots.

    value: scores (row, class) or a later layer's activation (row, *layer axes). owners (row,): the input that each row
    belongs to; the row itself by default.
    """
    import torch

    rows = list(range(len(value))) if owners is None else owners.tolist()
    scores = value.new_zeros(len(keys), len(value))
    every = [[by_input[owner] for owner in rows] for by_input in keys]
    kinds = {key[0] for row in every for key in row if key is not None}
    for kind in kinds:
        numbers = torch.tensor([[-1 if k is None or k[0] != kind else k[1] for k in row] for row in every])
        numbers = numbers.to(value.device)
        own = _scores_of_kind(run, target_layer, kind, value, numbers, rows)
        scores = torch.where(numbers >= 0, own.to(scores), scores)
    return scores


def _scores_of_kind(
    run: Run, target_layer: str, kind: Kind, value: Tensor, numbers: Tensor, rows: Sequence[int]
) -> Tensor:
    """Return the scores of one kind, (slot, row). numbers (slot, row): negative for none."""
    import torch

    from bbilang.runtime.models.score_output import probabilities

    if kind == "probability":
        table = probabilities(value.double(), run.kind)
    elif not isinstance(kind, str) and kind[0] == "combined":
        return _combined_scores(run, target_layer, kind, value, numbers, rows)
    elif target_layer == OUTPUT:
        table = value
    else:
        layer, atom = run.layer(target_layer), kind[1]
        if atom in MADE:
            return _made_scores(run, kind[2], layer, value, numbers, rows)
        table = reduce_part(value, layer, atom, "sum" if atom in ("channel", "neuron") else "norm")
        table = table.reshape(len(value), -1)
    return torch.gather(table.T, 0, numbers.clamp_min(0))


def _made_scores(
    run: Run, digest: str, layer: LayerDescription, value: Tensor, numbers: Tensor, rows: Sequence[int]
) -> Tensor:
    """Return the inner products of the activation with what groups and directions are (`target_slots.atom_cotangent`),
    (slot, row)."""
    import torch

    parts = run.made_parts(digest, layer)[:, rows].to(value).flatten(2)  # (atom, row, entry)
    table = (parts * value.flatten(1)).sum(2)
    return torch.gather(table, 0, numbers.clamp_min(0))


def _combined_scores(
    run: Run, target_layer: str, kind: tuple[str, ...], value: Tensor, numbers: Tensor, rows: Sequence[int]
) -> Tensor:
    """Return sums and differences of classes as one score each (`target_slots.keys_of`), (slot, row)."""
    table, weights = run.combined[kind[1]]  # (input, sum, term)
    at = numbers.clamp_min(0).cpu().numpy()
    classes, factors = table[rows, at], weights[rows, at]  # (slot, row, term)
    total = value.new_zeros(())
    for term in range(classes.shape[-1]):
        own = numbers.new_tensor(classes[..., term])
        scores = _scores_of_kind(run, target_layer, kind[2], value, own, rows)
        total = total + scores * value.new_tensor(factors[..., term])
    return total
