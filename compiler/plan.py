"""The physical plan: the passes in order, what each costs, and who asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bbilang.compiler.cost import backward_flops, captured_bytes, forward_flops, icon_flops
from bbilang.compiler.description import ModelDescription
from bbilang.compiler.ir import Backward, Node, Program
from bbilang.compiler.settings import default
from bbilang.grammar.source import Span

Kind = Literal["forward", "backward", "icons", "draw"]


@dataclass(frozen=True)
class Step:
    """One step. ``passes`` and ``flops`` are exact, or upper bounds where ``bound`` (classes may coincide, icons depend
    on what `top` finds). ``bytes`` is what the step keeps for later ones."""

    kind: Kind
    index: int  # in Program.forwards, .backwards, .icons or .elements
    words: str
    passes: int
    flops: int
    bytes: int = 0
    bound: bool = False
    least: int = 0  # icons: the fewest
    asked: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Plan:
    program: Program
    steps: tuple[Step, ...]

    def total(self, kind: Kind) -> tuple[int, int]:
        """(passes, FLOPs) of all steps of a kind."""
        own = [step for step in self.steps if step.kind == kind]
        return sum(step.passes for step in own), sum(step.flops for step in own)


def plan(program: Program) -> Plan:
    """The steps of a program. Each backward stands directly after the forward that it needs."""
    description = program.description
    if description is None:
        raise ValueError("a program without a model's description has no plan")
    inputs = max(len(program.inputs), 1)
    steps: list[Step] = []
    for number, forward in enumerate(program.forwards):
        what = [", ".join(forward.layers)] if forward.layers else []
        what += ["scores"] if forward.scores else []
        stop = forward.stops and forward.layers
        steps.append(
            Step(
                "forward",
                number,
                f"{' and '.join(what) or 'the network'}{', stops there' if stop else ''}",
                1,
                inputs * forward_flops(description, forward.layers, bool(stop)),
                inputs * captured_bytes(description, forward.layers),
                asked=_asked(program, forward.serves),
            )
        )
        for place, backward in enumerate(program.backwards):
            if backward.forward == number:
                steps.append(_backward(program, place, backward, description, inputs))
    size, count = (program.setting(f"featvis.{n}", default(f"featvis.{n}")) for n in ("size", "steps"))
    for number, icons in enumerate(program.icons):
        elements = [e for e in program.elements if e.id in icons.elements]
        least = max((_slots(e.node) for e in elements), default=0)
        flops = sum(icon_flops(description, e.node.type.layers, size, count) for e in elements) // max(len(elements), 1)
        asked = _asked(program, tuple(e.node for e in elements))
        words = f"{size} px, {count} steps"
        steps.append(
            Step("icons", number, words, icons.at_most, icons.at_most * flops, bound=True, least=least, asked=asked)
        )
    for number, element in enumerate(program.elements):
        states = element.node.type.state_count
        words = f"{element.node['style']} `{element.id}`" + (f", up to {states} states" if states > 1 else "")
        steps.append(Step("draw", number, words, 0, 0, asked=_asked(program, (element.node,))))
    return Plan(program, tuple(steps))


def _backward(program: Program, place: int, backward: Backward, description: ModelDescription, inputs: int) -> Step:
    classes: set[tuple] = set()
    for target in backward.targets:
        classes |= target_classes(target, description.classes)
    varies = len({key[0] for key in classes}) > 1 or any(key[0] == "state" for key in classes)
    words = f"{len(classes)} target{'s' if len(classes) != 1 else ''} to {', '.join(backward.layers)}"
    words += ", stops there" if backward.stops else ", down to the input"
    flops = backward_flops(description, backward.layers if backward.stops else ("input",))
    return Step(
        "backward",
        place,
        words,
        len(classes),
        inputs * len(classes) * flops,
        0,
        varies and len(classes) > 1,
        asked=_asked(program, backward.serves),
    )


def target_classes(target: Node, total: int) -> set[tuple]:
    """The classes that a target can be made of, by what is known before the network runs: a rank among the scores, an
    index, or a place of a selection. The same class under two descriptions counts twice: the number is a bound."""
    if target.op != "output":
        return {key for child in target.inputs for key in target_classes(child, total)}
    kind, *rest = target["which"]
    score = () if target["score"] == "logit" else ("probability",)
    match kind:
        case "predicted":
            return {("rank", 0, *score)}
        case "top":
            return {("rank", i, *score) for i in range(rest[0])}
        case "classes":
            return {("index", i, *score) for i in rest[0]}
        case "all":
            return {("index", i, *score) for i in range(total)}
    over = rest[0]["over"]
    if over.op == "output" and rest[0].type.axes[0].exact:  # several inputs may share the union of their own classes
        return {(*key, *score) for key in target_classes(over, total)}
    return {("state", rest[0].digest, i, *score) for i in range(rest[0].type.axes[0].size)}


def _slots(node: Node) -> int:
    """The icons that an element surely needs in every state: neurons of one channel share theirs."""
    type, count = node.type, 1
    for axis in type.axes:
        if not axis.exact:
            return 0
        if type.atom == "neuron" and {"y", "x"} & set(axis.components):
            continue
        if axis.name not in ("class", "input") or type.atom == "class":
            count *= min(axis.sizes) if axis.sizes else axis.size
    return count


def _asked(program: Program, nodes: tuple[Node, ...]) -> tuple[Span, ...]:
    return tuple(dict.fromkeys(span for node in nodes for span in program.spans(node)))
