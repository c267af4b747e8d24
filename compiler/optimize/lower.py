"""Lowers the demands of operations and styles to passes, each by itself: what the optimizer starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bbilang.compiler.contract import (
    Activations,
    Changes,
    ExamplesOf,
    Gradients,
    IconsOf,
    Registry,
    Reruns,
    Scores,
    Trials,
    bound,
)
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.models import own_nodes
from bbilang.compiler.ir.program import (
    CHANGE,
    OUTPUT,
    REMOVAL,
    TRIAL,
    Backward,
    DerivativeRequest,
    Element,
    Forward,
    Icons,
    Node,
    Program,
    Rerun,
    Scan,
)
from bbilang.compiler.optimize.budget import budgeted
from bbilang.compiler.optimize.cost import layer_of, tries_and_pictures
from bbilang.compiler.optimize.target_slots import (
    CHAIN,
    atom_count,
    atoms_of,
    captured_at,
    parts_by_layer,
    request_keys,
    score_keys,
    sets_together,
    target_keys,
)


def with_passes(program: Program, registry: Registry, scored: bool, icons: bool = True) -> Program:
    """Give the program one forward, and one backward, for every node that needs one, as a peer would run it.

    Every forward goes to the end of the network, every backward down to the input, every rerun through all of it. The
    first forward is the page's own: it says what the model predicts, where the model has class scores (``scored``).
    ``icons``: whether it makes those of its elements, and what styles need of the network for them.
    """
    lowering = _Lowering(program, registry)
    if scored:
        lowering.forwards.append(Forward((), True, False, ()))
    for node in own_nodes(program, *program.roots, *(node for _, node in program.bindings)):
        for demand in registry.operations[node.op].demands(node, registry):
            match demand:
                case Scores():
                    lowering.forwards.append(Forward((), True, False, (node,)))
                case Activations(layers):
                    lowering.forwards.append(Forward(layers, False, False, (node,)))
                case Gradients():
                    lowering.add_gradients(node, demand)
                case Reruns():
                    lowering.add_reruns(node, demand)
                case Trials():
                    lowering.add_trial(node, demand)
                case Changes():
                    lowering.add_changes(node, demand)
                case ExamplesOf():
                    lowering.add_scan(node, demand)
    for element in program.elements if icons else ():
        for demand in registry.styles[element.node["style"]].demands(element.node):
            match demand:
                case Activations(layers):
                    lowering.forwards.append(Forward(layers, False, False, (element.node,)))
        lowering.add_removals(element)
    lowering.icons += icons_of(program, registry) if icons else []
    return lowering.result()


def icons_of(program: Program, registry: Registry) -> list[Icons]:
    """Return what each element demands of the visualization engine."""
    return [
        Icons((element.id,), icon_bound(element, program, registry))
        for element in program.elements
        for demand in registry.styles[element.node["style"]].demands(element.node)
        if isinstance(demand, IconsOf)
    ]


@dataclass
class _Lowering:
    """The passes of a program while they are collected."""

    program: Program
    registry: Registry
    forwards: list[Forward] = field(default_factory=list)
    backwards: list[Backward] = field(default_factory=list)
    reruns: list[Rerun] = field(default_factory=list)
    icons: list[Icons] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)

    def add_scan(self, node: Node, demand: ExamplesOf) -> None:
        dataset = read_first(demand.dataset, self.registry)
        kept = (demand.fields, demand.summaries, demand.scores, (node,), demand.samples, demand.histograms,
                demand.cubes)  # fmt: skip
        self.scans.append(Scan(dataset, *kept))

    def add_gradients(self, node: Node, demand: Gradients) -> None:
        target = demand.target
        for target_layer, below in parts_by_layer(target, demand.layers, self.program.description):
            layers = tuple(dict.fromkeys((*below, *captured_at(target, target_layer))))
            scores = target.type.content == "score"
            self.forwards.append(Forward(layers, scores, False, (node,), rule=demand.rule))
            parts = "" if target_layer.startswith(CHAIN) else demand.parts
            request = DerivativeRequest(target, node, below, parts, combined=demand.combined)
            self.backwards.append(Backward((request,), len(self.forwards) - 1, False, target_layer))

    def add_reruns(self, node: Node, demand: Reruns) -> None:
        description = self.program.description
        assert description is not None, "reruns need a model's description"
        method, parameters = bound(self.registry, demand.method)
        baseline = method.baseline(parameters)
        for target_layer, below in parts_by_layer(demand.target, demand.layers, description):
            for layer in below:
                work = method.work(parameters, layer_of(description, layer), description.classes)
                request = DerivativeRequest(demand.target, node, (layer,), combined=demand.combined)
                rerun = Rerun(
                    (request,), 0, layer, demand.method, work.visits, False, -1, target_layer, work.finds, work.extra,
                    work.bound, work.rivals, work.shares, work.returns, work.noun,
                )  # fmt: skip
                self._add_rerun(rerun, node, baseline)

    def add_trial(self, node: Node, demand: Trials) -> None:
        names = ("of", "again", "classes", "rows", "each", "gradients")
        parameters = tuple((name, getattr(demand, name)) for name in names)
        visits = demand.again + demand.rows + demand.each + demand.gradients
        request = DerivativeRequest(demand.target, node, demand.layers)
        rerun = Rerun((request,), 0, demand.layers[0], (demand.words, parameters), visits, False, finds=TRIAL)
        self._add_rerun(rerun, node, demand.baseline)

    def add_changes(self, node: Node, demand: Changes) -> None:
        description = self.program.description
        assert description is not None, "an intervention needs a model's description"
        frame = demand.change.inputs[0]
        method = (demand.change.op, (("change", demand.change.digest), ("controls", demand.controls)))
        for target_layer, below in parts_by_layer(demand.target, demand.layers, description):
            for layer in below:
                total, own = atoms_of(frame, layer, description), atom_count(frame, layer, description)
                sets = sets_together(demand.change) if demand.together else own
                rows = sets * (1 + demand.controls)
                whole = not demand.together and frame.type.atom != "direction"  # there is no end of directions
                rows = min(rows, total) if whole else rows
                exact = demand.controls == 0 and all(a.exact for a in (*frame.type.axes, *frame.type.states))
                exact = exact and not frame.type.states
                request = DerivativeRequest(demand.target, node, (layer,))
                rerun = Rerun((request,), 0, layer, method, rows * demand.each, False, -1, target_layer, CHANGE,
                              bound=not exact, returns=False, noun="change")  # fmt: skip
                self._add_rerun(rerun, node, None)

    def add_removals(self, element: Element) -> None:
        """Add a run with each layer of the element's attribution at zero: what its numbers are compared with."""
        known = budgeted(element.node, self.registry)
        if known is None or self.program.description is None:
            return
        target = known.attribution["to"]
        own = [n for n, forward in enumerate(self.forwards) if set(known.each) & set(forward.serves)]
        plain = [n for n in own if not self.forwards[n].picture and not self.forwards[n].rule]
        for layer in known.layers if own else ():
            requests = tuple(DerivativeRequest(target, node, (layer,), REMOVAL) for node in known.each)
            self.reruns.append(
                Rerun(requests, (plain or own)[0], layer, (REMOVAL, ()), 1, False, finds=REMOVAL, returns=False,
                      noun="layer")
            )  # fmt: skip

    def _add_rerun(self, rerun: Rerun, node: Node, picture: str | None) -> None:
        """Add a rerun after its own forward, and after that of the baseline ``picture`` where it has one."""
        (target,) = rerun.targets
        layers = (rerun.layer, *captured_at(target, rerun.target_layer))
        self.forwards.append(Forward(layers, target.type.content == "score", False, (node,)))
        number, baseline = len(self.forwards) - 1, -1
        if picture:
            self.forwards.append(Forward((rerun.layer,), False, False, (node,), picture))
            baseline = len(self.forwards) - 1
        self.reruns.append(replace(rerun, forward=number, baseline=baseline))

    def result(self) -> Program:
        return replace(
            self.program,
            forwards=tuple(self.forwards),
            backwards=tuple(as_one_score(self.backwards, self.forwards, self.program.description, self.registry)),
            reruns=tuple(self.reruns),
            icons=tuple(self.icons),
            scans=tuple(self.scans),
        )


