"""The k strongest examples of every atom, over a stream of chunks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Sign = Literal["positive", "negative", "magnitude"]
Table = dict[str, np.ndarray]
STRENGTH = {"positive": np.positive, "negative": np.negative, "magnitude": np.abs}
NOTHING: dict[str, np.generic] = {
    **dict.fromkeys(("value", "second"), np.float64(-np.inf)),
    **dict.fromkeys(("own", "own second"), np.float64(np.nan)),
    "order": np.uint64(2**64 - 1),
    "row": np.int64(-1),
}  # an empty place


@dataclass(frozen=True)
class StrongestExamples:
    """The k strongest examples of every atom, strongest first, along the axis `place`.

    rows (atom, place): the numbers of the examples, -1 beyond the last. values, seconds (atom, place): as they were
    given, NaN beyond the last. ties (atom,): how many of all examples (or groups of near duplicates) have exactly the
    value of place k, itself included; 0 with fewer than k examples. unresolved (atom,): as many that have its second
    value, too, so that only the hash of their content orders them. counts (atom,): examples with a number. left_out
    (atom,): examples whose value was not finite.
    """

    rows: np.ndarray
    values: np.ndarray
    seconds: np.ndarray
    ties: np.ndarray
    unresolved: np.ndarray
    counts: np.ndarray
    left_out: np.ndarray

    def first(self, k: int) -> StrongestExamples:
        """Return the k strongest of these, as a ranking of k would have them."""
        if k >= self.rows.shape[1]:
            return self
        value, second = self.values[:, k - 1, None], self.seconds[:, k - 1, None]
        same = self.values == value
        level = same & ((self.seconds == second) | (np.isnan(self.seconds) & np.isnan(second)))
        full = self.rows[:, k - 1] >= 0  # where place k ties with the last place here, there are ties beyond that
        ties = np.where(same[:, -1], self.ties, same.sum(1))
        unresolved = np.where(level[:, -1], self.unresolved, level.sum(1))
        return StrongestExamples(
            self.rows[:, :k], self.values[:, :k], self.seconds[:, :k], np.where(full, ties, 0),
            np.where(full, unresolved, 0), self.counts, self.left_out,
        )  # fmt: skip

    @property
    def hidden(self) -> np.ndarray:
        """How many examples (atom,) tie with the last one shown and are not shown."""
        shown = (self.values == self.values[:, -1:]).sum(1)
        return np.where(self.ties > 0, self.ties - shown, 0)


class Strongest:
    """Keeps the k strongest examples of every atom while chunks are added, in memory of O(k x atoms).

    ``sign``: the largest values, the smallest (`negative`), or those of the largest magnitude. Equal values are ordered
    by a second value, as of the layer before its nonlinearity, then by the hash of the example's content, and examples
    of equal content by their number: the result does not depend on the order of the chunks.

    ``groups``: numbers (example of the whole dataset,) of groups of near duplicates, negative for none. Each atom keeps
    the strongest example of a group; memory of O(groups of several x atoms) is used for them.
    """

    def __init__(self, k: int, sign: Sign = "positive", groups: np.ndarray | None = None) -> None:
        self.k = k
        self.sign: Sign = sign
        self._groups = groups
        self._ranking: _Ranking | None = None
        self._duplicates: _Duplicates | None = None
        self._counts: np.ndarray
        self._left_out: np.ndarray

    def add(
        self, values: np.ndarray, digests: Sequence[str], rows: np.ndarray, second: np.ndarray | None = None
    ) -> None:
        """Add a chunk: values and second (example, atom), digests (example,) of the content in hexadecimal, and rows
        (example,): the numbers of the examples in the dataset."""
        values, rows = np.asarray(values), np.asarray(rows, np.int64)
        if self._ranking is None:
            self._ranking = _Ranking(self.k, values.shape[1])
            self._counts, self._left_out = np.zeros((2, values.shape[1]), np.int64)
            if self._groups is not None:
                self._duplicates = _Duplicates(self._groups, values.shape[1])
        table = self._table(values, np.full(1, np.nan) if second is None else np.asarray(second), digests, rows)
        finite = table["row"] >= 0
        self._counts += finite.sum(0)
        self._left_out += (~finite).sum(0)
        if self._duplicates is not None:
            table = self._duplicates.take(table, rows)
        self._ranking.merge(table)

    def _table(self, values: np.ndarray, second: np.ndarray, digests: Sequence[str], rows: np.ndarray) -> Table:
        """Arrays (example, atom): what orders an example, larger first in `value` and `second`, smaller first in
        `order` and `row`; and the values as given."""
        finite = np.isfinite(values)
        strength = STRENGTH[self.sign]
        after = strength(second)
        order = np.array([int(digest[:16], 16) for digest in digests], np.uint64)
        table = {
            "value": np.where(finite, strength(values), -np.inf),
            "second": np.where(np.isnan(after), -np.inf, after),
            "order": order[:, None],
            "row": np.where(finite, rows[:, None], -1),
            "own": np.where(finite, values, np.nan),
            "own second": np.where(finite, second, np.nan),
        }
        return {name: np.broadcast_to(array, values.shape) for name, array in table.items()}

    def result(self) -> StrongestExamples:
        """Rank what was added so far; more may follow. Raises ValueError where nothing was added."""
        if self._ranking is None:
            raise ValueError("no examples were added")
        ranking = copy.copy(self._ranking)  # its arrays are replaced, never written
        if self._duplicates is not None:
            ranking.merge(self._duplicates.best)
        kept = {name: array.T.copy() for name, array in ranking.kept.items()}
        counts, left_out = self._counts.copy(), self._left_out.copy()
        return StrongestExamples(kept["row"], kept["own"], kept["own second"], ranking.ties, ranking.unresolved, counts,
                                 left_out)  # fmt: skip


class _Ranking:
    """The first k of each atom, and how many of all tie with place k."""

    def __init__(self, k: int, atoms: int) -> None:
        self.k = k
        self.kept = _nothing(k, atoms)
        self.ties = self.unresolved = np.zeros(atoms, np.int64)

    def merge(self, table: Table) -> None:
        old = self.kept
        last, last_second = old["value"][-1], old["second"][-1]
        value, second = table["value"], table["second"]
        enters = (value > last) | ((value == last) & (second >= last_second))
        enters &= table["row"] >= 0
        most = int(enters.sum(0).max(initial=0))
        if most:
            places = np.argsort(~enters, axis=0, kind="stable")[:most]  # most examples enter nowhere: sort few
            both = {n: np.concatenate([old[n], np.take_along_axis(table[n], places, 0)]) for n in old}
            first = np.lexsort((both["row"], both["order"], -both["second"], -both["value"]), axis=0)[: self.k]
            self.kept = {name: np.take_along_axis(array, first, 0) for name, array in both.items()}
        # What is above place k is kept, so that a new place k has all earlier ties among the kept.
        new, new_second = self.kept["value"][-1], self.kept["second"][-1]
        ties = np.where(new == last, self.ties, (old["value"] == new).sum(0)) + (value == new).sum(0)
        same = (new == last) & (new_second == last_second)
        equal = [(t["value"] == new) & (t["second"] == new_second) for t in (old, table)]
        unresolved = np.where(same, self.unresolved, equal[0].sum(0)) + equal[1].sum(0)
        full = self.kept["row"][-1] >= 0
        self.ties, self.unresolved = np.where(full, ties, 0), np.where(full, unresolved, 0)


class _Duplicates:
    """The strongest example of each group of several, for each atom."""

    def __init__(self, groups: np.ndarray, atoms: int) -> None:
        names, counts = np.unique(groups[groups >= 0], return_counts=True)
        several = names[counts > 1]
        self._place = np.full(len(groups), -1)
        inside = np.isin(groups, several)
        self._place[inside] = np.searchsorted(several, groups[inside])
        self.best = _nothing(len(several), atoms)

    def take(self, table: Table, rows: np.ndarray) -> Table:
        """Move the examples that have near duplicates out of a table."""
        places = self._place[rows]
        for i in np.flatnonzero(places >= 0):
            own = {name: array[i] for name, array in table.items()}
            best = {name: array[places[i]] for name, array in self.best.items()}
            better, equal = np.zeros(own["row"].shape, bool), own["row"] >= 0
            for name, sign in (("value", 1), ("second", 1), ("order", -1), ("row", -1)):
                above = own[name] > best[name] if sign > 0 else own[name] < best[name]
                better |= equal & above
                equal = equal & (own[name] == best[name])
            for name, array in self.best.items():
                array[places[i], better] = own[name][better]
        alone = places < 0
        return {name: array[alone] for name, array in table.items()}


def _nothing(rows: int, atoms: int) -> Table:
    return {name: np.full((rows, atoms), value, value.dtype) for name, value in NOTHING.items()}
