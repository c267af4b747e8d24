"""The network above a layer by torch.fx: its graph, cut at the layer and at the target layers; nothing else runs.

Only the order of operations is recorded: modules and parameters are the model's own. In-place operations run out of
place, and a result is compared with the model's before the graph is used (`above_check.py`).
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx, nn
from torch.fx.node import Argument, Node, map_arg

from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.autograd import grad
from bbilang.runtime.passes.boundary import RERUN, Cut, expand_rows
from bbilang.runtime.passes.fallback import NotTraceable, log_fallback
from bbilang.runtime.passes.hooks import INPUT, tensor_of, with_tensor
from bbilang.runtime.passes.module.behaviour import DEFAULT, KEY
from bbilang.runtime.passes.module.heads import has_heads
from bbilang.runtime.passes.module.memo import memo_of
from bbilang.runtime.passes.module.restore import restored
from bbilang.runtime.passes.module.results import tensor_path, value_at
from bbilang.runtime.passes.replay_above import OUTPUT

_PLAIN = {
    getattr(operator, f"i{name}"): getattr(operator, name)
    for name in ("add", "sub", "mul", "truediv", "floordiv", "pow", "matmul", "mod")
}


TRACED = "traced"


NodeTable: TypeAlias = dict[Node, Any]  # node -> its value: a tensor, or whatever a model computes with


class Tracer(fx.Tracer):
    """A tracer in which modules without submodules are single nodes; it records the result of every module, by path and
    call."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, list[object]] = {}
        self.starts: dict[str, list[int]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        leaf = super().is_leaf_module(m, module_qualified_name) and not has_heads(m)
        return leaf or not any(True for _ in m.children())

    def create_node(self, *arguments: Any, **named: Any) -> Node:
        if not torch.is_grad_enabled() or torch.is_inference_mode_enabled():
            raise NotTraceable("gradients are off in a part of it, and a graph does not record where")
        return super().create_node(*arguments, **named)

    def call_module(
        self, m: nn.Module, forward: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        path = self.path_of_module(m)
        size = len(self.graph.nodes)
        result = super().call_module(m, forward, args, kwargs)
        self.starts.setdefault(path, []).append(size)
        self.results.setdefault(path, []).append(result)
        return result


class Traced:
    """The graph of a model: nodes in order, and for every call of a module the tree of its result's nodes."""

    def __init__(self, module: nn.Module):
        tracer = Tracer()
        signature = inspect.signature(module.forward)
        _, *others = signature.parameters.values()
        fixed = {p.name: p.default for p in others if p.default is not p.empty}
        try:
            with restored(module):
                graph = tracer.trace(module, concrete_args=fixed or None)
            results = {path: [_nodes(tree) for tree in trees] for path, trees in tracer.results.items()}
            starts = tracer.starts
        finally:
            vars(tracer).clear()  # cyclic closures of fx refer to the tracer, and it to the model
        self.nodes = list(graph.nodes)
        self.order = {node: at for at, node in enumerate(self.nodes)}
        self.input = next(node for node in self.nodes if node.op == "placeholder")
        self.result = next(node for node in self.nodes if node.op == "output").args[0]
        self.results = results
        self.starts = starts
        self.graph = graph  # kept alive for its nodes
        self.varies = {self.input}  # with the images; the rest depends on parameters only
        for node in self.nodes:
            if self.varies.intersection(node.all_input_nodes):
                self.varies.add(node)
        for node in self.nodes:
            if node.op == "call_function" and node.target in (operator.setitem, operator.delitem):
                raise NotTraceable("it assigns to items of a tensor")

    def single(self, path: str) -> Argument:
        """Return the result tree of a module that runs once. Raises NotTraceable for any other."""
        trees = self.results.get(path, [])
        if len(trees) != 1:
            raise NotTraceable(f"{path} runs {len(trees)} times in the graph")
        return trees[0]

    def layer(self, path: str, result: object = None) -> Node:
        """Return the node of a module's (first) tensor; one that existed before the module began has other readers."""
        tree = self.single(path)
        node = tree
        if not isinstance(tree, Node):
            path_of_tensor = (0,) if result is None else tensor_path(result)
            try:
                node = value_at(tree, path_of_tensor or ())
            except KeyError:
                raise NotTraceable("the layer is inside a record") from None
        if not isinstance(node, Node) or self.order[node] < self.starts[path][0]:
            raise NotTraceable("the layer returns its argument")
        return node


def _nodes(tree: object) -> Any:
    """Replace proxies by their nodes, in tuples, lists and dictionaries."""
    if isinstance(tree, fx.Proxy):
        return tree.node
    if isinstance(tree, tuple | list):
        return type(tree)(*map(_nodes, tree)) if hasattr(tree, "_fields") else type(tree)(map(_nodes, tree))
    return {key: _nodes(value) for key, value in tree.items()} if isinstance(tree, dict) else tree


def traced(module: nn.Module) -> Traced:
    """Return the model's graph, traced once in eval mode and valid until the model changes. Raises NotTraceable if
    torch.fx cannot trace it, or would trace into a custom autograd function and lose its backward."""
    memo = memo_of(module)
    if memo.get(KEY, DEFAULT).opaque:
        raise NotTraceable("it has custom derivatives")
    if TRACED not in memo:
        try:
            with torch.inference_mode(False), torch.enable_grad(), out_of_place(module):
                memo[TRACED] = Traced(module)
        except Exception as e:  # the model's own forward, run on proxies, may raise anything
            log_fallback("torch.fx cannot trace the model", "its own code runs", e)
            memo[TRACED] = None
    graph: Traced | None = memo[TRACED]
    if graph is None:
        raise NotTraceable("torch.fx cannot trace it")
    return graph


@contextmanager
def out_of_place(module: nn.Module) -> Iterator[None]:
    """Make in-place activation modules work out of place inside: in a graph, every node has one value."""
    changed = [m for m in module.modules() if getattr(m, "inplace", None) is True]
    try:
        for m in changed:
            m.inplace = False  # type: ignore[assignment]
        yield
    finally:
        for m in changed:
            m.inplace = True  # type: ignore[assignment]


class GraphSection:
    """The network above a layer as the cut graph: activations (row, *layer shape), rows (row,) or None -> target layer
    -> (row, *its shape)."""

    def __init__(self, adapter: Adapter, cut: Cut, target_layers: Sequence[str]):
        self.adapter, self.cut = adapter, cut
        self.inputs = len(cut.images)
        self.modules = dict(adapter.module.named_modules())
        self.names = {m: name for name, m in self.modules.items()}
        self.traced = traced(adapter.module)
        self.layer = self.traced.layer(cut.path, cut.result) if cut.layer != INPUT else self.traced.input
        self.ends = {target: self._end(target) for target in target_layers}
        self.values = self._recorded()
        self._plan()

    def _end(self, target: str) -> Argument:
        head = self.adapter.description.output
        if target == OUTPUT:
            return self.traced.single(head) if head else self.traced.result
        return self.traced.single(self.names[self.adapter.module_of(target)])

    def _recorded(self) -> NodeTable:
        """Return the values of nodes below the layer that the forward recorded."""
        values: NodeTable = {}
        for path, call, result in self.cut.records:
            trees = self.traced.results.get(path, [])
            if result is not RERUN and call < len(trees):
                _assign(trees[call], result, values)
        tree = self.traced.single(self.cut.path) if self.cut.layer != INPUT else None
        if not isinstance(tree, Node):
            _assign(tree, self.cut.result, values)
        if self.cut.layer != INPUT:
            values[self.traced.input] = self.adapter.normalize(self.cut.images)
        values.pop(self.layer, None)
        return values

    def _plan(self) -> None:
        """Determine the nodes to run, in order, and the values at the border, which are expanded to the rows."""
        above = {self.layer}
        for node in self.traced.nodes:
            if above.intersection(node.all_input_nodes):
                above.add(node)
        todo: list[Node] = []
        for end in self.ends.values():
            map_arg(end, todo.append)
        run: set[Node] = set()
        self.border: NodeTable = {}
        while todo:
            node = todo.pop()
            if node is self.layer or node in run or node in self.border:
                continue
            if node in above or node not in self.traced.varies:
                run.add(node)
            elif not has_tensor(
                value := self._value(node)
            ):  # a size: it is computed again, from values with the new rows
                run.add(node)
            else:
                self.border[node] = value
                continue
            todo += node.all_input_nodes
        self.run = [node for node in self.traced.nodes if node in run]
        last: dict[Node, Node] = {}
        for node in self.run:
            for source in node.all_input_nodes:
                last[source] = node
        end_nodes: set[Node] = set()
        for end in self.ends.values():
            map_arg(end, end_nodes.add)
        self.frees: dict[Node, list[Node]] = {}
        for source, node in last.items():
            if source not in end_nodes:
                self.frees.setdefault(node, []).append(source)

    def _value(self, node: Node) -> object:
        """Return a value below or beside the layer: as recorded, else computed once from recorded values."""
        order = [node]
        for at in order:
            if at not in self.values:
                order += [n for n in at.all_input_nodes if n not in order]
        with torch.no_grad():
            for at in sorted(set(order), key=self.traced.order.__getitem__):
                if at is self.layer:
                    raise NotTraceable("a value depends on the layer")
                if at not in self.values:
                    self.values[at] = self.step(at, self.values)
        return self.values[node]

    def step(self, node: Node, values: NodeTable) -> Any:
        """Run one node on the values of its inputs."""
        return run_node(self.modules, node, values)

    def start(self, activations: Tensor, rows: Tensor | None) -> NodeTable:
        """Return the values at the border and at the layer."""
        values = {node: expand_rows(value, rows, self.inputs) for node, value in self.border.items()}
        start: Any = self.adapter.normalize(activations) if self.cut.layer == INPUT else activations
        tree = self.traced.results[self.cut.path][0] if self.cut.layer != INPUT else None
        if isinstance(tree, Node) and not isinstance(self.cut.result, Tensor):
            start = with_tensor(expand_rows(self.cut.result, rows, self.inputs), start, self.cut.layer)
        return values | {self.layer: start}

    def everything(self, activations: Tensor) -> NodeTable:
        """Return the value of every node, for the inputs themselves."""
        values = self.start(activations, None)
        for node in self.run:
            values[node] = self.step(node, values)
        return values

    def __call__(self, activations: Tensor, rows: Tensor | None) -> dict[str, Tensor]:
        return self.finished(self.start(activations, rows))

    def finished(self, values: NodeTable) -> dict[str, Tensor]:
        """Run the graph from values at the border and at the layer, which it empties."""
        for node in self.run:
            values[node] = self.step(node, values)
            for done in self.frees.get(node, ()):
                values.pop(done, None)
        return {target: tensor_of(map_arg(end, values.__getitem__), target) for target, end in self.ends.items()}

    def gradients_at_layer(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """Convert gradients (target, row, *layer shape) at the layer's node to gradients at the layer: the input is
        normalized between the two."""
        return through_normalization(self.adapter, activations, gradients) if self.cut.layer == INPUT else gradients

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Prepare the model; inside, this object can be called."""
        with out_of_place(self.adapter.module):
            yield


def through_normalization(adapter: Adapter, images: Tensor, gradients: Tensor) -> Tensor:
    """Convert gradients (target, row, *shape) for normalized pictures to gradients for the pictures (row, *shape)
    themselves."""
    with torch.enable_grad():
        pixels = images.detach().clone().requires_grad_()
        normalized = adapter.normalize(pixels)
    if normalized is pixels:
        return gradients
    return torch.stack([grad(normalized, pixels, each, retain_graph=True)[0] for each in gradients])


def run_node(modules: Mapping[str, nn.Module], node: Node, values: NodeTable) -> object:
    """Run one operation of a model's graph; an in-place one out of place."""
    if node.op == "get_attr":
        return operator.attrgetter(str(node.target))(modules[""])
    arguments = map_arg(node.args, values.__getitem__)
    named = map_arg(node.kwargs, values.__getitem__)
    if node.op == "call_module":
        return modules[str(node.target)](*arguments, **named)
    if named.get("inplace") is True:
        named = {**named, "inplace": False}
    target = node.target
    if node.op == "call_method":
        own, *rest = arguments
        name = str(target)
        plain = name[:-1] if name.endswith("_") and not name.endswith("__") else name
        return getattr(own, plain if hasattr(own, plain) else name)(*rest, **named)
    name = getattr(target, "__name__", "")
    if name.endswith("_") and not name.endswith("__"):
        target = getattr(torch, name[:-1], target)
    return _PLAIN.get(target, target)(*arguments, **named)


def _assign(tree: object, value: object, values: NodeTable) -> None:
    if isinstance(tree, Node):
        values[tree] = value
    elif isinstance(tree, tuple | list) and isinstance(value, tuple | list):
        for part, one in zip(tree, value, strict=False):
            _assign(part, one, values)
    elif isinstance(tree, dict) and isinstance(value, dict):
        for key, part in tree.items():
            _assign(part, value.get(key), values)


def has_tensor(value: object) -> bool:
    """Return whether a value contains a tensor."""
    if isinstance(value, tuple | list):
        return any(map(has_tensor, value))
    if isinstance(value, dict):
        return any(map(has_tensor, value.values()))
    return isinstance(value, Tensor)
