"""The JSON form of a syntax tree, for editors, other front ends and programs that write interfaces.

Every node is an object: ``type`` is the name of its class, the other keys are its fields. Spans are ``[start, end]``
(character offsets, half-open), tuples are arrays, fields with a default may be left out. The form follows from the
classes of grammar/ast.py and from nothing else, as does its schema, ast.schema.json (JSON Schema 2020-12):

    python -m bbilang.grammar.serialize > grammar/ast.schema.json
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Final, Union

from bbilang.grammar import ast, codes
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.format import format_file
from bbilang.grammar.parse import MAX_BYTES, MAX_DEPTH, parse_recovering
from bbilang.grammar.source import NOWHERE, Source, Span

MAX_LEVELS: Final = 3 * MAX_DEPTH  # arrays and objects inside each other; an argument lies in an array in a call


def to_json(file: ast.File) -> dict[str, Any]:
    """Return the JSON form of a tree. Raises BbiError (E102) for a tree that is too deep."""
    format_file(file)  # refuses what is too deep to be walked recursively
    form: dict[str, Any] = _node_to_json(file)
    return form


def from_json(value: Any) -> ast.File:
    """Build the tree of a JSON form.

    Raises BbiError: E132 with the path to what is malformed, E133 where no text could spell the tree (a name with a
    space in it, say), E102 or E101 where it is too deep or too large.
    """
    _check_levels(value)
    file: ast.File = _read(value, ast.File, "$")
    _check_spelling(file)
    return file


# --- writing --------------------------------------------------------------------------------------------------------


def _node_to_json(node: Any) -> Any:
    if isinstance(node, Span):
        return [node.start, node.end]
    if isinstance(node, tuple):
        return [_node_to_json(item) for item in node]
    if is_dataclass(node):
        # A source caches its line starts in itself; only fields are written.
        return {"type": type(node).__name__} | {f.name: _node_to_json(getattr(node, f.name)) for f in fields(node)}
    return node


# --- reading --------------------------------------------------------------------------------------------------------


def _refuse(path: str, message: str, code: str = codes.MALFORMED_TREE) -> typing.NoReturn:
    raise BbiError(Diagnostic(code, f"{path}: {message}", help="the form is described by grammar/ast.schema.json"))


def _check_levels(value: Any) -> None:
    """Refuse JSON that is too deep or too large. Never recurses, so that reading may recurse afterwards."""
    pending, items = [(value, 0)], 0
    while pending:
        value, level = pending.pop()
        if level > MAX_LEVELS:
            _refuse("$", f"nested deeper than {MAX_LEVELS} levels of JSON", codes.TOO_DEEP)
        if isinstance(value, dict | list):
            items += len(value)
            if items > 10 * MAX_BYTES:
                _refuse("$", "the tree is too large for a source of 256 kB", codes.TOO_LARGE)
            pending.extend((child, level + 1) for child in (value.values() if isinstance(value, dict) else value))


@cache
def _field_types(kind: type) -> dict[str, Any]:
    """Return field name -> resolved type."""
    hints = typing.get_type_hints(kind, vars(ast))
    return {field.name: hints[field.name] for field in fields(kind)}


@cache
def _required(kind: type) -> frozenset[str]:
    return frozenset(f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)


@cache
def _alternatives(expected: Any) -> tuple[Any, ...]:
    if typing.get_origin(expected) in (Union, types.UnionType):
        return tuple(a for member in typing.get_args(expected) for a in _alternatives(member))
    return (expected,)


def _in_words(expected: Any) -> str:
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a string", type(None): "null"}
    words = []
    for one in _alternatives(expected):
        if is_dataclass(one):
            words.append("[start, end]" if one is Span else typing.cast(type, one).__name__)
        elif typing.get_origin(one) is tuple:
            words.append("an array")
        elif not (one is int and float in _alternatives(expected)):
            words.append(names.get(one, str(one)))
    return " or ".join(words)


def _read(value: Any, expected: Any, path: str) -> Any:
    alternatives = _alternatives(expected)
    if Span in alternatives and not isinstance(value, dict):
        return _read_span(value, path)
    if isinstance(value, dict):
        kinds = {a.__name__: a for a in alternatives if isinstance(a, type) and is_dataclass(a) and a is not Span}
        name = value.get("type")
        if not kinds:
            _refuse(path, f"expected {_in_words(expected)}, found an object")
        if not isinstance(name, str) or name not in kinds:
            _refuse(f"{path}.type", f"expected {' or '.join(kinds)}, found {json.dumps(name)[:40]}")
        return _read_node(value, kinds[name], path)
    if isinstance(value, list):
        for alternative in alternatives:
            if typing.get_origin(alternative) is tuple:
                inner = typing.get_args(alternative)[0]
                return tuple(_read(item, inner, f"{path}[{number}]") for number, item in enumerate(value))
    elif type(value) in alternatives:
        return value
    kind = {list: "an array", type(None): "null"}.get(type(value), "")
    _refuse(path, f"expected {_in_words(expected)}, found {kind or repr(value)[:40]}")


def _read_span(value: Any, path: str) -> Span:
    if isinstance(value, list) and len(value) == 2 and all(type(offset) is int for offset in value):
        start, end = value
        if 0 <= start <= end <= MAX_BYTES:
            return NOWHERE if end == 0 else Span(start, end)
    _refuse(path, f"a span is [start, end] with 0 <= start <= end <= {MAX_BYTES}")


def _read_node(value: dict[str, Any], kind: type, path: str) -> Any:
    known = _field_types(kind)
    for name in value:
        if name != "type" and name not in known:
            _refuse(path, f"{kind.__name__} has no field {json.dumps(name)[:40]}")
    for name in sorted(_required(kind)):
        if name not in value:
            _refuse(path, f"{kind.__name__} needs the field {json.dumps(name)}")
    return kind(**{name: _read(item, known[name], f"{path}.{name}") for name, item in value.items() if name != "type"})


def _check_spelling(file: ast.File) -> None:
    """Refuse a tree that no text spells, so that the rest of the compiler never meets a name with a space in it."""
    for number, comment in enumerate(file.comments):
        if not comment.text.startswith("#") or "\n" in comment.text:
            _refuse(f"$.comments[{number}].text", "a comment begins with # and ends with its line")
    try:
        text = format_file(ast.File(file.statements))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BbiError(Diagnostic(codes.UNWRITABLE_TREE, f"$: no text spells this tree ({error})")) from error
    read, diagnostics = parse_recovering(Source(text, "<tree>"))
    if diagnostics and diagnostics[0].code in (codes.TOO_LARGE, codes.TOO_DEEP):
        raise BbiError(diagnostics, read.source)
    for number, statement in enumerate(file.statements):
        if number >= len(read.statements) or read.statements[number] != statement:
            _refuse(f"$.statements[{number}]", "no text spells this statement", codes.UNWRITABLE_TREE)
    if diagnostics or len(read.statements) != len(file.statements):
        _refuse("$.statements", "no text spells these statements", codes.UNWRITABLE_TREE)


# --- the schema -----------------------------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """Generate the JSON Schema of the form from the classes."""
    definitions: dict[str, Any] = {}
    root = _schema_of(ast.File, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The syntax tree of a .bbi file",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _schema_of(expected: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    alternatives = _alternatives(expected)
    if len(alternatives) > 1:
        return {"anyOf": [_schema_of(alternative, definitions) for alternative in alternatives]}
    plain = {int: "integer", float: "number", bool: "boolean", str: "string", type(None): "null"}
    (expected,) = alternatives
    if expected in plain:
        return {"type": plain[expected]}
    if typing.get_origin(expected) is tuple:
        return {"type": "array", "items": _schema_of(typing.get_args(expected)[0], definitions)}
    if expected is Span:
        offset = {"type": "integer", "minimum": 0}
        definitions["Span"] = {"type": "array", "items": offset, "minItems": 2, "maxItems": 2}
    elif expected.__name__ not in definitions:
        definitions[expected.__name__] = {}  # for nodes that hold their own kind
        properties = {name: _schema_of(kind, definitions) for name, kind in _field_types(expected).items()}
        definitions[expected.__name__] = {
            "description": _description(expected),
            "type": "object",
            "properties": {"type": {"const": expected.__name__}, **properties},
            "required": ["type", *(name for name in properties if name in _required(expected))],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{expected.__name__}"}


def _description(kind: type) -> str:
    """Return the first paragraph of the docstring, unless dataclass wrote it."""
    text = (kind.__doc__ or "").strip()
    return "" if text.startswith(f"{kind.__name__}(") else " ".join(text.split("\n\n")[0].split())


def schema_text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
