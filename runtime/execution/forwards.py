"""One forward pass of a program: what it records, and how far it goes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bbilang.compiler.optimize.related import cut_layers
from bbilang.runtime.execution.related import sharing_of

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.passes import Captured


def run_forward(run: Run, number: int) -> Captured:
    """Run the program's forward of that number."""
    from bbilang.runtime import passes
    from bbilang.runtime.inputs import baselines

    program, forward = run.program, run.program.forwards[number]
    backwards = [b for b in program.backwards if b.forward == number]
    layers = list(forward.layers)
    if any(not b.stops for b in backwards):
        layers.append("input")
    served = [*forward.serves, *program.roots]
    scored = run.adapter.description.classes > 0
    images = run.images
    if forward.picture:
        images = baselines.picture(forward.picture, images, run.adapter, program.setting("seed", 0))
    related = run.related
    sharing = sharing_of(run, number, related) if related else passes.ALONE
    work = partial(
        passes.forward,
        run.adapter,
        images,
        layers,
        want_output=forward.scores or (scored and not forward.stops),
        grad=bool(backwards),
        counter=run.passes,
        cuts=cut_layers(program, number),
        around=partial(run.around, forward.rule) if forward.rule else None,
        sharing=sharing,
    )
    captured = run.located(served[0], work) if served else work()  # scores alone serve no node
    if related and captured.kept is not None:
        related.put(run, forward.picture, captured.kept)
        captured.kept = None
    return captured
