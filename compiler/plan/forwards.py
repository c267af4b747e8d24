"""What a forward is, in words, and what it takes and leaves: also for, and from, those of other models."""

from __future__ import annotations

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Forward, Program
from bbilang.compiler.optimize.cost import captured_bytes
from bbilang.compiler.optimize.related import resumed_flops, runs


def forward_words(program: Program, forward: Forward) -> str:
    """Describe a forward: "block5c.expand and scores; what does not depend on block5c is that of forward 1 of `a`"."""
    what = [", ".join(forward.layers)] if forward.layers else []
    what += ["scores"] if forward.scores else []
    words = f"{' and '.join(what) or 'the network'}{', stops there' if forward.stops and forward.layers else ''}"
    words += f", of the baseline `{forward.picture}`" if forward.picture else ""
    words += f", with the derivatives of {forward.rule[0]}" if forward.rule else ""
    return words + _shared(program, forward)


def _shared(program: Program, forward: Forward) -> str:
    resumed, lent = forward.resumes, program.lent
    words = ""
    if resumed is not None:
        whole = f"forward {resumed.forward + 1} of `{resumed.model}`"
        depends = f"does not depend on {_either(resumed.above)}"
        words = f"; {f'what {depends}' if runs(forward) else 'all of it'} is that of {whole}"
    elif program.relatives and program.optimized and (why := _why_whole(program, forward)):
        words = f"; whole: {why}"
    if lent is not None and not forward.rule:
        words += f"; keeps what {_both(lent.models)} take{'s' if len(lent.models) == 1 else ''} from it"
    return words


def _why_whole(program: Program, forward: Forward) -> str:
    """Return why a forward takes nothing from one of another model of the same network; "" where nothing is alike."""
    description = program.description
    if description is not None and not description.ends:
        return "which parts depend on the change is not known"
    if forward.rule:
        return "its operations have derivatives of their own"
    return "the gradients go down to the input" if _to_input(program, forward) else ""


def _to_input(program: Program, forward: Forward) -> bool:
    number = next(n for n, other in enumerate(program.forwards) if other is forward)
    return any("input" in backward.layers for backward in program.backwards if backward.forward == number)


def forward_cost(program: Program, forward: Forward, description: ModelDescription) -> tuple[int, int, int]:
    """Return (passes, FLOPs, bytes that it keeps) of one input. No pass where all that it captures is there already:
    the pixels of a baseline, or values of another model's forward."""
    stops = forward.stops and bool(forward.layers)
    there = stops and set(forward.layers) == {"input"}
    own = tuple(x for x in forward.layers if forward.resumes is None or x not in forward.resumes.values)
    kept = captured_bytes(description, own)
    if program.lent is not None and not forward.rule:
        kept += captured_bytes(description, tuple(dict.fromkeys((*program.lent.layers, *program.lent.values))))
    return int(runs(forward) and not there), resumed_flops(description, forward), kept


def _either(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _both(models: tuple[str, ...]) -> str:
    *others, last = [f"`{name}`" for name in models]
    return f"{', '.join(others)} and {last}" if others else last
