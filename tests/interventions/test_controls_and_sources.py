"""Controls, replacements by a dataset, patches between inputs, sliders, groups, counts of passes, and refusals at run
time."""

from __future__ import annotations

from pathlib import Path

import blocks
import numpy as np
import pytest
import torch
from by_hand import activation, effects, scores
from PIL import Image

import bbilang
from bbilang.grammar.diagnostic import BbiError


def executed(text: str, model: object, *images: torch.Tensor, optimized: bool = True):
    stacked = torch.stack(images) if len(images) > 1 else images[0]
    program = bbilang.check(bbilang.parse(text), model=model, input=stacked)
    program = bbilang.optimize(program) if optimized else program
    return bbilang.execute(bbilang.plan(program), model=model, input=stacked, cache=False)


def field_of(results):
    return results.fields[results.program.elements[-1].id]


class Planted(torch.nn.Module):
    """Of 24 channels of equal strength, class 0 is the sum of channels 3, 7 and 11 alone; class 1 is of all."""

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 24, 1), torch.nn.ReLU())
        self.head = torch.nn.Linear(24, 2)
        with torch.no_grad():
            torch.manual_seed(5)
            self.stem[0].weight.uniform_(0.2, 0.3)
            self.stem[0].bias.zero_()
            self.head.weight.fill_(0.01)
            self.head.bias.zero_()
            self.head.weight[0].zero_()
            self.head.weight[0, [3, 7, 11]] = 1.0

    def forward(self, x):
        return self.head(self.stem(x).mean((2, 3)))


@pytest.fixture(scope="module")
def planted():
    return bbilang.adapt(Planted().eval(), (12, 12), labels=["planted", "all"])


def test_a_planted_circuit_is_necessary_and_random_sets_are_not(planted):
    text = ("stem.channel | attribute(output[0]) | top(3) | ablate(zero, together=true)"
            " | effect(output[0], controls=20) | present(number)")  # fmt: skip
    field = field_of(executed(text, planted, blocks.image()))
    before, effect = float(np.ravel(field.beside["before"].data)[0]), float(np.ravel(field.values.data)[0])
    assert effect == pytest.approx(-before, rel=1e-5)
    random = field.beside["controls"].data.ravel()
    assert random.shape == (20,) and np.abs(random).max() < 1e-6
    ratio = next(note for note in field.notes if "matched by the norm" in note)
    assert "1 of that" in ratio or "0.9" in ratio or "1.0" in ratio


