"""Stages ask a style, an operation or a method what it is and never compare its name: plug-ins are equal to
built-ins."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbilang.registry import registry

ROOT = Path(__file__).parents[2]
STAGES = (
    *("compiler/check", "compiler/optimize", "compiler/plan", "compiler/explain"),
    *("runtime/execution", "runtime/recall", "runtime/view", "runtime/vega", "runtime/page"),
)
FILES = sorted(path for folder in STAGES for path in (ROOT / folder).rglob("*.py"))
SCRIPTS = sorted(path for folder in STAGES for pattern in ("*.js", "*.html") for path in (ROOT / folder).rglob(pattern))

# Nodes that the language itself makes (its syntax, its selections), not an operation that stands in a pipe.
FORMS = {name for name, operation in registry().operations.items() if operation.head} | {"present", "at", "dataset"}
# The same words in another sense.
OTHER_SENSES = {
    ("compiler/check/preamble.py", "image"),
    ("compiler/check/statements/models.py", "image"),  # what a model reads
    ("compiler/check/present.py", "image"),
    ("runtime/view/provenance.py", "image"),
    ("compiler/plan/plan.py", "graph"),  # of autograd
    ("compiler/plan/verify.py", "graph"),
    ("runtime/execution/context.py", "graph"),
    ("runtime/vega/standalone.py", "image"),  # a mark of Vega
    ("runtime/vega/drawable.py", "image"),
    ("runtime/view/answers/shown.py", "number"),  # a group of a regular expression
    ("runtime/vega/targets.py", "grid"),  # a column of data
    ("runtime/recall/codec.py", "table"),  # a mapping, as it is written
    ("runtime/page/html.py", "grid"),  # a key of the page's data
    *(
        (f"compiler/check/{name}.py", "number")
        for name in ("arguments/binding", "arguments/kinds", "output_shapes", "present", "selections", "settings")
    ),  # a kind of argument
    ("compiler/explain/json_form.py", "number"),  # a type of JSON
    ("compiler/check/targets.py", "top"),  # the syntax `output[top(5)]`
    ("compiler/check/settings.py", "featvis"),  # `set featvis(...)`: the settings of icons, in whatever style
}


# Styles' names in another sense: a type of JavaScript and of an input, an element of HTML.
FORMS_OF_THE_PAGE = {"number": r"""(?:typeof [\w.?\[\]]+ === |type: )"number\"""", "table": r'make\("table"'}


def quoted(name: str, text: str) -> int:
    return len(re.findall(rf"""["'`]{name}["'`]""", text))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def strings(tree: ast.AST) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node


def compared(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, word) of every string that the ``op``, the ``method`` or the ``name`` of something is compared with."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        if any(asks_for_name(side) for side in sides):
            yield from ((word.lineno, str(word.value)) for side in sides for word in strings(side))


def asks_for_name(side: ast.expr) -> bool:
    """`node.op`, `style.name`, `node["method"]`, `node.get("method")`, or a variable that is called like that."""
    if isinstance(side, ast.Attribute):
        return side.attr in ("op", "name", "method")
    if isinstance(side, ast.Name):
        return side.id in ("op", "name", "method")
    if isinstance(side, ast.Subscript):
        return isinstance(side.slice, ast.Constant) and side.slice.value == "method"
    return isinstance(side, ast.Call) and any(word.value == "method" for word in strings(side))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_style_is_named(path):
    named = {
        (node.lineno, node.value)
        for node in strings(ast.parse(path.read_text("utf-8")))
        if node.value in registry().styles and (relative(path), node.value) not in OTHER_SENSES
    }
    assert not named, "a stage asks the style's contract (compiler/contract/style.py), not its name"


@pytest.mark.parametrize("path", SCRIPTS, ids=relative)
def test_no_style_is_named_in_the_page(path):
    text = path.read_text("utf-8")
    named = {name for name in registry().styles for quote in "\"'`" if f"{quote}{name}{quote}" in text}
    named -= {name for name, form in FORMS_OF_THE_PAGE.items() if quoted(name, text) == len(re.findall(form, text))}
    assert named <= {"image"}, "the page gets what a style declares in the page's data"
    assert "image" not in named or re.search(r'mark\.type === "image"', text)  # a mark of Vega


@pytest.mark.parametrize("folder", ["compiler", "runtime"])
def test_no_kind_of_rerun_is_compared(folder):
    """`Rerun.is_trial` says what runs it; every other word of ``finds`` is a kind of method's own."""
    for path in (ROOT / folder).rglob("*.py"):
        if path.name == "former_method.py":  # the contract of earlier plug-ins, for which the word was the kind
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            asked = any(isinstance(side, ast.Attribute) and side.attr == "finds" for side in sides)
            words = [word.value for side in sides for word in strings(side)]
            assert not (asked and words), f"{relative(path)}, line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_operation_or_method_is_compared(path):
    known = {*registry().operations, *registry().methods} - FORMS
    known -= {word for file, word in OTHER_SENSES if file == relative(path)}
    named = {(line, word) for line, word in compared(ast.parse(path.read_text("utf-8"))) if word in known}
    assert not named, "a stage asks the contract of the operation or method, not its name"


def test_the_search_sees_names():
    tree = ast.parse(
        'a.op == "link"; b["method"] in ("linear", "x"); c.get("method") != "lime"; d == "top"; name == "sum"'
    )
    assert [word for _, word in compared(tree) if word != "method"] == ["link", "linear", "x", "lime", "sum"]
