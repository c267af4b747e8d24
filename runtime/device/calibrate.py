"""Measure the speed of a device in each kind of pass, once, and cache it for the optimizer.

A small network of the usual parts (strided, pointwise and depthwise convolutions, batch norm, ReLU) runs forward, with
batched cotangents and with batched tangents, at three sizes. Each kind's two rates, FLOPs and bytes a second, are the
defaults times one number, the median over the sizes: three short runs cannot separate the two.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

from bbilang.compiler.ir.speeds import Speed, Speeds
from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.cache.versions import version_of

KINDS = ("forward", "reverse", "tangent")
SIZES = ((32, 16), (16, 96), (64, 64))  # (pixels a side at the first layer, channels)
BATCH = 16  # cotangents or tangents together


def known(cache: Cache | None, device: str = "cpu") -> Speeds | None:
    """Return the cached speeds of this machine, device and version of torch, or None. Imports no torch."""
    record = cache.get(_key(device)) if cache is not None else None
    if record is None:
        return None
    try:
        rates = record[1]
        forward, reverse, tangent = (Speed(*map(float, rates[kind])) for kind in KINDS)
        speeds = Speeds(forward, reverse, tangent, device=str(rates["device"]))
    except (KeyError, TypeError, ValueError):
        return None  # of another form: measured again
    every = [rate for kind in KINDS for rate in (getattr(speeds, kind).flops, getattr(speeds, kind).bytes)]
    return speeds if all(0 < rate < math.inf for rate in every) else None


def calibrated(cache: Cache | None, device: str = "cpu") -> Speeds:
    """Return the speeds of a device; measure them if they are not cached, which takes about a second."""
    speeds = known(cache, device)
    if speeds is None:
        speeds = measure(device)
        if cache is not None:
            rates: dict[str, Any] = {kind: [getattr(speeds, kind).flops, getattr(speeds, kind).bytes] for kind in KINDS}
            cache.put(_key(device), b"", {**rates, "device": speeds.device})
    return speeds


def _key(device: str) -> str:
    return key_of(
        {
            "what": "speeds",
            "device": device,
            "machine": [platform.machine(), platform.processor(), os.cpu_count() or 0],
            "threads": os.environ.get("OMP_NUM_THREADS", ""),
            "torch": version_of("torch"),
        }
    )


def measure(device: str = "cpu") -> Speeds:
    """Measure the speeds of a device by running on it."""
    ratios: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for side, channels in SIZES:
        for kind, (flops, bytes, work) in _work(side, channels, device).items():
            ratios[kind].append(_fastest(work, device) / getattr(Speeds(), kind).seconds(flops, bytes))
    slower = {kind: statistics.median(each) for kind, each in ratios.items()}
    default = Speeds()
    forward, reverse, tangent = (
        Speed(getattr(default, k).flops / slower[k], getattr(default, k).bytes / slower[k]) for k in KINDS
    )
    return Speeds(forward, reverse, tangent, device=_name(device))


def _work(side: int, channels: int, device: str) -> dict[str, tuple[int, int, Callable[[], object]]]:
    """Return kind -> (FLOPs, bytes, a function that runs the work once)."""
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    from bbilang.runtime.device.memory_traffic import MemoryTraffic

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.BatchNorm2d(2 * channels), nn.ReLU6(),
            nn.Conv2d(2 * channels, 2 * channels, 3, 2, 1, groups=2 * channels, bias=False),
            nn.BatchNorm2d(2 * channels), nn.ReLU6(), nn.Conv2d(2 * channels, channels, 1, bias=False),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 64),
        ).eval().requires_grad_(False).to(device)  # fmt: skip
        image = torch.rand(1, channels, side, side).to(device)
        tangents = torch.rand(BATCH, 1, channels, side, side).to(device)
    counter, traffic = FlopCounterMode(display=False), MemoryTraffic()
    with torch.no_grad(), counter, traffic:
        network(image)
    flops, bytes = counter.get_total_flops(), traffic.bytes
    cotangents = torch.eye(BATCH, 64, device=device)[:, None]

    def forward() -> object:
        with torch.no_grad():
            return network(image)

    leaf = image.clone().requires_grad_()
    with torch.enable_grad():
        scores = network(leaf)

    def reverse() -> object:
        return torch.autograd.grad(scores, leaf, cotangents, retain_graph=True, is_grads_batched=True)

    def tangent() -> object:
        with torch.no_grad():
            return torch.func.vmap(lambda t: torch.func.jvp(network, (image,), (t,))[1])(tangents)

    many = BATCH * flops, BATCH * bytes
    return {"forward": (flops, bytes, forward), "reverse": (*many, reverse), "tangent": (*many, tangent)}


def _fastest(work: Callable[[], object], device: str) -> float:
    """Return the shortest of several runs in seconds, since other load only makes runs longer."""
    import torch

    def wait() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    work()
    best, until = float("inf"), time.perf_counter() + 0.1
    while time.perf_counter() < until:
        wait()
        began = time.perf_counter()
        work()
        wait()
        best = min(best, time.perf_counter() - began)
    return best


def _name(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{device}, {torch.get_num_threads()} threads"
