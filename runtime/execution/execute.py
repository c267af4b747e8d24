"""Run a plan: passes through the model, kernels on their results, icons for what is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from bbilang.compiler.contract import Registry
from bbilang.compiler.explain.units import Measured
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.models import own_nodes
from bbilang.compiler.ir.program import Element, Node, Program, walk
from bbilang.compiler.plan.plan import Plan, Step, order
from bbilang.grammar import verification
from bbilang.runtime.errors import NotKept
from bbilang.runtime.events import RunListener
from bbilang.runtime.execution.budget import Budget, budget_of
from bbilang.runtime.execution.context import Run
from bbilang.runtime.execution.heads import heads_of
from bbilang.runtime.execution.results import IconSet, Numbers, Results
from bbilang.runtime.execution.shared import Files, ScanStore, Shared, Workers
from bbilang.runtime.execution.verify import model_restored, verify_results
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.inputs.network_input import NetworkInput
from bbilang.runtime.ops.datasets.columns import source_of

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.execution.following import Followed
    from bbilang.runtime.execution.related import KeptForwards
    from bbilang.runtime.execution.results import Model
    from bbilang.runtime.execution.thumbnails import Thumbnails
    from bbilang.runtime.featvis.icon import Icon, Objective
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.passes import Passes
    from bbilang.runtime.scan.scanned import Scanned

MakeIcons = Callable[["Adapter", "Sequence[Objective]", "Passes"], "list[Icon]"]


def execute(
    plan: Plan,
    registry: Registry,
    adapter: Adapter,
    inputs: Sequence[NetworkInput],
    *,
    icons: MakeIcons,
    listener: RunListener | None = None,
    measure: bool = False,
    cache: Cache | None = None,
    scans: ScanStore | None = None,
    workers: Workers | None = None,
    files: Files | None = None,
    given: Mapping[str, Field] | None = None,
    related: KeptForwards | None = None,
) -> Results:
    """Compute the numbers and icons of every element of a plan of one model.

    icons: makes icons, ``(adapter, objectives, passes) -> icons`` in order. listener: called before each step, and
    within long ones. measure: each step's peak memory too. cache: where results of probes of the model's behaviour are
    stored. scans: where scans of datasets are kept. workers: processes that scan. files: which files it may read, and
    the datasets that the caller gives. given: values of other models' nodes, by their digests. related: what
    forwards of the page's models leave for each other. The model is always restored to its state before the run. Raises
    `BbiError`.
    """
    from bbilang.runtime import passes
    from bbilang.runtime.device.accelerate import full_precision

    program = plan.program
    assert not program.parts, "of several models, each has a plan: `runtime.recall.several`"
    run = Run.of(program, registry, adapter, inputs, listener, scans, files, given)
    run.shared.workers = workers
    for own in (run, *run.parts):
        own.related = related
    with model_restored(adapter.module), heads_of(program, adapter), passes.module_unchanged(), full_precision():
        together = len(inputs) > 1 or bool(program.tangents or any(not step.is_removal for step in program.reruns))
        seed = int(program.setting("seed", 0))
        if inputs and not program.models[0].members:  # of several checkpoints nothing runs
            own = (*run.parts, run)[0]
            run.shared.warnings += passes.probe(adapter, own.images, together, seed, run.passes, cache).warnings
        execution = _Execution(plan, run, icons)
        try:
            execution.steps(measure)
            results = execution.results(inputs, tuple(run.shared.warnings))
        finally:
            run.shared.scanned.clear()  # they hold the run, which holds them
    if verification.enabled():
        verify_results(results)
    return results


def scan_all(
    program: Program, registry: Registry, adapter: Adapter, inputs: Sequence[NetworkInput],
    listener: RunListener | None, scans: ScanStore | None, workers: Workers | None, files: Files,
) -> list[Scanned]:  # fmt: skip
    """Run the scans of a program and nothing else. inputs: of the page, where a scan is of atoms that are chosen on
    them."""
    from bbilang.runtime import passes
    from bbilang.runtime.device.accelerate import full_precision

    run = Run.of(program, registry, adapter, inputs, listener, scans, files)
    run.shared.workers = workers
    with model_restored(adapter.module), heads_of(program, adapter), passes.module_unchanged(), full_precision():
        if inputs:
            passes.probe(adapter, run.images, len(inputs) > 1, int(program.setting("seed", 0)), run.passes)
        stored = [run.scan(scan).stored for scan in program.scans]
    run.shared.scanned.clear()
    return stored


def execute_kept(
    plan: Plan, registry: Registry, model: Model, scans: ScanStore, listener: RunListener | None = None,
    files: Files | None = None,
) -> Results | None:  # fmt: skip
    """Compute the numbers of a plan whose only passes are scans, from what is kept of them, without the network. None
    where some of it is not kept. Imports no torch."""
    if any(step.kind not in ("scan", "draw") for step in plan.steps):
        return None
    nothing, shared = np.zeros((0, 1, 1, 3), np.uint8), Shared(registry, listener, scans, files)
    run = Run(plan.program, cast("Adapter", model), cast("Tensor", nothing), nothing, [], shared, None)
    run.has_network = False
    execution = _Execution(plan, run, _no_icons)
    try:
        execution.kept_steps()
    except NotKept:
        return None
    nodes = walk(*(element.node for element in plan.program.elements))
    selections = _selections(run, nodes)
    numbers = Numbers(
        execution.fields,
        selections,
        execution.sizes,
        {},
        execution.layers(),
        thumbnails=execution.thumbnails,
        followed=execution.followed,
    )
    return Results.of(plan.program, numbers, model, (), recalled=shared.examples[1])


def _selections(run: Run, nodes: Iterable[Node]) -> dict[str, Field]:
    """Return what the selections among some nodes range over, by their ids."""
    return {node["id"]: run.value(node) for node in nodes if node.type.content == "selection"}


def _no_icons(adapter: Adapter, objectives: Sequence[Objective], passes: Passes) -> list[Icon]:
    return []


@dataclass
class _Execution:
    """Executes the steps of one plan and collects their results."""

    plan: Plan
    run: Run
    make_icons: MakeIcons
    fields: dict[str, Field] = field(default_factory=dict)
    sizes: dict[str, Field] = field(default_factory=dict)
    budgets: dict[str, Budget] = field(default_factory=dict)
    thumbnails: dict[str, Thumbnails] = field(default_factory=dict)
    followed: dict[str, Followed] = field(default_factory=dict)
    objectives: dict[str, tuple[Named, list[Objective]]] = field(default_factory=dict)  # by element
    icons: list[Icon] = field(default_factory=list)
    icon_sets: dict[str, IconSet] = field(default_factory=dict)
    timings: list[tuple[Step, Measured]] = field(default_factory=list)
    model_passes: tuple[int, int] = (0, 0)
    tangents: int = 0
    resumed: int = 0
    rerun_rows: int = 0

    def steps(self, measure: bool) -> None:
        """Execute every step in order, and measure it."""
        from bbilang.runtime.device.memory import peak

        passes, scans, steps = self.run.passes, self.run.shared.scan_passes, order(self.plan.steps)
        for done, step in enumerate(steps):
            self.run.shared.progress.step(step.kind, done, len(steps))
            start, before = time.perf_counter(), passes.total + scans.rows
            with peak(self.run.adapter.device) if measure else nullcontext() as most:
                self._step(step)
                for node in self.run.program.kept if done == len(steps) - 1 else ():
                    self.run.value(node)
                self.run.release(step.frees)
            seconds = time.perf_counter() - start
            self.timings.append(
                (step, Measured(seconds, most.bytes if most else None, passes.total + scans.rows - before))
            )
            if step.kind != "icons":  # the footer counts what numbers took
                self.model_passes = (passes.forwards, passes.backwards)
                self.tangents, self.rerun_rows, self.resumed = passes.tangents, passes.rerun_rows, passes.resumed

    def kept_steps(self) -> None:
        """Execute the steps of a plan without a network."""
        for step in order(self.plan.steps):
            self._step(step)

    def layers(self) -> dict[str, LayerDescription]:
        """Return the layers of everything that is shown."""
        program = self.run.program
        nodes = own_nodes(program, *(element.node for element in program.elements))
        names = dict.fromkeys(name for node in nodes for name in node.type.layers)
        return {name: self.run.layer(name) for name in names if name != "output"}

    def _step(self, step: Step) -> None:
        program = self.run.program
        match step.kind:
            case "forward" | "backward" | "tangents" | "reruns" if self.run.parts:
                pass  # each length runs when it is needed
            case "forward":
                self.run.forward(step.index)
            case "backward":
                self.run.derive(program.backwards[step.index])
            case "tangents":
                self.run.derive(program.tangents[step.index])
            case "reruns":
                self.run.derive(program.reruns[step.index])
            case "scan":
                self.run.scan(program.scans[step.index])
            case "draw":
                self._draw(program.elements[step.index])
            case "icons":
                self._make_icons(program.icons[step.index].elements)

    def _draw(self, element: Element) -> None:
        """Compute the element's numbers and the objectives of its icons."""
        run = self.run
        style = run.registry.styles[element.node["style"]]
        made = run.value(element.node)
        field = run.located(element.node, lambda: style.prepared(element.node, made, run))
        self.fields[element.id] = field
        size = element.node.get("size_of")
        if size is not None:
            self.sizes[element.id] = run.value(size)
        if (examples := style.examples_of(field)) is not None:
            self._add_thumbnails(element, examples)
        if element.node.type.lasso is not None:
            from bbilang.runtime.execution.following import followed_by

            self.followed[element.id] = followed_by(element.node.inputs[0], run)
        if (budget := budget_of(element, run)) is not None:
            self.budgets[element.id] = budget
        if any(element.id in icons.elements for icons in run.program.icons):
            objectives = partial(style.objectives, element.node, field, run)
            self.objectives[element.id] = run.located(element.node, objectives)

    def _add_thumbnails(self, element: Element, field: Field) -> None:
        from bbilang.runtime.execution.thumbnails import thumbnails_of

        source = source_of(element.node)
        made = None if source is None else thumbnails_of(field, source, self.run)
        if made is not None:
            self.thumbnails[element.id] = made

    def _make_icons(self, elements: tuple[str, ...]) -> None:
        """Make the icons of all elements in one call, each distinct objective once."""
        number: dict[Objective, int] = {}
        base = len(self.icons)
        for element in self.run.program.elements:
            if element.id not in elements:
                continue
            index, objectives = self.objectives[element.id]
            numbers = [base + number.setdefault(o, len(number)) for o in objectives]
            table = np.array([*numbers, -1])
            self.icon_sets[element.id] = IconSet(Named(index.dims, table[index.data]))
        if number:
            self.icons += self.make_icons(self.run.adapter, list(number), self.run.passes)

    def results(self, inputs: Sequence[NetworkInput], warnings: tuple[str, ...]) -> Results:
        run, program = self.run, self.run.program
        nodes = list(walk(*(element.node for element in program.elements)))
        scored = any(f.scores for f in program.forwards)
        numbers = Numbers(
            self.fields, _selections(run, nodes), self.sizes,
            self.icon_sets, self.layers(),
            run.probabilities if scored else None, run.kind if scored else "",
            self.budgets, self.thumbnails, self.followed, tuple(run.value(node) for node in program.kept),
        )  # fmt: skip
        count, (scanned, recalled) = max(len(inputs), 1), run.shared.examples
        return Results.of(
            program, numbers, run.adapter, inputs, icons=self.icons, passes=run.passes, model_passes=self.model_passes,
            tangents=self.tangents, reruns=self.rerun_rows // count, resumed=self.resumed,
            removals=run.passes.removals // count, trusted=run.shared.trust_passes.rows // count, timings=self.timings,
            noticed=warnings, scanned=scanned, recalled=recalled,
        )  # fmt: skip
