"""What a scan kept of a dataset, as operations read it; how it is recalled, or run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import Node, Scan, source_dataset
from bbilang.compiler.optimize.scans import (
    CUBE,
    FIELD,
    HISTOGRAM,
    SCORES,
    SUMMARY,
    part_name,
    part_names,
    sample_name,
    with_inputs,
)
from bbilang.runtime.data.dataset import list_unreadable
from bbilang.runtime.errors import NotKept
from bbilang.runtime.execution.constant_parts import constant_parts
from bbilang.runtime.execution.example_maps import maps_of, remembered
from bbilang.runtime.execution.scanning import BEFORE, BESIDE, KNOWN, NO_SET, OVER, SUM, VALUES, ScanIdentity, ScanWork
from bbilang.runtime.execution.scores_of_examples import columns_of
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.interventions.found import Found
from bbilang.runtime.ops.datasets.fixed_atoms import resolved, resolved_scan
from bbilang.runtime.scan.digests import digests
from bbilang.runtime.scan.scan import scan as scan_dataset
from bbilang.runtime.scan.scan import stored
from bbilang.runtime.scan.scanned import Scanned

if TYPE_CHECKING:
    from PIL.Image import Image

    from bbilang.runtime.data.dataset import Dataset
    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.passes import Passes


class ScannedDataset:
    """What a scan kept, as operations read it (`compiler.contract.run.Scanned`). ``numbers``: of the examples that were
    scanned, in their source."""

    def __init__(self, stored: Scanned, dataset: Dataset, numbers: np.ndarray, run: Run):
        self.stored, self.run = stored, run
        self._every: list[Scanned] = [stored]
        self._dataset, self._numbers = dataset, numbers
        self._fields: dict[str, Field] = {}

    def with_parts_of(self, others: Sequence[ScannedDataset]) -> ScannedDataset:
        """Return the parts of several scans of the same examples together."""
        if not others:
            return self
        joined = ScannedDataset(self.stored, self._dataset, self._numbers, self.run)
        joined._every = [self.stored, *(other.stored for other in others)]
        return joined

    def _kept(self, part: str) -> Scanned:
        """Return the scan that has a part."""
        return next(stored for stored in self._every if part in stored.parts)

    @cached_property
    def rows(self) -> np.ndarray:
        return self._numbers[self.stored.rows]

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """How many examples are left out, and why: words for the page."""
        notes = []
        if self.stored.unreadable:
            notes.append(
                _left_out(len(self.stored.unreadable), f"cannot be read ({list_unreadable(self.stored.unreadable)})")
            )
        if lost := max(self.stored.nonfinite.values(), default=0):
            notes.append(_left_out(lost, "gave numbers that are not finite"))
        return tuple(notes)

    def digests(self) -> Sequence[str]:
        """Return the digest of each readable example."""
        (every,) = digests(self._dataset, (range(len(self._dataset)),))
        return [every[number] for number in self.stored.rows.tolist()]

    def summary(self, node: Node, name: str) -> np.ndarray:
        """Return a reduction over the positions of each example (example, channel), by its name in `scan.summary`, or
        `SUM`."""
        part = part_name(SUMMARY, node)
        if name != SUM:
            return self._kept(part).array(part, name)
        (layer,) = node.type.layers
        sizes = self.run.layer(layer).sizes
        positions = int(np.prod([size for axis, size in sizes.items() if axis != "channel"]))
        return self._kept(part).array(part, "mean") * np.float32(positions)

    def samples(self, node: Node, count: int) -> tuple[np.ndarray, np.ndarray]:
        part = sample_name(node, count)
        return self._kept(part).array(part, "vectors"), self._kept(part).array(part, "positions")

    def histogram(self, node: Node) -> tuple[np.ndarray, np.ndarray]:
        part = part_name(HISTOGRAM, node)
        return self._kept(part).array(part, "counts"), self._kept(part).finite(part)

    def cubes(self, node: Node) -> Iterator[np.ndarray]:
        """Yield the numbers of a layer's neurons shard by shard: (example, ..., channel, position)."""
        part, (layer,) = part_name(CUBE, node), node.type.layers
        name = self._values_of(part)
        own, others = name.removeprefix(VALUES + OVER).split(), self._beside(part, layer)
        positions = [axis for axis in self.run.layer(layer).sizes if axis != "channel"]
        order = (0, *(1 + own.index(axis) for axis in (*others, "channel", *positions)))
        for piece in self._kept(part).stream(part, name):
            whole = piece.transpose(order)
            yield whole.reshape(*whole.shape[: 2 + len(others)], -1)

    def around_cubes(self, node: Node) -> tuple[tuple[str, ...], dict[str, Named], dict[str, Named]]:
        """Return the axes of neurons besides those of the layer, such as `class`, with their coordinates and names."""
        part, (layer,) = part_name(CUBE, node), node.type.layers
        coords, names = self._coordinates(node, part)
        return self._beside(part, layer), {n: a for n, a in coords.items() if n != "channel"}, names

    def _values_of(self, part: str) -> str:
        return next(name for name in self._kept(part).names(part) if name.startswith(VALUES + OVER))

    def _beside(self, part: str, layer: str) -> tuple[str, ...]:
        own = self._values_of(part).removeprefix(VALUES + OVER).split()
        return tuple(axis for axis in own if axis not in self.run.layer(layer).sizes)

    def stream(self, node: Node, order: tuple[str, ...], wanted: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Yield the numbers of a content shard by shard: (example, *order), of the ``wanted`` examples (example,)."""
        part = part_name(FIELD, node)
        name = self._values_of(part)
        own = name.removeprefix(VALUES + OVER).split()
        for piece in self._kept(part).stream(part, name, wanted):
            yield piece.transpose(0, *(1 + own.index(axis) for axis in order))

    def shown(self, picture: Image) -> np.ndarray:
        return self.run.adapter.preprocess.display(picture)

    def remembered(self, what: str, compute: Callable[[Passes], np.ndarray]) -> np.ndarray:
        """Return what depends on the network alone, from the cache where it is there. Raises `NotKept`."""
        run, scans = self.run, self.run.shared.scans
        identity = ScanIdentity(run.program, run.program.scans[0], run.registry, run.adapter, _code(run))
        made = partial(compute, run.shared.scan_passes) if run.has_network else None
        return remembered(scans.cache if scans is not None else None, {"what": what, "network": identity.network}, made)

    def maps(self, node: Node, rows: np.ndarray, channels: np.ndarray) -> np.ndarray:
        """Return the map (pair, y, x) of a channel for each pair of an example and a channel. Raises `NotKept`."""
        run, scans = self.run, self.run.shared.scans
        own = next(scan for scan in run.program.scans if part_name(SUMMARY, node) in part_names(scan))
        scan = Scan(own.dataset, (), (node,), False, own.serves)
        place = {row: number for number, row in enumerate(self._numbers.tolist())}
        pairs = np.array([[place[row], channel] for row, channel in zip(rows.tolist(), channels.tolist(), strict=True)])
        digest_of = dict(zip(self.rows.tolist(), self.digests(), strict=True))
        named = [[digest_of[row], channel] for row, channel in zip(rows.tolist(), channels.tolist(), strict=True)]
        (part,) = ScanIdentity(run.program, scan, run.registry, run.adapter, _code(run)).parts.values()

        def compute() -> np.ndarray:
            return maps_of(ScanWork(run, scan), self._dataset, pairs)

        what = {"what": "maps", "part": part, "of": named}
        cache = scans.cache if scans is not None else None
        return remembered(cache, what, compute if run.has_network else None)

    def before(self, node: Node) -> np.ndarray | None:
        part = part_name(SUMMARY, node)
        return self._kept(part).array(part, BEFORE) if BEFORE in self._kept(part).names(part) else None

    def columns(self) -> Mapping[str, np.ndarray]:
        return self._columns

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        scores = self._kept(SCORES).array(SCORES, "scores")
        description = self.run.adapter.description
        kind = description.scores
        if kind not in KNOWN:
            from bbilang.runtime.models.score_output import kind_of_rows

            kind = kind_of_rows(scores, kind)
        labels = self._dataset.labels
        own = None if labels is None else labels[self.stored.rows]
        return columns_of(scores, kind, own, description.labels, self.run.label)

    def field(self, node: Node) -> Field:
        """Return a content over all readable examples, as a field with the axis `input` for them."""
        node = resolved(node, self.run)
        part = part_name(FIELD, node)
        if part not in self._fields:
            self._fields[part] = self._field(node, part)
        return self._fields[part]

    def _field(self, node: Node, part: str) -> Field:
        """Reassemble a field: its numbers from the shards, what is the same for every example from its type."""
        coords, names = self._coordinates(node, part)
        name = self._values_of(part)
        dims = name.removeprefix(VALUES + OVER).split()
        beside = {}
        for other in self._kept(part).names(part):
            if other.startswith(BESIDE):
                called, _, axes = other.removeprefix(BESIDE).partition(OVER)
                array = self._kept(part).array(part, other)
                beside[called] = Named(("input", *axes.split()), np.where(array == np.float32(NO_SET), np.nan, array))
        values = Named(("input", *dims), self._kept(part).array(part, name))
        return Field(node.type, values, coords, names, beside=beside)

    def _coordinates(self, node: Node, part: str) -> tuple[dict[str, Named], dict[str, Named]]:
        coords, names = constant_parts(with_inputs(node, 1), self.run)
        tables: dict[str, Named] = {}
        for name in self._kept(part).names(part):
            component, _, dims = name.partition(OVER)
            if component != VALUES and not name.startswith(BESIDE):
                tables[component] = Named(("input", *dims.split()), self._kept(part).array(part, name))
        coords |= tables
        if "class" in tables:
            labels = np.vectorize(lambda index: self.run.label(int(index)), otypes=[object])(tables["class"].data)
            names["class"] = Named(tables["class"].dims, labels)
        return coords, names


def _code(run: Run) -> str:
    return run.shared.scans.code if run.shared.scans is not None else ""


def _left_out(count: int, why: str) -> str:
    return f"{count:,} {'example' if count == 1 else 'examples'} left out: {why}"


def scan_for(run: Run, scan: Scan) -> ScannedDataset:
    """Scan a dataset, or recall what an earlier scan kept."""
    numbers = np.sort(run.value(scan.dataset).coords["example"].data)  # whatever their order: shards are the same
    dataset, scans = run.dataset(source_dataset(scan.dataset)).subset(numbers), run.shared.scans
    if run.has_network:
        cache = scans.cache if scans is not None else None
        planned, scan = scan, resolved_scan(scan, run)
        workers = run.shared.workers
        recipe = None if workers is None else workers.recipe
        if recipe is not None and scan is not planned:  # workers know what was planned
            recipe = partial(recipe, Found.of(scan, run))
        kept = scan_dataset(
            dataset, ScanWork(run, scan), cache, listener=run.shared.listener,
            pool=None if workers is None else workers.pool, recipe=recipe,
        )  # fmt: skip
        dataset.keep()  # hashes and fingerprints of what was read
    else:
        assert scans is not None, "without a network there must be something kept"
        identity = ScanIdentity(run.program, scan, run.registry, run.adapter, scans.code)
        known = stored(dataset, identity, scans.cache)
        if known is None:
            raise NotKept
        kept = known
    return ScannedDataset(kept, dataset, numbers, run)
