"""The error pages: one section per code, and the table of mistakes from the golden tests.

Examples are checked as by `bbi check`, and the messages on the pages are its output.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bbilang.compiler import codes as compiler_codes
from bbilang.compiler.check.check import Checker
from bbilang.grammar import codes as grammar_codes
from bbilang.grammar.codes import Code
from bbilang.grammar.diagnostic import Diagnostic, render
from bbilang.grammar.parse import lost_names, parse_recovering
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry
from bbilang.runtime import codes as runtime_codes

CODES: Mapping[str, Code] = dict(
    sorted((grammar_codes.CODES | compiler_codes.CODES | runtime_codes.CODES).items(), key=lambda item: item[0])
)
PICTURE = "sample:chelsea"
WITHOUT = "# without --input"

GROUPS = (  # heading -> the codes below it
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
    ("Pipes over datasets", tuple(compiler_codes.DATASETS)),
    ("Holes", ("E146", "E147", "E148", *compiler_codes.HOLES)),
    ("Interventions", tuple(compiler_codes.INTERVENTIONS)),
    ("Several models", tuple(compiler_codes.MODELS)),
    ("Models and their weights", tuple(runtime_codes.MODELS)),
    ("Pictures", tuple(runtime_codes.PICTURES)),
    ("Sounds", tuple(runtime_codes.SOUNDS)),
    ("Datasets", tuple(runtime_codes.DATASETS)),
    ("Files and the command line", tuple(runtime_codes.FILES)),
    ("While running", tuple(runtime_codes.RUNNING)),
    ("Pipes as losses", tuple(runtime_codes.LOSSES)),
    ("Networks that are mended", (*compiler_codes.MENDING, *runtime_codes.MENDING)),
    ("Tokens and attention", (*compiler_codes.TOKENS, *runtime_codes.TOKENS)),
    ("Influence of training examples", tuple(runtime_codes.INFLUENCE)),
    ("Recording a training", tuple(runtime_codes.RECORDING)),
)


def checked(text: str, files: Mapping[str, str] | None = None) -> tuple[Checker, tuple[Diagnostic, ...], Source]:
    """Check a text; return the checker, all diagnostics in text order, and the source, named `page.bbi`.

    The input is a sample picture unless the text names one, or begins with `# without --input`.
    """
    has_input = text.startswith(WITHOUT) or re.search(r'^input (\w+ = )?"', text, re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (files or {}).items():
            (Path(folder) / name).write_text(content, encoding="utf-8")
        file, syntax = parse_recovering(Source(text, str(Path(folder) / "page.bbi")))
        pipeline = Pipeline(Request(file, input=None if has_input else PICTURE))
        checker = Checker(file, registry(), pipeline.options, lost_names(file) if syntax else None)
        checker.run()
        diagnostics = sorted((*syntax, *checker.diagnostics), key=lambda d: d.span.start if d.span else -1)
        shown = [_without_folder(d, folder) for d in diagnostics]
    return checker, tuple(shown), Source(text, "page.bbi")


def _without_folder(diagnostic: Diagnostic, folder: str) -> Diagnostic:
    """Remove the temporary folder from a message."""
    return replace(diagnostic, message=diagnostic.message.replace(f"{folder}/", ""))


def fenced(text: str, language: str = "bbi") -> str:
    """Return a code block; shell and Python sessions are recognized by their prompt."""
    language = "console" if text.startswith("$ ") else "pycon" if text.startswith(">>> ") else language
    return f"```{language}\n{text.rstrip()}\n```"


# --- one section per code ---------------------------------------------------------------------------------------------


def errors_page() -> str:
    """Return the page of all codes: the reason, an example with its message, and the corrected example."""
    parts = [
        "# Errors and warnings",
        "What each code means, why it is a mistake, and how to fix it. The tests verify that every wrong example gives "
        "the message below it and that every corrected one passes, with the demo network and a sample picture. "
        "[The table of mistakes](../mistakes.md) shows mistakes that people really make.",
    ]
    for heading, codes in GROUPS:
        rows = [f"- [{code}](#{code}) {CODES[code].title}" for code in sorted(codes)]
        parts.append("\n".join([f"**{heading}**", "", *rows]))
    parts += [_section(code, entry) for code, entry in CODES.items()]
    return "\n\n".join(parts) + "\n"


def _section(code: str, entry: Code) -> str:
    parts = [f'<a id="{code}"></a>\n\n## {code}: {entry.title}', entry.why]
    files = [f"With the file `{name}`:\n\n{fenced(text)}" for name, text in entry.files.items()]
    parts += ["Wrong" + (f" (with {entry.needs}):" if entry.needs else ":"), fenced(entry.wrong), *files]
    if not entry.needs:
        _, diagnostics, source = checked(entry.wrong, entry.files)
        same_code = [d for d in diagnostics if d.code == code]
        parts.append(fenced(render(same_code[:1], source), "text"))
    return "\n\n".join([*parts, "Right:", fenced(entry.right)])


# --- the table of mistakes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mistake:
    """A case of the golden files: its title, the offending line, and the diagnostic."""

    title: str
    line: str
    code: str
    message: str
    help: str


def mistakes(golden: Iterable[Path]) -> Iterator[Mistake]:
    """Yield every case of the golden files that has a diagnostic."""
    for path in golden:
        for block in re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            title, rest = block.split("\n", 1)
            text, _, expected = rest.partition("\n--- expected\n")
            matches = list(re.finditer(r"^(error|warning)\[(\w+)\]: (.*)$", expected, re.MULTILINE))
            first = next((match for match in matches if match[1] == "error"), matches[0] if matches else None)
            if first is None:
                continue
            details = expected[first.end() :].split("\n\n")[0]
            position = re.match(r"\n  --> page\.bbi:(\d+):", details)
            lines = re.split(r"\r\n|\n|\r", text)
            number = int(position[1]) if position else 0
            line = lines[number - 1] if 0 < number <= len(lines) else ""
            help = re.search(r"^  help: (.*)$", details, re.MULTILINE)
            yield Mistake(title, line.strip(), first[2], first[3], help[1] if help else "")


def mistakes_page(golden: Iterable[Path]) -> str:
    """Return the page of all mistakes and their messages, grouped by topic."""
    cases = list(mistakes(golden))
    parts = [
        "# Mistakes and their messages",
        f"{len(cases)} mistakes that people make, each with the offending line and its message. Every row is a golden "
        "test, so a message changes only under review. [Errors and warnings](reference/errors.md) explains the codes. "
        "␍ ␉ ⍽ ⍾ stand for a carriage return, a tab, a no-break space and a zero-width space.",
    ]
    for heading, codes in GROUPS:
        rows = [_row(mistake) for mistake in cases if mistake.code in codes]
        if rows:
            parts.append("\n".join([f"## {heading}", "", "| mistake | line | message |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _row(mistake: Mistake) -> str:
    line = mistake.line.replace("|", "\\|")
    ticks = "``" if "`" in line else "`"
    typed = f"{ticks}{line}{ticks}" if line else "(the whole text)"
    help = f"<br>*{_prose(mistake.help)}*" if mistake.help else ""
    link = f"[{mistake.code}](reference/errors.md#{mistake.code})"
    return f"| {_prose(mistake.title)} | {typed} | {link} {_prose(mistake.message)}{help} |"


def _prose(words: str) -> str:
    """Escape Markdown for a table cell, outside of `code`."""
    parts = plain(words).replace("|", "\\|").split("`")
    for number in range(0, len(parts), 2):
        parts[number] = re.sub(r"([*_\[\]])", r"\\\1", parts[number])
    return "`".join(parts)


def plain(words: str) -> str:
    """Escape `<` and `&`, outside of `code`."""
    parts = words.split("`")
    for number in range(0, len(parts), 2):
        parts[number] = parts[number].replace("&", "&amp;").replace("<", "&lt;")
    return "`".join(parts)
