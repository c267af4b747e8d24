"""Runs a plan: passes through the model, kernels on what they give, icons for what is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bbilang.compiler.contract import Registry
from bbilang.compiler.explain.units import Measured
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import OUTPUT, Backward, Element, Node, Program, Rerun, Tangents, walk
from bbilang.compiler.ir.score_kinds import INDEPENDENT, LOGITS, SIGMOID, VALUE
from bbilang.compiler.optimize.target_slots import CHAIN
from bbilang.compiler.plan.plan import Free, Plan, Step, order
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.frozen import frozen
from bbilang.runtime.execution import text_lengths as lengths
from bbilang.runtime.fields.atoms import kept_axes, numpy_of, reduce_part
from bbilang.runtime.fields.field import Field, Named

if TYPE_CHECKING:
    from bbilang.runtime.attribution.slots import Found
    from bbilang.runtime.attribution.target_slots import Keyed

KNOWN = (LOGITS, SIGMOID, INDEPENDENT, VALUE)  # kinds of scores for which the numbers need not be looked at
Watch = Callable[[str, int, int, float | None], None]  # words, done, in all, seconds left (None: between steps)


@frozen
class Picture:
    """One input: ``image`` (channel, y, x) in [0, 1], a torch tensor; ``shown`` uint8 (y, x, rgb). A text has ``words``
    for its tokens, whose numbers are its image (token,); what fills it up to the longest has empty ones. ``size``:
    (width, height) of the picture before it was resized and cropped; (0, 0) where it was not."""

    name: str
    image: Any
    shown: np.ndarray
    words: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)


@frozen
class IconSet:
    """The icons of an element: ``index`` into ``Results.icons`` over the field's axes, -1 where there is no atom."""

    index: Named


@dataclass
class Results:
    """Numbers and pictures, nothing of torch left."""

    program: Program
    fields: dict[str, Field]  # element id -> what it draws
    selections: dict[str, Field]  # selection id -> the atoms that can be chosen
    icons: list[Any] = field(default_factory=list)  # visualize.Icon
    icon_sets: dict[str, IconSet] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    sizes: dict[str, Field] = field(default_factory=dict)  # element id -> what `size=norm` shows
    probabilities: np.ndarray | None = None  # (input, class); values where scores are no probabilities
    kind: str = ""  # of the scores (`compiler.scores`)
    labels: Callable[[int], str] = str
    layers: Mapping[str, LayerDescription] = field(default_factory=dict)
    passes: Any = None  # everything that ran, icons too
    model_passes: tuple[int, int] = (0, 0)  # (forward, backward) for the numbers, without icons
    tangents: int = 0  # forward-mode passes, likewise
    reruns: int = 0  # activations at which the network above a layer ran again, likewise
    trusted: int = 0  # passes for each input that the measures of `trust` took, in whole or part of the network
    adapter: Any = None
    recipe: Any = None
    draft: bool = False
    timings: list[tuple[Step, Measured]] = field(default_factory=list)
    imported: tuple[str, ...] = ()  # what came from another machine, in words
    noticed: tuple[str, ...] = ()  # what a reader must know of the network, as it was found to be when it ran

    def nodes(self) -> Iterator[Node]:
        """Every node that an element needs, once."""
        return walk(*(element.node for element in self.program.elements))


