"""A copy of a module, also of one that keeps what cannot be copied: features of a run, locks, open files."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from bbilang.runtime.errors import error

if TYPE_CHECKING:
    from torch import nn

OWN = ("_parameters", "_buffers", "_modules")


def copied(module: nn.Module) -> nn.Module:
    """As `copy.deepcopy`, where that works. Else what cannot be copied is shared with the original, and tensors of a
    run are copied without their graph: weights, buffers and modules are the copy's own.
    Raises BbiError E527 where even that fails."""
    try:
        return copy.deepcopy(module)
    except (RuntimeError, TypeError, NotImplementedError, AttributeError):
        pass
    memo: dict[int, Any] = {}
    for part in module.modules():
        for name, value in vars(part).items():
            if name not in OWN:
                _settle(value, memo)
    try:
        return copy.deepcopy(module, memo)
    except Exception as e:
        message = f"{type(module).__name__} cannot be copied: {e or type(e).__name__}"
        help = "take what cannot be copied out of the module, or leave the measure out"
        raise error("E527", message, help=help) from e


def _settle(value: Any, memo: dict[int, Any]) -> None:
    """Into ``memo``: what stands for a value that `copy.deepcopy` does not take."""
    from torch import Tensor

    from bbilang.runtime.passes.module.results import map_leaves, tensors

    try:
        copy.deepcopy(value, dict(memo))
    except Exception:
        held = list(tensors(value))
        for tensor in held:
            memo[id(tensor)] = tensor.detach().clone()
        memo[id(value)] = map_leaves(value, lambda x: memo[id(x)] if isinstance(x, Tensor) else x) if held else value
