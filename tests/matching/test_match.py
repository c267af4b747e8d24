"""`match` in a text: numbers against hooks by hand, what is refused, and pairs on the page."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from permuted import Unknown, permuted
from safetensors.torch import save_file

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.loading import load
from bbilang.runtime.ops.comparing.match import _check_alike
from bbilang.runtime.ops.comparing.responses import state_of
from bbilang.runtime.view.answers.pieces import plain

LAYERS = ("first", "second", "third")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Return (the start of a text with a network and a permuted, rescaled copy, the copy)."""
    made = permuted(load("sample:marks"), seed=3)
    path = tmp_path_factory.mktemp("copy") / "copy.safetensors"
    save_file({name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in made.state.items()}, path)
    return f'model a = "sample:marks"\nmodel b = "sample:marks" from "{path}"\n', made


def partners(page, element="element-1"):
    data = page.results.fields[element]
    return data.coords["channel"].data, data.coords["partner.channel"].data, data.values.data


@pytest.mark.parametrize("how", ["by=weight_matching", "source=photos"])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_permuted_copy_is_recovered(planted, layer, how):
    start, made = planted
    dataset = 'dataset photos = "sample:marks" | sample(96)\n' if "photos" in how else ""
    text = f"{start}{dataset}a:{layer}.channel | match(b:{layer}.channel, {how}) | present(bars)"
    page = bbilang.run(text, cache=False)
    channels, found, values = partners(page)
    axis = made.symmetries.known.of_layer(layer).channels
    expected = np.array([axis.tolist().index(made.partner[channel]) for channel in axis])
    there = found >= 0  # but for a channel that is zero for all of these pictures, which has no correlation
    assert channels.tolist() == list(range(len(axis))) and there.mean() > 0.8
    assert there.all() or "constant" in " ".join(page.results.fields["element-1"].notes)
    assert (found == expected)[there].all() and values[there].min() > 0.999 and np.isnan(values[~there]).all()


def test_correlations_over_the_positions_of_an_input(planted):
    start, _ = planted
    text = f'{start}input "sample:marked_disc"\na:first.channel | match(b:second.channel) | top(3) | present(bars)'
    page = bbilang.run(text, cache=False)
    channels, found, values = partners(page)
    image = page.results.pictures[0].shown
    net = load("sample:marks").module
    x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255 - 0.5
    with torch.no_grad():
        first = net[:2](x)[0].reshape(8, 12, 2, 12, 2).mean((2, 4)).reshape(8, -1).double()
        net.load_state_dict({name: torch.from_numpy(array) for name, array in planted[1].state.items()})
        second = net[:4](x)[0].reshape(12, -1).double()
    for channel, partner, value in zip(channels, found, values, strict=True):
        expected = torch.corrcoef(torch.stack([first[channel], second[partner]]))[0, 1]
        assert abs(float(expected) - value) < 1e-4
    assert len(set(found.tolist())) == 3 and (np.diff(values) <= 0).all()


def test_atoms_that_a_pipe_chose_keep_their_order(planted):
    start, made = planted
    chosen = "a:second.channel | attribute(output) | top(4)"
    text = f'{start}input "sample:marked_disc"\n{chosen} | present(bars)\n{chosen} | match(b:second.channel, ' \
        "by=weight_matching) | present(bars)"  # fmt: skip
    page = bbilang.run(text, cache=False)
    asked = page.results.fields["element-1"].coords["channel"].data.ravel().tolist()
    channels, found, _ = partners(page, "element-2")
    axis = made.symmetries.known.of_layer("second").channels.tolist()
    assert channels.tolist() == asked
    assert found.tolist() == [axis.index(made.partner[axis[channel]]) for channel in asked]


def test_layers_of_one_network_and_the_best_of_all():
    text = (
        'model "sample:marks"\ndataset photos = "sample:marks" | sample(64)\n'
        "first.channel | match(second.channel, source=photos, pairs=best) | present(bars)\n"
        "first.channel | match(first.channel, source=photos) | present(bars)"
    )
    page = bbilang.run(text, cache=False)
    channels, found, _ = partners(page)
    assert len(channels) == 8 and len(set(found.tolist())) < 8, "a channel may be taken twice"
    _, itself, ones = partners(page, "element-2")
    assert itself.tolist() == list(range(8)) and np.allclose(ones, 1)
    assert "64 examples" in " ".join(page.results.fields["element-1"].notes)


def test_a_derived_network_is_compared_with_its_original():
    text = (
        'model a = "sample:marks"\nmodel b = a | set_weight(weights(second)[to=3, from=5], 0)\n'
        "a:second.channel | match(b:second.channel, by=weight_matching) | present(bars)"
    )
    _, found, values = partners(bbilang.run(text, cache=False))
    assert found.tolist() == list(range(12))
    assert values.argmin() == 3 and 0.5 < values[3] < 0.9999 and (np.delete(values, 3) > 0.9999).all()


def test_without_an_input_nothing_is_correlated(planted):
    with pytest.raises(BbiError, match="E420"):
        bbilang.run(f"{planted[0]}a:first.channel | match(b:first.channel) | present(bars)", cache=False)


