"""Repeated runs of a model up to one layer, for optimizing the input."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.autograd import Saved, grad
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.hooks import INPUT, Stop, frozen_module, guard_memory, tensor_of
from bbilang.runtime.passes.module.behaviour import behaviour_of, deterministic
from bbilang.runtime.passes.module.gates import Gate, Gates, GateState, Redirected, gate_of
from bbilang.runtime.passes.module.precision import promoted
from bbilang.runtime.passes.trace import check_runs_once

if TYPE_CHECKING:
    from bbilang.runtime.passes.explicit.fused_run import FusedRun

OUTPUT = "output"


class _Clamped(torch.autograd.Function):
    """ReLU6 that keeps its result for the backward: torch's in-place one copies its input, 15 % of a step."""

    @staticmethod
    def forward(context: Saved, x: Tensor) -> Tensor:
        y = x.clamp(0.0, 6.0)
        context.save_for_backward(y)
        return y

    @staticmethod
    def backward(context: Saved, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (y,) = context.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, y, 0.0, 6.0)


class Runner:
    """The network up to a layer: images in [0, 1] (batch, 3, y, x) -> its activation (batch, channel, y, x), attached
    to the graph.

    While ``through_relu`` is true, gradients pass gates (`gates.py`) that are shut for a whole image; a boolean tensor
    (batch,) selects the images. While ``through_own`` is true they always pass the gate that gives the layer's result.
    This works for torch's modules and for out-of-place functions; other gates keep their own gradient. The layer
    "output" means the scores.

    ``fused``: the same network as fused operations, for runs that need a gradient. With them, and ``only`` (batch,),
    the result may be (batch, 1, y, x): of each image the one channel that the loss depends on.
    """

    def __init__(self, adapter: Adapter, layer: str, counter: Passes):
        self.adapter, self.layer, self.counter = adapter, layer, counter
        self.through_relu: bool | Tensor = False
        self.through_own = False
        self.fused: FusedRun | None = None
        self.only: Tensor | None = None
        self._result: Tensor | None = None
        self._images = self._gate_count = 0  # images, and gates so far, in this run
        self._last: tuple[int, Tensor, GateState] | None = None
        self._own: int | None = None  # the number of the layer's own gate in a run, -1 for none, None while unknown
        runner = weakref.proxy(self)  # no cycle that keeps the network alive
        self._functions = Gates(lambda x, gate: runner._through(x, gate, gate.function))
        self._functional = True  # whether gates are called as functions, until a run shows that none are
        self._states: list[GateState] = []  # of the last call
        self.behaviour = behaviour_of(adapter)

    def _stop(self, module: nn.Module, arguments: tuple[object, ...], result: object) -> None:
        self._result = tensor_of(result, self.layer)
        raise Stop

    def _gate(self, module: nn.Module, gate: Gate) -> Callable[[Tensor], Tensor]:
        plain = module.forward

        def alone(x: Tensor) -> Tensor:
            if type(module) is nn.ReLU6:
                return _Clamped.apply(x)
            self._functions.paused = True  # the function inside it is this gate
            try:
                return plain(x)
            finally:
                self._functions.paused = False

        return lambda x: self._through(x, gate, alone)

    def _through(self, x: Tensor, gate: Gate, plain: Callable[[Tensor], Tensor]) -> Tensor:
        number, self._gate_count = self._gate_count, self._gate_count + 1
        if not x.requires_grad or not torch.is_grad_enabled():
            return plain(x)
        rows, own = self.through_relu, self.through_own and self._own in (None, number)
        if len(x) != self._images:  # the first axis is not that of the images
            return plain(x)
        if rows is False and not own:
            return plain(x)
        state = GateState()
        result: Tensor = Redirected.apply(x, gate, rows, state)
        if own:
            self._last = (number, result, state)
        return result

    def opened(self) -> Tensor | None:
        """Return whether the layer's own gate was open for the objective in the last backward, (batch,); None without
        one."""
        return _concatenated([state.opened for state in self._states])

    def highest(self) -> Tensor | None:
        """Return how far the highest value to be raised was above the own gate's floor, (batch,); None without one."""
        return _concatenated([state.highest for state in self._states])

    def __call__(self, images: Tensor) -> Tensor:
        self.counter.forward(len(images))
        self._states = []
        if self.layer == INPUT:
            return images
        if self.behaviour.row_by_row and len(images) > 1:
            return self._one_by_one(images)
        return self._run(images)

    def _one_by_one(self, images: Tensor) -> Tensor:
        """Run each image alone, where rows depend on each other."""
        which, results = self.through_relu, []
        try:
            for row in range(len(images)):
                self.through_relu = which[row : row + 1] if isinstance(which, Tensor) else which
                results.append(self._run(images[row : row + 1]))
        finally:
            self.through_relu = which
        return torch.cat(results)

    def _run(self, images: Tensor) -> Tensor:
        if self.fused is not None and images.requires_grad and images.shape[1:] == self.fused.shape:
            return self._run_fused(self.fused, images)
        self._result, self._last, self._images, self._gate_count = None, None, len(images), 0
        own_functions = self._functional and (self.through_own or self.through_relu is not False)
        try:
            with deterministic(self.behaviour), self._functions if own_functions else nullcontext():
                result = self.adapter.module(self.adapter.normalize(images))
            if self.layer == OUTPUT:
                self._result = tensor_of(result, self.layer)
        except Stop:
            pass
        if self._result is None:
            raise error("E502", f"`{self.layer}` did not run", "name a layer that the model's forward uses")
        result, self._result = self._result, None
        if result.requires_grad and own_functions:
            self._functional = self._functions.seen > 0
        if result.requires_grad and self.through_own:
            self._note_own(result)
        return promoted(result, images)

    def _run_fused(self, fused: FusedRun, images: Tensor) -> Tensor:
        state = GateState()
        state.own = self.through_own
        if self.through_own and fused.own is not None:
            self._states.append(state)
        only = self.only if self.only is not None and len(self.only) == len(images) else None
        return fused(self.adapter.normalize(images), self.through_relu, only, state)

    def _note_own(self, result: Tensor) -> None:
        """Note whether the last gate of this run gives the layer's result."""
        number, last, state = self._last or (-1, None, GateState())
        state.own = last is result
        self._own, self._last = number if state.own else -1, None
        if state.own:
            self._states.append(state)

    def backward(self, loss: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute the gradients of a scalar loss, zero where it does not depend on an input, and free the graph."""
        self.counter.backward(len(inputs[0]))
        if not loss.requires_grad:  # the layer does not depend on its input
            return tuple(torch.zeros_like(x) for x in inputs)
        results = grad(loss, list(inputs), allow_unused=True)
        return tuple(torch.zeros_like(x) if g is None else g for x, g in zip(inputs, results, strict=True))


def _concatenated(rows: Sequence[Tensor | None]) -> Tensor | None:
    """Concatenate the results of all runs, (batch,); None if a run has none."""
    known = [row for row in rows if row is not None]
    return torch.cat(known) if known and len(known) == len(rows) else None


@contextmanager
def run_to(
    adapter: Adapter,
    layer: str,
    through_relu: bool = False,
    counter: Passes | None = None,
    example: Tensor | None = None,
) -> Iterator[Runner]:
    """Yield a `Runner` that stops at the layer: hooks are registered once for any number of calls.

    ``through_relu`` may be set on the runner between calls. ``example`` (batch, 3, y, x): the input for the
    check that the layer runs once. Raises BbiError E501, E502, E504.
    """
    runner = Runner(adapter, layer, counter if counter is not None else Passes())
    runner.through_relu = through_relu
    patched: list[tuple[nn.Module, Any]] = []
    with torch.inference_mode(False), torch.enable_grad(), guard_memory(f"a run to `{layer}`"):
        if layer not in (INPUT, OUTPUT) and example is not None:
            check_runs_once(adapter, {adapter.module_of(layer): layer}, example, runner.counter)
        with frozen_module(adapter.module) as handles:
            try:
                for module in adapter.module.modules():
                    gate = gate_of(module)
                    if gate is not None:
                        replacement = runner._gate(module, gate)
                        patched.append((module, module.__dict__.get("forward")))
                        module.forward = replacement  # type: ignore[method-assign]
                head = adapter.description.output if layer == OUTPUT else ""
                if head:
                    handles.append(adapter.module.get_submodule(head).register_forward_hook(runner._stop))
                elif layer not in (INPUT, OUTPUT):
                    handles.append(adapter.module_of(layer).register_forward_hook(runner._stop))
                yield runner
            finally:
                for module, own in patched:
                    module.__dict__.pop("forward", None)
                    if own is not None:
                        module.forward = own  # type: ignore[method-assign]
