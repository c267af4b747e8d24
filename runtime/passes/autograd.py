"""The one door to torch's reverse mode, with what torch gets wrong there mended.

torch 2.13 on the CPU: the backward of a batch norm (also of an instance norm, which is one) reads an incoming gradient
by another layout than the one it has, and gives wrong numbers: in eval mode where the strides are those of one picture
of tokens, (C, 1, W C, C), with batch statistics for any layout with the channels last. `tests/passes/test_layouts.py`
holds every kind of layer to float64 under every layout; batch norms are all that it found. So they get theirs in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from bbilang.runtime.errors import error

_DONE = "bbilang: in order"


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    cotangents: Tensor | Sequence[Tensor] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    **options: Any,
) -> tuple[Tensor, ...]:
    """`torch.autograd.grad`, right for every layout that a gradient can have in between. Raises BbiError E505."""
    order_batch_norm_gradients(outputs)
    return torch.autograd.grad(outputs, inputs, cotangents, retain_graph, create_graph, **options)


def order_batch_norm_gradients(outputs: Tensor | Sequence[Tensor]) -> None:
    """Sees to it that a backward from here gives batch norms their gradients in the order of memory that they read.
    Raises BbiError E505 where an operation stands in the graph that torch has no derivative of: it would give zero."""
    for node in graph_of(outputs):
        if node.name().endswith("WarnNotImplemented"):
            raise error(
                "E505",
                "torch has no derivative of an operation of this network: it is quantized, or written outside of torch",
                "take a method without gradients, such as `occlusion`, or the network before it was quantized",
            )
        if "BatchNorm" in node.name() and _DONE not in node.metadata:
            node.metadata[_DONE] = True
            training = bool(getattr(node, "_saved_training", True))
            node.register_prehook(lambda given, training=training: _in_order(given, training))


def graph_of(outputs: Tensor | Sequence[Tensor]) -> Iterator[Any]:
    """Every node of the graph below some tensors, once."""
    todo = [x.grad_fn for x in ([outputs] if isinstance(outputs, Tensor) else outputs)]
    seen = set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        todo += [after for after, _ in node.next_functions]


def _in_order(given: tuple[Any, ...], training: bool) -> tuple[Any, ...] | None:
    gradient, *rest = given
    if gradient is None or gradient.is_contiguous() or (not training and _channels_last(gradient)):
        return None
    return (gradient.contiguous(), *rest)


def _channels_last(gradient: Tensor) -> bool:
    """With exactly the strides of channels last, also those of axes of length 1."""
    if gradient.dim() != 4:
        return False
    _, channels, height, width = gradient.shape
    return gradient.stride() == (height * width * channels, 1, width * channels, channels)
