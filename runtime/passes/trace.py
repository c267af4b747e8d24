"""Trace one run of a model: which modules run twice, and which batch norm follows which convolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.fallback import log
from bbilang.runtime.passes.hooks import frozen_module
from bbilang.runtime.passes.module.memo import memo_of


@dataclass(frozen=True)
class Trace:
    """How often each module ran, in order of first completion, and batch norms that read a convolution.

    Modules go by name, since a module's memo must not hold the module.
    """

    runs: Mapping[str, int]
    pairs: tuple[tuple[str, str], ...]  # (convolution, batch norm that reads its result)


TRACE = "trace"


def trace(adapter: Adapter, images: Tensor, counter: Passes | None = None) -> Trace:
    """Record one image's pass through the whole model; done once per model and remembered (`memo_of`).

    A forward that stops at its layer cannot see that the layer would run again later; this trace can. Where the model
    fails halfway (a head made for another image size), the modules before the failure are known and the rest are
    assumed to run once.
    """
    memo = memo_of(adapter.module)
    if TRACE in memo:
        return memo[TRACE]
    names = {m: name for name, m in adapter.module.named_modules()}
    runs: dict[str, int] = {}
    pairs: list[tuple[str, str]] = []
    latest: list[Any] = [None, None]

    def note(module: nn.Module, arguments: tuple[object, ...], result: object) -> None:
        runs[names[module]] = runs.get(names[module], 0) + 1
        if isinstance(module, nn.BatchNorm2d) and arguments and arguments[0] is latest[1]:
            pairs.append((names[latest[0]], names[module]))
        if isinstance(module, nn.Conv2d):
            latest[:] = [module, result]

    with frozen_module(adapter.module) as handles, torch.no_grad():
        handles += [m.register_forward_hook(note) for m in names]
        try:
            adapter.module(adapter.normalize(images[:1].detach().to(adapter.device)))
        except Exception as e:  # raised by the model's code; the pass itself will report it if it gets that far
            log.debug("the model fails while it is traced: %r", e)
    if counter:
        counter.probes += 1
    result = memo[TRACE] = Trace(runs, tuple(pairs))
    return result


def copy_trace(adapter: Adapter, original: Adapter) -> None:
    """Give a network that runs the same modules as another one what is known of their runs."""
    memo = memo_of(original.module)
    if TRACE in memo:
        memo_of(adapter.module)[TRACE] = memo[TRACE]


def runs_twice(layer: str) -> BbiError:
    """Return E501 for a layer."""
    return error(
        "E501",
        f"`{layer}` runs more than once in one pass, so it has no single activation",
        "name the layer before or after it, or the block that contains it",
    )


def check_runs_once(adapter: Adapter, layers: Mapping[nn.Module, str], images: Tensor, counter: Passes | None) -> None:
    """Raise BbiError E501 where one of the modules, each with the name of its layer, runs more than once."""
    names = {m: name for name, m in adapter.module.named_modules()}
    runs = trace(adapter, images, counter).runs
    for module, layer in layers.items():
        if runs.get(names.get(module, ""), 1) > 1:
            raise runs_twice(layer)