def read_first(dataset: Node, registry: Registry) -> Node:
    """Return the part of a dataset whose examples are known without running the network: the dataset itself, or what
    its first condition on scores chooses from."""
    chain = [dataset]
    while chain[-1].inputs:
        chain.append(chain[-1].inputs[0])

    def scores(node: Node) -> bool:
        said = (child for child in node.children if child not in node.inputs and child.type.content != "dataset")
        own = (node, *said)
        return any(registry.operations[each.op].demands(each, registry) for each in own)

    first = next((node for node in reversed(chain) if scores(node)), None)
    return dataset if first is None else first.inputs[0]


def as_one_score(
    backwards: list[Backward], forwards: Sequence[Forward], description: ModelDescription | None, registry: Registry
) -> list[Backward]:
    """Follow a sum or difference of classes as one score, by linearity, unless its classes are followed anyway: for
    other requests, or for several differences of few. Not where a method has rules of its own for the vjp, which need
    not be linear in their cotangent."""
    if description is None:
        return backwards
    results = list(backwards)
    sums = [
        n for n, b in enumerate(results)
        if b.target_layer == OUTPUT and b.requests[0].target.op == "combine" and not forwards[b.forward].rule
    ]  # fmt: skip
    first = [results[n].requests[0] for n in sums]
    targets = {request.target for request in first if registry.operations[request.node.op].merges_classes}
    for target in sorted(targets, key=lambda target: target.digest):
        own = {n for n in sums if results[n].requests[0].target == target and not results[n].requests[0].combined}
        if not own:
            continue
        others = [b.requests[0] for n, b in enumerate(results) if n not in own and b.target_layer == OUTPUT]
        known = {key for request in others for key in request_keys(request, OUTPUT, description)}
        apart, together = target_keys(target, OUTPUT, description), score_keys(target, OUTPUT, description)
        if len(together - known) < len(apart - known):
            for n in own:
                results[n] = replace(results[n], requests=(replace(results[n].requests[0], combined=True),))
    return results


def icon_bound(element: Element, program: Program, registry: Registry) -> int:
    """Return an upper bound on the icons of an element: slots x facets x states x inputs x pictures of each atom."""
    own = registry.styles[element.node["style"]].icon_bound(element.node)
    return (shown_bound(element.node) if own is None else own) * tries_and_pictures(element.node, program)[1]


def shown_bound(node: Node) -> int:
    """Return an upper bound on the atoms that a node's states can show."""
    count = node.type.state_count
    for axis in node.type.axes:
        if axis.name != "class" or node.type.atom == "class":
            count *= axis.size
    return count
