"""A plan comparison for people: the logical plan, both physical plans, the optimizer's choices and savings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bbilang.compiler.explain.columns import Column, Row, paragraph, table
from bbilang.compiler.explain.comparison import PlanComparison
from bbilang.compiler.explain.logical import Entry, count, entries, line_words, lines_of, type_words
from bbilang.compiler.explain.units import Measured, passes_words, seconds_words, si
from bbilang.compiler.ir.program import Program
from bbilang.compiler.plan.plan import PASSES, Plan, Step
from bbilang.compiler.plan.steps import predicts

READING = (
    "A pass is one run through the network: forward from the picture to the scores, backward from a target to a layer."
    " FLOP: one addition or multiplication. stored: memory that later steps read."
    " lines: who asks for a step, the page's own predictions among them."
)
WIDE = 96  # from this width on, measurements have their own columns
MOST_ELEMENTS = 12  # shown in the logical plan
MOST_STEPS = 40  # beyond which similar steps share a line

TimedStep = tuple[Step, Measured | None]


def text(comparison: PlanComparison, width: int) -> str:
    """Write blocks with a blank line between them."""
    if comparison.before.parts:
        each = [f"MODEL {name}\n\n{text(own, width)}" for name, own in _once(comparison)]
        together = [_saved(comparison, width)] if comparison.optimized else []
        if comparison.probes:
            together.append(_probes(comparison, width))
        if together:
            each.append("\n\n".join(["ALL MODELS", *("\n".join(block) for block in together)]))
        return "\n\n\n".join(each)
    program = comparison.before.program
    blocks = [_head(program, width), _logical(comparison, width)]
    if comparison.optimized:
        blocks.append(_physical("as written", "a pass for everything that needs one", comparison, False, width))
        blocks.append(_physical("optimized", "what will run", comparison, True, width))
        blocks.append(_saved(comparison, width))
    else:
        blocks.append(_physical("as written", "not optimized, will run so", comparison, True, width))
    if comparison.probes:
        blocks.append(_probes(comparison, width))
    blocks.append(paragraph(READING, width))
    return "\n\n".join("\n".join(block) for block in blocks)


def _once(comparison: PlanComparison) -> Iterator[tuple[str, PlanComparison]]:
    """Yield each model with its plan; of the checkpoints of a network the first, since all run the same."""
    members: dict[tuple[str, bool, bool], list[tuple[str, PlanComparison]]] = {}
    for name, own in comparison.of_models.items():
        program = own.before.program
        slot = program.models[0]
        key = (slot.of or name, bool(slot.members), program.partners)
        members.setdefault(key, []).append((name, own))
    for (whole, _, partners), each in members.items():
        (first, own), count = each[0], len(each)
        slot = own.before.program.models[0]
        if slot.members:
            yield f"{whole}, all checkpoints together", own
        elif slot.of:
            words = f"{whole}: {_plural(count, 'checkpoint')}, one at a time, each as {slot.alias}"
            yield (f"{words}, again for icons" if partners else words), own
        else:
            yield first, own


def _head(program: Program, width: int) -> list[str]:
    description = program.description
    name = f"{program.source.name}: " if program.source and not program.source.name.startswith("<") else ""
    pictures = _plural(len(program.inputs), "picture") if program.inputs else "no picture of its own"
    words = [f"{name}{_plural(len(program.elements), 'element')}, {pictures}"]
    if description:
        y, x = description.input_size
        words.append(f"{description.title}, {y} × {x} pixels, {si(description.flops, 'FLOP')} a forward pass")
    return paragraph("; ".join(words), width)


# --- the logical plan -------------------------------------------------------------------------------------------------


def _logical(comparison: PlanComparison, width: int) -> list[str]:
    program = comparison.after.program
    rows = [_entry_row(program, entry) for entry in entries(program, comparison.defaults, MOST_ELEMENTS)]
    columns = [Column("", right=True), Column("", least=34), Column("", least=22), Column("line", right=True, least=14)]
    lines = ["LOGICAL PLAN: what the page shows, and what it is made of"]
    lines += table(columns, rows, width)
    if (more := len(program.elements) - MOST_ELEMENTS) > 0:
        lines += paragraph(f"... and {_plural(more, 'more element')}; all of them are in the JSON.", width, 2)
    if comparison.optimized:
        lines += paragraph(_shared(comparison), width, 2)
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
    lines = line_words(lines_of(program, program.spans(entry.node)))
    return Row(
        (str(entry.number), f"{rails}{branch}{role}{name}{entry.words}", type_words(entry.node.type), lines), hang
    )


def _shared(comparison: PlanComparison) -> str:
    """Describe what the optimizer did to the logical plan."""
    before, after = count(comparison.before.program), count(comparison.after.program)
    if before == after:
        return f"{_plural(after, 'operation')}, no two of them equal."
    words = f"{after} once equal ones are computed once and what no element shows is left out."
    return f"{_plural(before, 'operation')} as written; {words}"


# --- the physical plans -----------------------------------------------------------------------------------------------


def _physical(title: str, words: str, comparison: PlanComparison, runs: bool, width: int) -> list[str]:
    plan = comparison.after if runs else comparison.before
    measured = comparison.measured if runs else {}
    page = predicts(plan.program, comparison.before.program)
    wide = width >= WIDE
    steps = list(zip(plan.steps, [measured.get(step.key) for step in plan.steps], strict=True))
    if len(steps) > MOST_STEPS:
        steps = _merge_similar(plan, steps)
    own = next((s for s in plan.steps if s.kind == "forward" and s.index == page), None)
    rows = [
        _step_row(number, plan, step, took, wide, runs, own is not None and step.index == own.index)
        for number, (step, took) in enumerate(steps, 1)
    ]
    columns = [
        Column("", right=True), Column("step"), Column("", least=24), Column("passes", right=True),
        Column("FLOP", right=True), Column("stored", right=True),
        Column("time", right=True), Column("peak", right=True),
        Column("lines", least=13),
    ]  # fmt: skip
    return [f"PHYSICAL PLAN, {title}: {words}", *table(columns, rows, width)]


def _merge_similar(plan: Plan, steps: list[TimedStep]) -> list[TimedStep]:
    """Merge steps of equal wording: add up their costs, and join the spans that requested them."""
    groups: dict[tuple[str, str], list[TimedStep]] = {}
    for step, measured in steps:
        style = plan.program.elements[step.index].node["style"] if step.kind == "draw" else ""
        groups.setdefault((step.kind, style or step.words), []).append((step, measured))
    merged = []
    for (kind, words), group in groups.items():
        (first, measured), many = group[0], [step for step, _ in group]
        if len(group) > 1:
            words = f"{len(group)} elements, {words}" if kind == "draw" else f"{len(group)} alike: {words}"
            first = replace(
                first, words=words, passes=sum(s.passes for s in many), flops=sum(s.flops for s in many),
                bytes=sum(s.bytes for s in many), bound=any(s.bound for s in many), least=sum(s.least for s in many),
                requested_by=tuple(span for s in many for span in s.requested_by), alternatives=(), frees=(),
            )  # fmt: skip
            times = [each for _, each in group if each]
            peak = max((each.peak or 0 for each in times), default=0) or None
            measured = Measured(sum(each.seconds for each in times), peak) if times else None
        merged.append((first, measured))
    return merged


def _step_row(
    number: int, plan: Plan, step: Step, measured: Measured | None, wide: bool, runs: bool, page: bool
) -> Row:
    own = ["page"] if page and step.kind == "forward" else []  # its predictions for every picture
    requested_by = line_words(lines_of(plan.program, step.requested_by))
    lines = ", ".join([*own, *([requested_by] if requested_by else [])])
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
    notes += [f"then frees the {', the '.join(map(str, step.frees))}"] if step.frees and runs else []
    return Row((str(number), step.kind, step.words, *[c.strip() for c in cost], *timed, lines), notes=tuple(notes))


def _counted(step: Step, measured: Measured) -> list[str]:
    passes = measured.passes if step.kind in PASSES and measured.passes != step.passes else None
    words = [_plural(passes, "pass", "passes")] if passes is not None else []
    if step.kind == "icons" and measured.made is not None:
        words.append(f"{_plural(measured.made, 'icon')} made, {measured.cached or 0} from the cache")
    return words


def _choice(step: Step) -> list[str]:
    """Write both costs, if the optimizer had a choice."""
    notes = []
    for way in sorted(step.alternatives, key=lambda way: not way.chosen):
        cost = [_plural(way.passes, "pass", "passes"), si(way.flops, "FLOP")]
        cost += [f"{si(way.bytes, 'B')} moved"] if way.bytes else []
        cost += [f"about {seconds_words(way.seconds)}"] if way.seconds else []
        mode = f"{way.mode} mode" if way.mode in ("reverse", "forward") else way.mode
        notes.append(f"{'chosen:' if way.chosen else 'instead of'} {mode}, {', '.join(cost)}")
    return notes


def _saved(comparison: PlanComparison, width: int) -> list[str]:
    *passes, flops = comparison.savings()
    words = [f"{saving.name} {saving.before:,} -> {saving.after:,}" for saving in passes]
    words.append(f"{si(flops.before, 'FLOP')} -> {si(flops.after, 'FLOP')}")
    times = f", {flops.times:.1f} times less" if flops.before > flops.after > 0 else ""
    return ["SAVED", *paragraph(f"{'; '.join(words)}{times} (without icons)", width, 2)]


def _probes(comparison: PlanComparison, width: int) -> list[str]:
    words = f"Besides, {_plural(comparison.probes, 'probe')} of one to four rows: what is learned of a network once."
    return paragraph(words, width)


def _plural(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
