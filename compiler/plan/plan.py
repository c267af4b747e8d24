"""The physical plan: the passes in order, what each costs, and which elements requested it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, TypeAlias

from bbilang.compiler.check.settings import default
from bbilang.compiler.contract import Registry, Trains
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import (
    OUTPUT,
    Backward,
    Element,
    Forward,
    Icons,
    Node,
    Program,
    Rerun,
    Scan,
    Tangents,
    source_dataset,
    walk,
)
from bbilang.compiler.optimize.ad_mode import joined, lowest_layers, tangent_count, ways
from bbilang.compiler.optimize.cost import (
    DREAM_MOST,
    DREAM_STEPS,
    dream_flops,
    extra_rows,
    flops_between,
    icon_flops,
    octaves_of,
    rerun_rows,
    tries_and_pictures,
)
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.optimize.scans import batch_program, part_names
from bbilang.compiler.optimize.target_slots import CHAIN, captured_at, known_apart, request_keys, target_keys
from bbilang.compiler.optimize.trust_cost import cost_of
from bbilang.compiler.plan.again import run_again, run_for_examples
from bbilang.compiler.plan.forwards import forward_cost, forward_words
from bbilang.compiler.plan.icon_count import sure_icons
from bbilang.compiler.plan.verify import verify_plan
from bbilang.grammar import verification
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Span

Kind = Literal["scan", "forward", "backward", "tangents", "reruns", "icons", "draw"]
PASSES: tuple[Kind, ...] = ("forward", "backward", "tangents", "reruns")  # kinds that run the network for numbers
# With the passes over datasets, which are many of these for each example, and those of elements on what they find.
COUNTED: tuple[Kind, ...] = ("scan", *PASSES, "draw")
PASS_NOUNS: tuple[tuple[Kind, str], ...] = (
    ("forward", "forward"), ("backward", "backward"), ("tangents", "tangent"), ("reruns", "rerun"),
)  # fmt: skip
StepKey: TypeAlias = tuple[Kind, int]  # `Step.key`


@frozen
class Alternative:
    """One of several ways to the same numbers: reverse mode, or forward mode at some layers. ``seconds`` are estimated
    from the speeds that the optimizer decided by."""

    mode: str
    passes: int
    flops: int
    bytes: int
    seconds: float
    chosen: bool


@frozen
class Free:
    """What no later step needs: the autograd graph of a forward, or the activations that it captured."""

    kind: Literal["graph", "activations"]
    index: int  # in Program.forwards

    def __str__(self) -> str:
        return f"{self.kind} of forward {self.index + 1}"


@frozen
class Step:
    """One step. ``passes`` and ``flops`` are exact, or upper bounds where ``bound`` (classes may coincide, icons depend
    on what `top` finds). ``bytes`` is what the step keeps for later ones."""

    kind: Kind
    index: int  # in Program.scans, .forwards, .backwards, .tangents, .reruns, .icons or .elements
    words: str
    passes: int
    flops: int
    bytes: int = 0
    bound: bool = False
    least: int = 0  # icons: the fewest
    requested_by: tuple[Span, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    frees: tuple[Free, ...] = ()
    resumes: str = ""  # forward: the model from whose forward it takes what is alike
    trains: Trains | None = None  # draw: the training that the element reports

    @property
    def key(self) -> StepKey:
        """The key of the step, which is unique in its plan for each pass, icon step and element."""
        return self.kind, self.index


@frozen
class Plan:
    """The steps of a program, in the order of execution; of a program of several models, the plan of each, which run
    one after the other."""

    program: Program
    steps: tuple[Step, ...]
    parts: tuple[Plan, ...] = ()

    @property
    def every_step(self) -> tuple[Step, ...]:
        """The steps of all models."""
        return (*self.steps, *(step for part in self.parts for step in part.steps))

    def total(self, kind: Kind) -> tuple[int, int]:
        """Return (passes, FLOPs) of all steps of a kind."""
        own = [step for step in self.every_step if step.kind == kind]
        return sum(step.passes for step in own), sum(step.flops for step in own)


def plan(program: Program, registry: Registry | None = None) -> Plan:
    """Plan a program. Derivatives stand directly after the forward that they need. ``registry``: of its operations,
    which tell what a scan costs. Raises ValueError without a model's description."""
    if program.parts:
        return Plan(program, (), tuple(plan(part, registry) for part in program.parts))
    description = program.description
    if description is None:
        raise ValueError("a program without a model's description has no plan")
    if program.scans and registry is None:
        raise ValueError("the plan of a program with datasets needs the registry of its operations")
    steps: list[Step] = []
    if registry is not None:
        steps += [_scan(program, number, scan, registry) for number, scan in enumerate(program.scans)]
    alternatives = _Alternatives(program)
    for number, forward in enumerate(program.forwards):
        steps.append(_forward(program, number, forward, description))
        if forward.picture:
            continue
        for n, backward in enumerate(program.backwards):
            if backward.forward == number:
                steps.append(_backward(program, n, backward, description, alternatives))
        for n, tangents in enumerate(program.tangents):
            if tangents.forward == number:
                steps.append(_tangents(program, n, tangents, description, alternatives))
    for number, rerun in enumerate(program.reruns):
        steps.append(_rerun(program, number, rerun, description))
    steps += icon_steps(program)
    known: set[Node | str] = set()
    steps += [_draw(program, number, element, registry, known) for number, element in enumerate(program.elements)]
    result = Plan(program, _with_frees(program, steps))
    if verification.enabled():
        verify_plan(result)
    return result


