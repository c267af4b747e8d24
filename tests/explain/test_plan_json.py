"""The JSON of a plan follows its schema and has the numbers of the plan itself."""

import json

import jsonschema
import pytest
from explanations import COMPLETE, MANY, MODES, SPECS, explanation, measured

from bbilang.compiler.explain.json_form import schema
from bbilang.compiler.ir.program import walk

TEXTS = {**{path.stem: path.read_text(encoding="utf-8") for path in SPECS}, "modes": MODES, "many": MANY}


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "many"])  # the validator is slow
@pytest.mark.parametrize("kind", ["plain", "measured", "not optimized"])
def test_schema(name, kind):
    explained = explanation(TEXTS[name], optimized=kind != "not optimized")
    data = json.loads(json.dumps((measured(explained) if kind == "measured" else explained).to_json()))
    jsonschema.validate(data, schema(), cls=jsonschema.Draft202012Validator)
    assert data["optimized"] == (kind != "not optimized")
    assert all(("seconds" in step) == (kind == "measured") for step in data["after"])
    assert not any("seconds" in step for step in data["before"])


def test_the_schema_refuses_what_is_not_a_plan():
    jsonschema.Draft202012Validator.check_schema(schema())
    data = explanation(MODES).to_json()
    for change in ({"version": 2}, {"before": [{}]}, {"more": 1}, {"optimized": "yes"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**data, **change}, schema())


@pytest.mark.parametrize("name", TEXTS)
def test_numbers_are_those_of_the_plan(name):
    explained = explanation(TEXTS[name])
    data = explained.to_json()
    for key, plan in (("before", explained.before), ("after", explained.after)):
        assert [(s["kind"], s["passes"], s["flops"]) for s in data[key]] == [
            (s.kind, s.passes, s.flops) for s in plan.steps
        ]
        nodes = list(walk(*(e.node for e in plan.program.elements)))
        assert len(data["logical"][key]) == len(nodes)
        numbers = {node["number"] for node in data["logical"][key]}
        assert all(set(node["needs"]) <= numbers for node in data["logical"][key])
        for step in data[key]:
            assert set(step["elements"]) <= {element["id"] for element in data["elements"]}
            for span in step["asked"]:
                assert TEXTS[name].count("\n", 0, span["end"] - 1) + 1 == span["line"]
    flops = next(saved for saved in data["saved"] if saved["name"] == "FLOPs")
    assert flops["before"] == sum(s["flops"] for s in data["before"] if s["kind"] != "icons")
    assert flops["after"] == sum(s["flops"] for s in data["after"] if s["kind"] != "icons")


def test_where_a_step_works():
    steps = explanation(TEXTS["spatial_and_channel"].replace(COMPLETE, "")).to_json()
    written = next(step for step in steps["before"] if step["kind"] == "backward")
    optimized = next(step for step in steps["after"] if step["kind"] == "backward")
    assert (written["from"], written["to"]) == ("output", "input")
    assert (optimized["from"], optimized["to"], optimized["layers"]) == ("output", "block6a.expand", ["block6a.expand"])
    assert optimized["elements"] == ["icons", "maps"]
    tangents = next(step for step in explanation(MODES).to_json()["after"] if step["kind"] == "tangents")
    assert (tangents["from"], tangents["to"]) == ("block5c", "output")
