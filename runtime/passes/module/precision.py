"""Dtypes: a module gets input of its own dtype, and its results are promoted to at least float32."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_chosen: weakref.WeakKeyDictionary[nn.Module, tuple[torch.dtype, torch.dtype]] = weakref.WeakKeyDictionary()


def input_types(module: nn.Module) -> list[torch.dtype]:
    """Return the dtypes that a module's input may need: that of its first floating-point parameter, then others."""
    import torch

    dtypes = [p.dtype.to_real() for p in module.parameters() if p.is_floating_point() or p.is_complex()]
    able = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    return list(dict.fromkeys([dtype for dtype in dtypes if dtype in able] or [torch.float32]))


def input_type(module: nn.Module) -> torch.dtype:
    """Return the dtype of a module's input: that of its description, else that of its first floating-point
    parameter."""
    import torch

    first = next((p.dtype.to_real() for p in module.parameters() if p.is_floating_point() or p.is_complex()), None)
    if first not in (torch.float16, torch.bfloat16, torch.float64):
        first = torch.float32
    known = _chosen.get(module)
    return known[1] if known and known[0] == first else first


def remember_input_type(module: nn.Module, dtype: torch.dtype) -> None:
    """Remember the input dtype that a module accepted, where it is not that of its first parameter."""
    _chosen.pop(module, None)
    if (first := input_type(module)) != dtype:
        _chosen[module] = (first, dtype)


def promoted(value: Tensor, pictures: Tensor | None) -> Tensor:
    """Promote a result to the dtype of the module's input, and at least to float32; other dtypes stay.
    Differentiable."""
    import torch

    if not value.is_floating_point():
        return value
    return value.to(torch.promote_types(torch.float32 if pictures is None else pictures.dtype, torch.float32))


def all_promoted(values: Mapping[str, Tensor], pictures: Tensor | None) -> dict[str, Tensor]:
    """Return `promoted` of every value."""
    return {key: promoted(value, pictures) for key, value in values.items()}
