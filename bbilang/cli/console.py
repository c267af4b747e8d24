"""Output of the commands: results on stdout, everything else on stderr; colour and cropping only on a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from bbilang.grammar.diagnostic import Diagnostic, render
from bbilang.grammar.source import Source

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

CONTROLS = {c: 0x2400 + c for c in range(32) if c not in (9, 10)} | {c: 0xFFFD for c in range(127, 160)}
HEADLINE = re.compile(r"(error|warning)(\[\w+\])?: (.*)", re.DOTALL)
EXCERPT = re.compile(r"( *\d+ \| )(.*)", re.DOTALL)
CARETS = re.compile(r"( +)(\^+)(.*)")
CODE = re.compile(r"`[^`]+`")


def is_terminal(stream: TextIO) -> bool:
    """Return whether a stream supports colour, cropping and animation."""
    return stream.isatty() or bool(os.environ.get("FORCE_COLOR"))


def console(stream: TextIO) -> Console:
    """Return a Rich console on a stream, without markup, because the output may be untrusted."""
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def printed(words: str) -> str:
    """Remove control characters: a file name or a text must not control the terminal."""
    return words.translate(CONTROLS)


def tell(words: str) -> None:
    """Print a line for people on stderr."""
    sys.stderr.write(printed(words) + "\n")


def result(words: str) -> None:
    """Print a line for people and programs on stdout."""
    sys.stdout.write(printed(words) + "\n")
    sys.stdout.flush()


def result_text(text: str) -> None:
    """Print a text, such as a source or JSON, on stdout unchanged."""
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None:
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        raw.write(text.encode("utf-8", "surrogatepass"))
    sys.stdout.flush()


def result_json(value: Any) -> None:
    import json

    result_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def result_words(words: str, indent: int = 0) -> None:
    """Print a sentence or two on stdout, wrapped at words on a terminal."""
    if is_terminal(sys.stdout):
        import textwrap

        pad = " " * indent
        width = max(40, console(sys.stdout).width)
        lines = textwrap.wrap(words, width, initial_indent=pad, subsequent_indent=pad, break_on_hyphens=False)
        words = "\n".join(lines)
    else:
        words = " " * indent + words
    result(words)


def result_table(table: Any) -> None:
    """Print a rich table on stdout; not limited in width if stdout is not a terminal."""
    where = console(sys.stdout)
    if not is_terminal(sys.stdout):
        where.width = 240
    with where.capture() as captured:
        where.print(table)
    for line in captured.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")
    sys.stdout.flush()


def report(diagnostics: Iterable[Diagnostic], source: Source | None = None) -> None:
    """Print diagnostics on stderr, each once and followed by a blank line."""
    for diagnostic in diagnostics:
        text = printed(render([diagnostic], source))
        if is_terminal(sys.stderr):
            where = console(sys.stderr)
            where.print(painted(text, where.width), soft_wrap=True)
            where.print()
        else:
            sys.stderr.write(f"{text}\n\n")
    sys.stderr.flush()


def painted(text: str, width: int) -> Text:
    """Style a rendered diagnostic for a terminal: coloured, with wrapped words and source lines cropped around the
    carets."""
    from rich.text import Text

    parts: list[Text] = []
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if (match := HEADLINE.fullmatch(line)) and number == 0:
            colour = "bold red" if match[1] == "error" else "bold yellow"
            parts.append(_words(line, "", "    ", width, "bold", f"{match[1]}{match[2] or ''}", colour))
        elif line.startswith("  --> "):
            parts.append(Text.assemble(("  --> ", "blue"), line[6:]))
        elif (match := EXCERPT.fullmatch(line)) and (carets := CARETS.fullmatch(following)):
            shown, pointing, note = _cropped(match[2], carets, len(match[1]), width)
            parts.append(Text.assemble((match[1], "blue"), shown))
            parts.append(Text.assemble(" " * len(match[1]), (pointing, "bold red"), (note, "red")))
            number += 1
        elif line.startswith("  help: "):
            parts.append(_words(line, "", "        ", width, "", "  help:", "bold cyan"))
        else:
            parts.append(Text(line))
        number += 1
    return Text("\n").join(parts)


def _words(line: str, first: str, rest: str, width: int, style: str, head: str, colour: str) -> Text:
    """Wrap a sentence at words, with text in backticks bold."""
    import textwrap

    from rich.text import Text

    wrapped = textwrap.wrap(
        line, max(width, 40), initial_indent=first, subsequent_indent=rest, break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True, replace_whitespace=False,
    )  # fmt: skip
    text = Text("\n".join(wrapped), style=style)
    text.stylize(colour, 0, len(head))
    text.highlight_regex(CODE, "bold")
    return text


def _cropped(shown: str, carets: re.Match[str], gutter: int, width: int) -> tuple[str, str, str]:
    """Crop a source line and its carets to the terminal's width, with the carets visible."""
    from rich.cells import cell_len

    begin, end, note = len(carets[1]) - gutter, len(carets[1]) - gutter + len(carets[2]), carets[3]
    room = width - gutter
    if cell_len(shown) <= room or cell_len(shown) != len(shown) or room < 20:
        return shown, " " * begin + carets[2], note
    left = max(0, min(begin - max(4, (room - (end - begin)) // 3), len(shown) - room))
    window = shown[left : left + room]
    if left > 0:
        window = "…" + window[1:]
    if left + room < len(shown):
        window = window[:-1] + "…"
    begin, end = begin - left, min(end - left, room)
    return window, " " * begin + "^" * max(1, end - begin), note


def duration(seconds: float) -> str:
    """Write a duration: "9 s", "1 min 20 s", "2 h 5 min"."""
    if seconds < 10:
        return f"{max(seconds, 0.1):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 and whole < 600 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 >= 60 else "")


def size(count: float) -> str:
    """Write a number of bytes: "812 B", "1.4 MB"."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count:.0f} B"


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
