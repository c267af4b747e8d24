"""Scans of a program: what is computed for each example, and the numbers of pipes from what was kept.

Each part is computed on batches of examples by a program of its own, which the optimizer and the engines treat like the
program of a page. Where the cache has every shard, neither torch nor the network is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Activations, Registry
from bbilang.compiler.ir.program import Node, Program, Scan
from bbilang.compiler.ir.score_kinds import INDEPENDENT, LOGITS, SIGMOID, VALUE
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.optimize.scans import (
    HISTOGRAM,
    SAMPLES,
    SUMMARY,
    batch_program,
    part_names,
)
from bbilang.runtime.cache.disk import key_of
from bbilang.runtime.cache.versions import code_digest, plugin_digest, version_of
from bbilang.runtime.execution.heads import heads_of
from bbilang.runtime.execution.preparation import Preparation
from bbilang.runtime.fields.field import CONTROLS, DISTANCES, Field, Named

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.execution.results import Model

FORMAT = 2
FEW = 8  # batches, before which a network is not traced for what it may do in place
KNOWN = (LOGITS, SIGMOID, INDEPENDENT, VALUE)  # kinds of scores for which the numbers need not be examined
VALUES = "values"  # the name of a field's numbers among the arrays of its part; the others are its coordinates
BEFORE = "before"  # the largest value before the layer's nonlinearity, among the arrays of a summary
BESIDE = "beside "  # before the name of what stands beside the numbers
NO_SET = float(
    np.finfo(np.float32).max
)  # stands there for a random set that there is not: NaN is a fault of an example
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
        self.prepare = Preparation.of(run.adapter)
        self._programs: dict[tuple[int, frozenset[str]], Program] = {}
        self._probed = False
        self._batches = 0

    def batch(
        self, images: Tensor, wanted: Collection[str], numbers: Sequence[int] = ()
    ) -> Mapping[str, Mapping[str, np.ndarray]]:
        """Run the parts on a batch (example, channel, y, x), which need not know which examples these are."""
        import torch

        from bbilang.runtime.passes.before_gates import values_before_gates

        chosen = [name for name in self.nodes if name in wanted]
        with heads_of(self.run.program, self.run.adapter):  # a worker has no run around it
            run = self._run(images.to(torch.float32) / 255, chosen)
            with self._faster(run), values_before_gates(run.adapter, self._saturating(chosen)) as before:
                return self._results(run, chosen, images, before)

    def _faster(self, run: Run) -> AbstractContextManager[None]:
        """Return the context in which a batch takes less time and gives the same, if the scan is so long that preparing
        it pays."""
        from bbilang.runtime.passes.module.in_place import gates_in_place

        self._batches += 1
        plain = not any(run.program.derivatives) and not any(forward.rule for forward in run.program.forwards)
        long = self._batches > FEW and self.run.program.optimized
        return gates_in_place(run.adapter.module) if plain and long else nullcontext()

    def neurons(self, images: Tensor) -> np.ndarray:
        """Run the only part, a content of a layer, on a batch (example, channel, y, x) of uint8. Returns its numbers
        (example, channel, *positions)."""
        import torch

        with heads_of(self.run.program, self.run.adapter):
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
        from bbilang.runtime.passes import probe, with_channels_last

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
        if self.run.program.optimized:
            images = with_channels_last(self.run.adapter, images, self.run.shared.scan_passes)
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
    values = torch.from_numpy(field.values.ordered(("input", "channel", *others)).data)
    last = values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last)
    return values if last else values.contiguous()


def _arrays(field: Field, count: int) -> dict[str, np.ndarray]:
    """Return the numbers of a field over (input, ...), what is kept beside them, and those of its coordinates that
    differ between inputs. The names of the arrays say which axes they have."""
    arrays = {f"{VALUES}{OVER}": field.values}
    arrays |= {
        f"{name}{OVER}": Named(array.dims, array.data.astype(np.int32))
        for name, array in field.coords.items()
        if "input" in array.dims and name != "input"
    }
    arrays |= {
        f"{BESIDE}{name}{OVER}": Named(array.dims, np.where(np.isnan(array.data), np.float32(NO_SET), array.data))
        for name, array in field.beside.items()
        if name in (CONTROLS, DISTANCES)
    }
    results = {}
    for name, array in arrays.items():
        dims = tuple(d for d in array.dims if d != "input")
        data = array.spread(("input", *dims))
        results[name + " ".join(dims)] = np.ascontiguousarray(np.broadcast_to(data, (count, *data.shape[1:])))
    return results


def union(scans: Sequence[Scan]) -> Scan:
    """Merge scans into one that keeps everything that any of them keeps: what a worker may be asked for."""
    return replace(
        scans[0],
        fields=tuple(dict.fromkeys(node for scan in scans for node in scan.fields)),
        summaries=tuple(dict.fromkeys(node for scan in scans for node in scan.summaries)),
        samples=tuple(dict.fromkeys(sample for scan in scans for sample in scan.samples)),
        histograms=tuple(dict.fromkeys(node for scan in scans for node in scan.histograms)),
        cubes=tuple(dict.fromkeys(node for scan in scans for node in scan.cubes)),
        scores=any(scan.scores for scan in scans),
    )
