"""`bbi complete`: list what the holes of a text could be, and make a page of the best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bbilang.cli.console import plural, result, result_json
from bbilang.cli.errors import FINE
from bbilang.cli.request import CommandLine
from bbilang.compiler.complete.completions import Limits
from bbilang.completions import Completions, lines
from bbilang.grammar.source import Source


def complete(line: CommandLine, by: str | None, limits: Limits, shown: int, count: int | None, json: bool) -> int:
    """List the completions of a text. ``shown``: how many are printed; ``count``: how many go on a page, or None."""
    completions = Completions(line.request, tuple((by or "").replace(" ", "").split(",")) if by else (), limits)
    if count is not None:
        return _page(line, completions, count, json)
    if json:
        result_json(completions.to_json())
        return FINE
    for completion in completions[:shown]:
        for words in lines(completion):
            result(words)
    on_front = sum(completion.front for completion in completions)
    words = f"{plural(len(completions), 'completion')}, {on_front} on the Pareto front of the five goals"
    more = f"; `--show {len(completions)}` prints all" if len(completions) > shown else ""
    result(f"{words}{more}")
    return FINE


def _page(line: CommandLine, completions: Completions, count: int, json: bool) -> int:
    """Make one page of the best, and say what was measured of each."""
    from bbilang.cli.fetch import prepare
    from bbilang.cli.progress_bar import ProgressBar
    from bbilang.cli.run import target
    from bbilang.measured import SideBySide, said
    from bbilang.runtime.heap import keep_freed_blocks

    name = line.source.name
    path = Path("completions.bbi") if name.startswith("<") else Path(name).with_name(f"{Path(name).stem}-complete.bbi")
    best = completions[:count]
    text = Source(completions.text(count), str(path))
    line = replace(line, request=replace(line.request, text=text), source=text)
    out, format = target(line)
    bar = ProgressBar(line.quiet)
    pipeline = line.pipeline(listener=None if line.quiet else bar)
    prepare(line, pipeline.program)
    beside = SideBySide(best, pipeline, completions.by)
    try:
        with bar:
            bar.doing("loading the network")
            keep_freed_blocks()
            _ = beside.results
            bar.doing("drawing the page")
            out = beside.page.save(out, format, line.parents)
    except KeyboardInterrupt as interrupt:
        raise line.interrupted from interrupt
    if json:
        result_json([
            {"number": n, "planned_number": completion.number, "pipes": list(completion.filled.pipes),
             "sentence": completion.sentence, "measured": goals.to_json(), "why_above_the_next": why}
            for n, (completion, goals, why) in enumerate(beside.told, 1)
        ])  # fmt: skip
        return FINE
    for number, (completion, goals, why) in enumerate(beside.told, 1):
        result(f"{number:>3}  {completion.filled.pipes[0] if completion.filled.pipes else completion.sentence}")
        result(f"     measured: {said(goals)}")
        if why:
            result(f"     above {number + 1}: {why}")
    alone = sum(completion.goals.passes for completion in best)
    result(f"{out}  {plural(beside.passes, 'pass', 'passes')} for all of them; {alone:,} if each ran alone")
    return FINE