def order(steps: Iterable[Step]) -> list[Step]:
    """Order the steps as they are executed: icons last, when all numbers are known."""
    return sorted(steps, key=lambda step: step.kind == "icons")


def _with_frees(program: Program, steps: list[Step]) -> tuple[Step, ...]:
    """Add to each step what no later one needs."""
    last: dict[Free, int] = {}
    executed = order(steps)
    derived = {"backward": program.backwards, "tangents": program.tangents, "reruns": program.reruns}
    for position, step in enumerate(executed):
        if step.kind == "forward":
            last[Free("activations", step.index)] = position
        if step.kind in derived:
            one = derived[step.kind][step.index]
            last[Free("activations", one.forward)] = last[Free("graph", one.forward)] = position
            if isinstance(one, Rerun) and one.baseline >= 0:
                last[Free("activations", one.baseline)] = position
        roots = [program.elements[step.index].node] if step.kind == "draw" else []
        nodes = {id(node) for node in walk(*roots, *(program.kept if step is executed[-1] else ()))}
        served = [n for n, forward in enumerate(program.forwards) if any(id(node) in nodes for node in forward.serves)]
        last |= {Free("activations", number): position for number in served}
    frees: dict[StepKey, list[Free]] = {}
    for free, position in last.items():
        frees.setdefault(executed[position].key, []).append(free)
    return tuple(replace(step, frees=tuple(frees.get(step.key, ()))) for step in steps)


def _inputs(program: Program) -> int:
    return max(len(program.inputs), 1)


def _scan(program: Program, number: int, scan: Scan, registry: Registry) -> Step:
    """Plan a scan: what one example costs, as often as there are examples."""
    parts = [(name.split(" ")[0], node) for name, node in part_names(scan).items()]
    batch = batch_program(program, parts, 1, registry)
    each = plan(optimize(batch) if program.optimized else batch)
    passes, flops = (sum(each.total(kind)[n] for kind in PASSES) for n in (0, 1))
    (axis,) = scan.dataset.type.axes
    maps = [node for node in scan.fields if {"y", "x"} <= set(node.type.names)]
    whole = (*(node for node in scan.fields if node not in maps), *scan.summaries)
    layers = list(dict.fromkeys(name for node in whole for name in node.type.layers if name != OUTPUT))
    layers += [f"maps of {name}" for name in dict.fromkeys(n for node in maps for n in node.type.layers)]
    layers += [f"{count} random positions of {node.type.layers[0]}" for node, count in scan.samples]
    layers += [
        f"every position of {name}" for name in dict.fromkeys(n for node in scan.cubes for n in node.type.layers)
    ]
    layers += [f"a histogram of {node.type.layers[0]}" for node in scan.histograms]
    words = f"{_scan_name(scan.dataset)}: {'' if axis.exact else 'up to '}{_plural(axis.size, 'example')}"
    words += f", {', '.join(layers)}" if layers else ""
    words += " and scores" if scan.scores and layers else ", scores" if scan.scores else ""
    kinds = [_plural(n, noun) for kind, noun in PASS_NOUNS if (n := each.total(kind)[0])]
    assert program.description is not None, "a plan has a description"
    again = run_for_examples(scan.contents, program.description, registry)
    kinds += [f"{_plural(count, 'forward')} of {what}" for what, count, _ in again]
    passes, flops = passes + sum(count for _, count, _ in again), flops + sum(cost for *_, cost in again)
    return Step(
        "scan", number, f"{words}; {', '.join(kinds)} each", passes * axis.size, flops * axis.size, 0, not axis.exact,
        requested_by=_spans(program, scan.serves),
    )  # fmt: skip


