"""Plan a program with the speeds of the device that will run it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Program
from bbilang.compiler.ir.speeds import Force, Speeds
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import Plan, plan

if TYPE_CHECKING:
    import torch

    from bbilang.runtime.cache.disk import Cache

CLOSE = 4.0  # estimates that differ by less are decided by the measured speeds of the device


def plan_for_device(
    program: Program, registry: Registry, cache: Cache | None = None, device: str = "auto", force: Force | None = None
) -> Plan:
    """Plan the optimized program with the cached speeds of this machine or, if there are none, with those of two CPU
    cores. ``force``: the mode to use wherever both are possible. Imports no torch."""
    by_default = plan(optimize(program, force=force), registry)
    if force is not None or cache is None or not is_close(by_default):
        return by_default
    speeds = _measured(cache, device)
    return by_default if speeds is None else plan(optimize(program, speeds=speeds), registry)


def calibrate_for(executed: Plan, cache: Cache | None, device: torch.device | str) -> None:
    """Measure the speeds of this device once, for the next plan, after a run in which forward and reverse mode were
    estimated to cost about the same."""
    from bbilang.runtime.device import calibrate

    name = str(device).partition(":")[0]
    if cache is None or "torch" not in sys.modules or not is_close(executed):
        return
    if calibrate.known(cache, name) is None:
        calibrate.calibrated(cache, name)


def is_close(plan: Plan) -> bool:
    """Return whether forward and reverse mode cost about the same in some step."""
    for step in plan.every_step:
        seconds = sorted(way.seconds for way in step.alternatives)
        if len(seconds) > 1 and seconds[1] < CLOSE * max(seconds[0], 1e-9):
            return True
    return False


def _measured(cache: Cache, device: str) -> Speeds | None:
    from bbilang.runtime.device import calibrate

    names = ("cuda", "mps", "cpu") if device == "auto" else (device.partition(":")[0],)
    return next((speeds for name in names if (speeds := calibrate.known(cache, name)) is not None), None)
