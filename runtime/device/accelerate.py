"""Features of accelerators: bfloat16 for icons, no TF32 for numbers, steps recorded and replayed as CUDA graphs.

On the CPU torch's autocast is off: it made a step of EfficientNet-Lite0 up to block5c.expand 0 to 100 % slower there
(one core with AMX, 48 to 140 px), since the backward of depthwise convolutions has no such kernel. Fused operations
(`passes/explicit`), which need that one in float32 alone, use it where the processor multiplies it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor


def autocast_bfloat16(device: torch.device, enabled: bool) -> AbstractContextManager[None]:
    """Autocast to bfloat16 on a device that computes in it, if ``enabled``; otherwise do nothing."""
    able = enabled and device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=able, cache_enabled=False)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether this is a CPU that multiplies bfloat16 at twice the rate of float32 (AVX512_BF16)."""
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and asked is not None and bool(asked())


@contextmanager
def full_precision() -> Iterator[None]:
    """Convolve in float32 on CUDA as well, where torch defaults to TF32 with a mantissa of ten bits and errors of
    1e-3."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


Step = Callable[..., None]


def as_cuda_graph(step: Step, device: torch.device, *arguments: Tensor) -> Step:
    """Return the step recorded as a CUDA graph, called with tensors of the arguments' shapes; on other devices, and
    where recording fails, the step itself. The step must work in place on tensors whose addresses stay fixed, and must
    not read values on the host. Recording runs it a few times, so fill the tensors afterwards.
    """
    if device.type != "cuda":
        return step
    held = [a.clone() for a in arguments]
    graph = torch.cuda.CUDAGraph()
    try:
        aside = torch.cuda.Stream(device)
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):
            for _ in range(3):
                step(*held)
        torch.cuda.current_stream(device).wait_stream(aside)
        with torch.cuda.graph(graph):
            step(*held)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as e:
        torch.cuda.synchronize(device)
        warnings.warn(f"icons are made without a CUDA graph, more slowly: {e}", RuntimeWarning, stacklevel=2)
        return step

    def replay(*inputs: Tensor) -> None:
        for own, new in zip(held, inputs, strict=True):
            own.copy_(new)
        graph.replay()

    return replay
