"""`bbi check`: report every diagnostic of some texts, without running them."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import Any

from bbilang.cli.console import plural, report, result, result_json, tell
from bbilang.cli.errors import FINE, WRONG, misuse
from bbilang.cli.files import named, source_of
from bbilang.grammar.diagnostic import BbiError
from bbilang.texts import read


def check(
    files: Sequence[str],
    pipe: str | None,
    inputs: Sequence[str] | None,
    model: str | None,
    settings: Mapping[str, Any],
    json: bool,
    root: str | None = None,
    data: Mapping[str, str] | None = None,
) -> int:
    """Report every diagnostic of every text."""
    from bbilang.cli.request import SOME_PICTURE, root_of
    from bbilang.compiler.check_text import names_its_input
    from bbilang.pipeline import Pipeline, Request

    if not files and pipe is None:
        misuse("no text to check", "give files (`bbi check page.bbi`), a pipe (`-e '...'`), or `-` for stdin")
    listed: list[dict[str, Any]] = []
    errors = warnings = wrong = fine = 0
    last = "the text"
    for name in (None, *files) if pipe is not None else files:
        try:
            texts = [source_of(None, pipe)] if name is None else [read(one) for one in named([name])]
        except BbiError as error:
            diagnostics, texts = error.diagnostics, []
            listed += error.to_json()
            errors, wrong = errors + len(diagnostics), wrong + 1
            if not json:
                report(diagnostics)
        if len(files) + len(texts) > 2:
            gc.enable()
        for text in texts:
            last = "the text" if text.name.startswith("<") else text.name
            shown = inputs or (None if names_its_input(text) else SOME_PICTURE)
            folder = root_of(root)
            request = Request(text, model=model, input=shown, settings=settings, root=folder, data=data or {})
            _, diagnostics = Pipeline(request).checked
            listed += [d.to_json(text) for d in diagnostics]
            count = sum(d.severity == "error" for d in diagnostics)
            errors, warnings = errors + count, warnings + len(diagnostics) - count
            wrong, fine = wrong + bool(count), fine + (not count)
            if not json:
                report(diagnostics, text)
    if json:
        result_json(listed)
    elif errors:
        more = f" and {plural(warnings, 'warning')}" if warnings else ""
        where = f" in {wrong} of {wrong + fine} texts" if wrong + fine > 1 else ""
        tell(f"{plural(errors, 'error')}{more}{where}")
    else:
        more = f", with {plural(warnings, 'warning')}" if warnings else ""
        result(f"{last} is fine{more}" if fine == 1 else f"all {fine} texts are fine{more}")
    return WRONG if errors else FINE