def test_a_planted_circuit_is_sufficient_and_random_sets_are_not(planted, tmp_path: Path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(14):
        Image.fromarray((random.random((12, 12, 3)) * 60).astype(np.uint8)).save(folder / f"{number}.png")
    text = (f'dataset dark = "{folder}"\n'
            "stem.channel | attribute(output[0]) | top(3) | isolate(mean, source=dark)"
            " | effect(output[0], controls=20) | present(number)")  # fmt: skip
    results = executed(text, planted, blocks.image())
    field = field_of(results)
    before, effect = float(np.ravel(field.beside["before"].data)[0]), float(np.ravel(field.values.data)[0])
    assert abs(effect) < 1e-5  # they keep all of it
    assert (field.beside["controls"].data < -0.5 * before).all()
    assert any("farther from the nearest of 14 examples" in note for note in field.notes)


def test_controls_are_effects_of_other_single_channels():
    name, layer = "residual", "stem"
    text = f"{layer}.channel | ablate(zero) | effect(output[1], controls=3) | present(bars)"
    field = field_of(executed(text, blocks.adapter(name), blocks.image()))
    every = effects(blocks.block(name), blocks.image(), layer, "channel", "zero", [[(c,)] for c in range(4)])[:, 1]
    controls = field.beside["controls"].ordered(("input", "channel", "control")).data[0]
    for channel in range(4):
        others = np.sort(np.delete(every, channel))
        np.testing.assert_allclose(np.sort(controls[channel]), others, atol=2e-6)


def test_a_mean_is_that_of_all_positions_of_all_examples(tmp_path: Path):
    name, layer = "residual", "stem"
    folder = tmp_path / "pictures"
    folder.mkdir()
    pictures = []
    for number in range(3):
        pixels = (np.random.default_rng(number).random((12, 12, 3)) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        pictures.append(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
    network, image = blocks.block(name), blocks.image()
    means = np.mean([activation(network, one, layer).mean((1, 2)) for one in pictures], 0)
    text = (f'dataset some = "{folder}"\n{layer}.channel | ablate(mean, source=some)'
            " | effect(output.class) | present(matrix)")  # fmt: skip
    values = field_of(executed(text, blocks.adapter(name), image)).values.ordered(("input", "channel", "class")).data[0]
    before = scores(network, image, layer, None)
    for channel in range(4):

        def change(own, channel=channel):
            changed = own.copy()
            changed[channel] = means[channel]
            return changed

        np.testing.assert_allclose(values[channel], scores(network, image, layer, change) - before, atol=1e-5)


@pytest.mark.parametrize("stage", ["ablate(resample, source=few, together=true)", "isolate(source=few)"])
def test_a_dataset_of_three_examples_is_drawn_from_three_times(stage, tmp_path: Path):
    folder, made = tmp_path / "few", []
    folder.mkdir()
    for number in range(3):
        pixels = (np.random.default_rng(number).random((12, 12, 3)) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        made.append(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
    network, image = blocks.block("residual"), blocks.image()
    text = f'dataset few = "{folder}"\nstem.channel[1] | {stage} | effect(output.class) | present(bars)'
    results = executed(text, blocks.adapter("residual"), image)
    before, rows = scores(network, image, "stem", None), []
    for one in made:
        other = activation(network, one, "stem")

        def change(own, other=other):
            mixed = other.copy() if stage.startswith("isolate") else own.copy()
            mixed[1] = own[1] if stage.startswith("isolate") else other[1]
            return mixed

        rows.append(scores(network, image, "stem", change) - before)
    np.testing.assert_allclose(field_of(results).values.data.ravel(), np.mean(rows, 0), atol=2e-6, rtol=1e-6)
    assert results.reruns == 3


@pytest.mark.parametrize("name", ["residual", "concatenation", "attention"])
def test_a_patch_takes_the_parts_of_the_other_input(name):
    network, images = blocks.block(name), (blocks.image(0), blocks.image(1))
    text = "stem.channel | patch(source=1) | effect(output.class) | present(matrix)"
    values = field_of(executed(text, blocks.adapter(name), *images)).values.ordered(("input", "channel", "class")).data
    other, before = activation(network, images[1], "stem"), scores(network, images[0], "stem", None)
    for channel in range(4):

        def change(own, channel=channel):
            changed = own.copy()
            changed[channel] = other[channel]
            return changed

        after = scores(network, images[0], "stem", change)
        size = max(np.abs(before).max(), np.abs(after).max(), 1)
        np.testing.assert_allclose(values[0, channel], after - before, rtol=0, atol=4e-6 * size)
    assert np.abs(values[1]).max() < 2e-6  # from itself


def test_every_amount_of_a_slider_is_a_state():
    text = "stem.channel | steer(slider(-2, 2, 1)) | effect(output[0]) | present(bars)"
    field = field_of(executed(text, blocks.adapter("residual"), blocks.image()))
    slider = next(state.name for state in field.type.states)
    values = field.values.ordered(("input", slider, "channel")).data[0]
    for row, amount in zip(values, (-2, -1, 0, 1, 2), strict=True):
        sets = [[(channel,)] for channel in range(4)]
        found = effects(blocks.block("residual"), blocks.image(), "stem", "channel", f"steer {amount}", sets)
        np.testing.assert_allclose(row, found[:, 0], atol=2e-6)


def test_a_group_is_its_part():
    name = "residual"
    text = "groups = stem | factorize(nmf, 2)\ngroups | ablate(zero) | effect(output.class) | present(matrix)"
    results = executed(text, blocks.adapter(name), blocks.image())
    field = field_of(results)
    from bbilang.compiler.ir.program import walk

    node = next(n for n in walk(results.program.elements[-1].node) if n.op == "factorize")
    both = executed("groups = stem | factorize(nmf, 2)\ngroups.spatial | present(heatmap, facet=group)\n"
                    "groups.channel | present(matrix)", blocks.adapter(name), blocks.image())  # fmt: skip
    spatial, channel = (both.fields[e.id].values for e in both.program.elements)
    w = spatial.ordered(("input", "group", "y", "x")).data[0]
    h = channel.ordered(("input", "group", "channel")).data[0]
    network, image = blocks.block(name), blocks.image()
    before = scores(network, image, "stem", None)
    values = field.values.ordered(("input", "group", "class")).data[0]
    for group in range(2):
        part = w[group][None] * h[group][:, None, None]
        after = scores(network, image, "stem", lambda own, part=part: own - part)
        np.testing.assert_allclose(values[group], after - before, atol=1e-5)
    assert node["n"] == 2


def test_the_network_runs_once_up_to_the_layer():
    text = "stem.channel | ablate(zero) | effect(output) | present(bars)"
    results = executed(text, blocks.adapter("residual"), blocks.image())
    assert results.model_passes == (1, 0) and results.reruns == 4
    plain = executed(text, blocks.adapter("residual"), blocks.image(), optimized=False)
    assert plain.passes.forwards > 4 and plain.reruns == 0


def test_targets_share_the_changed_rows():
    text = ("a = stem.channel | ablate(zero)\na | effect(output[0]) | present(bars)\n"
            "a | effect(output[1]) | present(bars)")  # fmt: skip
    assert executed(text, blocks.adapter("residual"), blocks.image()).reruns == 4


def test_a_mean_over_positions_that_nothing_distinguishes_is_refused(planted):
    text = "stem.channel | ablate(position_mean) | effect(output[0]) | present(bars)"
    with pytest.raises(BbiError) as refused:
        executed(text, planted, blocks.image())
    assert refused.value.diagnostics[0].code == "E540"


def test_a_target_that_no_path_leads_to_is_warned_of():
    text = "body.left.channel | ablate(zero) | effect({}) | present(bars)"
    for target, warned in (("body.right.channel[0]", True), ("body.join.channel[0]", False), ("output", False)):
        model = blocks.adapter("concatenation")
        program = bbilang.check(bbilang.parse(text.format(target)), model=model, input=blocks.image())
        assert ["W274"] * warned == [warning.code for warning in program.warnings]
        values = field_of(executed(text.format(target), model, blocks.image())).values.data
        assert (np.abs(values).max() < 1e-7) == warned


def test_over_a_dataset_too():
    """W274 at the effect, also where what changes is chosen on the page, or is a direction; each once."""
    start = 'dataset shapes = "sample:shapes" | sample(4)\n'
    for pipe in (
        "body.left.channel | ablate(zero)", "body.left.channel | activation | top(2) | ablate(zero)",
        "d = body.left.channel[0] - body.left.channel[1]\nd | ablate(zero)",
        "body.left.channel | ablate(mean, source=shapes)",
    ):  # fmt: skip
        for target, warned in (("body.right.channel[0]", True), ("body.join.channel[0]", False)):
            effect = f"effect({target})"
            text = f"{start}{pipe} | {effect} | across(shapes) | mean(example) | present(bars)"
            program = bbilang.check(bbilang.parse(text), model=blocks.adapter("concatenation"), input=blocks.image())
            own = [warning for warning in program.warnings if warning.code == "W274"]
            assert [text[one.span.start : one.span.end].endswith(effect) for one in own] == [True] * warned


def test_resample_is_the_mean_of_what_eight_examples_have(tmp_path: Path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    made = []
    for number in range(12):
        pixels = (np.random.default_rng(number).random((12, 12, 3)) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        made.append(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
    network, image, layer = blocks.block("residual"), blocks.image(), "stem"
    before = scores(network, image, layer, None)
    donors = [activation(network, made[n], layer) for n in np.random.default_rng([0, 6]).permutation(12)[:8]]
    kept = np.argsort(-activation(network, image, layer).sum((1, 2)), kind="stable")[:2]
    start = f'dataset some = "{folder}"\n{layer}.channel'

    text = f"{start} | ablate(resample, source=some) | effect(output.class) | present(matrix)"
    values = field_of(executed(text, blocks.adapter("residual"), image)).values.ordered(("input", "channel", "class"))
    for channel in range(4):

        def change(own, other, channel=channel):
            changed = own.copy()
            changed[channel] = other[channel]
            return changed

        each = [scores(network, image, layer, lambda own, o=other: change(own, o)) for other in donors]
        np.testing.assert_allclose(values.data[0][channel], np.mean(each, 0) - before, atol=2e-6, rtol=1e-6)

    text = f"{start} | activation | top(2) | isolate(source=some) | effect(output.class) | present(bars)"
    found = field_of(executed(text, blocks.adapter("residual"), image)).values.data.ravel()

    def keep(own, other):
        changed = other.copy()
        changed[kept] = own[kept]
        return changed

    each = [scores(network, image, layer, lambda own, o=other: keep(own, o)) for other in donors]
    np.testing.assert_allclose(found, np.mean(each, 0) - before, atol=2e-6, rtol=1e-6)
