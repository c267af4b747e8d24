"""Types of numbers: a module is given its own, and what it gives is float32 outside of it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_chosen: weakref.WeakKeyDictionary[nn.Module, tuple[torch.dtype, torch.dtype]] = weakref.WeakKeyDictionary()


def input_types(module: nn.Module) -> list[torch.dtype]:
    """What a module's pictures may have to be: the type of its first parameter of numbers, then those of the others."""
    import torch

    found = [p.dtype.to_real() for p in module.parameters() if p.is_floating_point() or p.is_complex()]
    able = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    return list(dict.fromkeys([dtype for dtype in found if dtype in able] or [torch.float32]))


def input_type(module: nn.Module) -> torch.dtype:
    """The type of a module's pictures: what it was described with, else that of its first parameter of numbers."""
    import torch

    first = next((p.dtype.to_real() for p in module.parameters() if p.is_floating_point() or p.is_complex()), None)
    if first not in (torch.float16, torch.bfloat16, torch.float64):
        first = torch.float32
    known = _chosen.get(module)
    return known[1] if known and known[0] == first else first


def remember_input_type(module: nn.Module, dtype: torch.dtype) -> None:
    """Remember the type that a module took, where it is not that of its first parameter."""
    _chosen.pop(module, None)
    if (first := input_type(module)) != dtype:
        _chosen[module] = (first, dtype)


def promoted(value: Tensor, pictures: Tensor | None) -> Tensor:
    """Numbers as they are outside of a module: of the type of its pictures, and never of half precision. What is no
    real number stays. Differentiable."""
    import torch

    if not value.is_floating_point():
        return value
    return value.to(torch.promote_types(torch.float32 if pictures is None else pictures.dtype, torch.float32))


def all_promoted(values: Mapping[str, Tensor], pictures: Tensor | None) -> dict[str, Tensor]:
    """The same of every value."""
    return {key: promoted(value, pictures) for key, value in values.items()}
