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
        return _page(line, completions, count)
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


def _page(line: CommandLine, completions: Completions, count: int) -> int:
    from bbilang.cli.run import run

    name = line.source.name
    path = Path("completions.bbi") if name.startswith("<") else Path(name).with_name(f"{Path(name).stem}-complete.bbi")
    text = Source(completions.text(max(count, 1)), str(path))
    return run(replace(line, request=replace(line.request, text=text), source=text))
