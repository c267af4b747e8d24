"""Make a module temporarily differentiable by plain autograd: checkpoints, inference tensors, scripted code.

Checkpointed blocks run again in a backward, under every hook, and the reentrant kind does not support `autograd.grad`:
here they run once and keep their results. Weights made under `torch.inference_mode` cannot be part of a graph: copies
replace them. Scripted code runs operation by operation: fused code has its own backward.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
import torch.utils.checkpoint as checkpoints
from torch import Tensor, nn

from bbilang.runtime.passes.module.memo import checked_memo

CONTENTS = "contents"  # in the memo of a module
HELD = ("_parameters", "_buffers")
_copied: ContextVar[bool] = ContextVar("copies replace tensors for as long as a pass takes", default=False)


class _Once:
    """A replacement of `CheckpointFunction` that does not run the block again."""

    @staticmethod
    def apply(function: Callable[..., object], preserve: bool, *arguments: object) -> object:
        return function(*arguments)


def _once(*arguments: object, **named: object) -> Iterator[None]:
    """Replace the generator that makes a block without reentrance run again."""
    yield


@dataclass(frozen=True)
class Contents:
    """What a module holds. ``parts``: it and the modules in it. ``inference``: a tensor was made under
    `torch.inference_mode`."""

    parts: list[nn.Module]
    parameters: list[Tensor]
    scripted: bool
    inference: bool


def contents(module: nn.Module) -> Contents:
    """Return what a module holds; inside of `module_unchanged` it is looked for once, since that takes 1 to 2 ms."""
    memo = checked_memo(module)
    if memo is not None and CONTENTS in memo:
        references, parameters, scripted = memo[CONTENTS]
        return Contents([reference() for reference in references], parameters, scripted, False)
    parts = list(module.modules())
    parameters, buffers = ([t for part in parts for t in own_tensors(part, held)] for held in HELD)
    inference = any([tensor.is_inference() for tensor in (*parameters, *buffers)])
    scripted = any(isinstance(m, torch.jit.ScriptModule) for m in parts)
    if memo is not None and not inference and not _copied.get():
        memo[CONTENTS] = ([weakref.ref(part) for part in parts], parameters, scripted)  # the memo must not keep them
    return Contents(parts, parameters, scripted, inference)


@contextmanager
def differentiable(module: nn.Module) -> Iterator[None]:
    """Make the module's derivatives those of the operations that run, inside the context."""
    names = ("CheckpointFunction", "_checkpoint_without_reentrant_generator")
    before = [getattr(checkpoints, name) for name in names]
    own = contents(module)
    swapped = _without_inference(own.parts) if own.inference else []
    token = _copied.set(_copied.get() or bool(swapped))
    scripted = own.scripted
    optimized = torch._C._get_graph_executor_optimize()
    try:
        for name, other in zip(names, (_Once, _once), strict=True):
            setattr(checkpoints, name, other)
        if scripted:
            torch._C._set_graph_executor_optimize(False)
        yield
    finally:
        _copied.reset(token)
        for name, one in zip(names, before, strict=True):
            setattr(checkpoints, name, one)
        if scripted:
            torch._C._set_graph_executor_optimize(optimized)
        for table, name, value in swapped:
            table[name] = value


def own_tensors(part: nn.Module, held: str = "_parameters") -> list[Tensor]:
    """Return the parameters (or buffers) that a module itself holds; as `parameters(recurse=False)` does, in a tenth of
    its time: every pass calls it."""
    if isinstance(part, torch.jit.ScriptModule):
        return list(part.parameters(False) if held == "_parameters" else part.buffers(False))
    return [value for value in part.__dict__[held].values() if value is not None]


def _without_inference(parts: list[nn.Module]) -> list[tuple[dict[str, Any], str, Any]]:
    """Replace inference tensors by plain copies. Returns (table, name, the tensor before) of each."""
    replaced: list[tuple[dict[str, Any], str, Any]] = []
    copies: dict[int, Any] = {}
    with torch.inference_mode(False), torch.no_grad():
        for part in parts:
            for table in (part._parameters, part._buffers):
                for name, value in table.items():
                    if value is None or not value.is_inference():
                        continue
                    replaced.append((table, name, value))
                    if id(value) not in copies:
                        copy = value.detach().clone()
                        copies[id(value)] = nn.Parameter(copy, False) if isinstance(value, nn.Parameter) else copy
    for table, name, value in replaced:
        table[name] = copies[id(value)]
    return replaced
