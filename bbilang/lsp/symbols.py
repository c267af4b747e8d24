"""The parts of a text, for an editor's outline: statements, bindings, elements, interfaces with what is in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bbilang.grammar import ast
from bbilang.lsp.document import Document
from bbilang.lsp.logical_lines import Line
from bbilang.lsp.markdown import value_words


@dataclass
class Part:
    """``kind``: file, interface, element, binding, function, setting. ``start``, ``end``: all of it; then its name."""

    name: str
    kind: str
    detail: str
    start: int
    end: int
    name_start: int
    name_end: int
    children: list[Part] = field(default_factory=list)


def outline(document: Document) -> list[Part]:
    parts: list[Part] = []
    inside: Part | None = None
    for line in document.lines.lines:
        if line.piece.kind == "open":
            title = line.statement.title if line.statement is not None else None
            name = title.value if title is not None and title.value else "interface"
            inside = Part(name, "interface", "", line.start, line.end, line.start, line.end)
            parts.append(inside)
        elif line.piece.kind == "close":
            if inside is not None:
                inside.end = max(inside.end, line.end)
            inside = None
        elif line.statement is not None and (part := _part(document, line, inside is not None)):
            (parts if inside is None else inside.children).append(part)
            if inside is not None:
                inside.end = max(inside.end, line.end)
    return parts


def _part(document: Document, line: Line, inside: bool) -> Part | None:
    start, end = line.start, line.end
    match line.statement:
        case ast.Bind(name=name):
            value = _value(document, name.text, line, inside)
            words = value_words(value) if value is not None else ""
            kind = "element" if words.startswith("element") else "binding"
            return _named(name, kind, words.removeprefix("element: "), start, end)
        case ast.Define(name=name, parameters=parameters):
            return _named(name, "function", f"({', '.join(p.name for p in parameters)})", start, end)
        case ast.Dataset(name=name, path=path):
            return _named(name, "binding", path.value, start, end)
        case ast.Show(value=ast.Pipe(stages=stages)) if stages[-1].name == "present":
            call = stages[-1]
            style = next((a.value.name for a in call.arguments[:1] if isinstance(a.value, ast.Path)), "present")
            title = next((a.value.value for a in call.arguments if a.name == "title"
                          and isinstance(a.value, ast.String)), "")  # fmt: skip
            span = call.name_span.shift(start)
            return Part(title or style, "element", style if title else "", start, end, span.start, span.end)
        case ast.Model(items=items):
            names = [i.name.value if isinstance(i.name, ast.String) else i.name.name for i in items]
            return Part(f"model {', '.join(names)}", "setting", "", start, end, start, end)
        case ast.Input(files=files):
            return Part(f"input {', '.join(f.value for f in files)}", "setting", "", start, end, start, end)
        case ast.Set(name=name):
            return Part(f"set {name.text}", "setting", "", start, end, start, end)
        case ast.Use(path=path):
            return Part(f"use {path.value}", "setting", "", start, end, start, end)
    return None


def _value(document: Document, name: str, line: Line, inside: bool) -> Any:
    """What a binding stood for when a line of these words was last checked: an outline does not wait until all of the
    text is checked again. Words that are new are checked."""
    known = document.memory.records.get((document.text[line.start : line.end], inside))
    return known[0].value if known else document.bound(name, line.start)


def _named(name: ast.Name, kind: str, detail: str, start: int, end: int) -> Part:
    span = name.span.shift(start)
    return Part(name.text, kind, detail, start, end, span.start, span.end)