def _scan_name(dataset: Node) -> str:
    return str(source_dataset(dataset)["path"])


def _forward(program: Program, number: int, forward: Forward, description: ModelDescription) -> Step:
    inputs, (passes, flops, kept) = _inputs(program), forward_cost(program, forward, description)
    resumes = "" if forward.resumes is None else forward.resumes.model
    return Step("forward", number, forward_words(program, forward), passes, inputs * flops, inputs * kept,
                requested_by=_spans(program, forward.serves), resumes=resumes)  # fmt: skip


def _backward(
    program: Program, number: int, backward: Backward, description: ModelDescription, alternatives: _Alternatives
) -> Step:
    inputs, target_layer = _inputs(program), backward.target_layer
    reached = lowest_layers(backward.requests, target_layer, description)
    count = Counter(reached.values() if backward.stops else ["input"] * len(reached))
    words = f"{_plural(len(reached), 'target')} to {', '.join(sorted(backward.layers))}"
    words += ", stops there" if backward.stops else ", down to the input"
    flops = sum(inputs * n * flops_between(description, low, target_layer) for low, n in count.items())
    bound = len(reached) > 1 and not known_apart(set(reached))
    requested_by, passes = _spans(program, backward.serves), len(reached)
    if target_layer.startswith(CHAIN):
        # First the slope itself, with a graph of its own; its curve costs at most as much.
        (layer,) = captured_at(backward.targets[0], target_layer)
        flops += inputs * 2 * passes * flops_between(description, layer, OUTPUT)
        bound, passes = True, 2 * passes
    return Step("backward", number, words, passes, flops, 0, bound, requested_by=requested_by,
                alternatives=alternatives.of(backward))  # fmt: skip


def _tangents(
    program: Program, number: int, tangents: Tangents, description: ModelDescription, alternatives: _Alternatives
) -> Step:
    inputs = _inputs(program)
    count = tangent_count(tangents, description)
    keys = {k for target in tangents.targets for k in target_keys(target, tangents.target_layer, description)}
    words = f"{_plural(count, 'atom')} of {tangents.layer} to {_plural(len(keys), 'target')}"
    flops = inputs * (count + 1) * flops_between(description, tangents.layer, tangents.target_layer)
    exact = all(
        axis.exact for request in tangents.requests for axis in request.node.type.atom_axes + request.node.type.states
    )
    return Step("tangents", number, words, count, flops, 0, not exact, requested_by=_spans(program, tangents.serves),
                alternatives=alternatives.of(tangents))  # fmt: skip


def _rerun(program: Program, number: int, rerun: Rerun, description: ModelDescription) -> Step:
    if rerun.is_removal:
        row = flops_between(description, rerun.layer, OUTPUT) if rerun.above else description.flops
        words = f"removal of {rerun.layer}, {'above it' if rerun.above else 'whole network'}"
        requested_by = _spans(program, rerun.serves)
        return Step("reruns", number, words, 1, _inputs(program) * row, 0, requested_by=requested_by)
    if rerun.is_trial:
        passes, flops, bound = cost_of(program, rerun, description)
        words = f"trust: {rerun.method[0].replace('_', ' ')} of {', '.join(rerun.layers)}"
        flops, requested_by = flops * _inputs(program), _spans(program, rerun.serves)
        return Step("reruns", number, words, passes, flops, 0, bound, requested_by=requested_by)
    inputs, name = _inputs(program), rerun.method[0]
    keys = {key for request in rerun.requests for key in request_keys(request, rerun.target_layer, description)}
    count = min(len(keys) + rerun.rivals, description.classes) if rerun.rivals else len(keys)
    words = (
        f"{name}: {'up to ' if rerun.bound else ''}{_plural(rerun.visits, rerun.noun)} x {_plural(count, 'target')} "
    )
    words += f"above {rerun.layer}" if rerun.above else f"at {rerun.layer}, through the whole network"
    row = flops_between(description, rerun.layer, rerun.target_layer) if rerun.above else description.flops
    (rows, times), extra = rerun_rows(rerun, count), extra_rows(rerun, count)
    bound = rerun.bound or 0 < rerun.rivals < description.classes or (len(keys) > 1 and not known_apart(keys))
    flops = inputs * (rows * times + extra) * row
    return Step("reruns", number, words, rows + extra, flops, 0, bound, requested_by=_spans(program, rerun.serves))


