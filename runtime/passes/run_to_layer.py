"""Runs of a model up to one layer, again and again, for optimizing the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.autograd import Saved, grad
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.hooks import INPUT, Stop, frozen_module, guard_memory, tensor_of
from bbilang.runtime.passes.module.behaviour import behaviour_of, deterministic
from bbilang.runtime.passes.module.precision import promoted
from bbilang.runtime.passes.trace import check_runs_once

OUTPUT = "output"


class _RedirectedSaved(Saved, Protocol):
    ceiling: float
    rows: Tensor | None


class _Redirected(torch.autograd.Function):
    """ReLU (or ReLU6) that, for an image none of whose gradient passes, passes it at closed units that it would open.

    The gradient is that of a loss, so a positive one pushes a unit lower (Lucid's redirected gradient). ``rows``
    (batch,) says for which images, None for all.
    """

    @staticmethod
    def forward(context: _RedirectedSaved, x: Tensor, ceiling: float, rows: Tensor | None) -> Tensor:
        context.save_for_backward(x)
        context.ceiling, context.rows = ceiling, rows
        return x.clamp(0.0, ceiling)

    @staticmethod
    def backward(context: _RedirectedSaved, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (x,) = context.saved_tensors
        plain = torch.ops.aten.hardtanh_backward(gradient, x, 0.0, context.ceiling)
        closed = plain.abs().amax(tuple(range(1, x.dim()))) == 0
        if context.rows is not None:
            closed &= context.rows
        if bool(closed.any()):  # few images, in few layers: only they cost more
            values, g = x[closed], gradient[closed]
            plain[closed] = g.masked_fill(((values <= 0) & (g > 0)) | ((values >= context.ceiling) & (g < 0)), 0.0)
        return plain, None, None


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
    """Images in [0, 1] (batch, 3, y, x) -> the layer's activation, (batch, channel, y, x), attached to the graph.

    While ``through_relu`` is true, gradients pass ReLU and ReLU6 modules that are closed for a whole image; a boolean
    tensor (batch,) selects the images. Only modules can be reached: a model that calls ``torch.relu`` or ``F.relu``
    itself keeps its own gradient there. The layer "output" means the scores.
    """

    def __init__(self, adapter: Adapter, layer: str, counter: Passes):
        self.adapter, self.layer, self.counter = adapter, layer, counter
        self.through_relu: bool | Tensor = False
        self._result: Tensor | None = None
        self.behaviour = behaviour_of(adapter)

    def _stop(self, module: nn.Module, arguments: tuple[object, ...], result: object) -> None:
        self._result = tensor_of(result, self.layer)
        raise Stop

    def _relu(self, module: nn.Module, ceiling: float) -> Callable[[Tensor], Tensor]:
        plain = module.forward if ceiling != 6.0 else _Clamped.apply

        def relu(x: Tensor) -> Tensor:
            which = self.through_relu
            if which is False or not x.requires_grad:
                return plain(x)
            rows = which if isinstance(which, Tensor) else None
            if rows is not None and len(rows) != len(x):  # this module's first axis is not the images
                return plain(x)
            return _Redirected.apply(x, ceiling, rows)

        return relu

    def __call__(self, images: Tensor) -> Tensor:
        self.counter.forward(len(images))
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
        self._result = None
        try:
            with deterministic(self.behaviour):
                result = self.adapter.module(self.adapter.normalize(images))
            if self.layer == OUTPUT:
                self._result = tensor_of(result, self.layer)
        except Stop:
            pass
        if self._result is None:
            raise error("E502", f"`{self.layer}` did not run", "name a layer that the model's forward uses")
        result, self._result = self._result, None
        return promoted(result, images)

    def backward(self, loss: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute the gradients of a scalar loss, zero where it does not depend on an input, and free the graph."""
        self.counter.backward(len(inputs[0]))
        if not loss.requires_grad:  # the layer does not depend on its input
            return tuple(torch.zeros_like(x) for x in inputs)
        results = grad(loss, list(inputs), allow_unused=True)
        return tuple(torch.zeros_like(x) if g is None else g for x, g in zip(inputs, results, strict=True))


@contextmanager
def run_to(
    adapter: Adapter,
    layer: str,
    through_relu: bool = False,
    counter: Passes | None = None,
    example: Tensor | None = None,
) -> Iterator[Runner]:
    """Yield a `Runner` that stops at the layer: hooks are registered once for any number of calls.

    ``through_relu`` may be set on the runner between calls. ``example`` (batch, 3, y, x): what to check on that the
    layer runs once. Raises BbiError E501, E502, E504.
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
                    if type(module) in (nn.ReLU, nn.ReLU6):
                        ceiling = 6.0 if type(module) is nn.ReLU6 else float("inf")
                        replacement = runner._relu(module, ceiling)
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
