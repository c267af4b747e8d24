"""Scans of a program: what is computed for each example, and the numbers of pipes from what was kept.

Each part is computed on batches of examples by a program of its own, which the optimizer and the engines treat like the
program of a page. Where the cache has every shard, neither torch nor the network is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Activations, Registry
from bbilang.compiler.ir.program import Node, Program, Scan, source_dataset
from bbilang.compiler.ir.score_kinds import INDEPENDENT, LOGITS, SIGMOID, VALUE
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.optimize.scans import (
    FIELD,
    HISTOGRAM,
    SAMPLES,
    SCORES,
    SUMMARY,
    batch_program,
    part_name,
    part_names,
    sample_name,
    with_inputs,
)
from bbilang.runtime.cache.disk import key_of
from bbilang.runtime.cache.versions import code_digest, plugin_digest, version_of
from bbilang.runtime.data.dataset import list_unreadable
from bbilang.runtime.errors import NotKept
from bbilang.runtime.execution.constant_parts import constant_parts
from bbilang.runtime.execution.example_maps import maps_of, remembered
from bbilang.runtime.execution.scores_of_examples import columns_of
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.scan.digests import digests
from bbilang.runtime.scan.scan import scan as scan_dataset
from bbilang.runtime.scan.scan import stored
from bbilang.runtime.scan.scanned import Scanned
from bbilang.runtime.scan.shards import ranges

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from bbilang.runtime.data.dataset import Dataset
    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.execution.results import Model
    from bbilang.runtime.passes import Passes

FORMAT = 2
KNOWN = (LOGITS, SIGMOID, INDEPENDENT, VALUE)  # kinds of scores for which the numbers need not be examined
VALUES = "values"  # the name of a field's numbers among the arrays of its part; the others are its coordinates
BEFORE = "before"  # the largest value before the layer's nonlinearity, among the arrays of a summary
SUM = "sum"  # over positions: the mean, times their number
OVER = " over "  # what stands between a name and the axes of the array


class ScanIdentity:
    """What a scan gives, without the means to compute it (`runtime.scan.work.Identity`)."""

    def __init__(self, program: Program, scan: Scan, registry: Registry, model: Model, code: str):
        self.nodes = part_names(scan)
        labels = hashlib.sha256("\n".join(model.description.labels).encode()).hexdigest()
        settings = [[key, value] for key, value in program.settings if not key.startswith(("featvis.", "page."))]
        shared = {
            "what": "scan",
            "format": FORMAT,
            "code": code_digest(),
            "plugins": plugin_digest(registry),
            "model": [model.fingerprint, code, program.output, labels],
            "preprocess": repr(model.preprocess),
            "settings": settings,
            "optimized": program.optimized,
            "device": str(model.device).partition(":")[0],
            "versions": {name: version_of(name) for name in ("torch", "numpy", "pillow")},
        }
        self.network = key_of(shared)
        self.parts: Mapping[str, str] = {name: key_of({"part": name, "scan": self.network}) for name in self.nodes}


class ScanWork(ScanIdentity):
    """The work of a scan on batches of examples (`runtime.scan.work.ShardWork`)."""

    def __init__(self, run: Run, scan: Scan):
        scans = run.shared.scans
        super().__init__(run.program, scan, run.registry, run.adapter, scans.code if scans is not None else "")
        self.run, self.scan = run, scan
        self._programs: dict[tuple[int, frozenset[str]], Program] = {}
        self._probed = False

    def prepare(self, picture: Image) -> np.ndarray:
        """Convert a picture to uint8 (channel, y, x), resized and cropped."""
        adapter = self.run.adapter
        channels = len(adapter.preprocess.mean)
        if channels not in (1, 3):
            raise adapter.no_picture()
        shown = adapter.preprocess.display(picture.convert("L") if channels == 1 else picture)
        return np.ascontiguousarray(shown.transpose(2, 0, 1)[:channels])

    def batch(self, images: Tensor, wanted: Collection[str]) -> Mapping[str, Mapping[str, np.ndarray]]:
        """Run the parts on a batch (example, channel, y, x)."""
        import torch

        from bbilang.runtime.passes.before_gates import values_before_gates

        chosen = [name for name in self.nodes if name in wanted]
        run = self._run(images.to(torch.float32) / 255, chosen)
        with values_before_gates(run.adapter, self._saturating(chosen)) as before:
            return self._results(run, chosen, images, before)

    def neurons(self, images: Tensor) -> np.ndarray:
        """Run the only part, a content of a layer, on a batch (example, channel, y, x) of uint8. Returns its numbers
        (example, channel, *positions)."""
        import torch

        run = self._run(images.to(torch.float32) / 255, list(self.nodes))
        return _positions_last(run.program.kept[0], run).detach().float().cpu().numpy()

    def _saturating(self, chosen: Sequence[str]) -> list[str]:
        """Return the layers of which the extremes of the activation itself are kept."""
        registry = self.run.registry
        nodes = [node for name in chosen if name.startswith(SUMMARY) and (node := self.nodes[name]) is not None]
        return [layer for node in nodes if is_activation(node, registry) for layer in node.type.layers]

    def _results(
        self, run: Run, chosen: Sequence[str], images: Tensor, before: Mapping[str, Tensor]
    ) -> Mapping[str, Mapping[str, np.ndarray]]:
        from bbilang.runtime.scan.histogram import histogram
        from bbilang.runtime.scan.samples import samples
        from bbilang.runtime.scan.summary import summary

        results: dict[str, Mapping[str, np.ndarray]] = {}
        kept = iter(run.program.kept)
        for name in chosen:
            if self.nodes[name] is None:
                results[name] = {"scores": run.scores}
                continue
            node = next(kept)
            if name.startswith(SUMMARY):
                results[name] = summary(_positions_last(node, run))
                (layer,) = node.type.layers
                if is_activation(node, run.registry) and layer in before:
                    results[name] = {**results[name], BEFORE: before[layer].float().cpu().numpy()}
            elif name.startswith(SAMPLES):
                wanted, seed = int(name.rsplit(" ", 1)[1]), int(run.program.setting("seed", 0))
                results[name] = samples(_positions_last(node, run), images, wanted, seed)
            elif name.startswith(HISTOGRAM):
                results[name] = histogram(_positions_last(node, run))
            else:
                results[name] = _arrays(run.value(node), len(images))
        return results

    def _run(self, images: Tensor, chosen: Sequence[str]) -> Run:
        """Return a run of the parts on a batch, whose passes are counted apart."""
        from bbilang.runtime.passes import probe

        key = (len(images), frozenset(chosen))
        if key not in self._programs:
            parts = [(name.split(" ")[0], self.nodes[name]) for name in chosen]
            program = batch_program(self.run.program, parts, len(images), self.run.registry)
            self._programs[key] = optimize(program) if self.run.program.optimized else program
        program = self._programs[key]
        if not self._probed:  # what the passes may do with several rows depends on how the network treats them
            behaviour = probe(
                self.run.adapter, images, True, int(program.setting("seed", 0)), self.run.shared.scan_passes
            )
            self.run.shared.warnings += [word for word in behaviour.warnings if word not in self.run.shared.warnings]
            self._probed = True
        return self.run.batch(program, images)


def is_activation(node: Node, registry: Registry) -> bool:
    """Return whether the numbers of a content are those of the layer itself."""
    demands = registry.operations[node.op].demands(node, registry)
    return all(isinstance(demand, Activations) for demand in demands)


def _positions_last(node: Node, run: Run) -> Tensor:
    """Return (example, channel, *positions) of a content of a layer's neurons."""
    import torch

    (layer,) = node.type.layers
    if is_activation(node, run.registry):
        activation = run.activation(node, layer)
        return activation.movedim(1 + run.layer(layer).axes.index("channel"), 1)
    field = run.value(node)
    others = [d for d in field.values.dims if d not in ("input", "channel")]
    return torch.from_numpy(np.ascontiguousarray(field.values.ordered(("input", "channel", *others)).data))


