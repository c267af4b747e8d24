"""Copy a module, even if it holds values that cannot be copied: tensors of a graph, locks, open files."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING

from bbilang.runtime.errors import error

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger("bbilang.models")

OWN = ("_parameters", "_buffers", "_modules")


def copy_module(module: nn.Module, shared: bool = False) -> nn.Module:
    """Deep-copy a module if possible. Otherwise values that cannot be copied are shared with the original, and tensors
    are copied without their graph; weights, buffers and modules are always copied. ``shared``: parameters and buffers
    are those of the original. Raises BbiError E527 if even that fails."""
    same: dict[int, object] = {}
    if shared:
        same = {id(value): value for value in (*module.parameters(), *module.buffers())}
    try:
        return copy.deepcopy(module, dict(same))
    except (RuntimeError, TypeError, NotImplementedError, AttributeError) as e:
        logger.info("%s is copied part by part: %s", type(module).__name__, e)
    memo = dict(same)
    for part in module.modules():
        for name, value in vars(part).items():
            if name not in OWN:
                _share_uncopyable(value, memo)
    try:
        return copy.deepcopy(module, memo)
    except Exception as e:  # as below
        message = f"{type(module).__name__} cannot be copied: {e or type(e).__name__}"
        help = "remove what cannot be copied from the module, or leave the measure out"
        raise error("E527", message, help=help) from e


def _share_uncopyable(value: object, memo: dict[int, object]) -> None:
    """Put into ``memo`` a replacement for a value that `copy.deepcopy` rejects."""
    from torch import Tensor

    from bbilang.runtime.passes.module.results import map_leaves, tensors

    try:
        copy.deepcopy(value, dict(memo))
    except Exception as e:  # any object may refuse to be copied, in any way
        logger.info("a %s is not copied: %r", type(value).__name__, e)
        held = list(tensors(value))
        for tensor in held:
            memo[id(tensor)] = tensor.detach().clone()
        memo[id(value)] = map_leaves(value, lambda x: memo[id(x)] if isinstance(x, Tensor) else x) if held else value
