"""Runs a plan: passes through the model, kernels on what they give, icons for what is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from bbilang.compiler.description import LayerDescription
from bbilang.compiler.ir import Backward, Node, Program, walk
from bbilang.compiler.op import Registry
from bbilang.compiler.plan import Plan, Step
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.runtime.field import Field, Named
from bbilang.runtime.ops.output import TERM

Watch = Callable[[str, int, int, float | None], None]  # words, done, in all, seconds left


@dataclass(frozen=True)
class Picture:
    """One input: ``image`` (channel, y, x) in [0, 1], a torch tensor; ``shown`` uint8 (y, x, rgb)."""

    name: str
    image: Any
    shown: np.ndarray


@dataclass(frozen=True)
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
    probabilities: np.ndarray | None = None  # (input, class)
    labels: Callable[[int], str] = str
    layers: Mapping[str, LayerDescription] = field(default_factory=dict)
    passes: Any = None  # everything that ran, icons too
    model_passes: tuple[int, int] = (0, 0)  # (forward, backward) for the numbers, without icons
    adapter: Any = None
    recipe: Any = None
    draft: bool = False
    timings: list[tuple[Step, float]] = field(default_factory=list)

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
        self.images = torch.stack([picture.image for picture in inputs]).to(adapter.device)
        self.passes = Passes()
        self.captured: dict[int, Any] = {}
        self._values: dict[int, Field] = {}
        self._maps: dict[int, dict[str, np.ndarray]] = {}
        self._slots: dict[int, dict[tuple, int]] = {}
        self._done: set[int] = set()

    # --- what kernels ask ------------------------------------------------------------------------------------------

    def value(self, node: Node) -> Field:
        """The node's field; computed once for each node object."""
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
            return LayerDescription("input", "", ("channel", "y", "x"), tuple(self.images.shape[1:]))
        return self.adapter.description.by_name[name]

    def label(self, index: int) -> str:
        return self.adapter.description.label(index)

    def activation(self, node: Node, layer: str) -> Any:
        """(input, *layer axes), a torch tensor."""
        number = next(
            i for i, f in enumerate(self.program.forwards) if layer in f.layers and any(n is node for n in f.serves)
        )
        return self.forward(number)[layer]

    @property
    def scores(self) -> np.ndarray:
        """(input, class), as the model gives them."""
        number = next(i for i, f in enumerate(self.program.forwards) if f.scores)
        return self.forward(number).scores.float().cpu().numpy()

    @property
    def probabilities(self) -> np.ndarray:
        import torch

        return torch.from_numpy(self.scores).double().softmax(1).float().numpy()

    def maps(self, node: Node) -> dict[str, np.ndarray]:
        """layer -> (slot, input, *atom axes): a gradient operation's reduced numbers, one slot a class."""
        if id(node) not in self._maps:
            for number, backward in enumerate(self.program.backwards):
                if any(n is node for n in backward.serves):
                    self.backward(number)
        return self._maps[id(node)]

    def slots(self, node: Node, target: Field) -> Named:
        """(..., term) -> the slot in `maps` of each class that the target is made of; for every input."""
        table = self._slots[id(node)]
        index = target.index
        dims = tuple(d for d in index.dims if d not in ("input", TERM))
        full = Named(
            ("input", *dims, TERM), np.broadcast_to(index.spread(("input", *dims, TERM)), self._shape(index, dims))
        )
        score = target.type.unit
        numbers = np.empty(full.data.shape, np.int64)
        for place in np.ndindex(numbers.shape):
            numbers[place] = table[(place[0], score, int(full.data[place]))]
        return Named(full.dims, numbers)

    def _shape(self, index: Named, dims: tuple[str, ...]) -> list[int]:
        sizes = index.sizes
        return [len(self.images), *(sizes[d] for d in dims), sizes[TERM]]

    # --- passes ----------------------------------------------------------------------------------------------------

    def forward(self, number: int) -> Any:
        from bbilang.runtime import passes

        if number not in self.captured:
            forward = self.program.forwards[number]
            backwards = [b for b in self.program.backwards if b.forward == number]
            layers = list(forward.layers)
            if any(not b.stops for b in backwards):
                layers.append("input")
            asked = [*forward.serves, *(element.node for element in self.program.elements)]
            scored = self.adapter.description.classes > 0
            work = partial(
                passes.forward,
                self.adapter,
                self.images,
                layers,
                want_output=forward.scores or (scored and not forward.stops),
                grad=bool(backwards),
                counter=self.passes,
            )
            self.captured[number] = self.located(asked[0], work)
        return self.captured[number]

    def backward(self, number: int) -> None:
        """All targets of one group: each class once, each gradient reduced to atoms as it arrives."""
        if number in self._done:
            return
        self._done.add(number)
        import torch

        from bbilang.runtime import passes

        backward = self.program.backwards[number]
        table = self._classes(backward)
        captured = self.forward(backward.forward)
        count = 1 + max(table.values(), default=-1)
        scores = captured.scores
        cotangents = torch.zeros(count, *scores.shape)
        for (row, unit, index), slot in table.items():
            cotangents[slot, row] = _cotangent(scores[row].float().cpu(), unit, index)
        last = not any(
            b.forward == backward.forward and other not in self._done for other, b in enumerate(self.program.backwards)
        )
        layers = list(backward.layers) if backward.stops else ["input", *(x for x in backward.layers if x != "input")]
        found: dict[int, dict[str, list[np.ndarray]]] = {id(n): {x: [] for x in n.type.layers} for n in backward.serves}
        for slot in range(count):
            keep = not last or slot + 1 < count
            one = cotangents[slot : slot + 1]
            work = partial(passes.gradients, captured, one, layers, self.passes, keep=keep)
            gradient = self.located(backward.serves[0], work)
            for node in backward.serves:
                operation = self.registry.operations[node.op]
                for name in node.type.layers:
                    reduced = operation.reduce(node, self.layer(name), captured[name], gradient[name][0], self)
                    found[id(node)][name].append(reduced.detach().float().cpu().numpy())
        for node in backward.serves:
            self._maps[id(node)] = {name: np.stack(rows) for name, rows in found[id(node)].items()}
            self._slots[id(node)] = table

    def _classes(self, backward: Backward) -> dict[tuple, int]:
        """(input, score, class) -> slot: the distinct classes of each input, side by side in the fewest passes."""
        table: dict[tuple, int] = {}
        used = [0] * len(self.images)
        for target in backward.targets:
            field = self.value(target)
            index = field.index
            dims = tuple(d for d in index.dims if d not in ("input", TERM))
            full = np.broadcast_to(index.spread(("input", *dims, TERM)), self._shape(index, dims))
            for row in range(len(self.images)):
                for number in dict.fromkeys(full[row].ravel().tolist()):
                    key = (row, field.type.unit, int(number))
                    if key not in table:
                        table[key] = used[row]
                        used[row] += 1
        return table


