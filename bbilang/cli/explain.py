"""`bbi explain`: the plan as text, JSON or a picture, and with `--analyze` the measured cost of each step."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from bbilang.cli.console import console, is_terminal, printed, result, result_text
from bbilang.cli.errors import FINE, misuse
from bbilang.cli.files import writable, write
from bbilang.cli.progress_bar import ProgressBar
from bbilang.cli.request import CommandLine, reported
from bbilang.compiler.explain.comparison import names_of
from bbilang.compiler.explain.explain import Explanation
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.pipeline import Pipeline
from bbilang.runtime.heap import keep_freed_blocks

FORMATS = ("text", "json", "svg", "png", "pdf")
ENDINGS = {"txt": "text", "json": "json", "svg": "svg", "png": "png", "pdf": "pdf"}
PICTURES = ("svg", "png", "pdf")
PIPED = 100  # cells in a line where no terminal says how many
PLAIN = str.maketrans({"│": "|", "├": "|", "└": "`", "─": "-", "×": "x", "·": "-"})  # for a terminal of ASCII


def explain(line: CommandLine, analyze: bool) -> int:
    """Print the explanation or write it to a file, which is checked to be writable before any work."""
    path, format = _target(line)
    bar = ProgressBar(line.quiet)
    pipeline = line.pipeline(listener=bar)
    reported(pipeline, line.source)
    explanation = _analyzed(line, pipeline, bar) if analyze else pipeline.explanation()
    if path is None:
        _show(explanation, format)
    else:
        write(path, _bytes(explanation, format), line.parents)
        result(str(path))
    return FINE


def _analyzed(line: CommandLine, pipeline: Pipeline, bar: ProgressBar) -> Explanation:
    """Run the plan and return the plans with the time and peak memory of each step. Only icons come from the cache."""
    explanation = pipeline.explanation()
    try:
        with bar:
            bar.doing("loading the network")
            keep_freed_blocks()
            results = pipeline.measured()
    except KeyboardInterrupt as interrupt:
        raise line.interrupted from interrupt
    if results.parts:
        parts = dict(zip(names_of(part.program for part in results.parts), results.parts, strict=True))
        probes = sum(part.passes.probes for part in parts.values() if part.passes)
        return replace(explanation, timings_of={name: it.timings for name, it in parts.items()}, probes=probes)
    timings = list(results.timings)
    icons = [number for number, (step, _) in enumerate(timings) if step.kind == "icons"]
    if len(icons) == 1:
        step, took = timings[icons[0]]
        timings[icons[0]] = step, replace(took, made=bar.made, cached=bar.cached)
    return replace(explanation, timings=tuple(timings), probes=results.passes.probes if results.passes else 0)


def _target(line: CommandLine) -> tuple[Path | None, str]:
    """Return (path, or None for standard output; format). Raises BbiError E430, E431."""
    if line.output is None:
        if line.format in ("png", "pdf") and is_terminal(sys.stdout):
            misuse(f"{line.format} is no text for a terminal", "name a file: `-o plan.png`")
        return None, line.format or "text"
    path = Path(line.output)
    ending = path.suffix.lstrip(".").lower()
    format = line.format or ENDINGS.get(ending)
    if format is None:
        help = f"formats are {', '.join(FORMATS)}; `--format` says which, whatever the file is called"
        raise BbiError(Diagnostic("E430", f"{path}: there is no format `{ending}`", help=help))
    path = writable(path, line.parents)
    if path.exists() and Path(line.source.name).exists() and path.samefile(line.source.name):
        misuse(f"the plan would overwrite {line.source.name}", "choose another name with `-o`")
    return path, format


def _show(explanation: Explanation, format: str) -> None:
    if format != "text":
        data = _bytes(explanation, format)
        if format in ("png", "pdf"):
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        else:
            result_text(data.decode())
        return
    said = os.environ.get("COLUMNS", "")
    width = console(sys.stdout).width if is_terminal(sys.stdout) else int(said) if said.isdecimal() else PIPED
    text = printed(explanation.text(max(width, 40)))
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        text = text.translate(PLAIN)
    if not is_terminal(sys.stdout):
        result(text)
        return
    from rich.text import Text

    painted = Text(text)
    painted.highlight_regex(r"(?m)^[A-Z ]{5,}(?=[:,]|$)", "bold")
    painted.highlight_regex(r"(?m)^ +chosen: .*$", "green")
    painted.highlight_regex(r"[│├└─]+", "dim")
    console(sys.stdout).print(painted, soft_wrap=True)


def _bytes(explanation: Explanation, format: str) -> bytes:
    match format:
        case "text":
            return (explanation.text(PIPED) + "\n").encode(errors="backslashreplace")
        case "json":
            return (json.dumps(explanation.to_json(), ensure_ascii=False, indent=2) + "\n").encode(
                errors="backslashreplace"
            )
        case "svg":
            return explanation.to_svg().encode(errors="replace")
    import vl_convert

    picture = explanation.to_svg("light")
    return vl_convert.svg_to_png(picture, scale=2) if format == "png" else vl_convert.svg_to_pdf(picture)
