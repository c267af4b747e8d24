"""The optimizer with the speeds of the device that will run the plan."""

from __future__ import annotations

import sys
from typing import Any

from bbilang.compiler.ir.program import Program
from bbilang.compiler.ir.speeds import Force, Speeds
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan

CLOSE = 4.0  # ways whose estimates differ by less are decided by the device's own speeds


def decided(program: Program, cache: Any = None, device: str = "auto", force: Force | None = None) -> Program:
    """The optimized program. Speeds that were measured on this machine before are taken from the cache; without them
    those of two CPU cores decide. Imports no torch."""
    found = optimize(program, force=force)
    if force is not None or cache in (None, False) or not close(found):
        return found
    speeds = _known(cache, device)
    return found if speeds is None else optimize(program, speeds=speeds)


def learn(program: Program, cache: Any, device: Any) -> None:
    """After a run in which forward and reverse mode were a close thing: how fast this device is in each, once, for the
    next time."""
    from bbilang.runtime.device import calibrate

    name = str(device).partition(":")[0]
    if cache in (None, False) or "torch" not in sys.modules or not close(program):
        return
    if calibrate.known(cache, name) is None:
        calibrate.calibrated(cache, name)


def close(program: Program) -> bool:
    """True where forward and reverse mode would cost about the same by the default speeds."""
    if program.description is None:
        return False
    for step in plan(program).steps:
        seconds = sorted(way.seconds for way in step.alternatives)
        if len(seconds) > 1 and seconds[1] < CLOSE * max(seconds[0], 1e-9):
            return True
    return False


def _known(cache: Any, device: str) -> Speeds | None:
    from bbilang.runtime.device import calibrate

    names = ("cuda", "mps", "cpu") if device == "auto" else (device.partition(":")[0],)
    return next((found for name in names if (found := calibrate.known(cache, name)) is not None), None)
