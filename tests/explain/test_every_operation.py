"""Every example of the registry can be explained, in every form."""

from xml.etree import ElementTree

import pytest
from explanations import HEAD, explanation

from bbilang.compiler.explain.columns import cell_width
from bbilang.registry import registry

EXAMPLES = {
    f"{group}.{name}": thing.example
    for group in ("operations", "styles")
    for name, thing in getattr(registry(), group).items()
    if getattr(thing, "example", "") and not getattr(thing, "head", False) and not getattr(thing, "example_needs", "")
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_explained(name):
    text = EXAMPLES[name] if "model" in EXAMPLES[name] else HEAD.removeprefix("bbi 1\n") + EXAMPLES[name]
    text = text if "\ninput " in f"\n{text}" else f'input "sample:chelsea"\n{text}'
    explained = explanation(text)
    shown = explained.text(80)
    assert max(map(cell_width, shown.splitlines())) <= 80
    operation = registry().operations.get(name.partition(".")[2])
    assert name.partition(".")[2] in shown or (operation is not None and operation.only_in_models)
    data = explained.to_json()
    if "models" in data:  # a plan for each model
        assert all(own["after"] for own in data["models"].values())
    else:
        assert [step["kind"] for step in data["after"]] == [step.kind for step in explained.after.steps]
    ElementTree.fromstring(explained.to_svg())
