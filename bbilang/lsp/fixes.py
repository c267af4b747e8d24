"""Quick fixes: what the help of an error says to do, as an edit. One is offered only where it was tried, and the error
was gone after it and no other had come."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.source import Source
from bbilang.lsp.applicable import drawn
from bbilang.lsp.document import Document
from bbilang.lsp.hover import call_end

_CODE = re.compile(r"`([^`]+)`")
_MISSING = re.compile(r"add the missing `(.)`")
MOST_TRIED, MOST_OFFERED = 8, 4


@dataclass(frozen=True)
class Fix:
    """Put ``text`` in the place of text[start:end]. ``sure``: it is what the help says, and there was one such."""

    title: str
    start: int
    end: int
    text: str
    sure: bool = False


def fixes(document: Document, diagnostic: Diagnostic) -> list[Fix]:
    """What would mend one diagnostic of the document as it is now."""
    if diagnostic.span is None:
        return []
    found: list[Fix] = []
    tried: set[tuple[int, int, str]] = set()
    for fix in _candidates(document, diagnostic):
        key = (fix.start, fix.end, fix.text)
        if key in tried or document.text[fix.start : fix.end] == fix.text:
            continue
        tried.add(key)
        if len(tried) > MOST_TRIED or len(found) >= MOST_OFFERED:
            break
        if _mends(document, diagnostic, fix):
            found.append(fix)
    return [Fix(f.title, f.start, f.end, f.text, len(found) == 1) for f in found]


def _candidates(document: Document, d: Diagnostic) -> Iterator[Fix]:
    assert d.span is not None
    start, end, help = d.span.start, d.span.end, d.help or ""
    said = document.text[start:end]
    if match := _MISSING.search(help):
        yield from _closings(document, match[1], start)
        return
    if d.code == "E303":
        for snippet in _CODE.findall(help):
            if snippet.startswith("facet="):
                place = end - said.endswith(")")
                yield Fix(f"Lay it out: {snippet}", place, place, f", {snippet}")
    if d.code in ("E302", "W202"):
        yield from _shown(document, d)
    if help == "put each statement on a line of its own":
        indent = document.text[document.text.rfind("\n", 0, start) + 1 :]
        yield Fix("Begin a line", start, end, "\n" + indent[: len(indent) - len(indent.lstrip(" \t"))])
    if help.endswith(f"drop the `{said}`"):
        yield Fix(f"Drop `{said}`", start, end, "")
    if help.startswith("drop it"):
        yield Fix(f"Drop `{said}`", start, end, "")
    if d.code == "W202":
        yield from _line_left_out(document, start)
        return
    for snippet in _CODE.findall(help):
        if "..." in snippet:
            if snippet == f"at({said}(...))":
                yield Fix(f"Write `at({said}(...))`", start, call_end(document.text, end),
                          f"at({document.text[start : call_end(document.text, end)]})")  # fmt: skip
            continue
        snippet = snippet.replace("\\|", "|")
        for text in _spelled(said, snippet):
            yield Fix(f"Write `{text}`" if len(text) < 60 else "Write it so", start, end, text)


def _spelled(said: str, word: str) -> Iterator[str]:
    """A suggestion as it would stand in the place of what is there."""
    if said.startswith('"'):
        yield json.dumps(word.strip('"'), ensure_ascii=False)
    elif "=" in said and "=" not in word:
        yield word + said[said.index("=") :]
    yield word
    head, dot, last = said.rpartition(".")
    if dot and "." not in word:
        yield f"{head}.{word}"
        yield f"{word}.{last}"
    elif dot:
        yield f"{word}.{last}"


def _closings(document: Document, closer: str, start: int) -> Iterator[Fix]:
    """Places where a bracket may close: the ends of the lines below the opener, before a comment, before a `|`."""
    text = document.text
    end = text.find("\n", start)
    line = text[start : len(text) if end < 0 else end]
    words = line.partition(" #")[0].rstrip()
    title = f"Add the missing `{closer}`"
    for place in [m.start() for m in re.finditer(r"\s*\|", words)]:
        yield Fix(title, start + place, start + place, closer)
    yield Fix(title, start + len(words), start + len(words), closer)


def _shown(document: Document, d: Diagnostic) -> Iterator[Fix]:
    """`| present(...)` behind a pipe that shows nothing, in the first styles that can draw it."""
    assert d.span is not None
    line = next((line for line in document.lines.lines if line.start <= d.span.start <= line.end), None)
    if line is None or line.statement is None or not hasattr(line.statement, "value"):
        return
    span = line.statement.value.span.shift(line.start)
    resolver = document.resolver_at(line.start)
    field = document.field(document.text[span.start : span.end], line.start)
    if field is None or resolver is None or field.type.content == "substrate":
        return
    ways = 0
    for name in dict.fromkeys(("bars", "featvis", "heatmap", "image", *document.registry.styles)):
        if ways == 2:
            return
        style = document.registry.styles.get(name)
        if style is not None and style.available and (how := drawn(field, style, resolver)) is not None:
            facet, ways = f", facet={how[1]}" if how[0] else "", ways + 1
            yield Fix(f"Show it: present({name}{facet})", line.end, line.end, f" | present({name}{facet})")


def _line_left_out(document: Document, start: int) -> Iterator[Fix]:
    line = next((line for line in document.lines.lines if line.start <= start <= line.end), None)
    if line is not None:
        text = document.text
        begin = text.rfind("\n", 0, line.start) + 1
        end = text.find("\n", line.end)
        if not text[begin : line.start].strip() and not text[line.end : max(end, line.end)].strip():
            yield Fix("Leave the line out", begin, len(text) if end < 0 else end + 1, "")


def _mends(document: Document, d: Diagnostic, fix: Fix) -> bool:
    """Whether the diagnostic is gone with the fix, and nothing else is wrong because of it."""
    text = document.text[: fix.start] + fix.text + document.text[fix.end :]
    lines = document.lines.edited(text)
    before, was = document.state.diagnostics, document.lines.diagnostics()
    if any(_key(each) == _key(d) for each in was):  # of the syntax: what the line means then is another question
        now = lines.diagnostics()
        return len(now) < len(was) and sum(_key(e) == _key(d) for e in now) < sum(_key(e) == _key(d) for e in was)
    after = document.checked(lines, Source(text, document.name)).diagnostics
    fewer = sum(_key(e) == _key(d) for e in after) < sum(_key(e) == _key(d) for e in before)
    return fewer and _errors(after) <= _errors(before) - (d.severity == "error")


def _errors(found: tuple[Diagnostic, ...]) -> int:
    return sum(each.severity == "error" for each in found)


def _key(d: Diagnostic) -> tuple[str, str]:
    return d.code, d.message
