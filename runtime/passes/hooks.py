"""A frozen module with hooks, results that are not one tensor, and checks that values are finite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bbilang.runtime.device.memory import is_out_of_memory
from bbilang.runtime.errors import error
from bbilang.runtime.passes.module.differentiable import contents, differentiable
from bbilang.runtime.passes.module.results import first_tensor, map_leaves, tensor_path

INPUT = "input"


class Stop(BaseException):
    """Raised to leave a forward after its deepest requested layer; not an Exception, so that no model catches it."""


@contextmanager
def guard_memory(what: str) -> Iterator[None]:
    """Convert out-of-memory errors of any device to E504."""
    try:
        yield
    except (RuntimeError, MemoryError) as e:
        if not is_out_of_memory(e):
            raise
        raise error(
            "E504",
            f"out of memory during {what}",
            "use fewer inputs at once, a smaller image size, or a smaller batch (`set featvis(batch=4)`)",
        ) from e


@contextmanager
def frozen_module(module: nn.Module) -> Iterator[list[RemovableHandle]]:
    """Put the module in eval mode with frozen parameters, and yield a list for hook handles. Everything is restored at
    the end."""
    with differentiable(module):
        yield from _frozen(module)


def _frozen(module: nn.Module) -> Iterator[list[RemovableHandle]]:
    own = contents(module)
    training = [m for m in own.parts if m.training]
    trainable = [p for p in own.parameters if p.requires_grad]
    handles: list[RemovableHandle] = []
    try:
        for m in training:
            m.training = False  # not eval(): a module's own train() may do more
        for p in trainable:
            p.requires_grad_(False)
        yield handles
    finally:
        for handle in reversed(handles):
            handle.remove()
        for p in trainable:
            p.requires_grad_(True)
        for m in training:
            m.training = True


def tensor_of(result: object, layer: str) -> Tensor:
    """Return the tensor of a layer's result that passes read (see `module/results.py`). Raises E502 where there is
    none, E525 where it is complex."""
    tensor = first_tensor(result)
    if tensor is None:
        raise error("E502", f"`{layer}` gives no tensor but {type(result).__name__}", "name a layer inside it")
    if tensor.is_complex():
        message = f"`{layer}` gives complex numbers, which have no order, no sign and no colour"
        raise error(
            "E525",
            message,
            "name the layer after it that gives real numbers, such as a magnitude or an inverse transform",
        )
    return tensor


def with_tensor(result: object, tensor: Tensor, layer: str) -> object:
    """Return the result with that tensor replaced, so that later operations read the replacement. Raises E502 where the
    result does not allow it."""
    old = tensor_of(result, layer)
    try:
        replaced = map_leaves(result, lambda value: tensor if value is old else value)
        if first_tensor(replaced) is tensor and tensor_path(replaced) == tensor_path(result):
            return replaced
    except (TypeError, ValueError, AttributeError):  # a custom class that cannot be built from its parts
        pass
    message = f"`{layer}` gives {type(result).__name__}, and the tensor in it cannot be replaced"
    raise error("E502", message, "name a layer inside it")


def shares_memory(out: Tensor, arguments: Sequence[object]) -> bool:
    """Return whether the result may be that of an identity or an in-place module: other readers of its input then share
    its memory."""
    pointer = out.untyped_storage().data_ptr()
    return any(isinstance(a, Tensor) and a.untyped_storage().data_ptr() == pointer for a in arguments)


def is_own_memory(tensor: Tensor) -> bool:
    """Return whether a copy would lie in memory in the same way, so that what reads it gives the same last digits."""
    storage = tensor.untyped_storage()
    return storage.nbytes() == tensor.numel() * tensor.element_size() and storage.data_ptr() % 64 == 0


_OVERFLOW = (
    "activations are finite, and so are the weights: the numbers overflowed in the backward pass. Look for "
    "division by almost 0 and for roots and logarithms near 0, or choose a later layer"
)


def check_gradients(layer: str, values: Tensor, rule: object = None) -> None:
    """Check gradients at a layer; a backward ``rule`` may have its own message (``overflow``). Raises BbiError E503."""
    what, help = getattr(rule, "overflow", ("gradients", _OVERFLOW))
    check_finite(layer, values, what, help)


_counted: ContextVar[bool] = ContextVar("values that are not finite are counted by who asks for them", default=False)


@contextmanager
def nonfinite_allowed() -> Iterator[None]:
    """Inside, values that are not finite are no error: a scan leaves out the examples that have some, and counts
    them."""
    token = _counted.set(True)
    try:
        yield
    finally:
        _counted.reset(token)


def check_finite(layer: str, values: Tensor, what: str = "activations", help: str = "") -> None:
    """Raise BbiError E503 for values that are not finite. ``what`` the values are, and ``help`` where the cause is not
    the input or the weights."""
    if (
        _counted.get() or not values.is_floating_point() or bool(torch.isfinite(values.sum()))
    ):  # the sum is one pass, and no copy
        return
    if not bool(torch.isfinite(values).all()):
        axis = "input" if what == "activations" else "target"
        rows = (~torch.isfinite(values.flatten(1))).any(1).nonzero().flatten().tolist() if values.dim() > 1 else []
        raise error(
            "E503",
            f"the {what} of `{layer}` are not finite" + (f" ({axis} {rows[0]})" if rows else ""),
            help or "check the range of the input, and the weights: some are NaN or infinite, or sums overflow",
        )
