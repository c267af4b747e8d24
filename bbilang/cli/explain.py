"""`bbi explain`: the plan as text, JSON or a picture, and with `--analyze` what each of its steps took."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from bbilang.cli.console import console, is_terminal, printed, result, result_text
from bbilang.cli.errors import FINE, misuse
from bbilang.cli.files import writable, write
from bbilang.cli.progress_bar import Watch
from bbilang.cli.request import KEPT, NOT_KEPT, Request
from bbilang.compiler.explain.explain import Explanation
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.registry import operation_defaults

FORMATS = ("text", "json", "svg", "png", "pdf")
ENDINGS = {"txt": "text", "json": "json", "svg": "svg", "png": "png", "pdf": "pdf"}
PICTURES = ("svg", "png", "pdf")
PIPED = 100  # cells in a line where no terminal says how many
PLAIN = str.maketrans({"│": "|", "├": "|", "└": "`", "─": "-", "×": "x", "·": "-"})  # for a terminal of ASCII


def explain(request: Request, analyze: bool) -> int:
    """The explanation, to standard output or into a file. The place for it is tried before any work."""
    path, format = _place(request)
    found = analyzed(request) if analyze else explained(request)
    if path is None:
        _show(found, format)
    else:
        write(path, _bytes(found, format), request.parents)
        result(str(path))
    return FINE


def explained(request: Request) -> Explanation:
    """The plan as written and as it will run. Nothing runs."""
    from bbilang import api

    program = request.program()
    before = api.plan(program)
    return Explanation(before, request.planned(program) if request.optimized else before, (), operation_defaults())


def analyzed(request: Request) -> Explanation:
    """The same, with the time and the peak memory of each step. Everything runs; only icons come from the cache."""
    from bbilang import api

    explanation = explained(request)
    try:
        with Watch(request.quiet) as watch:
            watch.doing("loading the network")
            results = api.execute(
                explanation.after, device=request.device, draft=request.draft, measure=True,
                cache=None if request.cache else False, progress=watch,
            )  # fmt: skip
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(KEPT if request.cache else NOT_KEPT) from interrupt
    timings = list(results.timings)
    own = [place for place, (step, _) in enumerate(timings) if step.kind == "icons"]
    if len(own) == 1:
        step, took = timings[own[0]]
        timings[own[0]] = step, replace(took, made=watch.made, cached=watch.cached)
    return replace(explanation, timings=tuple(timings), probes=results.passes.probes if results.passes else 0)


def _place(request: Request) -> tuple[Path | None, str]:
    """(path, or None for standard output; format). Raises BbiError E430, E431."""
    if request.output is None:
        if request.format in ("png", "pdf") and is_terminal(sys.stdout):
            misuse(f"{request.format} is no text for a terminal", "name a file: `-o plan.png`")
        return None, request.format or "text"
    path = Path(request.output)
    ending = path.suffix.lstrip(".").lower()
    format = request.format or ENDINGS.get(ending)
    if format is None:
        help = f"formats are {', '.join(FORMATS)}; `--format` says which, whatever the file is called"
        raise BbiError(Diagnostic("E430", f"{path}: there is no format `{ending}`", help=help))
    path = writable(path, request.parents)
    if path.exists() and Path(request.source.name).exists() and path.samefile(request.source.name):
        misuse(f"the plan would take the place of {request.source.name}", "choose another name with `-o`")
    return path, format


def _show(found: Explanation, format: str) -> None:
    if format != "text":
        data = _bytes(found, format)
        if format in ("png", "pdf"):
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        else:
            result_text(data.decode())
        return
    said = os.environ.get("COLUMNS", "")
    width = console(sys.stdout).width if is_terminal(sys.stdout) else int(said) if said.isdecimal() else PIPED
    text = printed(found.text(max(width, 40)))
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


def _bytes(found: Explanation, format: str) -> bytes:
    match format:
        case "text":
            return (found.text(PIPED) + "\n").encode(errors="backslashreplace")
        case "json":
            return (json.dumps(found.to_json(), ensure_ascii=False, indent=2) + "\n").encode(errors="backslashreplace")
        case "svg":
            return found.to_svg().encode(errors="replace")
    import vl_convert

    picture = found.to_svg("light")
    return vl_convert.svg_to_png(picture, scale=2) if format == "png" else vl_convert.svg_to_pdf(picture)
