"""The specs of the contract and those of the gallery: what checks cleanly, what is planned, what is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from bbilang.compiler.check import Options, check_recovering
from bbilang.compiler.optimize import optimize
from bbilang.compiler.plan import plan
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.registry import registry
from bbilang.runtime.execute import Picture, execute
from bbilang.runtime.selection import elements

ROOT = Path(__file__).parents[2]
CONTRACT = sorted((ROOT / "tests" / "grammar" / "specs").glob("*.bbi"))
GALLERY = sorted((ROOT / "specs").glob("*.bbi"))
CLEAN = {
    "an_activation_vector_in_several_bases",
    "neuron_groups",
    "principal_components",
    "semantic_dictionary",
    "spatial_and_channel_together",
    "teaser",
}


def diagnostics(path: Path) -> list:
    text = path.read_text(encoding="utf-8")
    models = "model inceptionv1\n"
    if "a:mixed" in text:
        models = 'model a = inceptionv1, b = inceptionv1\ndataset photos = "folder/"\n'
    source = Source(text if "\nmodel" in text else models + text, path.name)
    return list(check_recovering(parse(source), registry(), Options(inputs=("dog.jpeg",)))[1])


@pytest.mark.parametrize("path", [p for p in CONTRACT if p.stem != "every_form"], ids=lambda path: path.stem)
def test_contract(path):
    """What only uses available operations is clean; the rest is said to be planned, and nothing else is said."""
    found = diagnostics(path)
    assert {d.code for d in found} == (set() if path.stem in CLEAN else {"E901"}), tiny.render(found, None)


def results_of(path: Path, optimized: bool):
    from bbilang.inputs import picture_of
    from bbilang.runtime.model import load

    source = Source(path.read_text(encoding="utf-8"), str(path))
    program = check_recovering(parse(source), registry(), Options())[0]
    assert program is not None and not program.warnings
    slot = program.models[0]
    weights = slot.weights or (None if slot.name == "efficientnet_lite0" else "random")
    adapter = replace(load(slot.name, weights), description=program.description)
    pictures: list[Picture] = [picture_of(name, name, adapter) for name in program.inputs]
    steps = plan(optimize(program) if optimized else program)
    return steps, execute(steps, registry(), adapter, pictures, icons=tiny.fake_icons)


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_gallery(path):
    """Optimized and as written give the same numbers, and a page that holds together."""
    from test_random_programs import assert_bounds, assert_equal_results
    from views_hold import assert_consistent

    steps, one = results_of(path, True)
    as_written, two = results_of(path, False)
    assert_equal_results(one, two)
    assert_bounds(steps.program, one)
    assert_bounds(as_written.program, two)
    assert_consistent(tiny.view_of(one))


def test_the_teaser_takes_one_forward_and_six_backward():
    steps, results = results_of(ROOT / "specs" / "teaser.bbi", True)
    assert results.model_passes == (1, 6)
    assert (steps.total("forward")[0], steps.total("backward")[0]) == (1, 6)
    assert not any(step.bound for step in steps.steps if step.kind == "backward")
    page = tiny.view_of(results)
    states = {element.id: len(element.panels[0].frames) for element in elements(page)}
    assert states["blocks"] == 36 and states["photo"] == 1
    assert 6 <= len(results.icons) <= steps.total("icons")[0]