class Run:
    """What kernels ask: values of other nodes, activations and gradients of layers, scores."""

    def __init__(self, plan: Plan, registry: Registry, adapter: Any, inputs: Sequence[Picture]):
        import torch

        from bbilang.runtime.passes import Passes

        self.plan, self.program, self.registry, self.adapter = plan, plan.program, registry, adapter
        self.pictures = np.stack([picture.shown for picture in inputs])
        self.originals = [p.size if all(p.size) else (p.shown.shape[1], p.shown.shape[0]) for p in inputs]
        self.images = torch.stack([picture.image for picture in inputs]).to(adapter.device)
        self.passes = Passes()
        self.trusting = Passes()  # what the measures of `trust` run, apart
        self.findings: dict[tuple[int, str], Any] = {}  # (a `trust`, a measure) -> what it found
        self.groups: dict[str, Node] = {}  # digest -> a target whose atoms are groups
        self._begin()
        self.watch: Watch | None = None
        self._working = ("", 0.0, 0)  # long work: its words, since when, and how much of it was done then
        self.objectives: dict[str, tuple[Named, list[Any]]] = {}  # element id -> what its icons shall show
        self.whole: Run | None = None  # of a part: the run whose texts of one length these are
        self.rows = np.arange(len(inputs))  # of a part: their numbers in it
        self._kind: str | None = None
        self.parts: tuple[Run, ...] = ()
        self.parts = lengths.parts_of(self, inputs)  # one for each length of texts, where they differ

    def _begin(self) -> None:
        """Nothing was computed yet for this program."""
        self.captured: dict[int, Any] = {}
        self._values: dict[int, Field] = {}
        self._found: dict[tuple[int, str], Found] = {}
        self._places: dict[int, list[str]] = {}  # id of a node -> the places of its tables
        self.keyed: dict[tuple[str, str, bool], Keyed] = {}  # a target's digest, its place, combined -> what it is of
        self.combined: dict[str, Any] = {}  # digest of a target -> its sums' classes and weights, (input, sum, term)
        self._done: set[int] = set()
        self._steps: dict[tuple[int, str], list[Any]] = {}  # (a node, where its targets are) -> what finds its numbers
        self._combined: set[tuple[int, str]] = set()  # those whose sums of classes are followed as one score
        for step in self.program.derivatives:
            for served in dict.fromkeys(id(request.node) for request in step.requests):
                self._steps.setdefault((served, step.target_layer), []).append(step)
            self._combined.update(
                (id(request.node), step.target_layer) for request in step.requests if request.combined
            )
        self._parts: dict[str, Any] = {}
        self._scores: np.ndarray | None = None

    def again(self, program: Program, adapter: Any, images: Any, pictures: np.ndarray, known: dict[int, Field]) -> Run:
        """A run of part of this one, of other pictures (input, ...) or another network, whose passes count apart.
        ``known``: id of a node -> its field, which is not computed."""
        if self.adapter.description.scores not in KNOWN:
            _ = self.kind  # it is that of the page's own scores
        found = Run.__new__(Run)
        found.__dict__.update(self.__dict__)
        found.program, found.adapter, found.images, found.pictures = program, adapter, images, pictures
        found.passes = self.trusting
        found._begin()
        found._values |= known
        return found

    # --- what kernels ask ------------------------------------------------------------------------------------------

    def value(self, node: Node) -> Field:
        """The node's field; computed once for each node object."""
        if id(node) not in self._values and self.whole is not None:
            self._values[id(node)] = lengths.restricted(self.whole, node, self.rows)
        if id(node) not in self._values:
            inputs = tuple(self.value(child) for child in node.inputs)
            operation = self.registry.operations[node.op]
            self._values[id(node)] = self.located(node, lambda: operation.kernel(node, inputs, self))
        return self._values[id(node)]

    def located(self, node: Node, work: Callable[[], Any]) -> Any:
        """Errors without a place get those of everybody who asked for the node."""
        try:
            return work()
        except BbiError as error:
            spans = self.program.spans(node)
            found = [
                d
                if d.span
                else Diagnostic(
                    d.code,
                    d.message,
                    spans[0] if spans else None,
                    d.help,
                    d.severity,
                    tuple((span, "asked for here too") for span in spans[1:]),
                )
                for d in error.diagnostics
            ]
            raise BbiError(found, self.program.source) from error

    def layer(self, name: str) -> LayerDescription:
        if name == "input":
            return replace(self.adapter.description.input, shape=tuple(self.images.shape[1:]))
        return self.adapter.description.by_name[name]

    def label(self, index: int) -> str:
        return self.adapter.description.label(index)

    def activation(self, node: Node, layer: str) -> Any:
        """(input, *layer axes), a torch tensor."""
        number = next(
            i for i, f in enumerate(self.program.forwards) if layer in f.layers and any(n is node for n in f.serves)
        )
        return self.forward(number)[layer]

    def reduced(self, node: Node, layer: str, atom: str, how: str) -> np.ndarray:
        """(input, *kept axes): the parts of the atoms in a layer's activation by `atoms.reduce_part`; NaN where a text
        has no such token."""
        described = self.layer(layer)
        if self.parts:
            found = [(part, part.reduced(node, layer, atom, how)) for part in self.parts]
            return lengths.merged(found, kept_axes(atom, described), dict(described.every_size))
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
        """What kind of numbers the scores are (`compiler.scores`)."""
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

    def found(self, node: Node, target: Node, target_layer: str = OUTPUT) -> Found:
        """The table that the numbers of an operation for one target are put into."""
        from bbilang.runtime.attribution.slots import Found

        key = (id(node), target_layer)
        if key not in self._found:
            self._found[key] = Found.of(self, target, target_layer, key in self._combined)
            self._places.setdefault(id(node), []).append(target_layer)
        return self._found[key]

    def maps(self, node: Node, target_layer: str = OUTPUT) -> dict[str, np.ndarray]:
        """layer -> (slot, input, *atom axes): a derivative operation's reduced numbers, one slot a class or atom. No
        layer where none lies below the place."""
        for step in self._steps.get((id(node), target_layer), ()):
            if self.parts:
                lengths.merged_maps(self, node, target_layer, step)
            else:
                self.derive(step)
        found = self._found.get((id(node), target_layer))
        return found.maps if found else {}

    def checks(self, node: Node) -> list[np.ndarray]:
        """How far the contributions to a node's targets are from adding up, from a method that is complete: (error,
        difference of the scores, steps, tolerance), each (4, slot, input)."""
        tables = (self._found[id(node), target_layer] for target_layer in self._places.get(id(node), ()))
        return [check for found in tables for check in found.checks.values()]

    def slots(self, node: Node, target: Node, target_layer: str = OUTPUT) -> Named:
        """(input, ..., term) -> the slot in `maps` of each class or atom that the target is made of; -1 for none."""
        return self.found(node, target, target_layer).keyed.places

    def group_parts(self, digest: str, layer: LayerDescription) -> Any:
        """W_g outer H_g of every group of a target, (group, input, *layer axes); by the digest of its node."""
        if digest not in self._parts:
            from bbilang.runtime.fields.groups import group_parts

            node = self.groups[digest]
            count = self.value(node).type.axis("group").size
            self._parts[digest] = group_parts(node, layer, range(count), self)
        return self._parts[digest]

    def target_value(self, captured: Any, target_layer: str, targets: Sequence[Node]) -> Any:
        """The tensor that cotangents start from, attached to the graph: scores (input, class), a later layer's
        activation (input, *layer axes), or an attribution (input, term)."""
        from bbilang.runtime.attribution.second_order import score

        if target_layer.startswith(CHAIN):
            chain = next(node for target in targets for node in walk(target) if node.op == "chain")
            return score(self, captured, chain)
        return captured.score_graph if target_layer == OUTPUT else captured.graph[target_layer]

    def kept_shape(self, node: Node, layer: str) -> list[int]:
        """The sizes of the axes that tell a node's atoms apart at one layer."""
        description = self.layer(layer)
        return [description.every_size[axis] for axis in kept_axes(node.type.atom, description)]

    def tell(self, words: str, done: int, total: int) -> None:
        """How far a step is that takes long: so many parts of all are done. ``words`` name the work."""
        now = time.monotonic()
        if words != self._working[0]:
            self._working = (words, now, done)
        _, began, first = self._working
        if self.watch:
            left = (now - began) / (done - first) * (total - done) if done > first else 0.0
            self.watch(words, done, total, left)

    # --- passes ----------------------------------------------------------------------------------------------------

    def forward(self, number: int) -> Any:
        from bbilang.runtime import passes
        from bbilang.runtime.inputs import baselines

        if self.parts:
            raise lengths.refuse("what is shown here")
        if number not in self.captured:
            forward = self.program.forwards[number]
            backwards = [b for b in self.program.backwards if b.forward == number]
            layers = list(forward.layers)
            if any(not b.stops for b in backwards):
                layers.append("input")
            asked = [*forward.serves, *(element.node for element in self.program.elements)]
            scored = self.adapter.description.classes > 0
            derived = [d for d in (*self.program.tangents, *self.program.reruns) if d.forward == number]
            cuts = tuple(dict.fromkeys(d.layer for d in derived if not isinstance(d, Rerun) or d.above))
            images = self.images
            if forward.picture:
                images = baselines.picture(forward.picture, images, self.adapter, self.program.setting("seed", 0))
            work = partial(
                passes.forward,
                self.adapter,
                images,
                layers,
                want_output=forward.scores or (scored and not forward.stops),
                grad=bool(backwards),
                counter=self.passes,
                cuts=cuts,
                around=partial(self._around, forward.rule) if forward.rule else None,
            )
            captured = self.captured[number] = self.located(asked[0], work)
            if forward.scores and not forward.picture and self._scores is None:
                self._scores = captured.scores.float().cpu().numpy()
        return self.captured[number]

    def _around(self, rule: tuple[Any, ...]) -> Any:
        """The context that a forward runs in for a method's derivatives; None for plain ones."""
        return self.registry.methods[rule[0]].around(dict(rule[1])) if rule else None

    def derive(self, step: Backward | Tangents | Rerun) -> None:
        """The numbers of one group of derivatives, once."""
        if id(step) in self._done:
            return
        self._done.add(id(step))
        from bbilang.runtime.attribution import slots as derive

        work = {Backward: derive.backward, Tangents: derive.tangents, Rerun: derive.rerun}[type(step)]
        if isinstance(step, Rerun) and step.finds == "values":
            from bbilang.runtime.attribution.perturbation import values as work
        elif isinstance(step, Rerun) and step.finds == "masks":
            from bbilang.runtime.attribution.learned_masks import masks as work
        if isinstance(step, Rerun) and step.finds == "trust":
            from bbilang.runtime.trust.registry import trial as work
        self.located(step.serves[0], partial(work, self, step))

    def last_use(self, step: Backward) -> bool:
        """True where no other derivative needs the graph of the step's forward."""
        return all(
            id(other) in self._done or other.forward != step.forward
            for other in (*self.program.backwards, *self.program.tangents)
        )

    def release(self, frees: Sequence[Free]) -> None:
        """Let go of what no later step needs."""
        for free in frees:
            captured = self.captured.get(free.index)
            if captured is None:
                continue
            if free.kind == "graph":
                captured.free()
            else:
                self.captured[free.index] = None


