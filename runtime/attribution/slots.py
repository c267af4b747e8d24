"""Slots of targets: classes or atoms packed side by side into passes, and the tables that take their numbers.

A key is one class, atom or combined score (`target_slots.Key`). A slot is its number: in a pass, or in the table of one
operation. Different inputs may have different keys in one slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbilang.compiler.ir.program import Backward, DerivativeRequest, Node, Rerun, Tangents
from bbilang.runtime.attribution.target_slots import Key, TargetKeys, keys_of

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run

Keys: TypeAlias = list[list[Key | None]]  # slot -> input -> its key there, None where the input has fewer


@dataclass
class DerivativeTable:
    """One operation's numbers for one target.

    ``maps``: layer -> (slot, input, *atom axes). ``checks``: layer -> (4, slot, input), for complete methods, the
    completeness error, the difference of the scores, steps, tolerance. ``notes``: sentences for the legend.
    ``distances``: layer -> (input,), how far changed layers lie from natural ones.
    """

    keyed: TargetKeys
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    checks: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    distances: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, target: Node, target_layer: str, combined: bool = False) -> DerivativeTable:
        """Return an empty table. Tables of equal targets share their `TargetKeys`."""
        key = (target.digest, target_layer, combined)
        if key not in run.keyed:
            run.keyed[key] = keys_of(run, target, target_layer, combined)
        return cls(run.keyed[key])

    @property
    def slots(self) -> dict[tuple[int, Key], int]:
        """The slot of each (input, key)."""
        return self.keyed.slots

    @property
    def count(self) -> int:
        """The number of slots of the table."""
        return self.keyed.count

    def put(self, layer: str, positions: Iterable[np.ndarray], values: np.ndarray) -> None:
        """Fill slots at one layer. positions (3, n): slot here, slot in ``values``, input; values (slot, input, *kept
        axes)."""
        here, there, inputs = positions
        if layer not in self.maps:
            self.maps[layer] = np.full((self.count, *values.shape[1:]), np.nan, np.float32)
        self.maps[layer][here, inputs] = values[there, inputs]

    def put_check(self, layer: str, positions: np.ndarray, check: np.ndarray, inputs: int) -> None:
        """Fill ``checks`` at one layer in the same way, from (4, slot, input)."""
        here, there, rows = positions
        table = self.checks.setdefault(layer, np.full((4, self.count, inputs), np.nan))
        table[:, here, rows] = check[:, there, rows]


@dataclass
class Slots:
    """The slots of one pass: the keys of every input, packed into as many slots as the input with the most keys
    needs."""

    keys: Keys
    slot_of: dict[tuple[int, Key], int]  # (input, key) -> slot

    @classmethod
    def of(cls, row_keys: Sequence[Sequence[Key]]) -> Slots:
        """Pack the keys of each input."""
        count = max(map(len, row_keys), default=0)
        keys = [[own[slot] if slot < len(own) else None for own in row_keys] for slot in range(count)]
        return cls(keys, {(row, key): slot for row, own in enumerate(row_keys) for slot, key in enumerate(own)})

    def positions(self, table: DerivativeTable) -> np.ndarray:
        """Return (3, n): slot in the table, slot here, input, for every key that both have."""
        both = [(slot, self.slot_of[key], key[0]) for key, slot in table.slots.items() if key in self.slot_of]
        return np.array(both, np.int64).reshape(-1, 3).T


Requested: TypeAlias = list[tuple[DerivativeRequest, DerivativeTable]]


def tables_of(run: Run, step: Backward | Tangents | Rerun) -> Requested:
    """Return every request of a step with the table that it fills."""
    return [(request, run.table(request.node, request.target, step.target_layer)) for request in step.requests]


def requested_keys(tables: Iterable[DerivativeTable], inputs: int) -> list[list[Key]]:
    """Return input -> every key of the tables, each once."""
    tables = list(tables)
    return [
        list(dict.fromkeys(key for t in tables for row, key in t.slots if row == number)) for number in range(inputs)
    ]


def within(positions: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Return the positions (3, n) whose slot in the pass is from start to stop, with the slot counted from start."""
    own = positions[:, (positions[1] >= start) & (positions[1] < stop)]
    return own - np.array([[0], [start], [0]])
