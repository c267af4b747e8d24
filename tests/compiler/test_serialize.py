"""A program survives its JSON form; anything else is refused with one sentence."""

import copy
import json
from pathlib import Path

import pytest

import bbilang
from bbilang.compiler.ir.serialize import from_json, schema, to_json
from bbilang.grammar.diagnostic import BbiError

TEASER = (Path(__file__).parents[2] / "specs" / "teaser.bbi").read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=[False, True], ids=["as written", "optimized"])
def program(request):
    typed = bbilang.check(bbilang.parse(TEASER))
    return bbilang.optimize(typed) if request.param else typed


def test_round_trip(program):
    again = from_json(json.loads(json.dumps(to_json(program))))
    assert again == program
    assert again.origins == {node: spans for node, spans in program.origins.items() if node in again.origins}
    assert again.source == program.source and again.description == program.description
    assert to_json(again) == to_json(program)


def test_sharing_survives(program):
    """Nodes that are one object stay one: what a binding computes is computed once."""
    again = from_json(to_json(program))
    assert len(to_json(again)["nodes"]) == len(to_json(program)["nodes"])
    assert [step.words for step in bbilang.plan(again).steps] == [step.words for step in bbilang.plan(program).steps]


def test_schema_is_valid():
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(schema())


def _changed(form, change):
    form = copy.deepcopy(form)
    change(form)
    return form


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.pop("nodes"),
        lambda f: f.update(version=2),
        lambda f: f["nodes"][0].update(inputs=[5]),
        lambda f: f["nodes"][0].update(inputs=[-1]),
        lambda f: f["nodes"][-1].update(op=3),
        lambda f: f["nodes"][-1]["type"].update(axes=[{"name": "y"}]),
        lambda f: f["nodes"][-1]["type"]["axes"][0].update(size=0),
        lambda f: (f["backwards"] or f["reruns"])[0].update(forward=99),
        lambda f: f["interfaces"][0]["elements"][0].update(node=10**6),
        lambda f: f["nodes"][-1]["parameters"].update(x={"code": "print(1)"}),
        lambda f: f.update(description={"name": 1}),
        lambda f: f.update(extra=1),
    ],
)
def test_refused(program, change):
    with pytest.raises(BbiError) as error:
        from_json(_changed(to_json(program), change))
    assert "not the JSON form of a program" in str(error.value)


@pytest.mark.parametrize("value", [None, 3, "text", [], {}, {"format": "bbilang-program"}])
def test_not_even_close(value):
    with pytest.raises(BbiError):
        from_json(value)
