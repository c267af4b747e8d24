"""The optimizer: pure functions from program to program, in one visible order. Same outputs, same types, fewer passes.

docs/architecture.md lists them. Cached results are left out while running.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bbilang.compiler.ir.program import Backward, Forward, Icons, Node, Program, Rerun, Scan, Tangents, walk
from bbilang.compiler.ir.speeds import Choices, Force, Speeds
from bbilang.compiler.optimize.ad_mode import divided, joined, union, ways
from bbilang.compiler.optimize.related import resume, share_below_changes
from bbilang.compiler.optimize.rewrite import Derivative, select_first, unify_equal_nodes, with_derivatives
from bbilang.compiler.optimize.scans import wholes
from bbilang.compiler.optimize.verify import verify_optimized
from bbilang.grammar import verification


def optimize(program: Program, *, speeds: Speeds | None = None, force: Force | None = None) -> Program:
    """Optimize a program: the same page from fewer passes. Idempotent.

    speeds: those of the device that it will run on, if measured. force: forward or reverse mode wherever both are
    possible, to override the cost model.
    """
    if program.parts:
        parts = tuple(optimize(part, speeds=speeds, force=force) for part in program.parts)
        return replace(program, parts=share_below_changes(parts), optimized=True)
    before = program
    program = replace(program, choices=Choices(speeds or program.choices.speeds, force or program.choices.force))
    for rule in RULES:
        program = rule(program)
    program = replace(program, optimized=True)
    if verification.enabled():
        verify_optimized(before, program)
    return program


def drop_unshown(program: Program) -> Program:
    """Remove everything that no element shows."""
    shown = {id(node) for node in walk(*program.roots)}  # equal nodes are not one yet
    forwards = [replace(f, serves=tuple(node for node in f.serves if id(node) in shown)) for f in program.forwards]
    # The page's own forward serves no node: it is there for the predictions.
    needed = [index for index, f in enumerate(forwards) if f.serves or not program.forwards[index].serves]
    new_index = {index: position for position, index in enumerate(needed)}
    derivatives = [
        _after_forwards(replace(d, requests=tuple(a for a in d.requests if id(a.node) in shown)), new_index)
        for d in program.derivatives
        if any(id(a.node) in shown for a in d.requests)
    ]
    scans = tuple(
        replace(scan, serves=own) for scan in program.scans if (own := tuple(n for n in scan.serves if id(n) in shown))
    )
    program = replace(program, forwards=tuple(forwards[index] for index in needed), bindings=(), scans=scans)
    return with_derivatives(program, derivatives)


def _after_forwards(derivatives: Derivative, new_index: Mapping[int, int]) -> Derivative:
    """Return the same derivatives after forwards were renumbered."""
    if isinstance(derivatives, Rerun) and derivatives.baseline >= 0:
        derivatives = replace(derivatives, baseline=new_index[derivatives.baseline])
    return replace(derivatives, forward=new_index[derivatives.forward])


def share_forward(program: Program) -> Program:
    """Capture every demanded layer in one forward for the inputs, one for each baseline and one for each rule of
    derivatives."""
    kinds = list(dict.fromkeys((f.picture, f.rule) for f in program.forwards))
    if len(kinds) == len(program.forwards):
        return program
    shared = []
    for picture, rule in kinds:
        same = [f for f in program.forwards if (f.picture, f.rule) == (picture, rule)]
        serves = tuple(dict.fromkeys(node for f in same for node in f.serves))
        shared.append(Forward(union(f.layers for f in same), any(f.scores for f in same), False, serves, picture, rule))
    new_index = {number: kinds.index((f.picture, f.rule)) for number, f in enumerate(program.forwards)}
    moved = [_after_forwards(d, new_index) for d in program.derivatives]
    return with_derivatives(replace(program, forwards=tuple(shared)), moved)


def stop_at_deepest(program: Program) -> Program:
    """Stop a forward at the deepest layer if its scores are not needed."""
    return replace(program, forwards=tuple(replace(f, stops=not f.scores) for f in program.forwards))


def share_backward(program: Program) -> Program:
    """Serve every layer by one backward per target: equal targets are one, and so are equal classes of different
    targets.

    Targets that depend on the results of other derivatives stay in a later group.
    """
    groups: dict[tuple[int, str, int], list[Backward]] = {}
    for backward in program.backwards:
        for target in backward.targets:
            groups.setdefault((backward.forward, backward.target_layer, level(target, program)), []).append(
                replace(backward, requests=tuple(a for a in backward.requests if a.target == target))
            )
    merged = []
    for (forward, target_layer, _), members in sorted(
        groups.items(), key=lambda item: (item[0][0], item[0][2], item[0][1])
    ):
        requests = joined(a for b in members for a in b.requests)
        merged.append(
            Backward(requests, forward, all(b.stops for b in members), target_layer, all(b.batched for b in members))
        )
    return replace(program, backwards=tuple(merged))


def level(target: Node, program: Program) -> int:
    """Return how many rounds of derivatives must be computed before the target is known: a class that the reader
    selects in an element of attributions is known after those."""
    derived = {node for d in program.derivatives for node in d.serves}
    depth: dict[int, int] = {}
    for node in walk(target):
        below = max((depth[id(child)] for child in node.children), default=0)
        depth[id(node)] = below + (node in derived)
    return depth[id(target)]


def stop_at_earliest(program: Program) -> Program:
    """Stop a backward at the earliest layer that requests its target."""
    return replace(program, backwards=tuple(replace(b, stops=True) for b in program.backwards))


def batch_targets(program: Program) -> Program:
    """Batch cotangents into one pass through the network above the layer."""
    return replace(program, backwards=tuple(replace(b, batched=True) for b in program.backwards))


def choose_mode(program: Program) -> Program:
    """Choose reverse mode, or forward mode for the earliest layers of a group, whichever costs less."""
    backwards: list[Backward] = []
    tangents = list(program.tangents)
    for backward in (part for group in program.backwards for part in divided(program, group)):
        best = next(way for way in ways(program, backward) if way.chosen)
        tangents += best.tangents
        backwards += [best.backward] if best.backward else []
    return replace(program, backwards=tuple(backwards), tangents=tuple(tangents))


def run_above(program: Program) -> Program:
    """Run only the network above the layer for path and perturbation methods, for all targets at once, and run each
    layer at zero once for all elements."""
    groups: dict[tuple[Any, ...], list[Rerun]] = {}
    for rerun in (each for each in program.reruns if not each.is_removal):
        for target in rerun.targets:
            key = (rerun.forward, rerun.layer, rerun.method, rerun.baseline, rerun.target_layer, level(target, program))
            groups.setdefault(key, []).append(
                replace(rerun, requests=tuple(a for a in rerun.requests if a.target == target))
            )
    merged = [
        replace(members[0], requests=joined(a for r in members for a in r.requests), above=True)
        for _, members in sorted(groups.items(), key=lambda item: (item[0][0], item[0][-1]))
    ]
    return replace(program, reruns=(*merged, *_removals(program, merged)))


def _removals(program: Program, others: list[Rerun]) -> list[Rerun]:
    """Merge the reruns of each layer at zero: one gives the scores of all classes, whatever the target. They start
    above the layer if the network above it is cut off anyway: cutting it off takes longer than one run of the whole
    network."""
    steps: tuple[Tangents | Rerun, ...] = (*program.tangents, *others)
    cut = {(step.forward, step.layer) for step in steps}
    layers: dict[str, list[Rerun]] = {}
    for rerun in program.reruns:
        if rerun.is_removal:
            layers.setdefault(rerun.layer, []).append(rerun)
    return [
        replace(own[0], requests=joined(a for r in own for a in r.requests), above=(own[0].forward, layer) in cut)
        for layer, own in layers.items()
    ]


def share_scan(program: Program) -> Program:
    """Read each example once for everything that is kept of it: scans of one dataset are one, and that of a part joins
    that of the whole. Pipes that need what a scan finds have scans of their own, which come after it."""
    merged: list[Scan] = []
    for scan in sorted(program.scans, key=lambda scan: (scan.waits, len(wholes(scan.dataset)))):
        around = wholes(scan.dataset)
        alike = (n for n, other in enumerate(merged) if other.dataset in around and other.waits == scan.waits)
        whole = next(alike, None)
        if whole is None:
            merged.append(scan)
            continue
        other = merged[whole]
        merged[whole] = replace(
            other,
            fields=tuple(dict.fromkeys((*other.fields, *scan.fields))),
            summaries=tuple(dict.fromkeys((*other.summaries, *scan.summaries))),
            scores=other.scores or scan.scores,
            serves=tuple(dict.fromkeys((*other.serves, *scan.serves))),
            samples=tuple(dict.fromkeys((*other.samples, *scan.samples))),
            histograms=tuple(dict.fromkeys((*other.histograms, *scan.histograms))),
            cubes=tuple(dict.fromkeys((*other.cubes, *scan.cubes))),
        )
    return replace(program, scans=tuple(merged))


def choose_before_visualizing(program: Program) -> Program:
    """Make icons after the numbers, only for atoms that some state shows, and once for all elements."""
    if len(program.icons) <= 1:
        return program
    elements = tuple(e for icons in program.icons for e in icons.elements)
    return replace(program, icons=(Icons(elements, sum(icons.at_most for icons in program.icons)),))


RULES: tuple[Callable[[Program], Program], ...] = (
    drop_unshown,
    unify_equal_nodes,
    select_first,
    share_forward,
    stop_at_deepest,
    share_backward,
    stop_at_earliest,
    batch_targets,
    choose_mode,
    run_above,
    share_scan,
    choose_before_visualizing,
    resume,
)
