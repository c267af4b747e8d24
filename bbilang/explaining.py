"""`bbi explain`: the plan, and with `--analyze` what each of its steps took."""

from __future__ import annotations

from dataclasses import replace

from bbilang.compiler.explain import Explanation
from bbilang.compiler.optimize import optimize
from bbilang.compiler.plan import plan
from bbilang.progress import Watch
from bbilang.request import KEPT, NOT_KEPT, Request


def explained(request: Request) -> Explanation:
    """The plan as written and as it will run. Nothing runs."""
    program = request.program()
    before = plan(program)
    return Explanation(before, plan(optimize(program)) if request.optimized else before)


def analyzed(request: Request) -> Explanation:
    """The same, with the measured time of each step."""
    from bbilang import api

    explanation = explained(request)
    try:
        with Watch(request.quiet) as watch:
            watch.doing("loading the network")
            results = api.execute(
                explanation.after, device=request.device, draft=request.draft,
                cache=None if request.cache else False, progress=None if request.quiet else watch,
            )  # fmt: skip
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(KEPT if request.cache else NOT_KEPT) from interrupt
    return replace(explanation, seconds=tuple(results.timings))
