"""Run texts of several lengths: one batch for each length, without padding, so that a text has the numbers that it
would have alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.types import MADE
from bbilang.runtime.fields.atoms import axes_of_atoms
from bbilang.runtime.fields.field import Named
from bbilang.runtime.inputs.texts import differing_lengths
from bbilang.runtime.interventions.intervention import Intervention

if TYPE_CHECKING:
    from bbilang.compiler.ir.model_description import LayerDescription
    from bbilang.compiler.ir.program import Node
    from bbilang.runtime.execution.context import Derivative, Run
    from bbilang.runtime.fields.field import Field
    from bbilang.runtime.inputs.network_input import NetworkInput


def parts_of(run: Run, inputs: Sequence[NetworkInput]) -> tuple[Run, ...]:
    """Make a run for the texts of each length; none if all have the described length, or are pictures.

    A part has its own images (input, token), description and passes' results. Fields are the whole run's, of its texts.
    """
    if run.adapter.description.reads != "text":
        return ()
    lengths = np.array([sum(map(bool, picture.words)) for picture in inputs])
    longest = run.images.shape[1]
    if (lengths == longest).all():
        return ()
    return tuple(_part(run, np.flatnonzero(lengths == length), int(length)) for length in sorted({*lengths.tolist()}))


def _part(whole: Run, rows: np.ndarray, length: int) -> Run:
    from bbilang.runtime.models.sources.text_models import TextAdapter, described

    assert isinstance(whole.adapter, TextAdapter)
    adapter = replace(whole.adapter, description=described(whole.adapter, length))
    return whole.part(rows, whole.images[rows][:, :length], adapter)


def merged_scores(parts: Sequence[Run]) -> np.ndarray:
    """Merge the scores (input, class) of all texts, in their order."""
    count = sum(len(part.rows) for part in parts)
    scores = np.empty((count, parts[0].scores.shape[1]), np.float32)
    for part in parts:
        scores[part.rows] = part.scores
    return scores


def merged(parts: Sequence[tuple[Run, np.ndarray]], axes: Sequence[str], sizes: dict[str, int]) -> np.ndarray:
    """Merge (part, numbers of its texts) to (input, *axes) of all texts; NaN where a text has no such token."""
    count = sum(len(part.rows) for part, _ in parts)
    whole = np.full((count, *(sizes[axis] for axis in axes)), np.nan, np.float32)
    for part, values in parts:
        whole[(part.rows, *(slice(size) for size in values.shape[1:]))] = values
    return whole


def merged_maps(run: Run, node: Node, target_layer: str, step: Derivative) -> None:
    """Merge the tables of one operation for one target layer from those of the parts, each class or atom in its own
    slot."""
    operation = run.registry.operations.get(node.inputs[0].op)
    change = operation if isinstance(operation, Intervention) else None
    if change is not None and change.mixes_inputs and len(run.parts) > 1:
        raise differing_lengths(f"`{change.name}`")
    for part in run.parts:
        part.derive(step)
    for request in step.requests:
        if request.node is not node:
            continue
        table = run.table(node, request.target, target_layer)
        for part in run.parts:
            own = part.table(node, request.target, target_layer)
            both = [
                (table.slots[int(part.rows[row]), key], slot, row)
                for (row, key), slot in own.slots.items()
                if (int(part.rows[row]), key) in table.slots
            ]
            here, there, rows = np.array(both, np.int64).reshape(-1, 3).T
            for name, values in own.maps.items():
                axes, own_sizes = _axes(node, run.layer(name), change), values.shape[2:]
                sizes = (run.layer(name).every_size[axis] for axis in axes)
                shape = (*own_sizes[: len(own_sizes) - len(axes)], *sizes)
                whole = table.maps.setdefault(name, np.full((table.count, len(run.images), *shape), np.nan, np.float32))
                whole[(here, part.rows[rows], *(slice(size) for size in values.shape[2:]))] = values[there, rows]
            table.notes = tuple(dict.fromkeys((*table.notes, *own.notes)))
            for name, check in own.checks.items():
                whole = table.checks.setdefault(name, np.full((4, table.count, len(run.images)), np.nan))
                whole[:, here, part.rows[rows]] = check[:, there, rows]


def _axes(node: Node, layer: LayerDescription, change: Intervention | None) -> tuple[str, ...]:
    """Return the atoms' axes, which are the last ones of an operation's numbers: none of groups, or of sets of atoms
    that change together."""
    together = change is not None and change.together(dict(node.inputs[0].parameters))
    return () if node.type.atom in MADE or together else axes_of_atoms(node.type.atom, layer)


def restricted(whole: Run, node: Node, rows: np.ndarray) -> Field:
    """Restrict a field of the whole run to some of its texts."""
    return whole.value(node).take("input", Named(("input",), rows))
