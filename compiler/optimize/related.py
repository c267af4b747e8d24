"""Models of a page that are one network but for some changes: what depends on none of these is computed once.

A forward of a derived model resumes that of an earlier model: everything whose value depends on no layer in which the
two differ is taken from it. Layers whose gradients the forward serves count as layers in which they differ, since a
graph has to lead from them to the scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from bbilang.compiler.contract import ModelChange, Registry
from bbilang.compiler.ir.model_description import INPUT, LayerDescription, ModelDescription
from bbilang.compiler.ir.program import OUTPUT, Forward, ModelSlot, Node, Program, Rerun, Tangents
from bbilang.compiler.ir.relatives import Lent, Reach, Relative, Resumed
from bbilang.compiler.optimize.ad_mode import union
from bbilang.compiler.optimize.cost import flops_upto, forward_flops
from bbilang.compiler.optimize.target_slots import captured_at


def with_relatives(parts: Sequence[Program], registry: Registry) -> tuple[Program, ...]:
    """Tell each part of a program, in the order in which they run, which parts before it are of the same network, and
    in which layers they differ."""
    return tuple(replace(part, relatives=tuple(_relatives(part, parts[:n], registry))) for n, part in enumerate(parts))


def _relatives(part: Program, earlier: Iterable[Program], registry: Registry) -> Iterator[Relative]:
    own, description = part.models[0].lineage, part.description
    for other in earlier:
        theirs = other.models[0].lineage
        if description is None or own[-1] != theirs[-1]:
            continue
        both = [slot for slot in own if slot in theirs]
        changed: dict[str, None] = {}
        rewritten: dict[str, None] = {}
        for change in _changes(slot for slot in (*own, *theirs) if slot not in both):
            operation = registry.operations[change.op]
            assert isinstance(operation, ModelChange)
            layers = operation.changed_layers(change, description)
            (rewritten if operation.only_weights else changed).update(dict.fromkeys(layers))
        yield Relative(other.models[0].alias, tuple(changed), tuple(rewritten))


def _changes(slots: Iterable[ModelSlot]) -> list[Node]:
    return [change for slot in slots for change in slot.changes]


def share_below_changes(parts: Sequence[Program]) -> tuple[Program, ...]:
    """Run what several models of one network have in common once: each forward resumes the one of an earlier
    model that leaves the least to run."""
    done: dict[str, Program] = {}
    icons = [part for part in parts if part.partners]  # they run no forward
    for part in parts[: len(parts) - len(icons)]:
        known = tuple(replace(one, forwards=_reaches(done[one.model])) for one in part.relatives)
        done[part.models[0].alias] = resume(replace(part, relatives=known))
    for alias in reversed(list(done)):  # those that resume it are done
        done[alias] = replace(done[alias], lent=_lent(done[alias], done.values()))
    return (*done.values(), *icons)


def resume(program: Program) -> Program:
    """Let the forwards of one model resume those of its relatives, whose forwards are known."""
    forwards = tuple(replace(f, resumes=_resumed(program, n, f)) for n, f in enumerate(program.forwards))
    return program if forwards == program.forwards else replace(program, forwards=forwards)


def _resumed(program: Program, number: int, forward: Forward) -> Resumed | None:
    if forward.rule:
        return None
    found = [
        _Common(program, number, relative, reach).resumed()
        for relative in program.relatives
        for reach in relative.forwards
        if reach.picture == forward.picture
    ]
    useful = (one for one in found if one.spared or one.values)
    return max(useful, key=lambda one: _saved(program, forward, one), default=None)


def _saved(program: Program, forward: Forward, resumed: Resumed) -> tuple[int, int]:
    description = program.description
    assert description is not None
    whole = forward_flops(description, forward.layers, forward.stops)
    return whole - resumed_flops(description, replace(forward, resumes=resumed)), len(resumed.spared)


def resumed_flops(description: ModelDescription, forward: Forward) -> int:
    """Return the FLOPs of one input's forward without what it takes from another model's."""
    resumed = forward.resumes
    if resumed is None:
        return forward_flops(description, forward.layers, forward.stops)
    if not runs(forward):
        return 0
    own = tuple(layer for layer in forward.layers if layer not in resumed.values)
    end = deepest(description, own) if forward.stops else OUTPUT
    spared = (description.by_name[name] for name in resumed.spared)
    less = sum(layer.own_flops for layer in spared if _before(description, layer, end))
    return max(flops_upto(description, end) - less, 0)


def runs(forward: Forward) -> bool:
    """Return whether a forward runs any part of the network: not where all that it captures is another model's."""
    resumed = forward.resumes
    return resumed is None or not forward.stops or bool({*forward.layers} - {*resumed.values, INPUT})


def cut_layers(program: Program, number: int) -> tuple[str, ...]:
    """Return the layers above which the network will run again from a forward."""
    steps: tuple[Tangents | Rerun, ...] = (*program.tangents, *program.reruns)
    own = (step for step in steps if step.forward == number and (not isinstance(step, Rerun) or step.above))
    return tuple(dict.fromkeys(step.layer for step in own))


def graph_layers(program: Program, number: int) -> tuple[str, ...]:
    """Return the layers that the graph of a forward has to start from, or lead to: those of its backwards."""
    own = [backward for backward in program.backwards if backward.forward == number]
    ends = (captured_at(target, backward.target_layer) for backward in own for target in backward.targets)
    whole = [] if all(backward.stops for backward in own) else [(INPUT,)]
    return union([*(backward.layers for backward in own), *ends, *whole])


