"""The forms that docs/embedding.md calls stable, and numbers of old texts, are as they were stored.
BBI_WRITE_GOLDEN=1 pytest tests/api/test_stable_forms.py stores them again: for a form that gained something, or has a
new version."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import bbilang
from bbilang.grammar.serialize import schema

STORED = Path(__file__).parent / "forms"
TEXT = """bbi 1
set featvis(size=32, steps=4)
input "sample:chelsea"
a = pick(output[top(2)])
interface "Why" {
    photo = input | present(image)
    why   = head.channel | attribute(output[a]) | top(3) | present(bars)
    where = head.neuron | at(hover(why)) | present(heatmap, over=photo)
    layout row(photo, why)
}
"""
WRONG = 'input "sample:chelsea"\nhead.chanel | top(3) | present(bars)\na = 3\n'
LANGUAGE = {  # texts of version 1, whose numbers stay
    "linear": "head.channel | attribute(output) | top(4)",
    "gradient": "head.channel | gradient(output) | top(4)",
    "integrated": "head.channel | attribute(output, method=integrated_gradients(n_steps=8)) | top(4)",
    "groups": "block6a.expand | factorize(pca, 2) | attribute(output)",
    "grad_cam": "head.spatial | attribute(output, method=grad_cam) | top(4)",
}


def tree() -> Any:
    return bbilang.tree_to_json(bbilang.parse(TEXT))


def program() -> Any:
    made = bbilang.program_to_json(bbilang.check(bbilang.parse(TEXT)))
    return {**made, "description": sorted(made["description"])}  # 1,000 classes and every layer


def plan() -> Any:
    return bbilang.explain(TEXT).to_json()


def error() -> Any:
    with pytest.raises(bbilang.BbiError) as caught:
        bbilang.check(bbilang.parse(WRONG))
    return caught.value.to_json()


def completions() -> Any:
    text = 'input "sample:chelsea"\nhead.channel | attribute(output) | top(3) | present(?)\n'
    return bbilang.complete(text, max_passes=5).to_json()


def view() -> Any:
    return shape(bbilang.run(TEXT, cache=False).to_dict())


def numbers() -> Any:
    pipes = "\n".join(f"{name} = {pipe} | present(table)" for name, pipe in LANGUAGE.items())
    page = bbilang.run(f'bbi 1\ninput "sample:chelsea"\n{pipes}\n', cache=False)
    return {name: page.data(name).values.ravel().tolist() for name in LANGUAGE}


def schema_of_trees() -> Any:
    return schema()


def shape(value: Any) -> Any:
    """Replace what is in a view by its kind: its numbers and pictures are the network's."""
    if isinstance(value, dict):
        return {str(name): shape(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        kinds = [shape(one) for one in value]
        return [one for number, one in enumerate(kinds) if one not in kinds[:number]]
    return type(value).__name__


FORMS = {made.__name__: made for made in (tree, program, plan, error, completions, view, schema_of_trees, numbers)}


def lost(old: Any, new: Any, place: str = "$") -> list[str]:
    """Return where something that was in an old form is no longer there, or of another kind."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            problem
            for name, inside in old.items()
            for problem in (lost(inside, new[name], f"{place}.{name}") if name in new else [f"{place}.{name} is gone"])
        ]
    if isinstance(old, list) and isinstance(new, list):
        if old and place.endswith(("anyOf", "required", "enum")):  # sets of a schema
            return [f"{place} has no {one}" for one in old if one not in new]
        return [
            problem
            for number, pair in enumerate(zip(old, new, strict=False))
            for problem in lost(*pair, f"{place}[{number}]")
        ]
    kinds = [(type(one) if not isinstance(one, int | float) or isinstance(one, bool) else float) for one in (old, new)]
    if None in (old, new) or kinds[0] is kinds[1]:
        return []
    return [f"{place} was {old!r} and is {new!r}"]


@pytest.mark.parametrize("name", FORMS)
def test_nothing_of_a_form_is_lost(name: str) -> None:
    path, made = STORED / f"{name}.json", json.loads(json.dumps(FORMS[name](), default=repr))
    if os.environ.get("BBI_WRITE_GOLDEN"):
        STORED.mkdir(exist_ok=True)
        path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    old = json.loads(path.read_text(encoding="utf-8"))
    if name == "numbers":
        for pipe, values in old.items():
            assert made[pipe] == pytest.approx(values, rel=2e-3, abs=1e-4), pipe
        return
    assert not lost(old, made)
    if name in ("program", "plan"):
        assert (made["format"], made["version"]) == (old["format"], old["version"])


def test_a_form_that_lost_something_is_noticed() -> None:
    old = {"a": 1, "b": [{"c": "x"}], "anyOf": ["p", "q"]}
    assert not lost(old, {**old, "more": 1, "a": 2.5})
    assert lost(old, {"a": 1, "anyOf": ["p", "q"]}) == ["$.b is gone"]
    assert lost(old, {**old, "b": [{}]}) == ["$.b[0].c is gone"]
    assert lost(old, {**old, "a": "1"}) == ["$.a was 1 and is '1'"]
    assert lost(old, {**old, "anyOf": ["q"]}) == ["$.anyOf has no p"]
