"""The JSON form: round trips, its schema, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bbilang.grammar import ast, codes
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.parse import parse
from bbilang.grammar.serialize import from_json, schema, schema_text, to_json
from bbilang.grammar.source import Source
from bbilang.grammar.walk import walk

HERE = Path(__file__).parent
SPECS = sorted((HERE / "specs").glob("*.bbi"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs(path: Path) -> None:
    file = parse(Source(path.read_text(encoding="utf-8"), path.name))
    form = json.loads(json.dumps(to_json(file)))
    jsonschema.Draft202012Validator(schema()).validate(form)
    again = from_json(form)
    assert again == file
    assert again.comments == file.comments
    assert again.source == file.source
    assert [node.span for node in walk(again)] == [node.span for node in walk(file)]


def test_the_schema_on_disk_is_the_one_of_the_classes() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    path = HERE.parents[1] / "grammar" / "ast.schema.json"
    assert path.read_text(encoding="utf-8") == schema_text(), "python -m bbilang.grammar.serialize writes it"


def show(value: Any) -> dict[str, Any]:
    return {"type": "File", "statements": [{"type": "Show", "value": value}]}


def test_defaults_may_be_left_out() -> None:
    form = show({"type": "Call", "name": "f"})
    jsonschema.Draft202012Validator(schema()).validate(form)
    assert from_json(form) == ast.File((ast.Show(ast.Call("f")),))


DEEP: Any = {"type": "Path", "name": "a"}
for _ in range(200):
    DEEP = {"type": "Unary", "operator": "-", "operand": DEEP}


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        (None, codes.MALFORMED_TREE, "$: expected File, found null"),
        ([], codes.MALFORMED_TREE, "$: expected File, found an array"),
        ({}, codes.MALFORMED_TREE, "$.type: expected File, found null"),
        ({"type": "File"}, codes.MALFORMED_TREE, '$: File needs the field "statements"'),
        ({"type": "File", "statements": 3}, codes.MALFORMED_TREE, "$.statements: expected an array, found 3"),
        ({"type": "File", "statements": [], "x": 1}, codes.MALFORMED_TREE, '$: File has no field "x"'),
        (show({"type": "Number", "value": True}), codes.MALFORMED_TREE,
         "$.statements[0].value.value: expected a number, found True"),
        (show({"type": "Number", "value": 1, "span": [3, 2]}), codes.MALFORMED_TREE,
         "$.statements[0].value.span: a span is [start, end]"),
        (show({"type": "Bind"}), codes.MALFORMED_TREE, "$.statements[0].value.type: expected Number or String or"),
        (show({"type": ["a"]}), codes.MALFORMED_TREE, "$.statements[0].value.type: expected Number"),
        (show({"type": "Path", "name": "a b"}), codes.UNWRITABLE_TREE, "$.statements[0]: no text spells"),
        (show({"type": "Path", "name": "a\nb = 3"}), codes.UNWRITABLE_TREE, "$.statements[0]: no text spells"),
        (show({"type": "Path", "name": "true"}), codes.UNWRITABLE_TREE, "$.statements[0]: no text spells"),
        (show({"type": "Number", "value": float("nan")}), codes.UNWRITABLE_TREE, "$.statements[0]: no text spells"),
        (show({"type": "String", "value": "\ud800"}), codes.UNWRITABLE_TREE, "$.statements[0]: no text spells"),
        (show({"type": "Unary", "operator": "+", "operand": {"type": "Path", "name": "a"}}),
         codes.UNWRITABLE_TREE, "no text spells"),
        (show({"type": "Index", "value": {"type": "Path", "name": "a"}, "arguments": []}),
         codes.UNWRITABLE_TREE, "no text spells"),
        (show(DEEP), codes.TOO_DEEP, "nested deeper"),
        ({"type": "File", "statements": [],
          "comments": [{"type": "Comment", "text": "# a\nb = 3", "span": [0, 1], "alone": True}]},
         codes.MALFORMED_TREE, "$.comments[0].text: a comment begins with #"),
    ],
)  # fmt: skip
def test_refused(form: Any, code: str, message: str) -> None:
    with pytest.raises(BbiError) as error:
        from_json(form)
    (diagnostic, *_) = error.value.diagnostics
    assert diagnostic.code == code
    assert message in diagnostic.message


def test_endless_nesting_is_refused() -> None:
    form: Any = []
    for _ in range(100_000):
        form = [form]
    with pytest.raises(BbiError, match="E102"):
        from_json(show(form))
