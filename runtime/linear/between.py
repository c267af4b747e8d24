"""The linear map between two layers: the part of the graph between them, step by step from the earlier layer on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx.node import Node

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error
from bbilang.runtime.linear.linear_map import LinearMap, TooLarge
from bbilang.runtime.linear.shapes import shapes_of
from bbilang.runtime.linear.steps import JOINS, PASSES, Steps, Unlike, kind_of
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.fallback import NotTraceable
from bbilang.runtime.passes.fx_graph import Traced, traced
from bbilang.runtime.passes.hooks import INPUT

NEXT = "take layers with nothing between them but a convolution or a linear layer"
EXPAND = "multiply the linear parts alone: `expanded=true`"


@dataclass(frozen=True)
class Between:
    """The map, and what a reader must know of it.

    skipped: the nonlinearities between the layers that were left out, in order. last: the nonlinearity in which the
    later layer ends, which the map leads up to. paths: how many paths were added. averaged: max pools were taken as
    average pools.
    """

    map: LinearMap
    skipped: tuple[str, ...] = ()
    last: str = ""
    paths: int = 1
    averaged: bool = False


@dataclass
class _Section:
    """The nodes from one layer up to another, in order; ``ends``: the nonlinearities in which the later layer ends."""

    start: Node
    end: Node
    nodes: list[Node]
    ends: set[Node] = field(default_factory=set)


def between(adapter: Adapter, earlier: str, later: str, expanded: bool = False) -> Between:
    """Return the linear map from an earlier layer to a later one, batch norm folded in.

    expanded: nonlinearities between the two are left out; without it, they are an error. Raises BbiError E275 where the
    later layer is not computed from the earlier one, E276 where a nonlinearity is between them, E545 where a step is no
    linear map, E546 where the map has too many numbers.
    """
    try:
        graph = traced(adapter.module)
        section = section_between(adapter, graph, earlier, later)
        with torch.no_grad():
            return _map(adapter, graph, section, earlier, later, expanded)
    except NotTraceable as problem:
        raise error("E545", f"the graph of the network cannot be read: {problem}", NEXT) from problem
    except Unlike as problem:
        message = f"between `{earlier}` and `{later}`, {problem}"
        raise error("E545", message, NEXT) from problem
    except TooLarge as problem:
        count = f"{problem.args[0]:,}"
        message = f"the weights from `{earlier}` to `{later}` are {count} numbers, too many to hold"
        raise error("E546", message, "take layers that are closer to each other") from problem


def section_between(adapter: Adapter, graph: Traced, earlier: str, later: str) -> _Section:
    """Return the part of the graph from an earlier layer up to a later one. Raises BbiError E275."""

    def path(name: str) -> str:
        return adapter.description.by_name[name].module

    start = graph.input if earlier == INPUT else graph.layer(path(earlier))
    end = graph.layer(path(later))
    after, needed = {start}, {end}
    for node in graph.nodes:
        if not after.isdisjoint(node.all_input_nodes):
            after.add(node)
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(node.all_input_nodes)
    if end not in after or end is start:
        raise no_path(earlier, later)
    section = _Section(start, end, [node for node in graph.nodes if node in after & needed and node is not start])
    _find_ends(adapter, section)
    return section


def no_path(earlier: str, later: str) -> BbiError:
    message = f"`{later}` is not computed from `{earlier}`"
    return error("E275", message, "name a layer and one that reads it, the earlier first")


def _find_ends(adapter: Adapter, section: _Section) -> None:
    """Collect the nonlinearities in which the later layer ends: nothing linear follows them in the section."""
    modules = dict(adapter.module.named_modules())
    inside = set(section.nodes)
    passed: set[Node] = set()
    for node in reversed(section.nodes):
        if node is not section.end and not {user for user in node.users if user in inside} <= passed:
            continue
        kind, _ = kind_of(modules, node)
        if kind == "nonlinear":
            section.ends.add(node)
        if kind in ("nonlinear", *PASSES, *JOINS):
            passed.add(node)


def _map(
    adapter: Adapter, graph: Traced, section: _Section, earlier: str, later: str, expanded: bool
) -> Between:  # fmt: skip
    """Carry the map from node to node."""
    modules, shapes = dict(adapter.module.named_modules()), shapes_of(adapter, graph)
    layer = adapter.description.input if earlier == INPUT else adapter.description.by_name[earlier]
    steps = Steps(modules, graph, shapes)
    steps.maps[section.start] = LinearMap.identity(layer.sizes["channel"], layer.axes)
    paths: dict[Node, int] = {section.start: 1}
    skipped: list[str] = []
    names = {description.module: description.name for description in adapter.description.layers}
    for node in section.nodes:
        kind, word = kind_of(modules, node)
        if kind in ("nonlinear", "max pool") and node not in section.ends:
            if not expanded:
                where = names.get(str(node.target), "") if node.op == "call_module" else ""
                message = (
                    f"a nonlinearity ({word}{f', `{where}`' if where else ''}) is between `{earlier}` and `{later}`"
                )
                raise error("E276", message, f"{EXPAND}, or {NEXT}")
            skipped += [word] if kind == "nonlinear" else []
        steps.maps[node] = steps.step(node)
        paths[node] = sum(paths.get(source, 0) for source in node.all_input_nodes)
    result: Any = steps.maps[section.end]
    if not isinstance(result, LinearMap) or "channel" not in result.axes:
        raise Unlike("channels and positions are joined to one axis")
    if set(section.nodes) <= section.ends:
        raise Unlike("there is nothing but a nonlinearity")
    last = [kind_of(modules, node)[1] for node in section.nodes if node in section.ends]
    return Between(result, tuple(skipped), last[-1] if last else "", paths[section.end], steps.averaged)