def _cotangent(scores: Any, unit: str, index: int) -> Any:
    """d score / d logits: one-hot for a logit, p_k (e_k - p) for a probability."""
    import torch

    hot = torch.nn.functional.one_hot(torch.tensor(index), len(scores)).float()
    if unit != "probability":
        return hot
    p = scores.double().softmax(0)
    return (p[index] * (hot - p)).float()


def execute(
    plan: Plan,
    registry: Registry,
    adapter: Any,
    inputs: Sequence[Picture],
    *,
    icons: Callable[[Any, Sequence[Any], Any], list[Any]],
    watch: Watch | None = None,
) -> Results:
    """Numbers and icons for every element of a plan.

    icons: makes icons, ``(adapter, objectives, passes) -> icons`` in order (runtime.visualize with recipe and cache).
    watch: told before each step. The model is given back as it was found, whatever happens. Raises `BbiError`.
    """
    run = Run(plan, registry, adapter, inputs)
    program = plan.program
    results = Results(program, {}, {}, pictures=tuple(inputs), labels=run.label, passes=run.passes)
    work = [step for step in plan.steps if step.kind != "icons"] + [step for step in plan.steps if step.kind == "icons"]
    for done, step in enumerate(work):
        if watch:
            watch(step.kind, done, len(work), None)
        began = time.perf_counter()
        match step.kind:
            case "forward":
                run.forward(step.index)
            case "backward":
                run.backward(step.index)
            case "draw":
                element = program.elements[step.index]
                results.fields[element.id] = run.value(element.node)
                size = element.node.get("size_of")
                if size is not None:
                    results.sizes[element.id] = run.value(size)
            case "icons":
                _make_icons(run, results, program.icons[step.index].elements, icons)
        results.timings.append((step, time.perf_counter() - began))
        if step.kind != "icons":
            results.model_passes = (run.passes.forwards, run.passes.backwards)
    for node in walk(*(element.node for element in program.elements)):
        if node.type.content == "selection":
            results.selections[node["id"]] = run.value(node)
    if any(f.scores for f in program.forwards):
        results.probabilities = run.probabilities
    results.layers = {
        name: run.layer(name) for e in program.elements for name in e.node.type.layers if name not in ("output",)
    }
    return results


def _make_icons(run: Run, results: Results, elements: tuple[str, ...], icons: Callable[..., list[Any]]) -> None:
    """One call for all elements: their distinct objectives, each once."""
    known: dict[Any, int] = {}
    for element in run.program.elements:
        if element.id not in elements:
            continue
        style = run.registry.styles[element.node["style"]]
        wanted, objectives = style.objectives(element.node, results.fields[element.id], run)
        base = len(results.icons)
        numbers = [base + known.setdefault(o, len(known)) for o in objectives]
        table = np.array([*numbers, -1])
        results.icon_sets[element.id] = IconSet(Named(wanted.dims, table[wanted.data]))
    if known:
        results.icons += icons(run.adapter, list(known), run.passes)
