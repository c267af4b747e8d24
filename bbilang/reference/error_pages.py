"""The pages about what goes wrong: one section for every code, and the table of mistakes that the golden tests hold.

Examples are checked as `bbi check` does it, and the messages on the pages are what came out.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bbilang.api import options
from bbilang.compiler import codes as compiler_codes
from bbilang.compiler.check.check import Checker
from bbilang.grammar import codes as grammar_codes
from bbilang.grammar.codes import Code
from bbilang.grammar.diagnostic import Diagnostic, render
from bbilang.grammar.parse import lost_names, parse_recovering
from bbilang.grammar.source import Source
from bbilang.registry import registry
from bbilang.runtime import codes as runtime_codes

CODES: Mapping[str, Code] = dict(
    sorted((grammar_codes.CODES | compiler_codes.CODES | runtime_codes.CODES).items(), key=lambda item: item[0])
)
PICTURE = "sample:chelsea"
WITHOUT = "# without --input"

GROUPS = (  # what a reader looks for -> the codes
    ("Quotes, characters, numbers", ("E101", "E103", "E104", "E105", "E106", "E107")),
    ("Brackets and blocks", ("E102", "E108", "E109", "E110", "E111")),
    ("Pipes and stages", ("E112", "E113", "E114", "E115", "E122", "E125")),
    ("Commas, values, operators", ("E118", "E119", "E120", "E121", "E123", "E124", "E128", "E129", "E131")),
    (
        "Statements and their words",
        ("E116", "E117", "E126", "E127", "E130", "E132", "E133", *compiler_codes.STATEMENTS),
    ),
    ("Names, layers, classes", tuple(compiler_codes.NAMES)),
    ("Arguments", tuple(compiler_codes.ARGUMENTS)),
    ("Axes, styles, selections", tuple(compiler_codes.FIELDS)),
    ("Models and their weights", tuple(runtime_codes.MODELS)),
    ("Pictures", tuple(runtime_codes.PICTURES)),
    ("Files and the command line", tuple(runtime_codes.FILES)),
    ("While running", tuple(runtime_codes.RUNNING)),
)


def checked(text: str, files: Mapping[str, str] | None = None) -> tuple[Checker, tuple[Diagnostic, ...], Source]:
    """The checker after its work, every diagnostic in the order of the text, and the source under its plain name.

    The picture is a sample unless the text names one, or begins with `# without --input`.
    """
    named = text.startswith(WITHOUT) or re.search(r'^input "', text, re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (files or {}).items():
            (Path(folder) / name).write_text(content, encoding="utf-8")
        file, syntax = parse_recovering(Source(text, str(Path(folder) / "page.bbi")))
        given = options(inputs=None if named else (PICTURE,))
        checker = Checker(file, registry(), given, lost_names(file) if syntax else None)
        checker.run()
        found = sorted((*syntax, *checker.diagnostics), key=lambda d: d.span.start if d.span else -1)
        plain = [_without(d, folder) for d in found]
    return checker, tuple(plain), Source(text, "page.bbi")


def _without(diagnostic: Diagnostic, folder: str) -> Diagnostic:
    """No trace of the folder that the example lay in."""
    return replace(diagnostic, message=diagnostic.message.replace(f"{folder}/", ""))


def fenced(text: str, language: str = "bbi") -> str:
    """A block of code: what is typed in a shell or in Python says so by itself."""
    language = "console" if text.startswith("$ ") else "pycon" if text.startswith(">>> ") else language
    return f"```{language}\n{text.rstrip()}\n```"


# --- one section a code ---------------------------------------------------------------------------------------------


def errors_page() -> str:
    """Every code: why it is a mistake, an example with its message, and the example put right."""
    parts = [
        "# Errors and warnings",
        "What a code means, why it is a mistake, and how to put it right. The tests see to it that every wrong example "
        "gives the message below it and that every right one checks, on the demo's network and a sample picture. "
        "[The table of mistakes](../mistakes.md) shows what people really type.",
    ]
    for heading, codes in GROUPS:
        rows = [f"- [{code}](#{code}) {CODES[code].title}" for code in sorted(codes)]
        parts.append("\n".join([f"**{heading}**", "", *rows]))
    parts += [_section(code, entry) for code, entry in CODES.items()]
    return "\n\n".join(parts) + "\n"


def _section(code: str, entry: Code) -> str:
    parts = [f'<a id="{code}"></a>\n\n## {code}: {entry.title}', entry.why]
    beside = [f"Beside it, `{name}`:\n\n{fenced(text)}" for name, text in entry.files.items()]
    parts += ["Wrong" + (f" (with {entry.needs}):" if entry.needs else ":"), fenced(entry.wrong), *beside]
    if not entry.needs:
        _, found, source = checked(entry.wrong, entry.files)
        own = [d for d in found if d.code == code]
        parts.append(fenced(render(own[:1], source), "text"))
    return "\n\n".join([*parts, "Right:", fenced(entry.right)])


# --- the table of mistakes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mistake:
    """A case of the golden files: its title, the line at fault, and what is said of it."""

    title: str
    line: str
    code: str
    message: str
    help: str


def mistakes(golden: Iterable[Path]) -> Iterator[Mistake]:
    """Every case of the golden files that has a message."""
    for path in golden:
        for block in re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            title, rest = block.split("\n", 1)
            text, _, expected = rest.partition("\n--- expected\n")
            found = list(re.finditer(r"^(error|warning)\[(\w+)\]: (.*)$", expected, re.MULTILINE))
            first = next((match for match in found if match[1] == "error"), found[0] if found else None)
            if first is None:
                continue
            own = expected[first.end() :].split("\n\n")[0]
            place = re.match(r"\n  --> page\.bbi:(\d+):", own)
            lines = re.split(r"\r\n|\n|\r", text)
            line = lines[int(place[1]) - 1] if place and int(place[1]) <= len(lines) else ""
            help = re.search(r"^  help: (.*)$", own, re.MULTILINE)
            yield Mistake(title, line.strip(), first[2], first[3], help[1] if help else "")


def mistakes_page(golden: Iterable[Path]) -> str:
    """Mistake -> message, grouped by what a reader looks for."""
    found = list(mistakes(golden))
    parts = [
        "# Mistakes, and what is said of them",
        f"{len(found)} mistakes that people make, each with the line at fault and the message that it gets. Every row "
        "is a golden test, so that a message changes only where somebody looks at it. What a code means stands under "
        "[errors and warnings](reference/errors.md). ␍ ␉ ⍽ ⍾ stand for a carriage return, a tab, a no-break space and "
        "a space of no width.",
    ]
    for heading, codes in GROUPS:
        rows = [_row(mistake) for mistake in found if mistake.code in codes]
        if rows:
            parts.append(
                "\n".join([f"## {heading}", "", "| mistake | the line | the message |", "|---|---|---|", *rows])
            )
    return "\n\n".join(parts) + "\n"


def _row(mistake: Mistake) -> str:
    line = mistake.line.replace("|", "\\|")
    ticks = "``" if "`" in line else "`"
    typed = f"{ticks}{line}{ticks}" if line else "(the whole text)"
    help = f"<br>*{_prose(mistake.help)}*" if mistake.help else ""
    link = f"[{mistake.code}](reference/errors.md#{mistake.code})"
    return f"| {_prose(mistake.title)} | {typed} | {link} {_prose(mistake.message)}{help} |"


def _prose(words: str) -> str:
    """Words for a cell of a table: what has a meaning in Markdown stands for itself, outside of `code`."""
    parts = plain(words).replace("|", "\\|").split("`")
    for number in range(0, len(parts), 2):
        parts[number] = re.sub(r"([*_\[\]])", r"\\\1", parts[number])
    return "`".join(parts)


def plain(words: str) -> str:
    """Words without HTML: `<` and `&` stand for themselves, outside of `code`."""
    parts = words.split("`")
    for number in range(0, len(parts), 2):
        parts[number] = parts[number].replace("&", "&amp;").replace("<", "&lt;")
    return "`".join(parts)