def _arrays(field: Field, count: int) -> dict[str, np.ndarray]:
    """Return the numbers of a field over (input, ...), and those of its coordinates that differ between inputs. The
    names of the arrays say which axes they have."""
    arrays = {f"{VALUES}{OVER}": field.values}
    arrays |= {
        f"{name}{OVER}": Named(array.dims, array.data.astype(np.int32))
        for name, array in field.coords.items()
        if "input" in array.dims and name != "input"
    }
    results = {}
    for name, array in arrays.items():
        dims = tuple(d for d in array.dims if d != "input")
        data = array.spread(("input", *dims))
        results[name + " ".join(dims)] = np.ascontiguousarray(np.broadcast_to(data, (count, *data.shape[1:])))
    return results


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
        scans = self.run.shared.scans
        if scans is None:
            return [self._dataset.digest(int(number)) for number in self.stored.rows]
        every = [one for own in digests(self._dataset, scans.cache, tuple(ranges(len(self._dataset)))) for one in own]
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

    def stream(self, node: Node, order: tuple[str, ...]) -> Iterator[np.ndarray]:
        """Yield the numbers of a content shard by shard: (example, *order)."""
        part = part_name(FIELD, node)
        name = next(name for name in self._kept(part).names(part) if name.startswith(VALUES + OVER))
        own = name.removeprefix(VALUES + OVER).split()
        for piece in self._kept(part).stream(part, name):
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
        part = part_name(FIELD, node)
        if part not in self._fields:
            self._fields[part] = self._field(node, part)
        return self._fields[part]

    def _field(self, node: Node, part: str) -> Field:
        """Reassemble a field: its numbers from the shards, what is the same for every example from its type."""
        coords, names = constant_parts(with_inputs(node, 1), self.run)
        tables: dict[str, Named] = {}
        for name in self._kept(part).names(part):
            component, _, dims = name.partition(OVER)
            tables[component] = Named(("input", *dims.split()), self._kept(part).array(part, name))
        values = tables.pop(VALUES)
        coords |= tables
        if "class" in tables:
            labels = np.vectorize(lambda index: self.run.label(int(index)), otypes=[object])(tables["class"].data)
            names["class"] = Named(tables["class"].dims, labels)
        return Field(node.type, values, coords, names)