def execute(
    plan: Plan,
    registry: Registry,
    adapter: Any,
    inputs: Sequence[Picture],
    *,
    icons: Callable[[Any, Sequence[Any], Any], list[Any]],
    watch: Watch | None = None,
    measure: bool = False,
) -> Results:
    """Numbers and icons for every element of a plan.

    icons: makes icons, ``(adapter, objectives, passes) -> icons`` in order (runtime.visualize with recipe and cache).
    watch: told before each step. measure: each step's peak memory too. The model is given back as it was found,
    whatever happens. Raises `BbiError`.
    """
    from bbilang.runtime import passes

    run = Run(plan, registry, adapter, inputs)
    for one in (run, *run.parts):
        one.watch = watch
    with passes.one_run():
        together = len(inputs) > 1 or bool(plan.program.tangents or plan.program.reruns)
        seed = int(plan.program.setting("seed", 0))
        conduct = passes.look(adapter, (*run.parts, run)[0].images, together, seed, run.passes)
        results = _execute(run, inputs, icons, measure)
    return replace(results, noticed=conduct.warnings)


def _execute(run: Run, inputs: Sequence[Picture], icons: Callable[..., list[Any]], measure: bool) -> Results:
    from bbilang.runtime.device.memory import peak

    plan, adapter, watch = run.plan, run.adapter, run.watch
    program = plan.program
    results = Results(program, {}, {}, pictures=tuple(inputs), labels=run.label, passes=run.passes)
    work = order(plan.steps)
    groups = {"backward": program.backwards, "tangents": program.tangents, "reruns": program.reruns}
    for done, step in enumerate(work):
        if watch:
            watch(step.kind, done, len(work), None)
        began, before = time.perf_counter(), run.passes.total
        with peak(adapter.device) if measure else nullcontext() as most:
            match step.kind:
                case "forward" | "backward" | "tangents" | "reruns" if run.parts:
                    pass  # each length runs when it is asked
                case "forward":
                    run.forward(step.index)
                case "backward" | "tangents" | "reruns":
                    run.derive(groups[step.kind][step.index])
                case "draw":
                    _draw(run, results, program.elements[step.index])
                case "icons":
                    _make_icons(run, results, program.icons[step.index].elements, icons)
            run.release(step.frees)
        took = time.perf_counter() - began
        results.timings.append((step, Measured(took, most.bytes if most else None, run.passes.total - before)))
        if step.kind != "icons":
            passes = run.passes
            results.model_passes = (passes.forwards, passes.backwards)
            results.tangents, results.reruns = passes.tangents, passes.rerun_rows // len(inputs)
    results.trusted = run.trusting.rows // len(inputs)
    nodes = list(results.nodes())
    for node in nodes:
        if node.type.content == "selection":
            results.selections[node["id"]] = run.value(node)
    if any(f.scores for f in program.forwards):
        results.probabilities, results.kind = run.probabilities, run.kind
    results.layers = {
        name: run.layer(name)
        for name in dict.fromkeys(name for node in nodes for name in node.type.layers)
        if name != "output"
    }
    return results


def _draw(run: Run, results: Results, element: Element) -> None:
    """The element's numbers, and what its icons shall show."""
    field = results.fields[element.id] = run.value(element.node)
    size = element.node.get("size_of")
    if size is not None:
        results.sizes[element.id] = run.value(size)
    if any(element.id in icons.elements for icons in run.program.icons):
        style = run.registry.styles[element.node["style"]]
        wanted = partial(style.objectives, element.node, field, run)
        run.objectives[element.id] = run.located(element.node, wanted)


def _make_icons(run: Run, results: Results, elements: tuple[str, ...], icons: Callable[..., list[Any]]) -> None:
    """One call for all elements: their distinct objectives, each once."""
    known: dict[Any, int] = {}
    for element in run.program.elements:
        if element.id not in elements:
            continue
        wanted, objectives = run.objectives[element.id]
        base = len(results.icons)
        numbers = [base + known.setdefault(o, len(known)) for o in objectives]
        table = np.array([*numbers, -1])
        results.icon_sets[element.id] = IconSet(Named(wanted.dims, table[wanted.data]))
    if known:
        results.icons += icons(run.adapter, list(known), run.passes)
