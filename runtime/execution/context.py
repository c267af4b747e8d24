"""The context of a run for kernels, styles and measures: fields of other nodes, activations, scores, derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.identity_map import IdentityMap
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import OUTPUT, Backward, Node, Program, Scan, waits, walk
from bbilang.compiler.ir.score_kinds import INDEPENDENT, LOGITS, SIGMOID, VALUE
from bbilang.compiler.ir.types import MADE
from bbilang.compiler.optimize.scans import wholes
from bbilang.compiler.optimize.target_slots import CHAIN
from bbilang.compiler.plan.plan import Free
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.runtime.events import RunListener
from bbilang.runtime.execution import text_lengths as lengths
from bbilang.runtime.execution.engines import Derivative, engine_of
from bbilang.runtime.execution.forwards import run_forward
from bbilang.runtime.execution.shared import Files, ScanStore, Shared
from bbilang.runtime.fields.atoms import MADE_AXES, axes_of_atoms, numpy_of, reduce_part
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.inputs.texts import differing_lengths

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.attribution.kinds import DerivativeMethod
    from bbilang.runtime.attribution.slots import DerivativeTable
    from bbilang.runtime.attribution.target_slots import TargetKeys
    from bbilang.runtime.data.dataset import Dataset
    from bbilang.runtime.execution.examining import Examined
    from bbilang.runtime.execution.related import KeptForwards
    from bbilang.runtime.execution.scanned_dataset import ScannedDataset
    from bbilang.runtime.inputs.network_input import NetworkInput
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.passes import Captured, Passes

KNOWN = (LOGITS, SIGMOID, INDEPENDENT, VALUE)  # kinds of scores for which the numbers need not be examined
T = TypeVar("T")


class Run:
    """One program on one model with some inputs. Everything is computed on first use, and once.

    ``images``: (input, *input axes), on the adapter's device. ``pictures``: what is shown of them, uint8 (input, y, x,
    rgb). ``sizes``: (width, height) of the files. ``whole`` and ``rows``: of a part, the run that it belongs to and the
    numbers of its inputs there. ``known``: fields that are not computed.
    """

    def __init__(
        self, program: Program, adapter: Adapter, images: Tensor, pictures: np.ndarray,
        sizes: Sequence[tuple[int, int]], shared: Shared, passes: Passes | None, *,
        whole: Run | None = None, rows: np.ndarray | None = None, kind: str | None = None,
        known: Iterable[tuple[Node, Field]] = (),
    ):  # fmt: skip
        self.program, self.adapter, self.images, self.pictures = program, adapter, images, pictures
        self.originals = sizes
        self.photos: tuple[Callable[[], np.ndarray] | None, ...] = ()  # each reads its file again
        self.shared, self.registry, self._passes = shared, shared.registry, passes
        self.has_network = True
        self.repeated = False  # whether it is one of many runs of the same program, on a batch of a dataset each
        self.related: KeptForwards | None = (
            None  # what forwards of other models of the page left; of the page's own run
        )
        self.whole = whole
        self.rows = np.arange(len(images)) if rows is None else rows
        self.parts: tuple[Run, ...] = ()  # one for each length of texts, where they differ
        self._kind = kind
        self.captured: dict[int, Captured | None] = {}  # number of a forward -> what it left; None once it is released
        self.keyed: dict[tuple[str, str, bool], TargetKeys] = {}  # (digest of a target, its layer, combined)
        self.combined: dict[str, Any] = {}  # digest of a target -> its sums' classes and weights, (input, sum, term)
        self._fields: IdentityMap[Node, Field] = IdentityMap()
        self._fields.update(known)
        self._tables: IdentityMap[Node, dict[str, DerivativeTable]] = IdentityMap()  # node -> where its targets are
        self._derived: IdentityMap[Derivative, bool] = IdentityMap()
        self._steps: IdentityMap[Node, dict[str, list[Derivative]]] = IdentityMap()  # likewise -> what fills that table
        self._combined: IdentityMap[Node, set[str]] = IdentityMap()  # where sums of classes are followed as one score
        for step in program.derivatives:
            for request in step.requests:
                steps = self._steps.setdefault(request.node, {}).setdefault(step.target_layer, [])
                if not steps or steps[-1] is not step:
                    steps.append(step)
                if request.combined:
                    self._combined.setdefault(request.node, set()).add(step.target_layer)
        self._made_parts: dict[str, Tensor] = {}
        self._examined: IdentityMap[Node, Examined] = IdentityMap()
        self._scores: np.ndarray | None = None
        self.removed: dict[str, np.ndarray | None] = {}  # layer -> scores (input, class) without it; None: it fails

    @property
    def passes(self) -> Passes:
        assert self._passes is not None, "a run without a network counts no passes"
        return self._passes

    @classmethod
    def of(
        cls, program: Program, registry: Registry, adapter: Adapter, inputs: Sequence[NetworkInput],
        listener: RunListener | None = None, scans: ScanStore | None = None, files: Files | None = None,
        given: Mapping[str, Field] | None = None,
    ) -> Run:  # fmt: skip
        """Make the run of a whole program. Texts of several lengths become ``parts``."""
        import torch

        from bbilang.runtime.passes import Passes

        images = [item.image for item in inputs if item.image is not None]
        sizes = [item.size if all(item.size) else (item.shown.shape[1], item.shown.shape[0]) for item in inputs]
        if inputs:
            stacked, shown = torch.stack(images), np.stack([item.shown for item in inputs])
        else:  # everything is of a dataset
            stacked = torch.zeros(0, *adapter.description.input.shape)
            shown = np.zeros((0, 1, 1, 3), np.uint8)
        shared = Shared(registry, listener, scans, files, given)
        run = cls(program, adapter, stacked.to(adapter.device), shown, sizes, shared, Passes())
        run.parts = lengths.parts_of(run, inputs)
        run.photos = tuple(item.photo for item in inputs)
        return run

    def again(
        self, program: Program, adapter: Adapter, images: Tensor, pictures: np.ndarray,
        known: Iterable[tuple[Node, Field]],
    ) -> Run:  # fmt: skip
        """Make a run of part of this one, on other pictures (input, ...) or another network, whose passes are counted
        separately. ``known``: fields that are not computed."""
        if self.adapter.description.scores not in KNOWN:
            _ = self.kind  # it is that of the page's own scores
        return Run(
            program, adapter, images, pictures, self.originals, self.shared, self.shared.trust_passes,
            whole=self.whole, rows=self.rows, kind=self._kind, known=known,
        )  # fmt: skip

    def part(self, rows: np.ndarray, images: Tensor, adapter: Adapter) -> Run:
        """Make the run of some of the inputs, which shares everything but activations and derivatives with this one."""
        return Run(
            self.program, adapter, images, self.pictures[rows], [self.originals[row] for row in rows], self.shared,
            self.passes, whole=self, rows=rows,
        )  # fmt: skip

    def batch(self, program: Program, images: Tensor) -> Run:
        """Make the run of a scan's program on a batch of examples, whose passes are counted apart."""
        shown, sizes = np.zeros((len(images), 1, 1, 3), np.uint8), [(1, 1)] * len(images)  # nothing of it is shown
        images, passes = images.to(self.adapter.device), self.shared.scan_passes
        run = Run(program, self.adapter, images, shown, sizes, self.shared, passes)
        run.repeated = True
        return run

    # --- fields ----------------------------------------------------------------------------------------------------

    def value(self, node: Node) -> Field:
        """Return the node's field, computed once for each node object."""
        field = self._fields.get(node) if self.program.owns(node) else self.shared.given[node.digest]
        if field is None:
            field = self._fields[node] = self._computed(node)
        return field

    def shown(self, node: Node) -> Node:
        """Return the node of the page that is equal to one inside of a pipe that is computed for each example, whose
        numbers the page's passes serve; the node itself where there is none."""
        return self._shown.get(node.digest, node)

    @cached_property
    def _shown(self) -> dict[str, Node]:
        return {node.digest: node for node in walk(*self.program.roots)}

    def _computed(self, node: Node) -> Field:
        if self.whole is not None:
            return lengths.restricted(self.whole, node, self.rows)
        inputs = tuple(self.value(child) for child in node.inputs)
        return self.located(node, lambda: self.registry.operations[node.op].kernel(node, inputs, self))

    def located(self, node: Node, work: Callable[[], T]) -> T:
        """Attach the span of every element that requested the node to errors that have none."""
        try:
            return work()
        except BbiError as failure:
            spans = self.program.spans(node)
            related = tuple((span, "asked for here too") for span in spans[1:])
            diagnostics = [
                d if d.span else Diagnostic(d.code, d.message, spans[0] if spans else None, d.help, d.severity, related)
                for d in failure.diagnostics
            ]
            raise BbiError(diagnostics, self.program.source) from failure

    # --- datasets --------------------------------------------------------------------------------------------------

    def dataset(self, node: Node) -> Dataset:
        """Return the files of a dataset, opened once."""
        if node not in self.shared.datasets:
            opened = partial(self.shared.files.dataset, node, self.program.folder)
            self.shared.datasets[node] = self.located(node, opened)
        return self.shared.datasets[node]

    def scanned(self, dataset: Node, pipe: Node | None = None) -> ScannedDataset:
        """Return what the scan kept of a dataset, or of one that it is a part of; it runs on first use. ``pipe``: that
        is computed for each example, which says which of its scans."""
        after = pipe is not None and waits(pipe)
        own = [scan for scan in self.program.scans if scan.waits == after]
        scans = {scan.dataset for scan in own}
        whole = next(whole for whole in wholes(dataset) if whole in scans)
        first, *others = [self.scan(scan) for scan in own if scan.dataset == whole]
        return first.with_parts_of(others)  # without the optimizer each part has a scan of its own

    def scan(self, scan: Scan) -> ScannedDataset:
        """Run a scan, once."""
        from bbilang.runtime.execution.scanned_dataset import scan_for

        if scan not in self.shared.scanned:
            self.shared.scanned[scan] = self.located(scan.serves[0], lambda: scan_for(self, scan))
        return self.shared.scanned[scan]

    def examples(self, dataset: Node) -> Examined:
        """Return the examples of a dataset, for what is computed of them besides the numbers of pipes."""
        from bbilang.runtime.execution.examining import Examined

        if dataset not in self._examined:
            self._examined[dataset] = Examined(self, dataset)
        return self._examined[dataset]

    # --- the model -------------------------------------------------------------------------------------------------

    def layer(self, name: str) -> LayerDescription:
        """Return the description of a layer; for the input, with the sizes of the images that run."""
        known = self.adapter.description
        return replace(known.input, shape=tuple(self.images.shape[1:])) if name == "input" else known.by_name[name]

    def label(self, index: int) -> str:
        """Return the name of a class."""
        return self.adapter.description.label(index)

    def activation(self, node: Node, layer: str) -> Tensor:
        """Return the activation, (input, *layer axes)."""
        every = enumerate(self.program.forwards)
        number = next(i for i, f in every if layer in f.layers and any(n is node for n in f.serves))
        return self.forward(number)[layer]

    def reduced(self, node: Node, layer: str, atom: str, how: str) -> np.ndarray:
        """Return (input, *atom axes): a layer's activation reduced to its atoms by `atoms.reduce_part`; NaN where a
        text has no such token."""
        described = self.layer(layer)
        if self.parts:
            values = [(part, part.reduced(node, layer, atom, how)) for part in self.parts]
            return lengths.merged(values, axes_of_atoms(atom, described), dict(described.every_size))
        return numpy_of(reduce_part(self.activation(node, layer), described, atom, how))

    @property
    def scores(self) -> np.ndarray:
        """(input, class), as the model gives them."""
        if self._scores is None and self.parts:
            self._scores = lengths.merged_scores(self.parts)
        if self._scores is None:
            self.forward(next(i for i, f in enumerate(self.program.forwards) if f.scores and not f.picture))
        assert self._scores is not None
        return self._scores

    @property
    def kind(self) -> str:
        """The kind of the scores (compiler/ir/score_kinds.py)."""
        from bbilang.runtime.models.score_output import kind_of_rows

        known = self.adapter.description.scores
        if self.whole is not None:
            return self.whole.kind
        if self._kind is None:
            self._kind = known if known in KNOWN else kind_of_rows(self.scores, known)
        return self._kind

    @property
    def probabilities(self) -> np.ndarray:
        """(input, class); the values themselves where scores are no probabilities."""
        from bbilang.runtime.models.score_output import shown

        return shown(self.scores, self.kind)

    # --- derivatives -----------------------------------------------------------------------------------------------

    def table(self, node: Node, target: Node, target_layer: str = OUTPUT) -> DerivativeTable:
        """Return the table that holds an operation's numbers for one target."""
        from bbilang.runtime.attribution.slots import DerivativeTable

        tables = self._tables.setdefault(node, {})
        if target_layer not in tables:
            tables[target_layer] = DerivativeTable.of(
                self, target, target_layer, target_layer in self._combined.get(node, ())
            )
        return tables[target_layer]

    def maps(self, node: Node, target_layer: str = OUTPUT) -> dict[str, np.ndarray]:
        """Return layer -> (slot, input, *atom axes): a derivative operation's reduced numbers, one slot per class or
        atom; without layers that do not lie below the target."""
        for step in self._steps.get(node, {}).get(target_layer, ()):
            if self.parts:
                lengths.merged_maps(self, node, target_layer, step)
            else:
                self.derive(step)
        table = self._tables.get(node, {}).get(target_layer)
        return table.maps if table else {}

    def checks(self, node: Node) -> list[np.ndarray]:
        """Return (error, difference of the scores, steps, tolerance) of a node's targets, each (4, slot, input)."""
        return [check for table in self._tables.get(node, {}).values() for check in table.checks.values()]

    def notes(self, node: Node) -> tuple[str, ...]:
        """Return what the engine says about a node's numbers, for the legend."""
        return tuple(dict.fromkeys(note for table in self._tables.get(node, {}).values() for note in table.notes))

    def distances(self, node: Node) -> np.ndarray | None:
        """Return how far the layers that a node changes lie from natural ones (input,); None where that is unsaid."""
        found = [own for table in self._tables.get(node, {}).values() for own in table.distances.values()]
        return np.max(found, 0) if found else None

    def slots(self, node: Node, target: Node, target_layer: str = OUTPUT) -> Named:
        """Return (input, ..., term): the slot in `maps` of each class or atom in the target; -1 for none."""
        return self.table(node, target, target_layer).keyed.slot_numbers

    def attributes_sums(self, node: Node, target: Node, target_layer: str = OUTPUT) -> bool:
        """Return whether a target's sums and differences of classes have one slot each, not one for each class."""
        return self.table(node, target, target_layer).keyed.combined

    def made_parts(self, digest: str, layer: LayerDescription) -> Tensor:
        """Return `directions.made_parts` of a target, (atom, input, *layer axes); ``digest``: of its node."""
        if digest not in self._made_parts:
            from bbilang.runtime.fields.directions import made_parts

            self._made_parts[digest] = made_parts(self.shared.made_targets[digest], layer, self)
        return self._made_parts[digest]

    def target_value(self, captured: Captured, target_layer: str, targets: Sequence[Node]) -> Tensor:
        """Return the tensor that cotangents start from, attached to the graph: scores (input, class), a later layer's
        activation (input, *layer axes), or an attribution (input, term)."""
        from bbilang.runtime.attribution.second_order import score

        if target_layer.startswith(CHAIN):
            chain = next(node for target in targets for node in walk(target) if node.op == "chain")
            return score(self, captured, chain)
        tensor = captured.score_graph if target_layer == OUTPUT else captured.graph[target_layer]
        assert tensor is not None
        return tensor

    def kept_shape(self, node: Node, layer: str) -> list[int]:
        """Return the sizes of the axes that distinguish a node's atoms at one layer."""
        if node.type.atom in MADE:
            return [axis.size for axis in node.type.axes if set(MADE_AXES[node.type.atom]) & set(axis.components)]
        description = self.layer(layer)
        return [description.every_size[axis] for axis in axes_of_atoms(node.type.atom, description)]

    def report_progress(self, words: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` parts of a long step are done; ``words`` name the work."""
        self.shared.progress.work(words, done, total)

    # --- passes ----------------------------------------------------------------------------------------------------

    def forward(self, number: int) -> Captured:
        """Return the result of the program's forward of that number, which runs on first use."""
        if self.parts:
            raise differing_lengths("what is shown here")
        if number not in self.captured:
            captured = self.captured[number] = run_forward(self, number)
            forward = self.program.forwards[number]
            if forward.scores and not forward.picture and self._scores is None:
                assert captured.scores is not None
                self._scores = captured.scores.float().cpu().numpy()
        result = self.captured[number]
        assert result is not None, "a step uses a forward that the plan released"
        return result

    def around(self, rule: tuple[Any, ...]) -> AbstractContextManager[object]:
        """Return the context that a forward runs in for a method's derivatives."""
        method = cast("DerivativeMethod", self.registry.methods[rule[0]])  # no other has rules
        return method.around(dict(rule[1]))

    def derive(self, step: Derivative) -> None:
        """Compute the numbers of one group of derivatives, once."""
        if step in self._derived:
            return
        self._derived[step] = True
        self.located(step.serves[0], partial(engine_of(step, self.registry), self, step))

    def last_use(self, step: Backward) -> bool:
        """Return whether no other derivative needs the graph of the step's forward."""
        steps = (*self.program.backwards, *self.program.tangents)
        return all(other in self._derived or other.forward != step.forward for other in steps)

    def release(self, frees: Sequence[Free]) -> None:
        """Free the memory that no later step needs."""
        for free in frees:
            captured = self.captured.get(free.index)
            if captured is None:
                continue
            if free.kind == "graph":
                captured.free()
            else:
                self.captured[free.index] = None
