"""An explanation for people: the logical plan, both physical plans, what was chosen and what was saved."""

from __future__ import annotations

from bbilang.compiler.columns import Column, Row, paragraph, table
from bbilang.compiler.explain import Explanation, Measured, passes_words, seconds_words, si
from bbilang.compiler.ir import Program
from bbilang.compiler.logical import Entry, count, entries, lines_of, type_words
from bbilang.compiler.plan import Plan, Step

READING = (
    "A pass is one run through the network: forward from the picture to the scores, backward from a target to a layer."
    " FLOP: one addition or multiplication. kept: memory that later steps read."
)
WIDE = 96  # where measurements have columns of their own


def text(explanation: Explanation, width: int) -> str:
    """Blocks with a blank line between them."""
    program = explanation.before.program
    blocks = [_head(program, width), _logical(explanation, width)]
    if explanation.optimized:
        blocks.append(_physical("as written", "a pass for everything that needs one", explanation, False, width))
        blocks.append(_physical("optimized", "what will run", explanation, True, width))
        blocks.append(_saved(explanation, width))
    else:
        blocks.append(_physical("as written", "not optimized, will run so", explanation, True, width))
    blocks.append(paragraph(READING, width))
    return "\n\n".join("\n".join(block) for block in blocks)


def _head(program: Program, width: int) -> list[str]:
    description = program.description
    name = f"{program.source.name}: " if program.source and not program.source.name.startswith("<") else ""
    words = [f"{name}{_plural(len(program.elements), 'element')}, {_plural(len(program.inputs), 'picture')}"]
    if description:
        y, x = description.input_size
        words.append(f"{description.title}, {y} × {x} pixels, {si(description.flops, 'FLOP')} a forward pass")
    return paragraph("; ".join(words), width)


# --- the logical plan -------------------------------------------------------------------------------------------------


def _logical(explanation: Explanation, width: int) -> list[str]:
    program = explanation.after.program
    rows = [_entry_row(program, entry) for entry in entries(program, explanation.defaults)]
    columns = [Column("", right=True), Column("", least=34), Column("", least=22), Column("line", right=True)]
    lines = ["LOGICAL PLAN: what the page shows, and what it is made of"]
    lines += table(columns, rows, width)
    if explanation.optimized:
        lines += paragraph(_shared(explanation), width, 2)
    return lines


def _entry_row(program: Program, entry: Entry) -> Row:
    rails = "".join("│  " if goes_on else "   " for goes_on in entry.rails[:-1])
    branch = ("├─ " if entry.rails[-1] else "└─ ") if entry.rails else ""
    hang = rails + (("│  " if entry.rails[-1] else "   ") if entry.rails else "") + "  "
    role = f"{entry.role}: " if entry.role else ""
    name = f"{entry.element.id} = " if entry.element and entry.rails == () else ""
    if entry.again:
        shown = entry.element.id if entry.element else entry.words
        return Row(("", f"{rails}{branch}{role}{shown}", f"as in {entry.number}", ""), hang)
    lines = ", ".join(map(str, lines_of(program, program.spans(entry.node))))
    return Row(
        (str(entry.number), f"{rails}{branch}{role}{name}{entry.words}", type_words(entry.node.type), lines), hang
    )


def _shared(explanation: Explanation) -> str:
    """What the optimizer did to the logical plan."""
    before, after = count(explanation.before.program), count(explanation.after.program)
    if before == after:
        return f"{_plural(after, 'operation')}, no two of them equal."
    words = f"{after} once equal ones are computed once and what no element shows is left out."
    return f"{_plural(before, 'operation')} as written; {words}"


# --- the physical plans -----------------------------------------------------------------------------------------------


def _physical(title: str, words: str, explanation: Explanation, runs: bool, width: int) -> list[str]:
    plan = explanation.after if runs else explanation.before
    measured = explanation.measured if runs else {}
    wide = width >= WIDE
    rows = [_step_row(number, plan, step, measured.get(id(step)), wide) for number, step in enumerate(plan.steps, 1)]
    columns = [
        Column("", right=True), Column("step"), Column("", least=24), Column("passes", right=True),
        Column("FLOP", right=True), Column("kept", right=True), Column("time", right=True), Column("peak", right=True),
        Column("lines", least=5),
    ]  # fmt: skip
    return [f"PHYSICAL PLAN, {title}: {words}", *table(columns, rows, width)]


def _step_row(number: int, plan: Plan, step: Step, measured: Measured | None, wide: bool) -> Row:
    lines = ", ".join(map(str, lines_of(plan.program, step.asked))) or "page"  # its predictions
    cost = [passes_words(step), si(step.flops, "") if step.flops else "", si(step.bytes, "B") if step.bytes else ""]
    timed = ["", ""]
    notes = _choice(step)
    if measured:
        timed = [seconds_words(measured.seconds), si(measured.peak, "B") if measured.peak else ""]
        counted = _counted(step, measured)
        if not wide:
            counted = [f"took {timed[0]}", *([f"peak memory {timed[1]}"] if timed[1] else []), *counted]
            timed = ["", ""]
        notes += [f"measured: {', '.join(counted)}"] if counted else []
    frees = getattr(step, "frees", ())
    notes += [f"then frees {', '.join(frees)}"] if frees else []
    return Row((str(number), step.kind, step.words, *[c.strip() for c in cost], *timed, lines), notes=tuple(notes))


def _counted(step: Step, measured: Measured) -> list[str]:
    words = [_plural(measured.passes, "pass", "passes")] if measured.passes and measured.passes != step.passes else []
    if step.kind == "icons" and measured.made is not None:
        words.append(f"{_plural(measured.made, 'icon')} made, {measured.cached or 0} from the cache")
    return words


def _choice(step: Step) -> list[str]:
    """Both costs, where the optimizer had a choice."""
    notes = []
    for way in sorted(getattr(step, "alternatives", ()), key=lambda way: not way.chosen):
        cost = [_plural(way.passes, "pass", "passes"), si(way.flops, "FLOP")]
        cost += [si(way.bytes, "B")] if way.bytes else []
        cost += [f"about {seconds_words(way.seconds)}"] if way.seconds else []
        notes.append(f"{'chosen:' if way.chosen else 'instead of'} {way.mode}: {', '.join(cost)}")
    return notes


def _saved(explanation: Explanation, width: int) -> list[str]:
    *passes, flops = explanation.savings()
    words = [f"{saving.name} {saving.before} -> {saving.after}" for saving in passes]
    words.append(f"{si(flops.before, 'FLOP')} -> {si(flops.after, 'FLOP')}")
    times = f", {flops.times:.1f} times less" if flops.before > flops.after > 0 else ""
    return ["SAVED", *paragraph(f"{'; '.join(words)}{times} (without icons)", width, 2)]


def _plural(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
