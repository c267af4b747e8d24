"""Document symbols for an editor's outline: statements, bindings, elements, and interfaces with their contents."""

from __future__ import annotations

from dataclasses import dataclass, field

from bbilang.grammar import ast
from bbilang.lsp.document import Document
from bbilang.lsp.logical_lines import Line
from bbilang.lsp.markdown import value_words


@dataclass
class Symbol:
    """``kind``: interface, element, binding, function or setting. ``start``, ``end`` span the whole statement."""

    name: str
    kind: str
    detail: str
    start: int
    end: int
    name_start: int
    name_end: int
    children: list[Symbol] = field(default_factory=list)


def outline(document: Document) -> list[Symbol]:
    """Return the outline of a text: interfaces, and the names and elements in and outside of them."""
    symbols: list[Symbol] = []
    inside: Symbol | None = None
    for line in document.lines.lines:
        if line.piece.kind == "open":
            title = line.statement.title if isinstance(line.statement, ast.Interface) else None
            name = title.value if title is not None and title.value else "interface"
            inside = Symbol(name, "interface", "", line.start, line.end, line.start, line.end)
            symbols.append(inside)
        elif line.piece.kind == "close":
            if inside is not None:
                inside.end = max(inside.end, line.end)
            inside = None
        elif line.statement is not None and (symbol := _symbol(document, line, inside is not None)):
            (symbols if inside is None else inside.children).append(symbol)
            if inside is not None:
                inside.end = max(inside.end, line.end)
    return symbols


def _symbol(document: Document, line: Line, inside: bool) -> Symbol | None:
    start, end = line.start, line.end
    match line.statement:
        case ast.Bind(name=name):
            value = _value(document, name.text, line, inside)
            words = value_words(value) if value is not None else ""
            kind = "element" if words.startswith("element") else "binding"
            return _named(name, kind, words.removeprefix("element: "), start, end)
        case ast.Define(name=name, parameters=parameters):
            return _named(name, "function", f"({', '.join(p.name for p in parameters)})", start, end)
        case ast.Dataset(name=name, value=value):
            return _named(name, "binding", document.text[value.span.start : value.span.end], start, end)
        case ast.AtomName(atom=atom, name=name):
            span = name.span.shift(start)
            detail = document.text[atom.span.start + start : atom.span.end + start]
            return Symbol(name.value or "name", "binding", detail, start, end, span.start, span.end)
        case ast.Claim(sentence=sentence):
            span = sentence.span.shift(start)
            return Symbol(sentence.value or "claim", "binding", "claim", start, end, span.start, span.end)
        case ast.Show(value=ast.Pipe(stages=stages)) if stages[-1].name == "present":
            call = stages[-1]
            style = next((a.value.name for a in call.arguments[:1] if isinstance(a.value, ast.Path)), "present")
            title = next((a.value.value for a in call.arguments if a.name == "title"
                          and isinstance(a.value, ast.String)), "")  # fmt: skip
            span = call.name_span.shift(start)
            return Symbol(title or style, "element", style if title else "", start, end, span.start, span.end)
        case ast.Model(items=items):
            names = [i.name.value if isinstance(i.name, ast.String) else i.name.name for i in items]
            return Symbol(f"model {', '.join(names)}", "setting", "", start, end, start, end)
        case ast.Input(files=files):
            return Symbol(f"input {', '.join(f.value for f in files)}", "setting", "", start, end, start, end)
        case ast.Set(name=name):
            return Symbol(f"set {name.text}", "setting", "", start, end, start, end)
        case ast.Use(path=path):
            return Symbol(f"use {path.value}", "setting", "", start, end, start, end)
    return None


def _value(document: Document, name: str, line: Line, inside: bool) -> object:
    """Return the value of a binding as of the last check of the same line, so that an outline does not wait for a
    recheck of the whole text; a new line is checked."""
    records = document.statement_cache.records.get((document.text[line.start : line.end], inside))
    return records[0].value if records else document.bound(name, line.start)


def _named(name: ast.Name, kind: str, detail: str, start: int, end: int) -> Symbol:
    span = name.span.shift(start)
    return Symbol(name.text, kind, detail, start, end, span.start, span.end)
