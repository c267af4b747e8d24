"""The checker's promises hold for the numbers of random programs."""

from __future__ import annotations

import os
import warnings
from functools import cache

import numpy as np
import programs
import pytest
import tiny
import torch
from closeness import agrees
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from views_hold import assert_consistent

from bbilang.compiler.ir.program import Node, Program, walk
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.execution.context import Run
from bbilang.runtime.execution.results import Results
from bbilang.runtime.fields.field import Field, Named

PREFIX = """photo = input | present(image)
p = pick(output[top(3)])
q = pick(output[top(3)], start=1)
cell = hover(b.spatial)
"""
# Each was wrong once.
ONCE_WRONG = [
    "class = pick(output[top(3)])\nb.channel | attribute([output[class], output[2]]) | top(3) | present(bars)",
    "b.channel | attribute([output[1] - output[2], output[3]]) | top(3) | present(bars)",
    "[output[1] - output[2], output[3]] | present(bars)",
    "b.channel | attribute(output.class) | top(3, per=class) | present(bars, facet=class)",
    "b.channel | attribute(output.class) | top(2, along=class, per=channel) | present(bars, facet=channel)",
    "[b, c].channel | top(3) | sort() | present(featvis, size=norm)",
    "[a, b].spatial | attribute(output) | present(heatmap, facet=layer)",
    "[a, b].neuron | at(pick([a, b].spatial)) | top(3) | present(bars)",
    'k = pick(output[top(2)], start="eel")\nb.channel | attribute(output[k]) | top(2) | present(bars)',
    "c.neuron | attribute(output) | top(4) | activation | present(bars)",
    "a.neuron | both(2) | present(featvis)",
    "a.channel | top(1) | only(a.channel | activation | top(3)) | present(featvis)",
    "[a, b].channel | top(7, per=layer) | present(featvis, facet=layer)",
    "[a, b].channel | top(16) | present(featvis)",
    "c.channel | both(1) | only(c.channel) | present(bars)",
    "b.channel | attribute(output.class) | top(3, by=output[p]) | present(bars)",
    "e = c.channel | filter(value > 0) | present(bars)\nc.neuron | at(pick(c.spatial)) | only(e) | present(bars)",
    "c.spatial | sort() | attribute(output[p]) | difference(input) | present(bars)",
    "a.whole | attribute(b.channel) | present(bars)",
    "late = b | factorize(nmf, 3)\n[late, output] | link() | present(sankey)",
    "late = b | factorize(pca, 2)\nc.channel | link(late) | present(matrix)",
    "strongest = c.channel | attribute(output) | top(2)\na.channel | attribute(strongest) | present(matrix)",
    "strongest = c.channel | attribute(output) | top(2)\nb.neuron[1, 2, 3] | gradient(strongest) | present(matrix)",
    "a.channel | attribute(c.channel, method=integrated_gradients(n_steps=2)) | present(matrix)",
    "b.channel | attribute(output.class) | link(c.channel) | present(matrix)",
    "b.channel | link(cell) | abs | present(swatches)",
    "known = [a, b, c].channel | attribute(output) | top(2, per=layer) | present(bars, facet=layer)\n"
    "a.channel | link(click(known)) | present(bars)",
    "input.pixel | attribute(c.channel[2], method=integrated_gradients(n_steps=3)) | present(heatmap)",
    "a.spatial | attribute(c.spatial) | at(pick(c.spatial)) | present(heatmap)",
]

KINDS = ("forward", "backward", "tangents", "reruns", "icons")
RUNNING = {"E506", "E507", "E511", "E512"}  # what only shows while running

