"""Quick fixes: the help of a diagnostic as an edit. A fix is offered only if a recheck of the edited text confirms that
the diagnostic disappears and no other appears."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bbilang.grammar import ast
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.source import Source
from bbilang.lsp.applicable import presentation
from bbilang.lsp.document import Document
from bbilang.lsp.hover import call_end

_CODE = re.compile(r"`([^`]+)`")
_MISSING = re.compile(r"add the missing `(.)`")
MAX_TRIED, MAX_OFFERED = 8, 4


@dataclass(frozen=True)
class Fix:
    """Replace text[start:end] with ``text``. ``preferred``: it is the only fix."""

    title: str
    start: int
    end: int
    text: str
    preferred: bool = False


def fixes(document: Document, diagnostic: Diagnostic) -> list[Fix]:
    """Return the fixes that resolve a diagnostic of the current text."""
    if diagnostic.span is None:
        return []
    accepted: list[Fix] = []
    tried: set[tuple[int, int, str]] = set()
    for fix in _candidates(document, diagnostic):
        key = (fix.start, fix.end, fix.text)
        if key in tried or document.text[fix.start : fix.end] == fix.text:
            continue
        tried.add(key)
        if len(tried) > MAX_TRIED or len(accepted) >= MAX_OFFERED:
            break
        if _resolves(document, diagnostic, fix):
            accepted.append(fix)
    return [Fix(f.title, f.start, f.end, f.text, len(accepted) == 1) for f in accepted]


def _candidates(document: Document, d: Diagnostic) -> Iterator[Fix]:
    assert d.span is not None
    start, end, help = d.span.start, d.span.end, d.help or ""
    original = document.text[start:end]
    if match := _MISSING.search(help):
        yield from _closing_brackets(document, match[1], start)
        return
    if d.code == "E303":
        for snippet in _CODE.findall(help):
            if snippet.startswith("facet="):
                offset = end - original.endswith(")")
                yield Fix(f"Lay it out: {snippet}", offset, offset, f", {snippet}")
    if d.code in ("E302", "W202"):
        yield from _presented(document, d)
    if help == "put each statement on a line of its own":
        indent = document.text[document.text.rfind("\n", 0, start) + 1 :]
        yield Fix("Begin a line", start, end, "\n" + indent[: len(indent) - len(indent.lstrip(" \t"))])
    if help.endswith(f"drop the `{original}`"):
        yield Fix(f"Drop `{original}`", start, end, "")
    if help.startswith("drop it"):
        yield Fix(f"Drop `{original}`", start, end, "")
    if d.code == "W202":
        yield from _line_removed(document, start)
        return
    for snippet in _CODE.findall(help):
        if "..." in snippet:
            if snippet == f"at({original}(...))":
                yield Fix(f"Write `at({original}(...))`", start, call_end(document.text, end),
                          f"at({document.text[start : call_end(document.text, end)]})")  # fmt: skip
            continue
        snippet = snippet.replace("\\|", "|")
        for text in _spellings(original, snippet):
            yield Fix(f"Write `{text}`" if len(text) < 60 else "Write it so", start, end, text)


def _spellings(original: str, word: str) -> Iterator[str]:
    """Yield the ways to write a suggestion in place of the original."""
    if original.startswith('"'):
        yield json.dumps(word.strip('"'), ensure_ascii=False)
    elif "=" in original and "=" not in word:
        yield word + original[original.index("=") :]
    yield word
    head, dot, last = original.rpartition(".")
    if dot and "." not in word:
        yield f"{head}.{word}"
        yield f"{word}.{last}"
    elif dot:
        yield f"{word}.{last}"


def _closing_brackets(document: Document, closer: str, start: int) -> Iterator[Fix]:
    """Yield the positions where the bracket may close: before a `|`, and at the end of the line."""
    text = document.text
    end = text.find("\n", start)
    line = text[start : len(text) if end < 0 else end]
    words = line.partition(" #")[0].rstrip()
    title = f"Add the missing `{closer}`"
    for match in re.finditer(r"\s*\|", words):
        yield Fix(title, start + match.start(), start + match.start(), closer)
    yield Fix(title, start + len(words), start + len(words), closer)


def _presented(document: Document, d: Diagnostic) -> Iterator[Fix]:
    """Yield `| present(...)` for a pipe that shows nothing, with the first two styles that can draw it."""
    assert d.span is not None
    line = next((line for line in document.lines.lines if line.start <= d.span.start <= line.end), None)
    if line is None or not isinstance(line.statement, ast.Bind | ast.Show):
        return
    span = line.statement.value.span.shift(line.start)
    resolver = document.resolver_at(line.start)
    field = document.field(document.text[span.start : span.end], line.start)
    if field is None or resolver is None or field.type.content == "substrate":
        return
    offered = 0
    for name in dict.fromkeys(("bars", "featvis", "heatmap", "image", *document.registry.styles)):
        if offered == 2:
            return
        style = document.registry.styles.get(name)
        if style is not None and (how := presentation(field, style, resolver)) is not None:
            facet, offered = f", facet={how[1]}" if how[0] else "", offered + 1
            yield Fix(f"Show it: present({name}{facet})", line.end, line.end, f" | present({name}{facet})")


def _line_removed(document: Document, start: int) -> Iterator[Fix]:
    line = next((line for line in document.lines.lines if line.start <= start <= line.end), None)
    if line is not None:
        text = document.text
        begin = text.rfind("\n", 0, line.start) + 1
        end = text.find("\n", line.end)
        if not text[begin : line.start].strip() and not text[line.end : max(end, line.end)].strip():
            yield Fix("Leave the line out", begin, len(text) if end < 0 else end + 1, "")


def _resolves(document: Document, d: Diagnostic, fix: Fix) -> bool:
    """Return whether the fix removes the diagnostic and causes no other."""
    text = document.text[: fix.start] + fix.text + document.text[fix.end :]
    lines = document.lines.edited(text)
    before, syntax_before = document.state.diagnostics, document.lines.diagnostics()
    if any(_key(each) == _key(d) for each in syntax_before):  # a syntax error: the meaning is not checked
        syntax_after = lines.diagnostics()
        return len(syntax_after) < len(syntax_before) and _count(syntax_after, d) < _count(syntax_before, d)
    after = document.checked(lines, Source(text, document.name)).diagnostics
    return _count(after, d) < _count(before, d) and _errors(after) <= _errors(before) - (d.severity == "error")


def _count(diagnostics: tuple[Diagnostic, ...], d: Diagnostic) -> int:
    return sum(_key(each) == _key(d) for each in diagnostics)


def _errors(diagnostics: tuple[Diagnostic, ...]) -> int:
    return sum(each.severity == "error" for each in diagnostics)


def _key(d: Diagnostic) -> tuple[str, str]:
    return d.code, d.message
