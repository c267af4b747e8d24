"""Probe a module on one input: is it deterministic, and does a row's result depend on the other rows of its batch?"""

from __future__ import annotations

import random as python_random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode

from bbilang.runtime.device.memory import is_out_of_memory
from bbilang.runtime.errors import error
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.autograd import graph_of
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.fallback import log
from bbilang.runtime.passes.hooks import frozen_module
from bbilang.runtime.passes.module.results import tensors

TOLERANCE = 1e-4  # of the largest value: how much two runs on the same input may differ
NOISE_SEED = 52_061_993  # an arbitrary seed, unlikely to be used for inputs


@dataclass(frozen=True)
class Repetition:
    """The result of two runs on the same input. ``random``: the result differs each time, unless seeded;
    ``opaque``: it has a custom autograd function, or gradients are off in a part of it."""

    random: bool
    opaque: bool


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Start random draws of torch, numpy and Python from the seed inside, or from their current states with None;
    restore their states afterwards."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    of_python, of_numpy = python_random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices):
        try:
            if seed is not None:
                torch.manual_seed(seed)
                python_random.seed(seed)
                np.random.seed(seed % 2**32)
            yield
        finally:
            python_random.setstate(of_python)
            np.random.set_state(of_numpy)


def probe_repetition(adapter: Adapter, one: Tensor, seed: int, counter: Passes) -> Repetition | None:
    """Run the module twice on one input (1, ...), and twice more, seeded, where the results differ.

    None where the module does not run. Raises BbiError E520 where they differ although every source of randomness is
    seeded.
    """
    try:
        counter.probes += 2
        with seeded(None):
            with _GradientsOff() as off:
                first = run_once(adapter, one, grad=True)
            second = run_once(adapter, one)
        opaque = _has_custom_function(first) or off.seen
        if agree(first, second):
            return Repetition(False, opaque)
        counter.probes += 2
        runs = []
        for _ in range(2):
            with seeded(seed):
                runs.append(run_once(adapter, one))
    except Exception as e:  # raised by the model's code; the pass itself will report it
        log.debug("the model fails while it is probed: %r", e)
        return None
    if agree(*runs):
        return Repetition(True, opaque)
    raise error(
        "E520",
        "the network gives a different result each time it runs on the same input",
        "it keeps a state between calls, or is random in a way that no seed governs: reset it in its forward",
    )


def probe_rows(adapter: Adapter, one: Tensor, counter: Passes) -> bool | None:
    """Return whether a row's result depends on the other rows of its batch, or the module accepts one row only.
    None where the module does not run, or memory does not suffice.

    The row is repeated between two equal others: whatever is sorted, averaged or taken from a neighbour, from the first
    or from the last row changes one of the two results.
    """
    if getattr(adapter.description, "reads", "image") == "text":
        other = one.flip(1)
        other = torch.where(other == one, one[:, :1].expand_as(one), other)
    else:
        noise = torch.rand(one.shape, generator=torch.Generator().manual_seed(NOISE_SEED)).to(one)
        other = 0.6 * noise  # and darker: other noise alone has the same batch statistics
    counter.probes += 2
    try:
        alone = run_once(adapter, one)
    except Exception as e:  # raised by the model's code; the pass itself will report it
        log.debug("the model fails while it is probed: %r", e)
        return None
    try:
        batch = run_once(adapter, torch.cat([other, one, one, other]))
    except Exception as e:  # raised by the model's code, which may not accept this batch
        if is_out_of_memory(e):
            return None
        log.info("the model does not take four rows: %r; rows run one by one", e)
        return True
    return not agree(
        [x.expand(2, *x.shape[1:]) if len(x) == 1 else x for x in alone],
        [x[1:3] if len(x) == 4 else x for x in batch],
    )


def run_once(adapter: Adapter, images: Tensor, grad: bool = False) -> list[Tensor]:
    """Return every tensor with a row axis in the module's result."""
    module = adapter.module
    with torch.inference_mode(False), frozen_module(module), torch.set_grad_enabled(grad):
        pixels = images.clone().to(adapter.device)
        parameters = []
        if grad:
            pixels.requires_grad_(pixels.is_floating_point())
            parameters = [
                p for p in module.parameters() if p.is_leaf and p.is_floating_point() and not p.is_inference()
            ]
        try:
            for p in parameters:
                p.requires_grad_(True)
            result = module(adapter.normalize(pixels))
        finally:
            for p in parameters:
                p.requires_grad_(False)
    return [x for x in tensors(result) if x.dim()]


def agree(first: list[Tensor], second: list[Tensor]) -> bool:
    """Return whether two results are equal but for rounding."""
    if [x.shape for x in first] != [x.shape for x in second]:
        return False
    return all(_nearly_equal(a.detach(), b.detach()) for a, b in zip(first, second, strict=True))


def _nearly_equal(a: Tensor, b: Tensor) -> bool:
    if not (a.is_floating_point() or a.is_complex()):
        return torch.equal(a, b)
    tolerance = max(TOLERANCE, 8 * torch.finfo(a.dtype).eps)
    a, b = (x.to(torch.complex128 if x.is_complex() else torch.float64) for x in (a, b))
    equal = (a == b) | (torch.isnan(a) & torch.isnan(b))
    a, b = a[~equal], b[~equal]
    return not a.numel() or bool((a - b).abs().max() <= tolerance * torch.maximum(a.abs(), b.abs()).max())


class _GradientsOff(TorchFunctionMode):
    """A mode that detects calls on tensors that require a gradient while gradients are off, which forward mode
    ignores."""

    seen = False

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        if not torch.is_grad_enabled() and any(x.requires_grad for x in tensors([*args, *(kwargs or {}).values()])):
            self.seen = True
        return func(*args, **(kwargs or {}))


def _has_custom_function(results: list[Tensor]) -> bool:
    """Return whether a custom autograd function is in the graph of some tensors."""
    return any(
        isinstance(node, BackwardCFunction) or type(node).__name__ == "CppFunction" for node in graph_of(results)
    )