several = settings(
    max_examples=int(os.environ.get("BBI_EXAMPLES", 40)),  # more of them for a thorough search
    deadline=None,
    derandomize="BBI_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("inputs", [1, 2])
@several
@given(text=programs.texts(), force=st.sampled_from([None, None, "forward", "reverse"]))
def test_random_program(text, inputs, force):
    assert_all(text, inputs, force)


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("text", ONCE_WRONG)
def test_once_wrong(text, inputs):
    """Programs that random tests discovered, each by another fault; the case names say where two inputs are wrong."""
    try:
        tiny.check(PREFIX + text, inputs)
    except BbiError:
        assert "difference(input)" in text
    else:
        assert_all(PREFIX + text, inputs)


def assert_all(text, inputs, force=None):
    """Types, numbers, optimizer, passes and view of one program, in the mode that is forced."""
    program = checked(text, inputs)
    better = optimize(program, force=force)
    assert optimize(better) == better
    assert [element.node.type for element in better.elements] == [element.node.type for element in program.elements]
    assert_types(better, inputs)
    one, two = executed(better, inputs), executed(program, inputs)
    assert_numbers(one, inputs)
    assert_equal_results(one, two)
    assert_passes(better, one, inputs)
    assert_bounds(program, two)
    assert_bounds(better, one)
    assert_consistent(tiny.view_of(one))


def checked(text: str, inputs: int) -> Program:
    """The program; a refusal must be one BbiError that says where, and ends the example."""
    try:
        return tiny.check(text, inputs)
    except BbiError as error:
        assert all(d.span is not None and d.message for d in error.diagnostics)
        assert all(0 <= d.span.start < d.span.end <= len(text) for d in error.diagnostics)
        assume(False)
        raise


def started(program: Program, inputs: int) -> Run:
    return Run.of(program, tiny.registry(), tiny.adapter(), tiny.pictures(inputs))


def executed(program: Program, inputs: int) -> Results:
    """The results; a refusal while running must say where."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return tiny.run_program(program, inputs, optimized=False)
        except BbiError as error:
            assert {d.code for d in error.diagnostics} <= RUNNING and all(d.span for d in error.diagnostics)
            assume(False)
            raise


def nodes_of(program: Program) -> list[Node]:
    return list(walk(*(element.node for element in program.elements)))


# --- types -----------------------------------------------------------------------------------------------------------


def assert_typed(node: Node, field: Field, inputs: int) -> None:
    """Axes, sizes, coordinates and states of a field are what the node's type says."""
    type, sizes = node.type, field.values.sizes
    where = (node.op, str(type), sizes)
    states = {axis.name for axis in type.states}
    assert set(sizes) <= {*type.names, *states, "input"}, where
    for axis in (*type.axes, *type.states):
        size = sizes.get(axis.name, inputs if axis.name == "input" else None)
        if size is not None:
            assert size == axis.size if axis.exact else size <= axis.size, where
    for axis in type.axes:
        if axis.name == "input":
            continue
        assert axis.name in sizes, where
        for component in axis.components:
            coordinate = field.coords[component]
            assert set(coordinate.dims) <= {axis.name, *axis.varies, *states, "input"}, (
                component,
                coordinate.dims,
                where,
            )
            assert coordinate.data.dtype.kind == "i"
        if axis.whole and axis.components == (axis.name,) and axis.name != "class":
            assert (field.coords[axis.name].data == np.arange(sizes[axis.name])).all()


def assert_types(program: Program, inputs: int) -> None:
    run = started(program, inputs)
    try:
        for node in nodes_of(program):
            field = run.value(node)
            if node.type.content == "selection":
                (axis,), (count,) = node.type.axes, field.values.data.shape
                assert count == axis.size if axis.exact else 1 <= count <= axis.size
            else:
                assert_typed(node, field, inputs)
    except BbiError as error:
        assert {d.code for d in error.diagnostics} <= RUNNING


# --- numbers ---------------------------------------------------------------------------------------------------------


@cache
def contributions(layer: str, inputs: int) -> torch.Tensor:
    """activation x d logit / d activation, (class, input, *layer axes), by plain autograd: slow and obvious."""
    module = tiny.build()
    values = []

    def keep(_module, _arguments, result):
        result = result.clone()
        values.append(result)
        return result

    getattr(module, layer).register_forward_hook(keep)
    scores = module(tiny.images(inputs))
    return torch.stack(
        [values[0] * torch.autograd.grad(scores[:, k].sum(), values[0], retain_graph=True)[0] for k in range(7)]
    ).detach()


def activations(layer: str, inputs: int) -> torch.Tensor:
    module, values = tiny.build(), []
    getattr(module, layer).register_forward_hook(lambda m, a, r: values.append(r.clone()))
    module(tiny.images(inputs))
    return values[0].detach()


def looked_up(node: Node, field: Field, inputs: int) -> None:
    """Every number of a content is what the whole layer has at the atom's coordinates."""
    type = field.type
    dims = field.values.dims
    sizes = field.values.sizes
    grids = {
        c: np.broadcast_to(a.spread([d for d in dims]), field.values.data.shape)
        for c, a in field.coords.items()
        if set(a.dims) <= set(dims)
    }
    places = [tuple(at) for at in np.argwhere(~np.isnan(field.values.data))][:40]
    for at in places:
        here = {c: int(grid[at]) for c, grid in grids.items()}
        layer = type.layers[here.get("layer", 0)]
        row = at[dims.index("input")] if "input" in sizes else 0
        cube = (
            activations(layer, inputs)[row]
            if node.op == "activation"
            else contributions(layer, inputs)[here["class"], row]
        )
        if type.atom in ("neuron", "channel"):
            cube = cube[here["channel"]]
        part = cube[..., here["y"], here["x"]] if type.atom in ("neuron", "spatial") else cube
        if node.op == "activation" and (type.atom in ("spatial", "whole") or node["reduce"] == "norm"):
            expected = part.norm()
        else:
            how = node["reduce"] if node.op == "activation" else "sum"
            expected = {"sum": torch.sum, "mean": torch.mean, "max": torch.max}[how](part)
        terms = float(part.abs().sum() if how_summed(node) else part.abs().max())
        assert agrees(float(field.values.data[at]), float(expected), terms=terms, roundings=2e3), (node, here)


def assert_numbers(results: Results, inputs: int) -> None:
    for element in results.program.elements:
        field, node = results.fields[element.id], element.node.inputs[0]
        arithmetic = node.type.steps or node.type.scope or node.type.spent
        while node.op in ("top", "bottom", "both", "sort", "filter", "only", "at"):
            node = node.inputs[0]
        whole = node.type.layers[0] in ("a", "b", "c") and not arithmetic and node.type.atom != "group"
        if node.op == "activation" and whole:
            looked_up(node, field, inputs)
        elif node.op == "attribute" and whole and node["method"] == "linear" and of_logits(node, field):
            looked_up(node, field, inputs)


def how_summed(node: Node) -> bool:
    """Whether the node's number is a sum of its part's entries, or of their squares."""
    return node.op != "activation" or node["reduce"] == "sum"


def of_logits(node: Node, field: Field) -> bool:
    return "class" in field.coords and node["to"].type.unit == "logits" and not any(n.op == "chain" for n in walk(node))


def same(a: Named, b: Named) -> bool:
    if set(a.dims) != set(b.dims):
        return False
    other = b.ordered(a.dims).data
    if a.data.dtype.kind == "f":
        return agrees(a.data, other, dtype=np.float32, roundings=1e3)
    return a.data.shape == other.shape and bool((a.data == other).all())


def assert_equal_results(one: Results, two: Results) -> None:
    assert list(one.fields) == list(two.fields) and list(one.selections) == list(two.selections)
    for table in ("fields", "sizes", "selections"):
        for name, field in getattr(one, table).items():
            other = getattr(two, table)[name]
            assert str(field.type) == str(other.type)
            assert same(field.values, other.values), name
            assert field.coords.keys() == other.coords.keys()
            assert all(same(field.coords[c], other.coords[c]) for c in field.coords), name
    assert all(same(one.icon_sets[name].index, two.icon_sets[name].index) for name in one.icon_sets) or len(
        one.program.icons
    ) != len(two.program.icons)


# --- passes ----------------------------------------------------------------------------------------------------------


Demanded = dict[tuple[str, int], list[set[tuple]]]


def demanded(program: Program, inputs: int) -> tuple[Demanded, bool]:
    """Return ((target layer, round) -> the classes or atoms of each input that something is derived of, whether that is
    all).

    A round ends where a target is known only after derivatives. Chains and methods that run the network again take
    passes of their own."""
    run, demands, all_of_it = started(program, inputs), {}, True
    rounds: dict[int, int] = {}
    for node in nodes_of(program):
        target = node.get("to") if node.op == "attribute" else node.get("of") if node.op == "gradient" else None
        rounds[id(node)] = max((rounds[id(child)] for child in node.children), default=0) + (target is not None)
        if target is None:
            continue
        if node.get("method", "linear") != "linear" or any(n.op == "chain" for n in walk(target)):
            all_of_it = False
            continue
        field = run.value(target)
        for target_layer in ["output"] if target.type.content == "score" else above(target, node):
            own = demands.setdefault((target_layer, rounds_of(target, rounds)), [set() for _ in range(inputs)])
            for row in range(inputs):
                own[row] |= (
                    classes(field, row, inputs) if target_layer == "output" else atoms(field, target, target_layer, row)
                )
    return demands, all_of_it


def rounds_of(target: Node, rounds: dict[int, int]) -> int:
    return max((rounds[id(n)] for n in walk(target) if id(n) in rounds), default=0)


def above(target: Node, node: Node) -> list[str]:
    """The target's layers that come after any of the node's."""
    order = ["input", "a", "b", "c", "head"]
    return [x for x in target.type.layers if any(order.index(y) < order.index(x) for y in node.type.layers)]


def classes(field: Field, row: int, inputs: int) -> set[tuple]:
    dims = ("input", *(d for d in field.index.dims if d != "input"))
    shape = [inputs if d == "input" else field.index.sizes[d] for d in dims]
    index, weight = (np.broadcast_to(a.spread(dims), shape)[row] for a in (field.index, field.weight))
    return {(field.type.unit, int(k)) for k in index[weight != 0].ravel()}


def atoms(field: Field, target: Node, target_layer: str, row: int) -> set[tuple]:
    """Coordinates of the atoms of one layer, for one input; absent ones are none."""
    names = [c for c in ("layer", "y", "x", "channel", "group") if c in field.coords]
    arrays = [field.coords[c].take("input", Named((), np.array(row))) if "input" in field.coords[c].dims
              else field.coords[c] for c in names]  # fmt: skip
    sizes = {d: s for a in arrays for d, s in a.sizes.items()}
    grid = [np.broadcast_to(a.spread(list(sizes)), list(sizes.values())).ravel() for a in arrays]
    layers = tiny.adapter().description.by_name[target_layer].sizes
    results = set()
    for at in zip(*grid, strict=True) if grid else [()]:
        named = dict(zip(names, at, strict=True))
        own = "layer" not in named or target.type.layers[named["layer"]] == target_layer
        if own and all(0 <= v < layers.get(c, 1 << 30) for c, v in named.items() if c != "layer"):
            kind = target.digest if target.type.atom == "group" else target.type.atom
            results.add((kind, *(int(v) for c, v in named.items() if c != "layer")))
    return results


def assert_passes(program: Program, results: Results, inputs: int) -> None:
    """One forward for the pictures, and one for each baseline. As many cotangents as an input has distinct classes and
    atoms that something is derived of, where forward mode has none of them; never more."""
    run = [f for f in program.forwards if f.scores or f.layers != ("input",)]  # pixels are there without
    assert results.model_passes[0] == len(run) == len({(f.picture, f.rule) for f in run})
    demands, all_of_it = demanded(program, inputs)
    cotangents = sum(max(map(len, rows)) for rows in demands.values())
    if all_of_it:
        assert results.model_passes[1] <= cotangents
        if not program.tangents:
            assert results.model_passes[1] == cotangents
    if program.choices.force == "reverse":
        assert results.tangents == 0
    reruns = [rerun for rerun in program.reruns if not rerun.is_removal]
    assert {rerun.method[0] for rerun in reruns} <= {"integrated_gradients"}
    # The steps of each path, and its baseline once: contributions should add up from the score there.
    assert results.reruns == sum(rerun.visits + 1 for rerun in reruns)
    # Each layer that a budget line compares with runs at zero once.
    removed = [rerun.layer for rerun in program.reruns if rerun.is_removal]
    assert results.removals == len(removed) == len(set(removed))
    assert plan(program).total("reruns")[0] == results.reruns + results.removals


def assert_bounds(program: Program, demands: Results) -> None:
    """The plan's numbers are bounds, and exact where it says so."""
    steps = plan(program, tiny.registry()).steps
    total = {kind: sum(step.passes for step in steps if step.kind == kind) for kind in KINDS}
    again = sum(step.passes for step in steps if step.kind == "reruns")
    own = sum(step.passes for step in steps if step.kind == "draw")  # what kernels run themselves
    targets = sum(rerun.visits * 40 for rerun in program.reruns)
    backwards = [step for step in steps if step.kind == "backward"]
    assert total["forward"] <= demands.model_passes[0] <= total["forward"] + own + (0 if program.optimized else again)
    assert demands.model_passes[1] <= total["backward"] + targets and demands.tangents <= total["tangents"]
    assert any(step.bound for step in backwards) or targets or demands.model_passes[1] == total["backward"]
    least = max((step.least for step in steps if step.kind == "icons"), default=0)
    assert least <= len(demands.icons) <= total["icons"]
