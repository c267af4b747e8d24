"""torch's reverse mode, with a workaround for what torch gets wrong; every backward of bbilang goes through `grad`.

torch 2.13 on the CPU: the backward of a batch norm (also of an instance norm, which is one) reads an incoming gradient
in another memory layout than its own, and gives wrong numbers: in eval mode where the strides are those of one picture
of tokens, (C, 1, W C, C), with batch statistics for any layout with the channels last. `tests/passes/test_layouts.py`
compares every kind of layer with float64 under every layout; only batch norms fail. So their incoming gradients are
made contiguous.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from bbilang.runtime.errors import error


class Saved(Protocol):
    """The context that autograd passes from the forward of a `torch.autograd.Function` to its backward."""

    saved_tensors: tuple[Tensor, ...]

    def save_for_backward(self, *tensors: Tensor) -> None: ...


GraphNode = Any  # of autograd: its attributes depend on the operation, and torch's stubs do not declare them

_ORDERED = "bbilang: in order"


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    cotangents: Tensor | Sequence[Tensor] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
) -> tuple[Tensor, ...]:
    """Call `torch.autograd.grad`, correctly for every layout of intermediate gradients. Raises BbiError E505."""
    order_batch_norm_gradients(outputs)
    return torch.autograd.grad(
        outputs, inputs, cotangents, retain_graph, create_graph,
        allow_unused=allow_unused, is_grads_batched=is_grads_batched,
    )  # fmt: skip


def order_batch_norm_gradients(outputs: Tensor | Sequence[Tensor]) -> None:
    """Register hooks that give batch norms below these outputs their gradients in the memory order that they read.

    Raises BbiError E505 where the graph has an operation for which torch has no derivative: it would give zero.
    """
    for node in graph_of(outputs):
        if node.name().endswith("WarnNotImplemented"):
            raise error(
                "E505",
                "torch has no derivative of an operation of this network: it is quantized, or not written in torch",
                "use a method without gradients, such as `occlusion`, or the network before it was quantized",
            )
        if "BatchNorm" in node.name() and _ORDERED not in node.metadata:
            node.metadata[_ORDERED] = True
            training = bool(getattr(node, "_saved_training", True))
            node.register_prehook(lambda gradients, training=training: _contiguous(gradients, training))


def graph_of(outputs: Tensor | Sequence[Tensor]) -> Iterator[GraphNode]:
    """Yield every node of the graph below some tensors, each once."""
    todo = [x.grad_fn for x in ([outputs] if isinstance(outputs, Tensor) else outputs)]
    seen = set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        todo += [after for after, _ in node.next_functions]


def _contiguous(gradients: tuple[Tensor | None, ...], training: bool) -> tuple[Tensor | None, ...] | None:
    gradient, *rest = gradients
    if gradient is None or gradient.is_contiguous() or (not training and _channels_last(gradient)):
        return None
    return (gradient.contiguous(), *rest)


def _channels_last(gradient: Tensor) -> bool:
    """Return whether the strides are exactly those of channels last, also for axes of length 1."""
    if gradient.dim() != 4:
        return False
    _, channels, height, width = gradient.shape
    return gradient.stride() == (height * width * channels, 1, width * channels, channels)