def icon_steps(program: Program) -> list[Step]:
    """Plan the icons of a program alone, which depend on its elements and on no pass."""
    description = program.description
    assert description is not None, "a plan has a description"
    return [_icons(program, number, icons, description) for number, icons in enumerate(program.icons)]


def _icons(program: Program, number: int, icons: Icons, description: ModelDescription) -> Step:
    size, steps = (program.setting(f"featvis.{n}", default(f"featvis.{n}")) for n in ("size", "steps"))
    elements = [e for e in program.elements if e.id in icons.elements]
    least = max((sure_icons(e.node) for e in elements), default=0)
    flops, dreams = 0, 0
    for element in elements:
        layers, octaves = element.node.type.layers, octaves_of(element.node, program)
        if octaves > 1:
            dreams += 1
            flops += dream_flops(description, layers, octaves, steps)
            continue
        tries, shown = tries_and_pictures(element.node, program)
        flops += icon_flops(description, layers, size, steps) * tries // shown
    flops //= max(len(elements), 1)
    requested_by = _spans(program, tuple(e.node for e in elements))
    words = [f"{size} px, {steps} steps"] if dreams < len(elements) or not elements else []
    words += [f"dreams of up to {DREAM_MOST:,} px, {min(steps, DREAM_STEPS)} steps an octave"] if dreams else []
    photographs = program.setting("featvis.check")
    words += [f"each checked against the photographs of {photographs}"] if photographs is not None else []
    return Step(
        "icons",
        number,
        ", ".join(words),
        icons.at_most,
        icons.at_most * flops,
        bound=True,
        least=least,
        requested_by=requested_by,
    )


def _draw(program: Program, number: int, element: Element, registry: Registry | None, known: set[Node | str]) -> Step:
    """Plan an element: no pass, but for operations that run the network on what they find. ``known``: those that an
    earlier element counts."""
    states = element.node.type.state_count
    words = f"{element.node['style']} `{element.id}`" + (f", up to {states} states" if states > 1 else "")
    again = [] if registry is None else run_again(program, element, registry, known, plan)
    words = "; ".join([words, *(one.words for one in again)])
    passes, flops = sum(one.passes for one in again), sum(one.flops for one in again)
    return Step("draw", number, words, passes, flops, bound=passes > 0, requested_by=_spans(program, (element.node,)),
                trains=next((one.trains for one in again if one.trains), None))  # fmt: skip


class _Alternatives:
    """What each way to the same derivatives would cost, where there is a choice; computed once for all their steps."""

    def __init__(self, program: Program):
        self.program = program
        self._known: dict[tuple[int, str], tuple[Alternative, ...]] = {}

    def of(self, derivatives: Backward | Tangents) -> tuple[Alternative, ...]:
        """Return the ways to compute the derivatives from one target layer by one forward."""
        key = (derivatives.forward, derivatives.target_layer)
        if key not in self._known:
            self._known[key] = self._ways(*key)
        return self._known[key]

    def _ways(self, forward: int, target_layer: str) -> tuple[Alternative, ...]:
        program = self.program
        if not program.optimized:
            return ()
        tangents = [t for t in program.tangents if (t.forward, t.target_layer) == (forward, target_layer)]
        backwards = [b for b in program.backwards if (b.forward, b.target_layer) == (forward, target_layer)]
        requests = joined(request for group in (tangents, backwards) for d in group for request in d.requests)
        every = ways(program, Backward(requests, forward, True, target_layer, True))
        chosen = _units(tangents)
        return tuple(
            Alternative(
                way.words, way.cost.passes, way.cost.flops, way.cost.bytes, way.cost.seconds,
                _units(way.tangents) == chosen,
            )
            for way in (every if len(every) > 1 else ())
        )  # fmt: skip


def _units(tangents: Iterable[Tangents]) -> set[tuple[str, str]]:
    return {(t.layer, request.parts) for t in tangents for request in t.requests}


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _spans(program: Program, nodes: tuple[Node, ...]) -> tuple[Span, ...]:
    return tuple(dict.fromkeys(span for node in nodes for span in program.spans(node)))
