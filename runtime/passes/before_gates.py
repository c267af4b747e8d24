"""The values before the nonlinearity that gives a layer's result: they tell apart units that are saturated alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.module.gates import gate_of


@contextmanager
def values_before_gates(adapter: Adapter, layers: Iterable[str]) -> Iterator[Mapping[str, Tensor]]:
    """Record, in a forward that runs inside of this context, the largest value before each layer's own gate over
    positions, (input, channel). Layers whose result no gate of torch's gives directly are left out."""
    recorded: dict[str, Tensor] = {}
    handles = []
    for layer in layers:
        gate = own_gate(adapter.module_of(layer))
        if gate is None:
            continue
        channel = adapter.description.by_name[layer].axes.index("channel") + 1

        def record(module: nn.Module, arguments: tuple[Tensor, ...], layer: str = layer, axis: int = channel) -> None:
            with torch.no_grad():
                maps = arguments[0].detach().movedim(axis, 1)
                recorded[layer] = _largest(maps)

        handles.append(gate.register_forward_pre_hook(record))
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()


def _largest(maps: Tensor) -> Tensor:
    """Return the largest of (input, channel, *positions) over positions; pooled where the channels are side by side,
    which is several times as fast."""
    if maps.dim() == 4 and maps.device.type == "cpu" and maps.is_contiguous(memory_format=torch.channels_last):
        return torch.nn.functional.max_pool2d(maps, maps.shape[2:]).flatten(1)
    return maps.flatten(2).amax(-1) if maps.dim() > 2 else maps.clone()


def own_gate(module: nn.Module) -> nn.Module | None:
    """Return the gate that gives a module's result: itself, or the last of a sequence; None for any other."""
    while type(module).forward is nn.Sequential.forward and len(module):  # type: ignore[arg-type]
        module = next(reversed(list(module.children())))
    return module if gate_of(module) is not None else None
