"""The language is not tied to one network: the gallery checks on InceptionV1, and the contract's files run there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from views_hold import assert_consistent

import bbilang
from bbilang.registry import registry
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.inputs.load import picture_of
from bbilang.runtime.models.loading import load

ROOT = Path(__file__).parents[2]
OWN = ('"sample:marks"', '"sample:induction"', '"sample:harbour"')  # networks that a page is about, and no other
CHANNELS = ("what_a_circuit_computes",)  # of channels of the first layers of one network, by their numbers
NO_LAYERS = ("which_interfaces_are_there",)  # of other pages, and of no layer itself
SPECS = [
    path
    for path in sorted((ROOT / "specs").glob("*.bbi"))
    if path.stem not in (*CHANNELS, *NO_LAYERS) and not any(own in path.read_text("utf-8") for own in OWN)
]
LAYERS = {
    "block3a.expand": "mixed3a",
    "block4a.expand": "mixed3b",
    "block5a.expand": "mixed4b",
    "block5c.expand": "mixed4c",
    "weights(block5c.depthwise": "weights(mixed4c.conv3x3",
    "block5c.depthwise": "mixed4c",
    "block5c.project": "mixed4c.conv3x3",
    "layer=block5c)": "layer=mixed4c)",
    "block6a.expand": "mixed4d",
    "block6a.project": "mixed4e",
    "block7a.expand": "mixed5a",
    "head": "mixed5b",
}
# Specs of the contract that belong to interfaces 1-9, and what is changed in each. Without `coherence=`, which is not
# a word of the language yet; of the two long ones fewer layers, classes and channels to click, so that they are short.
CONTRACT = {
    "activation_grids_with_magnitude_and_coherence": ((", coherence=6", ""), ("mixed3a, mixed4a, ", "")),
    "an_activation_vector_in_several_bases": (),
    "channel_attribution_across_layers": (
        ("mixed3b, mixed4a, mixed4b, ", ""),
        ("top(40, ", "top(2, "),
        ("output.class", "output[top(8)]"),
    ),
    "groups_across_layers": (),
    "neuron_groups": (),
    "principal_components": (),
    "semantic_dictionary": (),
    "spatial_and_channel_together": (),
    "spatial_attribution_multi_directional": (
        ("mixed3a, mixed4a, mixed4d, ", "mixed4d, "),
        ("output.class", "output[top(8)]"),
    ),
    "teaser": (("dog_cat.jpeg", "sample:chelsea"),),
}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_same_file_checks(path, tmp_path):
    """With a table of layers, and of captions' words, as the only difference."""
    text = path.read_text("utf-8").replace("model efficientnet_lite0", "model inceptionv1")
    for ours, theirs in LAYERS.items():
        text = text.replace(ours, theirs)
    assert "block" not in text.replace("blocks", "")
    program = bbilang.check(bbilang.parse(text))
    assert program.elements and program.warnings == ()
    assert program.models[0].name == "inceptionv1"


@pytest.fixture(scope="module")
def inception():
    return load("inceptionv1", "random", "cpu")


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_runs(name, inception):
    text = (ROOT / "tests" / "grammar" / "specs" / f"{name}.bbi").read_text("utf-8")
    for old, new in CONTRACT[name]:
        assert old in text
        text = text.replace(old, new)
    if "\nmodel" not in text:
        text = 'model inceptionv1\ninput "sample:chelsea"\n' + text
    program = bbilang.check(bbilang.parse(text), weights="random")
    adapter = replace(inception, description=program.description)
    pictures = [picture_of(file, file, adapter) for file in program.inputs]
    results = execute(bbilang.plan(bbilang.optimize(program)), registry(), adapter, pictures, icons=tiny.fake_icons)
    assert results.model_passes[0] == 1
    for element in program.elements:
        values = results.fields[element.id].values.data
        assert element.node["style"] in ("image", "sankey") or np.isfinite(values).any()
    assert_consistent(tiny.view_of(results))
