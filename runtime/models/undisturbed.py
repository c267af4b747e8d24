"""Run a network in the middle of its training without a trace of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


@contextmanager
def undisturbed(*modules: nn.Module) -> Iterator[None]:
    """Run the block as outside of a training: gradients possible, without autocast. Afterwards, also after an error,
    all is as before: random numbers of Python, numpy and torch; modes, hooks and buffers of every submodule; of every
    parameter its gradient and whether it has one."""
    module = nn.ModuleList(modules)
    parts = [(part, part.training, [dict(getattr(part, name, {})) for name in HOOKS]) for part in module.modules()]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in module.parameters()]
    buffers = [(buffer, buffer._version, buffer.detach().clone()) for buffer in _buffers(module)]
    dtype = torch.get_default_dtype()
    try:
        with _random_numbers_kept(module), _plain(module):
            yield
    finally:
        torch.set_default_dtype(dtype)
        for part, training, every in parts:
            part.training = training
            for name, hooks in zip(HOOKS, every, strict=True):
                own = getattr(part, name, None)
                if own is not None and dict(own) != hooks:
                    own.clear()
                    own.update(hooks)
        for parameter, required, gradient in parameters:
            parameter.requires_grad_(required)
            parameter.grad = gradient
        with torch.no_grad():
            for buffer, version, values in buffers:
                if buffer._version != version:
                    buffer.copy_(values)


def _buffers(module: nn.Module) -> list[Tensor]:
    return [buffer for buffer in module.buffers() if not buffer.is_inference()]


@contextmanager
def _plain(module: nn.Module) -> Iterator[None]:
    """Leave what a training may be inside of: autocast, and modes without gradients."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in {"cpu", *(parameter.device.type for parameter in module.parameters())} - {"meta"}:
            if torch.amp.is_autocast_available(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def _random_numbers_kept(module: nn.Module) -> Iterator[None]:
    devices = sorted({p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"})
    python, numbers = random.getstate(), np.random.get_state()
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)
        if mps is not None:
            torch.mps.set_rng_state(mps)