def test_one_sample_is_too_few():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(108, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    text = "net.1.channel | match(net.2.channel) | present(bars)".replace("net.1", '"1"').replace("net.2", '"2"')
    with pytest.raises(BbiError, match=r"E573.*there are 1"):
        bbilang.run(text, model=bbilang.adapt(net.eval(), input_size=(6, 6)), input="sample:chelsea", cache=False)


def test_a_network_of_another_architecture_is_refused():
    torch.manual_seed(0)
    wide, narrow = (torch.nn.Sequential(torch.nn.Conv2d(3, wide, 3), torch.nn.ReLU()) for wide in (9, 8))
    with pytest.raises(BbiError, match=r"E571.*`0.weight` has the sizes 8 x 3 x 3 x 3 and 9 x 3 x 3 x 3"):
        _check_alike(state_of(narrow), state_of(wide), "b")


def test_channels_that_have_an_order_are_refused():
    torch.manual_seed(0)
    text = (
        "model a = net\nmodel b = a | set_weight(weights(input, one)[to=3, from=1], 0)\n"
        "a:one.channel | match(b:one.channel, by=weight_matching) | present(bars)"
    )
    with pytest.raises(BbiError, match=r"E572.*a fixed order"):
        bbilang.run(
            text, model=bbilang.adapt(Unknown().eval(), input_size=(16, 16)), input="sample:chelsea", cache=False
        )


@pytest.mark.parametrize("style", ["bars", "table", "matrix"])
def test_each_checkpoint_has_partners_of_its_own(style):
    """No label names the partner of one checkpoint for all of them; the numbers are of each."""
    start = 'model runs = "sample:marks" from "sample:marks", last = "sample:marks"\n' \
        'dataset photos = "sample:marks" | sample(64)\n'  # fmt: skip
    page = bbilang.run(f"{start}runs:first.channel | match(last:first.channel, source=photos) | present({style})")
    (element,) = page.view.interfaces[0].elements
    field = page.results.fields["element-1"]
    partners = field.coords["partner.channel"]
    assert partners.dims[0] == "model" and (partners.data != partners.data[:1]).any()
    assert (partners.data[-1] == np.arange(8)).all(), "the last checkpoint is the network itself"
    assert not any(" with " in atom.label for atom in element.atoms)
    assert "channel" in plain(element.answers[0]).lower() and "with last" not in plain(element.answers[0])


def test_a_mean_over_pairs_is_of_no_channel():
    start = 'model a = "sample:marks", b = "sample:marks_again"\ndataset photos = "sample:marks" | sample(64)\n'
    text = f"{start}a:first.channel | match(b:first.channel, source=photos) | mean(channel) | present(number)"
    page = bbilang.run(text, cache=False)
    (element,) = page.view.interfaces[0].elements
    assert "with" not in plain(element.answers[0]).split()
    assert 0.5 < page.data("element-1").values < 1


@pytest.mark.parametrize("style", ["featvis", "number"])
def test_the_channel_that_a_reader_chooses_and_its_partner(planted, style):
    """Each state has the pair of one channel, with the number of the next best, as a row of all has."""
    start, _ = planted
    how = "match(b:second.channel, by=weight_matching)"
    text = f"{start}set featvis(size=16, steps=1)\nall = a:second.channel | {how} | present(bars)\n" \
        f"one = a:second.channel | {how} | at(click(a:second.channel)) | present({style})"  # fmt: skip
    page = bbilang.run(text, cache=False)
    (every, one) = page.view.interfaces[0].elements
    fields = page.results.fields
    np.testing.assert_array_equal(fields["one"].values.data.ravel(), fields["all"].values.data)
    np.testing.assert_array_equal(fields["one"].beside["next"].data.ravel(), fields["all"].beside["next"].data)
    frames = one.panels[0].frames
    assert len(frames) == 12
    if style == "featvis":
        assert [one.atoms[frame.atoms[0]].label for frame in frames] == [atom.label for atom in every.atoms]
        assert all(frame.partners[0] >= 0 and frame.notes[0].startswith("next best ") for frame in frames)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_pair_stands_side_by_side(planted, chromium, tmp_path, width):
    start, _ = planted
    text = f"{start}set featvis(size=32, steps=4)\npairs = a:first.channel | match(b:first.channel, " \
        "by=weight_matching) | top(3) | present(featvis)"  # fmt: skip
    page = bbilang.run(text)
    (frame,) = page.view.interfaces[0].elements[0].panels[0].frames
    assert len(frame.pictures) == len(frame.partners) == 3 and min(*frame.pictures, *frame.partners) >= 0
    file = tmp_path / "page.html"
    file.write_text(page.html(), encoding="utf-8")
    shown = chromium.new_page(viewport={"width": width, "height": 900})
    shown.goto(file.as_uri())
    shown.wait_for_selector("html[data-ready]")
    images = shown.locator("figure svg image").all()
    boxes = [image.bounding_box() for image in images]
    boxes = sorted((box["y"], box["x"], box["width"]) for box in boxes if box and box["width"] > 5)
    assert len(boxes) == 6
    (y, x, wide), (next_y, next_x, next_wide) = boxes[:2]
    assert y == next_y and wide == next_wide and 0 < next_x - x - wide < 8
    said = shown.locator("body").inner_text()
    assert "are the most alike" in said and "with b: " in said and "next best " in said
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown.close()
