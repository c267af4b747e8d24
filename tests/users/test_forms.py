"""Untrusted JSON forms: any modified one is read, or refused with a code."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from brings import brings

from bbilang import api
from bbilang.compiler.ir.program import MOST_STAGES
from bbilang.compiler.ir.serialize import from_json as program_from_json
from bbilang.compiler.ir.serialize import to_json as program_to_json
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.serialize import from_json as tree_from_json
from bbilang.grammar.serialize import to_json as tree_to_json

TEXT = """input "sample:chelsea"
set seed 3
def strong(x, k=4) = x.channel | attribute(output) | top(k)
photo = input | present(image, title="The photo")
grid = block5c.expand.spatial | attribute(output["tabby"]) | present(heatmap, over=photo)
block5c.expand.neuron | activation | at(hover(block5c.expand.spatial)) | top(4) | present(bars)
strong(block4b.expand) | present(bars)
layout row(photo)
"""
ODD = [None, True, -1, 0, 10**30, -(10**30), 1e300, float("nan"), float("inf"), "", "\0", "\ud800", "é" * 5000, [], {},
       [[]], {"node": 0}, {"node": 10**30}, [0, 0], [1, 10**30], "input", "__class__"]  # fmt: skip
EXTRA = ["x", "type", "node", "op", "span", "__init__"]
Path = tuple[str | int, ...]


def places(value: Any, at: Path = ()) -> Iterator[Path]:
    yield at
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*at, key))


def at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def changed(form: Any, known: list[Path], chance: random.Random) -> Any:
    """A copy with some parts left out, doubled, exchanged, nested deeply, or replaced by something odd."""
    made = copy.deepcopy(form)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        path = chance.choice(known)
        try:
            parent, key = at(made, path[:-1]), path[-1]
            match chance.randrange(6):
                case 0:
                    del parent[key]
                case 1 if isinstance(parent, list):
                    parent.append(copy.deepcopy(parent[key]))
                case 2:
                    parent[key] = copy.deepcopy(at(form, chance.choice(known)))
                case 3 if isinstance(parent, dict):
                    parent[chance.choice(EXTRA)] = chance.choice(ODD)
                case 4:
                    deep: list[Any] = []
                    for _ in range(chance.choice((5, 100, 3000))):
                        deep = [deep]
                    parent[key] = deep
                case _:
                    parent[key] = chance.choice(ODD)
        except (LookupError, TypeError):  # an earlier change took the place away
            continue
    return made


@pytest.fixture(scope="module")
def forms():
    program = api.check(api.parse(TEXT))
    made = {"program": program_to_json(program), "optimized": program_to_json(api.optimize(program))}
    made["tree"] = tree_to_json(api.parse(TEXT))
    return {name: json.loads(json.dumps(form)) for name, form in made.items()}


@brings(
    "Python API", "the JSON form of a program or a syntax tree, with any change", "read correctly, or refused with E132"
)
@pytest.mark.parametrize(("name", "count"), [("program", 400), ("optimized", 400), ("tree", 800)])
def test_changed_forms(name, count, forms):
    form, chance = forms[name], random.Random(12)
    read = tree_from_json if name == "tree" else program_from_json
    read(form)
    known, refused, fine = list(places(form)), 0, 0
    for _ in range(count):
        made = changed(form, known, chance)
        try:
            read_back = read(made)
        except BbiError as error:
            refused += 1
            assert str(error) and {d.code for d in error.diagnostics} <= {"E101", "E102", "E132", "E133"}
            continue
        fine += 1
        if name != "tree":
            program_to_json(read_back)
    assert refused > count // 4 and fine > count // 40


@pytest.mark.parametrize("span", [[0, 10**30], [10**30, 10**30], [5, 2], [-1, 3], [0.5, 2]])
def test_spans_outside_of_any_text(span, forms):
    program = copy.deepcopy(forms["program"])
    program["nodes"][0]["spans"] = [span]
    with pytest.raises(BbiError, match="E132"):
        program_from_json(program)
    tree = copy.deepcopy(forms["tree"])
    tree["statements"][0]["span"] = span
    with pytest.raises(BbiError, match="E132"):
        tree_from_json(tree)


def test_nodes_above_each_other(forms):
    """A chain that no text could have given."""
    program = copy.deepcopy(forms["program"])
    nodes = program["nodes"]
    last = next(number for number, node in enumerate(nodes) if node["op"] == "activation")
    for _ in range(3 * MOST_STAGES):
        nodes.append({**copy.deepcopy(nodes[last]), "op": "abs", "inputs": [last], "parameters": {}})
        last = len(nodes) - 1
    with pytest.raises(BbiError, match=r"E132.*levels of nodes"):
        program_from_json(program)


def test_deep_nesting(forms):
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for read, name in ((program_from_json, "program"), (tree_from_json, "tree")):
        with pytest.raises(BbiError, match=r"E132|E102"):
            read({**forms[name], "source": deep} if name == "program" else {**forms[name], "statements": deep})
        with pytest.raises(BbiError):
            read(deep)
