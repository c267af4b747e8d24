"""`bbi fmt`: format texts."""

from __future__ import annotations

import difflib
import gc
import sys
from collections.abc import Sequence

from bbilang.cli.console import is_terminal, plural, report, result, result_text, tell
from bbilang.cli.errors import FINE, WRONG, misuse
from bbilang.cli.files import named, write
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.files import path_of
from bbilang.grammar.source import Source
from bbilang.texts import STDIN, read_marked


def format_texts(files: Sequence[str], check: bool, diff: bool) -> int:
    """Format each text; a text with errors is left unchanged, and the others are still formatted."""
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
    """Return (the text, the formatted text, its byte order mark), with the line ending of most of its lines."""
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
