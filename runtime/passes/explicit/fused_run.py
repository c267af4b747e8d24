"""The network up to a layer as a list of fused operations with explicit derivatives, on a CPU: for many runs of one
size that each need the gradient at the input.

A convolution and the ReLU or ReLU6 after it are one operation (`fused_steps.py`), of which only the result is kept, a
gradient is overwritten where nothing else reads it, and autograd records nothing. Operations without a step are
differentiated by autograd, alone. Networks with other nonlinearities that can be shut (`gates.py`), and those that
torch.fx cannot trace, are left to autograd.

With ``half`` the values between the operations are bfloat16, where the processor multiplies it twice as fast
(`device/accelerate.py`); images, the last operation and the gradient at the images stay float32.

EfficientNet-Lite0 up to `block5c.expand`, 8 pictures of 96 px, forward and backward on one core of an AMD EPYC:
autograd takes 40 ms on the network with fused batch norms, channels last; this takes 27 ms, and 20 ms in bfloat16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.fx.node import Node

from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.autograd import Saved, grad
from bbilang.runtime.passes.explicit.fused_steps import (
    ByAutograd,
    Clamp,
    Clamped,
    Kept,
    Linear,
    Pointwise,
    Step,
    Sum,
    available,
    convolution_step,
)
from bbilang.runtime.passes.explicit.vjp import SUMS
from bbilang.runtime.passes.fallback import OPERATION_ERRORS, NotTraceable, log_fallback
from bbilang.runtime.passes.fx_graph import NodeTable, Traced, run_node, traced
from bbilang.runtime.passes.hooks import INPUT, frozen_module
from bbilang.runtime.passes.module.gates import Gate, Gates, GateState, called_gate, gate_of, gradient_before

OUTPUT = "output"
TOLERANCE = 1e-4  # of the largest value
SLOPE_TOLERANCE = 0.02  # of the gradient: at the limits of gates rounding decides, which moves gradients by .004
_SAME = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class FusedRun:
    """Normalized images of one size (batch, 3, y, x) -> the layer's activation. Raises NotTraceable if the network
    cannot be run so, or differs in float32."""

    def __init__(self, adapter: Adapter, layer: str, images: Tensor, half: bool = False):
        self.kind = torch.float32  # of the values between the operations
        self.modules = dict(adapter.module.named_modules())
        graph = traced(adapter.module)
        node = _node_of(graph, adapter, layer)
        while isinstance(self._module(node), _SAME):
            (node,) = node.all_input_nodes
        self.input, self.shape = graph.input, tuple(images.shape[1:])
        self.constants: NodeTable = {}
        self.own: Clamp | None = None  # the layer's own gate
        self.steps: list[Step] = []
        self._alias: dict[Node, Node] = {}
        needed = _needed(graph, node)
        with frozen_module(adapter.module):
            wanted = images.detach().clone().requires_grad_()
            values = self._add_steps(needed, node, wanted)
            self.target = self._source(node)
            self._end(node, values)
            self._free = self._last_uses()
            self._compare(wanted, values[node])
            if half:
                self._halve(images)

    def __call__(self, images: Tensor, rows: Tensor | bool, only: Tensor | None, state: GateState) -> Tensor:
        """Return the activation, attached to the graph. ``rows``: see `Runner.through_relu`. ``only`` (batch,): of each
        picture the one channel that the loss depends on, then the result is (batch, 1, y, x) where the last operation
        allows it. ``state`` notes what the layer's own gate does."""
        result: Tensor = _Run.apply(images, self, Kept(rows, only if self.narrows else None), state)
        return result

    @property
    def narrows(self) -> bool:
        return isinstance(self.steps[-1], Pointwise)

    # --- building --------------------------------------------------------------------------------------------------

    def _add_steps(self, needed: Sequence[Node], end: Node, images: Tensor) -> NodeTable:
        """Add the steps of the needed nodes in order. Returns all values, by torch, attached to its graph."""
        values: NodeTable = {self.input: images}
        varying = {self.input}
        gates = Gates(lambda x, gate: gate.function(x))
        for node in needed:
            gates.seen = 0
            with gates:
                values[node] = run_node(self.modules, node, values)
            sources = [x for x in node.all_input_nodes if x in varying]
            if not sources:
                self.constants[node] = values[node]
                continue
            varying.add(node)
            module = self._module(node)
            if isinstance(module, _SAME) and len(sources) == 1:
                self._alias[node] = self._source(sources[0])
                continue
            step = self._step(node, module, sources, values, node is end)
            if isinstance(step, ByAutograd) and gates.seen:
                raise NotTraceable(f"{node.target} has a nonlinearity inside")
            self.steps.append(step)
        return values

    def _module(self, node: Node) -> nn.Module | None:
        """Return the module that a node calls with one argument and that nothing has changed."""
        if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
            return None
        module = self.modules[str(node.target)]
        own = module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
        return None if own else module

    def _step(self, node: Node, module: nn.Module | None, sources: list[Node], values: NodeTable, last: bool) -> Step:
        value = values[node]
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            raise NotTraceable(f"{node.target} does not give one tensor of float32")
        gate = _gate(node, module)
        source = self._source(sources[0])
        if gate is not None:
            clamp = Clamp.of(gate)
            if clamp is None or module is None:
                raise NotTraceable(f"{node.target} is a nonlinearity without a step")
            if not last and (fused := self._fused(node, sources[0], clamp)) is not None:
                return fused
            return Clamped(node, source, clamp)
        if isinstance(module, nn.Conv2d):
            step = convolution_step(node, source, module, values[sources[0]])
            if step is not None:
                return step
        if node.target in SUMS and len(node.args) == len(sources) == 2 and not node.kwargs:
            if all(values[x].shape == value.shape for x in sources):
                return Sum(node, [self._source(x) for x in sources])
        distinct = list(dict.fromkeys(self._source(x) for x in sources))
        if module is not None:
            return ByAutograd(node, distinct, lambda inputs: module.forward(inputs[0]))  # without a runner's hooks
        if node.op == "call_module":
            raise NotTraceable(f"{node.target} has hooks, or several arguments")

        def work(inputs: Sequence[Tensor]) -> Tensor:
            table = dict(zip(distinct, inputs, strict=True))
            known = {
                x: self.constants[x] if x in self.constants else table[self._source(x)] for x in node.all_input_nodes
            }
            return cast(Tensor, run_node(self.modules, node, known))

        return ByAutograd(node, distinct, work)

    def _fused(self, node: Node, source: Node, clamp: Clamp) -> Step | None:
        """Return the convolution before a clamp with the clamp in it, in place of its own step; None where another
        operation reads its result, too."""
        path = source
        while path in self._alias and len(path.users) == 1:
            path = next(iter(path.all_input_nodes))
        step = self.steps[-1] if self.steps else None
        if not isinstance(step, Linear) or step.clamp is not None or step.node is not path or len(path.users) != 1:
            return None
        self.steps.pop()
        return step.with_clamp(node, clamp)

    def _source(self, node: Node) -> Node:
        return self._alias.get(node, node)

    def _end(self, node: Node, values: NodeTable) -> None:
        """Take the layer's own gate from the steps: its backward learns from the value before it."""
        if not self.steps:
            raise NotTraceable("the layer is the input")
        last = self.steps[-1]
        if isinstance(last, Clamped) and last.node is self.target:
            self.own = last.clamp
            self.steps.pop()
            (self.target,) = last.sources
        if not self.steps or self.steps[-1].node is not self.target:
            raise NotTraceable("the layer's own nonlinearity has no operation before it")

    def _last_uses(self) -> list[list[Node]]:
        """Return for each step the nodes whose values no later step reads."""
        last = {node: at for at, step in enumerate(self.steps) for node in step.sources}
        last.pop(self.target, None)
        return [[node for node, end in last.items() if end == at] for at in range(len(self.steps))]

    def _compare(self, images: Tensor, wanted: Tensor) -> None:
        """Compare the result and its gradient with torch's."""
        cotangent = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(0))
        (expected,), (result, slope) = grad(wanted, images, cotangent), self._run_once(images, cotangent)
        far = (wanted - result).abs().max() > TOLERANCE * wanted.abs().max().clamp_min(1e-3)
        if bool(far) or bool((expected - slope).norm() > SLOPE_TOLERANCE * expected.norm()):
            raise NotTraceable("the fused operations differ from the network's")

    def _halve(self, images: Tensor) -> None:
        self.kind = torch.bfloat16
        try:
            self._run_once(images)
        except OPERATION_ERRORS as e:
            self.kind = torch.float32
            log_fallback("an operation has no bfloat16", "values are float32", e)

    def _run_once(self, images: Tensor, cotangent: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the result and the gradient of its product with a cotangent, of ones by default."""
        have = images.detach().clone().requires_grad_()
        result = self(have, False, None, GateState())
        (slope,) = grad(result, have, torch.ones_like(result) if cotangent is None else cotangent)
        return result, slope

    # --- running ---------------------------------------------------------------------------------------------------

    def _kind(self, step: Step) -> torch.dtype:
        """Return the type of a step's inputs and result."""
        return torch.float32 if step.full or self.input in step.sources else self.kind

    def forward(self, images: Tensor, kept: Kept) -> Tensor:
        """Return the value before the layer's own gate, in float32."""
        values: NodeTable = {self.input: images}
        last = len(self.steps) - 1
        for at, step in enumerate(self.steps):
            inputs = [values[source].to(self._kind(step)) for source in step.sources]
            if kept.only is not None and at == last and isinstance(step, Pointwise):
                result = step.one_channel(inputs[0], kept.only)
            else:
                result = step.forward(inputs, kept)
            values[step.node] = result.to(torch.float32 if at == last else self.kind)
            for node in self._free[at]:
                del values[node]
        return cast(Tensor, values[self.target])

    def backward(self, gradient: Tensor, own: bool, kept: Kept) -> Tensor:
        """Return the gradient at the images. ``own``: this one may be overwritten."""
        pending = {self.target: (gradient, own)}
        last = len(self.steps) - 1
        for at in range(last, -1, -1):
            step = self.steps[at]
            if step.node not in pending:
                continue
            gradient, own = pending.pop(step.node)
            if kept.only is not None and at == last and isinstance(step, Pointwise):
                parts = [(step.one_channel_transposed(gradient, kept.only), True)]
            else:
                typed = gradient.to(self._kind(step))
                parts = step.backward(typed, own or typed is not gradient, kept)
            for source, (part, fresh) in zip(step.sources, parts, strict=True):
                typed = part.to(torch.float32 if source is self.input else self.kind)
                pending[source] = _added(pending.get(source), typed, fresh or typed is not part)
        return pending[self.input][0]


def _added(before: tuple[Tensor, bool] | None, part: Tensor, fresh: bool) -> tuple[Tensor, bool]:
    """Return the sum of gradients at a node, and whether nothing else holds it."""
    if before is None:
        return part, fresh
    total, owned = before
    return total.add_(part) if owned else part.add_(total) if fresh else total + part, True


class _Context(Saved, Protocol):
    run: FusedRun
    kept: Kept
    state: GateState
    value: Tensor  # before the layer's own gate


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(context: _Context, images: Tensor, run: FusedRun, kept: Kept, state: GateState) -> Tensor:
        context.run, context.kept, context.state = run, kept, state
        result = run.forward(images, kept)
        if run.own is None:
            return result
        context.value = result
        return run.own.gate.function(result)

    @staticmethod
    def backward(context: _Context, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        run, kept, own = context.run, context.kept, False
        if run.own is not None:
            gradient, own = gradient_before(context.value, gradient, run.own.gate, kept.rows, context.state), True
        return run.backward(gradient, own, kept), None, None, None


def fused_run(adapter: Adapter, layer: str, images: Tensor, half: bool = False) -> FusedRun | None:
    """Return the fused operations up to a layer for normalized images of this size; None where autograd is needed."""
    fits = images.device.type == "cpu" and images.dtype == torch.float32 and images.dim() == 4
    if not fits or layer == INPUT or not available():
        return None
    try:
        with torch.inference_mode(False), torch.enable_grad():
            return FusedRun(adapter, layer, images[:2], half)
    except (NotTraceable, *OPERATION_ERRORS) as e:
        log_fallback(f"the network up to `{layer}` has no fused operations", "autograd differentiates it", e)
        return None


def _node_of(graph: Traced, adapter: Adapter, layer: str) -> Node:
    path = adapter.description.output if layer == OUTPUT else None
    if layer == OUTPUT and not path:
        if not isinstance(graph.result, Node):
            raise NotTraceable("the network does not return one tensor")
        return graph.result
    module = adapter.module.get_submodule(path) if path else adapter.module_of(layer)
    return graph.layer(next(name for name, each in adapter.module.named_modules() if each is module))


def _needed(graph: Traced, end: Node) -> list[Node]:
    """Return the nodes that a node depends on, in order, without the input."""
    wanted, todo = {end}, [end]
    while todo:
        for node in todo.pop().all_input_nodes:
            if node not in wanted:
                wanted.add(node)
                todo.append(node)
    if graph.input not in wanted:
        raise NotTraceable("the layer does not depend on the input")
    return [node for node in graph.nodes if node in wanted and node is not graph.input]


def _gate(node: Node, module: nn.Module | None) -> Gate | None:
    """Return the gate that a node is, as a module or a function."""
    if module is not None:
        return gate_of(module)
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return called_gate(name, node.args, node.kwargs) if node.op in ("call_function", "call_method") else None
