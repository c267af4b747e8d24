"""`bbi check`, `bbi fmt` and `bbi extract`: commands about texts. Nothing runs."""

from __future__ import annotations

import difflib
import gc
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bbilang.cli.console import is_terminal, plural, report, result, result_json, result_text, tell
from bbilang.cli.errors import FINE, WRONG, fail, misuse
from bbilang.cli.files import STDIN, is_folder, named, read, read_marked, source_of, writable, write
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.files import path_of, read_bytes, short
from bbilang.grammar.source import Source

MOST_PAGE = 1 << 30  # bytes


def check(
    files: Sequence[str],
    pipe: str | None,
    inputs: Sequence[str] | None,
    model: str | None,
    settings: Mapping[str, Any],
    json: bool,
    root: str | None = None,
) -> int:
    """Every diagnostic of every text."""
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
            found, texts = error.diagnostics, []
            listed += error.to_json()
            errors, wrong = errors + len(found), wrong + 1
            if not json:
                report(found)
        if len(files) + len(texts) > 2:
            gc.enable()
        for text in texts:
            last = "the text" if text.name.startswith("<") else text.name
            given = inputs or (None if names_its_input(text) else SOME_PICTURE)
            request = Request(text, model=model, input=given, settings=settings, root=root_of(root))
            _, found = Pipeline(request).checked
            listed += [d.to_json(text) for d in found]
            count = sum(d.severity == "error" for d in found)
            errors, warnings = errors + count, warnings + len(found) - count
            wrong, fine = wrong + bool(count), fine + (not count)
            if not json:
                report(found, text)
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


# --- one form -------------------------------------------------------------------------------------------------------


def format_texts(files: Sequence[str], check: bool, diff: bool) -> int:
    """Each text into the one form; a text with errors stays as it is, and the others go on."""
    if not files:
        misuse("no text to format", "give files or folders (`bbi fmt page.bbi`), or `-` for stdin")
    changed = same = wrong = 0
    gc.enable()
    for name in named(files):
        try:
            old, new, mark = formatted(name)
            if diff:
                _show_difference(old, new)
            elif old.name == STDIN and not check:
                result_text(mark + new)
            if new == old.text:
                same += 1
                continue
            if check:
                (tell if diff or old.name == STDIN else result)(old.name)
            elif not diff and old.name != STDIN:
                write(path_of(name), (mark + new).encode("utf-8", "surrogatepass"))
            changed += 1
        except BbiError as error:
            report(error.diagnostics, error.source)
            wrong += 1
    parts = [f"{plural(changed, 'text')} {'would change' if check or diff else 'changed'}"] if changed else []
    parts += [f"{same} already in form"] if same else []
    parts += [f"{wrong} with errors, left as {'it is' if wrong == 1 else 'they are'}"] if wrong else []
    if list(files) != ["-"] or check:
        tell(", ".join(parts))
    return WRONG if wrong or (check and changed) else FINE


def formatted(name: str) -> tuple[Source, str, str]:
    """(the text as it is, as it should be, its byte order mark); line ends as most of its lines have them."""
    from bbilang.grammar.format import format_file
    from bbilang.grammar.parse import parse

    old, mark = read_marked(name)
    windows = old.text.count("\r\n") * 2 > old.text.count("\n")
    new = format_file(parse(old))
    return old, new.replace("\n", "\r\n") if windows else new, mark


def _show_difference(old: Source, new: str) -> None:
    lines = difflib.unified_diff(
        old.text.splitlines(keepends=True), new.splitlines(keepends=True), old.name, f"{old.name} (formatted)"
    )
    text = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    if not is_terminal(sys.stdout):
        result_text(text)
        return
    from rich.text import Text

    from bbilang.cli.console import console, printed

    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in text.splitlines():
        bold = line.startswith(("+++", "---"))
        console(sys.stdout).print(Text(printed(line), "bold" if bold else colours.get(line[:1], "")), soft_wrap=True)


# --- back from a page -----------------------------------------------------------------------------------------------


def extract(page: str, output: str | None, parents: bool = False) -> int:
    """The text that a page carries."""
    from bbilang.runtime.page.html import extract as extract_text

    if page == "-":
        data = sys.stdin.buffer.read(MOST_PAGE + 1)
        if len(data) > MOST_PAGE:
            fail("E441", f"standard input is larger than {MOST_PAGE >> 30} GB, and no page is")
    else:
        try:
            data = read_bytes(page, MOST_PAGE)
        except FileNotFoundError:
            fail("E441", f"there is no file {short(page)}")
        except IsADirectoryError:
            fail("E441", f"{page} is a folder")
        except OSError as error:
            message = f"{short(page)} cannot be read: {error.strerror or error}"
            help = "`-` reads standard input" if "a pipe" in str(error.strerror) else None
            raise BbiError(Diagnostic("E441", message, help=help)) from error
    try:
        text = extract_text(data.decode("utf-8", "replace"))
    except ValueError as error:
        help = "only HTML pages carry their text" if page.endswith((".png", ".svg", ".pdf", ".csv", ".json")) else None
        message = f"{page} carries no .bbi text: it is not a page made by bbi"
        raise BbiError(Diagnostic("E442", message, help=help)) from error
    if output is None:
        result_text(text)
        return FINE
    if is_folder(output):
        misuse(f"{output} is a folder", "name a file with `-o`")
    target = writable(output, parents)
    if target.exists() and page != "-" and target.samefile(path_of(page)):
        misuse("the text would take the place of the page", "choose another name with `-o`")
    write(target, text.encode("utf-8", "surrogatepass"), parents)
    result(str(target))
    return FINE