def deepest(description: ModelDescription, layers: Iterable[str]) -> str:
    """Return the layer at which a forward that captures some stops."""
    return max(layers, key=lambda name: _order(description, name), default=INPUT)


def _order(description: ModelDescription, name: str) -> int:
    layer = description.by_name.get(name)
    return len(description.layers) if name == OUTPUT else -1 if layer is None else description.layers.index(layer)


def _before(description: ModelDescription, layer: LayerDescription, end: str) -> bool:
    return _order(description, layer.name) <= _order(description, end)


def _reaches(program: Program) -> tuple[Reach, ...]:
    description = program.description
    assert description is not None, "a relative has a description"
    plain = [(n, forward) for n, forward in enumerate(program.forwards) if not forward.rule]
    ends = [deepest(description, forward.layers) if forward.stops else OUTPUT for _, forward in plain]
    return tuple(Reach(forward.picture, n, end) for (n, forward), end in zip(plain, ends, strict=True))


class _Common:
    """What a forward has in common with one of a relative."""

    def __init__(self, program: Program, number: int, relative: Relative, reach: Reach):
        description = program.description
        assert description is not None, "a relative has a description"
        self.description, self.forward, self.relative, self.reach = (
            description, program.forwards[number], relative, reach,
        )  # fmt: skip
        self.graph, self.cuts = self._names(graph_layers(program, number)), self._names(cut_layers(program, number))
        self.changed, self.rewritten = self._names(relative.changed), self._names(relative.rewritten)

    def _names(self, layers: Iterable[str]) -> tuple[str, ...]:
        known = self.description.by_name
        return tuple(dict.fromkeys(known[name].name if name in known else name for name in layers))

    @cached_property
    def depends(self) -> frozenset[str]:
        """The layers whose values, or whose graphs, are this forward's own."""
        own = {*self.changed, *self.rewritten}
        for layer in self.description.layers:
            if not layer.inputs or not {*own, *self.graph}.isdisjoint(layer.inputs):
                own.add(layer.name)
        return frozenset(own)

    @cached_property
    def alike(self) -> tuple[LayerDescription, ...]:
        """The layers whose modules give the same in both, as far as the relative's forward runs: also those whose
        results are changed then."""
        behind = {*self.depends, *self.graph}
        first = {*self.changed} - {*self.rewritten}

        def same(layer: LayerDescription) -> bool:
            return layer.name not in self.depends or (
                layer.name in first and bool(layer.inputs) and behind.isdisjoint(layer.inputs)
            )

        end = self.reach.end
        return tuple(x for x in self.description.layers if _before(self.description, x, end) and same(x))

    @cached_property
    def entered(self) -> tuple[str, ...]:
        """The layers inside of modules that have to run."""
        inside = (name for name in (*self.graph, *self.cuts) if name not in self.depends)
        return tuple(dict.fromkeys((*self.changed, *self.rewritten, *inside)))

    def resumed(self) -> Resumed:
        known, mine = self.description, {*self.graph, *self.cuts, *self.depends}
        values = tuple(x.name for x in self.alike if x.name in self.forward.layers and x.name not in mine)
        starts = sorted({*self.changed, *self.rewritten, *self.graph}, key=lambda name: _order(known, name))
        above = tuple(
            name for name in starts
            if not any(other != name and name != INPUT and known.leads(other, name) for other in starts)
        )  # fmt: skip
        spared = outermost(known, self.alike, self.entered, self.rewritten)
        return Resumed(self.relative.model, self.reach.forward, above, spared, values, self.entered)


def outermost(
    description: ModelDescription, layers: Sequence[LayerDescription], entered: Sequence[str], rewritten: Sequence[str]
) -> tuple[str, ...]:  # fmt: skip
    """Return the outermost of some layers whose modules contain none of ``entered`` and are not ``rewritten``."""
    known = description.by_name
    paths = [known[name].module for name in entered if name in known]
    open = {path for own in paths for path in _around(own)} | {known[name].module for name in rewritten}
    kept: dict[str, str] = {}
    for layer in sorted(layers, key=lambda layer: layer.module.count(".")):
        if layer.module and layer.module not in open and kept.keys().isdisjoint([*_around(layer.module), layer.module]):
            kept[layer.module] = layer.name
    return tuple(layer.name for layer in layers if layer.name in kept.values())


def _around(path: str) -> list[str]:
    """Return the paths of the modules around one."""
    parts = path.split(".")
    return [".".join(parts[:depth]) for depth in range(len(parts))]


def _lent(lender: Program, others: Iterable[Program]) -> Lent | None:
    """Return what the forwards of a model have to leave for those that resume them, and for those that resume those."""
    alias, description = lender.models[0].alias, lender.description
    assert description is not None, "a relative has a description"
    models, entered, changed, rewritten, values, alike = [], [], [], [], [], set[str]()
    for program in others:
        for number, forward in enumerate(program.forwards):
            resumed = forward.resumes
            if resumed is None or resumed.model != alias:
                continue
            relative = next(one for one in program.relatives if one.model == alias)
            reach = next(one for one in relative.forwards if one.forward == resumed.forward)
            later = program.lent or Lent((), ())
            models.append((program.models[0].alias,))
            entered += [resumed.entered, later.entered]
            changed += [relative.changed, later.changed]
            rewritten += [relative.rewritten, later.rewritten]
            values += [resumed.values, later.values]
            alike |= {layer.name for layer in _Common(program, number, relative, reach).alike}
    if not models:
        return None
    inside, weights = union(entered), union(rewritten)
    layers = [layer for layer in description.layers if layer.name in alike]
    kept = outermost(description, layers, inside, weights)
    return Lent(union(models), inside, union(changed), weights, union(values), kept)
