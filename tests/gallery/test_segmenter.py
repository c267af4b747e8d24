"""What did the segmenter look at: the page's numbers by hand, and what the network of `sample:harbour` knows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from closeness import close_to
from torch.nn.functional import interpolate

from bbilang.runtime.inputs.images import read as read_picture
from bbilang.runtime.models.loading import load
from bbilang.runtime.samples.harbour import CLASSES, SIDE, classes, picture, scene

NAME = "what_did_the_segmenter_look_at"
Y0, X0, Y1, X1 = scene(1017).box
BOAT, CAR = CLASSES.index("boat"), CLASSES.index("car")


@pytest.fixture(scope="module")
def network():
    return load("sample:harbour").module


def pixels(image) -> torch.Tensor:
    """(input=1, channel, y, x), as the network takes it."""
    return torch.from_numpy(np.asarray(image)).permute(2, 0, 1)[None].float() / 255 - 0.5


def enlarged(maps: torch.Tensor) -> torch.Tensor:
    return interpolate(maps, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def in_box(maps: torch.Tensor) -> torch.Tensor:
    """The mean scores (class,) in the page's box, of a map (1, class, y, x)."""
    return enlarged(maps)[0, :, Y0:Y1, X0:X1].mean((1, 2))


def test_the_pictures_are_scenes_that_differ_in_the_ground_alone():
    afloat, parked = (np.asarray(read_picture(f"sample:{name}").image) for name in ("afloat", "parked"))
    assert np.array_equal(afloat, np.asarray(picture(scene(1017, "water"))))
    assert np.array_equal(parked, np.asarray(picture(scene(1017, "road"))))
    assert np.array_equal(afloat[:Y1], parked[:Y1]) and (afloat[Y1:] != parked[Y1:]).any(-1).all()


def test_the_ground_says_what_an_object_is(network):
    """On scenes that it was not trained on: it segments, and the same object on the other ground is the other class."""
    right, turned, objects = [], [], 0
    with torch.no_grad():
        for number in range(800, 840):
            for ground in ("water", "road"):
                one = scene(number, ground)
                known, said = classes(one), enlarged(network(pixels(picture(one))))[0].argmax(0).numpy()
                right.append((known == said).mean())
                own = known >= BOAT
                turned.append((said[own] == (BOAT if ground == "water" else CAR)).mean())
                objects += own.sum()
    assert np.mean(right) > 0.98 and np.mean(turned) > 0.85 and objects > 80 * 100


@pytest.mark.browser
def test_the_page(read, shown, network):
    reader = read(NAME)
    inputs = [pixels(read_picture(f"sample:{name}").image) for name in ("afloat", "parked")]
    with torch.no_grad():
        means = [in_box(network(one)) for one in inputs]
        values = reader.data("verdict")
        by_input = values.values.transpose(values.axes.index("input"), values.axes.index("class"))
        close_to(by_input, torch.stack(means)[:, [BOAT, CAR]], roundings=256)
        shown(reader.numbers("verdict"), by_input)
        assert means[0][BOAT] > means[0][CAR] and means[1][CAR] > means[1][BOAT]
        assert "Boat in the box has the highest score" in reader.words("verdict")

        def second(one):
            return network.second(network.second_conv(network.first(network.first_conv(one))))

        def answer(inner):
            later = network.fourth(network.fourth_conv(network.third(network.third_conv(inner))))
            scores = in_box(network.scores(later))
            return scores[BOAT] - scores[CAR]

        water, road = (second(one) for one in inputs)
        moved = reader.data("moved")
        effects = np.moveaxis(moved.values, moved.axes.index("input"), 0)
        for y, x in [(17, 14), (16, 10), (18, 20), (13, 14), (3, 3)]:
            patched = water.clone()
            patched[:, :, y, x] = road[:, :, y, x]
            expected = float(answer(patched) - answer(water))
            assert effects[0, y, x] == pytest.approx(expected, abs=2e-5 * float(means[0].abs().sum()))
    assert effects[0, Y1 // 4 :].sum() < 0.9 * effects[0].sum() < 0, "what moves the answer lies below the box"
    assert np.abs(effects[1]).max() < 1e-4 * np.abs(effects[0]).max(), "the parked one takes its own"
    answer_of_map = reader.words("moved") + " ".join(reader.tab.locator("main").all_inner_texts())
    assert "in afloat" in answer_of_map and "top left" not in answer_of_map, "rounding is no effect"


@pytest.mark.browser
def test_the_box_is_outlined_on_each_map(read):
    """Pointing at a patch of the ground reads its number; the outlines are drawn where the box is."""
    reader = read(NAME)
    outlines = reader.tab.eval_on_selector_all(
        "#element-photo svg path",
        "all => all.filter(n => n.getAttribute('stroke') === '#fff' && n.getAttribute('stroke-width') === '1.5')"
        ".map(n => { const b = n.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom] })",
    )
    assert len(outlines) == 2, "one in each picture"
    for number, outline in enumerate(sorted(outlines)):
        box = reader.box("photo", number)
        side = box["width"]
        expected = [box["x"] + X0 / SIDE * side, box["y"] + Y0 / SIDE * side]
        expected += [box["x"] + X1 / SIDE * side, box["y"] + Y1 / SIDE * side]
        assert np.allclose(outline, expected, atol=3), (outline, expected)