def _code(run: Run) -> str:
    return run.shared.scans.code if run.shared.scans is not None else ""


def _left_out(count: int, why: str) -> str:
    return f"{count:,} {'example' if count == 1 else 'examples'} left out: {why}"


def union(scans: Sequence[Scan]) -> Scan:
    """Merge scans into one that keeps everything that any of them keeps: what a worker may be asked for."""
    return replace(
        scans[0],
        fields=tuple(dict.fromkeys(node for scan in scans for node in scan.fields)),
        summaries=tuple(dict.fromkeys(node for scan in scans for node in scan.summaries)),
        samples=tuple(dict.fromkeys(sample for scan in scans for sample in scan.samples)),
        histograms=tuple(dict.fromkeys(node for scan in scans for node in scan.histograms)),
        scores=any(scan.scores for scan in scans),
    )


def scan_for(run: Run, scan: Scan) -> ScannedDataset:
    """Scan a dataset, or recall what an earlier scan kept."""
    numbers = run.value(scan.dataset).coords["example"].data
    dataset, scans = run.dataset(source_dataset(scan.dataset)).subset(numbers), run.shared.scans
    if run.has_network:
        cache = scans.cache if scans is not None else None
        workers = run.shared.workers
        kept = scan_dataset(
            dataset, ScanWork(run, scan), cache, listener=run.shared.listener,
            pool=workers.pool if workers is not None else None,
            recipe=workers.recipe if workers is not None else None,
        )  # fmt: skip
        if kept.fresh:
            dataset.keep()  # the fingerprints of what was read
    else:
        assert scans is not None, "without a network there must be something kept"
        identity = ScanIdentity(run.program, scan, run.registry, run.adapter, scans.code)
        known = stored(dataset, identity, scans.cache)
        if known is None:
            raise NotKept
        kept = known
    return ScannedDataset(kept, dataset, numbers, run)
