"""Hover: the documentation of the word under the pointer, and the type of the field it makes here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bbilang.compiler.check.scope import Layers
from bbilang.compiler.check.settings import SETTINGS
from bbilang.compiler.contract import Parameter
from bbilang.compiler.ir.cuts import PLACES
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node
from bbilang.grammar import ast
from bbilang.grammar.source import NOWHERE
from bbilang.lsp.calls import parameters_of
from bbilang.lsp.cursor import Cursor, Frame, Token, cursor_at, tokens
from bbilang.lsp.document import Document
from bbilang.lsp.markdown import (
    ATOM_WORDS,
    SELECTIONS,
    STATEMENTS,
    field_words,
    layer_words,
    method_words,
    model_words,
    operation_words,
    parameter_list,
    parameter_words,
    place_words,
    selection_words,
    statement_words,
    style_words,
    value_words,
)


def hover(document: Document, offset: int) -> tuple[str, int, int] | None:
    """Return (Markdown, start, end of the word), or None where there is no documentation."""
    token, cursor = token_at(document.text, offset)
    if token is None or cursor is None or cursor.comment:
        return None
    words = _documentation(document, token, cursor)
    return (words, token.start, token.end) if words else None


def token_at(text: str, offset: int) -> tuple[Token | None, Cursor | None]:
    """Return the word or string at an offset, and the context of its end."""
    cursor = cursor_at(text, offset)
    line_end = text.find("\n", offset)
    for token in tokens(text, cursor.start, len(text) if line_end < 0 else line_end):
        if token.start <= offset <= token.end and token.kind in ("path", "string"):
            inside = token.end - 1 if token.kind == "string" and token.text.endswith('"') and len(token.text) > 1 else 0
            return token, cursor_at(text, inside or token.end)
        if token.start > offset:
            break
    return None, None


def _documentation(document: Document, token: Token, cursor: Cursor) -> str | None:
    frame, text, registry = cursor.frame, document.text, document.registry
    if token.kind == "string":
        return _string(document, token, cursor)
    following = text[token.end : token.end + 40].lstrip(" ")
    named = following.startswith("=") and not following.startswith("==")
    if cursor.is_stage:
        return _stage(document, token, cursor)
    if named and frame.callee:
        parameters = next((p for p in parameters_of(document, cursor, frame) if p.name == token.text), None)
        return f"`{parameters.name}`: {parameter_words(parameters)}" if parameters else None
    if token.start == cursor.start and token.text in STATEMENTS and not named:
        return statement_words(token.text)
    if cursor.first == "set" and len(cursor.frames) == 1 and token.text in SETTINGS:
        return parameter_list(SETTINGS[token.text])
    if cursor.first == "model" and token.text in registry.models():
        return model_words(registry.describe(token.text)) if registry.describe else None
    parameter = _parameter(document, cursor, frame)
    if parameter is not None and (words := _argument_word(document, token, parameter)):
        return words
    if token.text in SELECTIONS and following.startswith("("):
        whole = text[token.start : call_end(text, token.end)]
        value = document.value(whole, cursor.start)
        summary = f"**{value_words(value)}**\n\n" if value is not None else ""
        return summary + selection_words(token.text)
    if token.text in registry.methods and following.startswith("("):
        return method_words(registry.methods[token.text])
    if name := _name_of_atom(document, token):
        return name
    return value_documentation(document, token.text, cursor, named)


def _name_of_atom(document: Document, token: Token) -> str | None:
    """Return what the text calls the one atom that begins at a path, `"stripes"`; None where it has no name."""
    whole = document.text[token.start : call_end(document.text, token.end)].replace(" ", "")
    for line in document.lines.lines if whole.endswith("]") else ():
        if isinstance(line.statement, ast.AtomName):
            span = line.statement.atom.span.shift(line.start)
            if document.text[span.start : span.end].replace(" ", "") == whole:
                value = document.value(whole, line.start)
                words = f": {field_words(value.type)}" if isinstance(value, Node) else ""
                return f'**"{line.statement.name.value}"**{words}'
    return None


def _parameter(document: Document, cursor: Cursor, frame: Frame) -> Parameter | None:
    """Return the parameter whose argument the cursor is in, if the word is the whole argument."""
    parameters = parameters_of(document, cursor, frame) if frame.callee else ()
    if frame.name is not None:
        return next((p for p in parameters if p.name == frame.name), None)
    return parameters[frame.argument] if frame.argument < len(parameters) and not frame.given else None


def _argument_word(document: Document, token: Token, parameter: Parameter) -> str | None:
    registry = document.registry
    if parameter.kind == "style" and token.text in registry.styles:
        return style_words(registry.styles[token.text])
    if parameter.kind == "method" and token.text in registry.methods:
        return method_words(registry.methods[token.text])
    if token.text in parameter.choices or parameter.kind == "axis":
        return f"`{parameter.name}={token.text}`\n\n{parameter_words(parameter)}"
    return None


def _stage(document: Document, token: Token, cursor: Cursor) -> str | None:
    before = cursor.before
    field = document.field(before, cursor.start)
    whole = document.text[cursor.frame.begin : call_end(document.text, token.end)]
    gives = document.field(whole, cursor.start)
    operation = document.registry.operations.get(token.text)
    if operation is not None and not operation.head:
        return operation_words(operation, field, gives)
    return value_documentation(document, token.text, cursor, False)


def call_end(text: str, offset: int) -> int:
    """Return the offset after the call whose name ends at ``offset``; ``offset`` itself where it has no arguments."""
    depth = 0
    for token in tokens(text, offset, min(len(text), offset + 4000)):
        depth += (token.text in ("(", "[") and token.kind == "operator") - (token.text in (")", "]"))
        if depth <= 0:
            return token.end if token.text in (")", "]") else offset
    return offset


def _string(document: Document, token: Token, cursor: Cursor) -> str | None:
    name = token.text.strip('"')
    description = document.description_at(cursor.start)
    if cursor.frame.opener == "[" and cursor.frame.callee == "output" and description is not None:
        node = document.value(f"output[{token.text}]", cursor.start)
        which: tuple[Any, ...] = node["which"] if isinstance(node, Node) and node.op == "output" else ()
        if len(which) > 1 and isinstance(which[1], tuple):
            index = which[1][0]
            return f"class {index}: {description.labels[index]}" if description.labels else None
    if cursor.first == "model" and document.registry.describe and name in document.registry.models():
        return model_words(document.registry.describe(name))
    if description is not None and name in description.by_name:
        return f"layer **{name}**: {layer_words(description.by_name[name])}\n\n{place_words(description.place(name))}"
    return None


def value_documentation(document: Document, name: str, cursor: Cursor, named: bool) -> str | None:
    """Return Markdown about what a name or path refers to."""
    text = document.text
    here = cursor.start
    resolver = document.resolver_at(here)
    if named and (value := document.bound_here(here)) is not None:
        line = text[here : _statement_end(document, here)].strip()
        return f"**{value_words(value)}**\n\n```bbi\n{line}\n```"
    if resolver is None:
        return None
    if (macro := resolver.macros.get(name)) is not None:
        span = macro.definition.span
        where = macro.source.text if macro.source else text
        return f"```bbi\n{where[span.start : span.end].strip()}\n```"
    names = document.names_at(here)
    if name in names:
        binding = names[name]
        if binding.span is NOWHERE:
            return "not known: the line that binds it cannot be read"
        line = text[binding.span.start : _statement_end(document, binding.span.start)].strip()
        return f"**{value_words(binding.value)}**\n\n```bbi\n{line}\n```"
    description, (head, _, bare) = document.description_at(cursor.start), name.rpartition(":")
    if head in resolver.models:  # `b:block5c` is a layer of another network
        description = resolver.models[head].description
    if description is not None and bare in description.by_name:
        layer = description.by_name[bare]
        alias = f" (`{layer.name}`)" if layer.name != bare else ""
        place = place_words(description.place(bare))
        return f"layer **{name}**{alias}: {layer_words(layer)}\n\n{place}\n\nmodule `{layer.module}`"
    value = document.value(name, cursor.start)
    if isinstance(value, Layers | Node):
        words = value_words(value) if isinstance(value, Layers) else field_words(value.type)
        atom = name.rpartition(".")[2]
        more = f"\n\n`{atom}`: {ATOM_WORDS[atom]}" if atom in ATOM_WORDS else ""
        layers = value.names if isinstance(value, Layers) else value.type.layers if value.op == "substrate" else ()
        return f"**{words}**{more}{_places(description, layers)}"
    return None


def _places(description: ModelDescription | None, layers: Sequence[str]) -> str:
    """Describe which of some layers are cuts and which are branches, in a paragraph of its own."""
    known = [layer for layer in layers if description is not None and layer in description.by_name]
    if description is None or not known:
        return ""
    if len(known) == 1:
        return f"\n\n{place_words(description.place(known[0]))}"
    parts = []
    for place in PLACES:
        own = [layer for layer in known if description.place(layer) == place]
        parts += [f"{place_words(place)} ({', '.join(f'`{layer}`' for layer in own)})"] if own else []
    together = "cut" not in {description.place(layer) for layer in known} and description.place(*known) == "cut"
    parts += ["together they are a cut: every path passes one of them"] if together else []
    return "\n\n" + "; ".join(parts)


def _statement_end(document: Document, start: int) -> int:
    line = next((line for line in document.lines.lines if line.start <= start <= line.end), None)
    return line.end if line is not None and not isinstance(line.statement, ast.Interface) else start
