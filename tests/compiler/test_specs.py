"""The specs of the contract and of the gallery: what checks cleanly, what is planned, what is counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from smaller_specs import SMALLER, is_of_one_model

from bbilang.compiler.check.check import Options, check_recovering
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.pipeline import peek_at
from bbilang.registry import registry
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.inputs.network_input import NetworkInput
from bbilang.runtime.view.states import elements

ROOT = Path(__file__).parents[2]
CONTRACT = sorted((ROOT / "tests" / "grammar" / "specs").glob("*.bbi"))
# One of several models has a plan for each of them: tests/models and tests/mending.
GALLERY = sorted(path for path in (ROOT / "specs").glob("*.bbi") if is_of_one_model(path))
# What of the contract waits for a later stage: dataset examples, several models.
# Those that the gallery has in another form: coherence between neighbouring cells is not a word of the language yet.
OTHERWISE = {"activation_grids_with_magnitude_and_coherence": (", coherence=6", "")}
# (forward, backward, tangents) of the gallery's specs.
PASSES = {
    "activation_grids": (1, 0, 0),
    "activation_vector": (1, 0, 0),
    "activation_atlas": (0, 0, 0),
    "activis": (0, 0, 0),
    "dreams": (1, 0, 0),
    "groups_across_layers": (1, 11, 0),
    "methods_side_by_side": (3, 10, 0),  # a forward for each rule of derivatives; steps of integrated gradients besides
    "neuron_groups": (1, 5, 0),
    "principal_components": (1, 0, 0),
    "regularizers": (1, 0, 0),
    "semantic_dictionary": (1, 0, 0),
    "spatial_and_channel": (2, 1, 0),
    "teaser": (2, 6, 0),
    **dict.fromkeys(
        (
            "direction_arithmetic",
            "one_channel",
            "rests_on_a_concept",
            "what_channels_detect",
            "what_it_calls_shapes",
            "which_does_it_get_wrong",
        ),
        (0, 0, 0),
    ),
    "what_a_circuit_computes": (0, 0, 0),
    "what_a_neuron_multiplies": (0, 0, 0),
    "the_toolbox": (1, 0, 0),
    "where_does_each_head_look": (3, 0, 0),  # attention is read in a forward of its own for each layer
    "what_did_the_segmenter_look_at": (1, 0, 0),
    "which_part_moved_the_answer": (1, 0, 0),
    "which_training_pictures": (1, 0, 0),
    "would_it_still_say_so": (1, 1, 0),
    "which_pixels_which_concepts": (2, 13, 0),  # the evidence; six channels down to a layer, and to two noisy pictures
}
# The two long ones run with fewer layers and classes. Which of their passes are reverse is for the measured speeds of a
# machine to say: their sum is what is known.
# So it is where the steps of a path do not fit into memory at once.
# Examples of datasets that a scan runs the network on.
EXAMPLES = {
    "activation_atlas": 24,
    "activis": 24,
    "direction_arithmetic": 160,
    "one_channel": 60,
    "rests_on_a_concept": 120,
    "what_channels_detect": 40,
    "what_it_calls_shapes": 60,
    "which_does_it_get_wrong": 300,
    "which_training_pictures": 1800,
    "would_it_still_say_so": 12,
}
AT_MOST = {"can_i_trust_this": 16, "channel_attribution": 12, "spatial_attribution": 65}


def diagnostics(path: Path) -> list:
    text = path.read_text(encoding="utf-8").replace(*OTHERWISE.get(path.stem, ("", "")))
    models = "model inceptionv1\n"
    if "a:mixed" in text:
        models = 'model a = inceptionv1, b = inceptionv1\ndataset photos = "folder/"\n'
    source = Source(text if "\nmodel" in text else models + text, path.name)
    return list(check_recovering(parse(source), registry(), Options(inputs=("dog.jpeg",)))[1])


@pytest.mark.parametrize("path", [p for p in CONTRACT if p.stem != "every_form"], ids=lambda path: path.stem)
def test_contract(path):
    reported = diagnostics(path)
    assert not reported, tiny.render(reported, None)


def results_of(path: Path, optimized: bool):
    from bbilang.runtime.inputs.load import picture_of
    from bbilang.runtime.models.loading import load

    text = path.read_text(encoding="utf-8")
    for old, new in SMALLER.get(path.stem, ()):
        assert old in text
        text = text.replace(old, new)
    source = Source(text, str(path))
    program = check_recovering(parse(source), registry(), Options(peek=peek_at))[0]
    assert program is not None and not program.warnings
    slot = program.models[0]
    weights = slot.weights or (None if slot.name.startswith(("efficientnet_lite0", "sample:")) else "random")
    adapter = load(slot.name, weights).described_as(program.description)
    pictures: list[NetworkInput] = [picture_of(name, name, adapter) for name in program.inputs]
    steps = plan(optimize(program) if optimized else program, registry())
    return steps, execute(steps, registry(), adapter, pictures, icons=tiny.fake_icons)


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_gallery(path):
    """Optimized and as written give the same numbers in as many passes as are known, and a consistent page."""
    from test_random_programs import assert_bounds, assert_equal_results
    from views_hold import assert_consistent

    steps, one = results_of(path, True)
    assert one.scanned == EXAMPLES.get(path.stem, 0) and one.recalled == 0
    assert one.model_passes[0] == PASSES.get(path.stem, (2 if "integrated" in path.read_text() else 1,))[0]
    if path.stem in AT_MOST:
        assert 0 < one.model_passes[1] + one.tangents <= AT_MOST[path.stem]
    else:
        assert (*one.model_passes, one.tangents) == PASSES[path.stem]
    if path.stem == "channel_attribution":  # as written it takes minutes; tests/optimizer compares smaller links
        assert one.model_passes[1] <= steps.total("backward")[0] and one.tangents <= steps.total("tangents")[0]
        assert_consistent(tiny.view_of(one))
        return
    as_written, two = results_of(path, False)
    assert_equal_results(one, two)
    assert_bounds(steps.program, one)
    assert_bounds(as_written.program, two)
    assert_consistent(tiny.view_of(one))


def test_the_passes_of_the_teaser():
    """A forward of the photo, and one of the baseline up to the layer. Above it run the eight steps of six classes, the
    score at the baseline, and that without the layer."""
    steps, results = results_of(ROOT / "specs" / "teaser.bbi", True)
    assert results.model_passes == (2, 6)
    assert [steps.total(kind)[0] for kind in ("forward", "backward", "reruns")] == [2, 0, 10]
    assert not any(step.bound for step in steps.steps if step.kind == "backward")
    page = tiny.view_of(results)
    states = {element.id: len(element.panels[0].frames) for element in elements(page)}
    assert states["blocks"] == 36 and states["photo"] == 1
    assert 6 <= len(results.icons) <= steps.total("icons")[0]
