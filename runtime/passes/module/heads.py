"""Layers of attention heads: while a run needs one, an identity stands in front of the projection that reads it.

The heads' outputs are the input of the projection, whatever computed them, fused or not. The identity sees them as
(input, token, head, channel); hooks on it read and replace them as those of any module.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bbilang.compiler.ir.model_description import HEADS_PART, LayerDescription

Args: TypeAlias = tuple[Any, ...]
Named: TypeAlias = Mapping[str, Any]
Result: TypeAlias = tuple[Tensor, "Tensor | None"]


class HeadOutputs(nn.Module):
    """The identity (input, token, head, channel) whose result is a layer of heads."""

    def __init__(self, heads: int):
        super().__init__()
        self.heads = heads

    def forward(self, values: Tensor) -> Tensor:
        return values


class _UnitProjection(nn.Module):
    """Stands for the projection of torch's own attention, which then gives the heads' outputs."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(len(weight), dtype=weight.dtype, device=weight.device), False)
        self.bias = None


def _through_heads(projection: nn.Module, arguments: Args) -> Args:
    """Hand the input of a projection through its layer of heads."""
    part: Any = projection._modules[HEADS_PART]  # `HeadOutputs`, or what changes the result of one
    values, *others = arguments
    return (part(values.unflatten(-1, (part.heads, -1))).flatten(-2), *others)


def _forward_of_torch(module: nn.MultiheadAttention, arguments: Args, named: Named) -> Result:
    """Run torch's attention with the projection called as a module, after (input, token, channel)."""
    projection, fast = module.out_proj, torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        module._modules["out_proj"] = _UnitProjection(projection.weight)
        values, weights = nn.MultiheadAttention.forward(module, *arguments, **named)
    finally:
        module._modules["out_proj"] = projection
        torch.backends.mha.set_fastpath_enabled(fast)
    if module.batch_first or values.dim() == 2:
        return projection(values), weights
    return projection(values.transpose(0, 1)).transpose(0, 1), weights


class _OwnForward:
    """The forward of one module of torch's attention, in place of its class's."""

    def __init__(self, module: nn.MultiheadAttention):
        self.module = module

    def __call__(self, *arguments: object, **named: object) -> Result:
        return _forward_of_torch(self.module, arguments, named)


class _Mounts:
    """The layers of heads of one network, by the path of their projections."""

    def __init__(self, module: nn.Module, counts: dict[str, int]):
        self.module, self.counts = module, counts
        self.handles: list[RemovableHandle] = []

    def put(self, shared: bool = True) -> None:
        """Mount them. ``shared``: for each run the same modules, and without torch's fast path around them."""
        self.fast = torch.backends.mha.get_fastpath_enabled()
        for path, count in self.counts.items():
            projection, around = self.module.get_submodule(path), self.module.get_submodule(path.rpartition(".")[0])
            part = _parts.setdefault(projection, HeadOutputs(count)) if shared else HeadOutputs(count)
            part.heads, part.training = count, projection.training
            projection._modules[HEADS_PART] = part
            self.handles.append(projection.register_forward_pre_hook(_through_heads))
            if isinstance(around, nn.MultiheadAttention) and around.out_proj is projection:
                around.__dict__["forward"] = _OwnForward(around)
                torch.backends.mha.set_fastpath_enabled(not shared and self.fast)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles = []
        for path in self.counts:
            del self.module.get_submodule(path)._modules[HEADS_PART]
            around = self.module.get_submodule(path.rpartition(".")[0])
            if isinstance(around.__dict__.get("forward"), _OwnForward):
                del around.__dict__["forward"]
        torch.backends.mha.set_fastpath_enabled(self.fast)


# the identity of each projection: what is remembered of a network refers to its modules, and holds for its next run
_parts: weakref.WeakKeyDictionary[nn.Module, HeadOutputs] = weakref.WeakKeyDictionary()
_active: weakref.WeakKeyDictionary[nn.Module, _Mounts] = weakref.WeakKeyDictionary()


def _projection(layer: LayerDescription) -> str:
    return layer.module.removesuffix(f".{HEADS_PART}")


def mount(module: nn.Module, layer: LayerDescription) -> None:
    """Make a layer of heads a module of a network for good: of one that is derived, where it changes."""
    path = _projection(layer)
    if HEADS_PART not in module.get_submodule(path)._modules:
        _Mounts(module, {path: layer.sizes["head"]}).put(shared=False)


@contextmanager
def heads_mounted(module: nn.Module, layers: Iterable[LayerDescription]) -> Iterator[None]:
    """Make some layers of heads modules of the network, inside. Nothing of the network's own values changes."""
    counts = {_projection(layer): layer.sizes["head"] for layer in layers}
    counts = {path: count for path, count in counts.items() if HEADS_PART not in module.get_submodule(path)._modules}
    if not counts or module in _active:
        yield
        return
    mounts = _Mounts(module, counts)
    mounts.put()
    _active[module] = mounts
    try:
        yield
    finally:
        del _active[module]
        mounts.remove()


@contextmanager
def heads_unmounted(module: nn.Module) -> Iterator[None]:
    """Inside, the network is as it was before its layers of heads were mounted."""
    mounts = _active.get(module)
    if mounts is None:
        yield
        return
    mounts.remove()
    try:
        yield
    finally:
        mounts.put()


def has_heads(module: nn.Module) -> bool:
    """Return whether a layer of heads is mounted before a projection, or inside torch's attention."""
    return HEADS_PART in module._modules or isinstance(module.__dict__.get("forward"), _OwnForward)
