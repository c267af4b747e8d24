"""The pointing game and weak localization: planted maps, boxes through the preprocessing, invalid files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import tiny
import torch
from closeness import close_to, within
from measured import findings, planted
from torch import nn

from bbilang.compiler.check.arguments.bounding_boxes import LARGEST, FileContext, read
from bbilang.compiler.check.options import Options
from bbilang.compiler.contract import Fail
from bbilang.compiler.explain.logical import operation_words
from bbilang.compiler.ir.program import walk
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.registry import registry
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.trust.localization import box_of

PIPE = "input.pixel | attribute({}) | trust({}, boxes={}) | present(heatmap)"


class Spot(nn.Module):
    """Each class reads a patch of the picture, most of all its middle pixel at (row, column): class k at (4k, 30 - 4k);
    and a little of a far corner."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.zeros(len(tiny.LABELS), tiny.SIZE, tiny.SIZE)
        for k in range(len(tiny.LABELS)):
            y, x = 4 * k, 30 - 4 * k
            weight[k, max(0, y - 2) : y + 3, max(0, x - 3) : x + 4] = 1
            weight[k, y, x] = 50
            weight[k, 31, 31] = 0.5
        self.scale = nn.Parameter(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.mean(1)[:, None] * self.scale).sum((2, 3))


def coco(boxes, names=("picture-0", "picture-1"), **size):
    """(picture, category, x, y, width, height) of each box."""
    categories = sorted({box[1] for box in boxes})
    return {
        "images": [{"id": 10 + n, "file_name": f"val/{name}", **size} for n, name in enumerate(names)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(categories)],
        "annotations": [
            {"image_id": 10 + n, "category_id": categories.index(category), "bbox": list(box)}
            for n, category, *box in boxes
        ],
    }


def file(folder, data):
    path = folder / "boxes.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return json.dumps(str(path))


def played(folder, data, measures="[pointing_game, localization]", target="output[2]", inputs=1, model=None):
    text = PIPE.format(target, measures, file(folder, data))
    if "," in target:
        text = text.replace("heatmap", "heatmap, facet=class")
    return findings(text, model or planted(Spot), inputs)


# --- planted cases --------------------------------------------------------------------------------------------------

PLANTED = [  # class 2 is at row 8, column 22
    ((20, 6, 6, 6), 1),
    ((22, 8, 1, 1), 1),
    ((0, 0, 8, 16), 1),  # 14.5 pixels to the left
    ((0, 0, 7, 16), 0),  # 15.5
    ((0, 24, 32, 8), 0),  # 15.5 below
    ((30, 24, 2, 2), 0),
]


@pytest.mark.parametrize("box, hit", PLANTED)
def test_the_maximum_of_a_planted_map(tmp_path, box, hit):
    one = played(tmp_path, coco([(0, "cat", *box)]))
    assert one["pointing_game"].values["peaks"].tolist() == [[[8, 22]]]
    assert one["pointing_game"].values["hits"].tolist() == [[hit]]
    assert bool(one["pointing_game"].warning) == (not hit) and f"in {hit} of 1 maps" in one["pointing_game"].words
    assert one["run"].shared.trust_passes.rows == 0 and not [
        s for s in one["plan"].steps if s.words.startswith("trust") and s.passes
    ]
    title, words, means, source, _ = one["field"].trust[0]
    assert title == "pointing game" and "Zhang" in source and "box" in means and words


def slow_hit(image, boxes):
    """Every quarter of a pixel of every box is looked at."""
    peak = max(((value, -y, -x) for (y, x), value in np.ndenumerate(image)))
    y, x = -peak[1] + 0.5, -peak[2] + 0.5
    for left, top, width, height in boxes:
        for b in np.arange(top, top + height + 0.1, 0.25):
            for a in np.arange(left, left + width + 0.1, 0.25):
                if 0 <= a <= 32 and 0 <= b <= 32 and math.hypot(a - x, b - y) <= 15:
                    return 1
    return 0


def slow_part(image):
    """Return the largest part of what is at least .2 of the maximum, by walking from pixel to pixel."""
    strong = {position for position, value in np.ndenumerate(image) if value >= 0.2 * image.max()}
    parts = []
    while strong:
        part, edge = set(), [min(strong)]
        while edge:
            y, x = edge.pop()
            if (y, x) in strong:
                strong.remove((y, x))
                part.add((y, x))
                edge += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        parts.append(part)
    return max(parts, key=len)


def slow_overlap(image, boxes):
    """Pixels of the box around that part and of a box, counted."""
    part = slow_part(image)
    ys, xs = [y for y, _ in part], [x for _, x in part]
    own = {(y, x) for y in range(min(ys), max(ys) + 1) for x in range(min(xs), max(xs) + 1)}
    best = 0.0
    for left, top, width, height in boxes:
        other = {(y, x) for y in range(top, top + height) for x in range(left, left + width) if y < 32 and x < 32}
        best = max(best, len(own & other) / len(own | other))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_the_slow_twin(tmp_path, seed):
    random = np.random.default_rng(seed)
    boxes = {(i, name): [] for i in range(2) for name in ("ant", "dog", "fox")}
    for key in boxes:
        for _ in range(random.integers(1, 3)):
            left, top = random.integers(0, 28, 2)
            boxes[key].append((int(left), int(top), *(int(v) for v in random.integers(1, 12, 2))))
    data = coco([(i, name, *box) for (i, name), found_ in boxes.items() for box in found_])
    one = played(tmp_path, data, target="output[0, 3, 5]", inputs=2, model=Noisy.made(seed))
    maps = one["field"].values.ordered(("input", "class", "y", "x")).data.astype(float)
    for i, t in np.ndindex(2, 3):
        own = boxes[i, ("ant", "dog", "fox")[t]]
        assert one["pointing_game"].values["hits"][i, t] == slow_hit(maps[i, t], own)
        close_to(one["localization"].values["overlaps"][i, t], slow_overlap(maps[i, t], own))


class Noisy(Spot):
    """Maps of random patches, of which some are alone."""

    @staticmethod
    def made(seed):
        model = planted(Noisy)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(seed)
            coarse = torch.randn(1, len(tiny.LABELS), 6, 6, generator=generator)
            model.module.get_parameter("scale").copy_(
                nn.functional.interpolate(coarse, (tiny.SIZE, tiny.SIZE), mode="bilinear")[0]
            )
        return model


def test_the_box_of_the_largest_part():
    image = np.zeros((20, 30))
    image[2:6, 3:9] = 0.2  # just strong enough
    image[12, 20] = 1
    image[6, 9] = 0.9  # touches at a corner only
    assert box_of(image).tolist() == [3, 2, 9, 6]
    image[2:6, 3:9] = 0.19
    assert box_of(image).tolist() in ([9, 6, 10, 7], [20, 12, 21, 13])
    assert box_of(np.zeros((3, 3))) is None and box_of(-np.ones((3, 3))) is None


def test_positions_of_a_layer_stand_for_their_part_of_the_picture(tmp_path):
    name = file(tmp_path, coco([(0, "bee", 1, 1, 2, 2)]))
    one = findings(
        f"a.spatial | attribute(output[1]) | trust(pointing_game, boxes={name}) | present(heatmap)", "residual"
    )
    y, x = np.unravel_index(np.argmax(one["field"].values.ordered(("input", "y", "x")).data[0]), (8, 8))
    peak = one["pointing_game"].values["peaks"][0, 0] + 0.5
    assert np.abs(peak - (np.array([y, x]) + 0.5) * 4).max() <= 2, "within the cell"


def test_what_has_no_box_is_left_out(tmp_path):
    one = played(tmp_path, coco([(0, "dog", 15, 9, 6, 6)]), target="output[0, 3]", inputs=2)
    hits = one["pointing_game"].values["hits"]
    assert hits[0, 1] == 1 and np.isnan(hits).sum() == 3 and "in 1 of 1 maps" in one["pointing_game"].words


def test_a_box_that_was_cropped_away_is_said(tmp_path):
    one = played(tmp_path, coco([(0, "cat", 40, 2, 6, 6)]))
    assert "1 box was wholly cropped away" in one["pointing_game"].words
    assert np.isnan(one["pointing_game"].values["hits"]).all() and not one["pointing_game"].warning
    assert all(one[name].words.startswith("undefined: no box") for name in ("pointing_game", "localization"))


def test_another_class_and_another_size_are_errors(tmp_path):
    with pytest.raises(BbiError, match="E516") as caught:
        played(tmp_path, coco([(0, "dog", 1, 1, 6, 6)]))
    assert "`cat, house cat`" in caught.value.diagnostics[0].message and "`dog`" in caught.value.diagnostics[0].help
    with pytest.raises(BbiError, match="E516"):
        played(tmp_path, coco([(0, "cat", 1, 1, 6, 6)], width=64, height=32))
    with pytest.raises(BbiError, match="E516"):
        played(tmp_path, coco([(0, "cat", 1, 1, 6, 6)]), target="output[2] - output[3]")
    assert played(tmp_path, coco([(0, "House Cat", 1, 1, 6, 6)], width=32, height=32))["pointing_game"]


# --- preprocessing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(100, 60), (60, 100), (64, 48), (48, 48), (200, 1100), (2000, 60), (50, 37)])
@pytest.mark.parametrize("squashed", [False, True])
def test_a_box_goes_where_its_pixels_go(size, squashed):
    """A bright rectangle is drawn, resized and cropped: its pixels are where the box says."""
    from PIL import Image

    width, height = size
    crop = (64, 64) if squashed else (48, 48)
    preprocess = Preprocess(64, crop, squashed=squashed)
    box = (width // 2 - 9, height // 2 - 12, width // 2 + 14, height // 2 + 8)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[box[1] : box[3], box[0] : box[2]] = 255
    shown = preprocess.display(Image.fromarray(picture))[..., 0] / 255
    left, top, right, bottom = np.clip(preprocess.boxed(box, size), 0, (*crop[::-1], *crop[::-1]))
    y, x = np.mgrid[: crop[0], : crop[1]] + 0.5
    within(
        shown.sum(),
        (right - left) * (bottom - top),
        relative=0.1,
        because="a box is drawn in whole pixels after the resize",
    )
    if shown.sum() > 20 and min(left, top) > 0 and right < crop[1] and bottom < crop[0]:
        within(
            (shown * x).sum() / shown.sum(),
            (left + right) / 2,
            absolute=0.3,
            because="a box is drawn in whole pixels after the resize",
        )
        within(
            (shown * y).sum() / shown.sum(),
            (top + bottom) / 2,
            absolute=0.3,
            because="a box is drawn in whole pixels after the resize",
        )


# --- files ------------------------------------------------------------------------------------------------------------

GOOD = coco([(0, "cat", 1, 2, 3, 4)])


def test_voc_counts_from_one(tmp_path):
    voc = [{"name": "cat", "bndbox": {"xmin": 2, "ymin": 3, "xmax": 4, "ymax": 6}}]
    context = FileContext(tmp_path, None, ("photos/picture-0",))
    file(tmp_path, voc)
    assert read("boxes.json", context) == ((0, "cat", 0, 0, 1.0, 2.0, 4.0, 6.0),)
    file(tmp_path, GOOD)
    assert read("boxes.json", context) == ((0, "cat", 0, 0, 1.0, 2.0, 4.0, 6.0),)
    file(tmp_path, [{**voc[0], "filename": "other.jpg"}, {**voc[0], "filename": "picture-0"}])
    assert len(read("boxes.json", context)) == 1
    file(tmp_path, voc)
    with pytest.raises(Fail, match="picture of its boxes"):
        read("boxes.json", FileContext(tmp_path, None, ("a.jpg", "b.jpg")))


@pytest.mark.parametrize("given", ["sample:chelsea", "picture 1", "somewhere/chelsea.png"])
def test_a_picture_goes_by_its_name(tmp_path, given):
    file(tmp_path, coco([(0, "cat", 1, 2, 3, 4)], names=("chelsea.png",)))
    assert len(read("boxes.json", FileContext(tmp_path, None, (given,)))) == 1


def broken():
    def changed(**changes):
        return {**GOOD, **changes}

    def boxed(value):
        return changed(annotations=[{"image_id": 10, "category_id": 0, "bbox": value}])

    return {
        "empty": "",
        "no JSON": "import os",
        "a number": "3",
        "a text": '"boxes"',
        "nothing": {},
        "deep": "[" * 200_000,
        "not a number": json.dumps(boxed([1, 2, 3, float("nan")])),
        "infinite": json.dumps(boxed([1, 2, 3, float("inf")])),
        "overflow": json.dumps(boxed([1, 2, 3, 4])).replace("4]", "1e999]"),
        "long": json.dumps(boxed([1, 2, 3, 4])).replace("4]", "4" * 5000 + "]"),
        "texts": boxed(["1", 2, 3, 4]),
        "flags": boxed([True, 2, 3, 4]),
        "three": boxed([1, 2, 3]),
        "negative": boxed([1, 2, -3, 4]),
        "flat": boxed([1, 2, 0, 4]),
        "a box that is none": boxed(None),
        "no name": changed(images=[{"id": 10}]),
        "a name that is none": changed(images=[{"id": 10, "file_name": 3}]),
        "a list for a number": changed(images=[{"id": [], "file_name": "picture-0"}]),
        "another category": changed(categories=[]),
        "another picture": coco([(0, "cat", 1, 2, 3, 4)], names=("b.jpg",)),
        "two of one name": coco([(0, "cat", 1, 2, 3, 4)], names=("picture-0", "x/picture-0")),
        "a size below nothing": coco([(0, "cat", 1, 2, 3, 4)], width=-1, height=5),
        "half a size": coco([(0, "cat", 1, 2, 3, 4)], width=5),
        "voc of nothing": [3],
        "voc without a box": [{"name": "cat"}],
        "voc inside out": [{"name": "cat", "bndbox": {"xmin": 9, "ymin": 3, "xmax": 4, "ymax": 6}}],
        "too many": coco([(0, "cat", 1, 2, 3, 4)] * 10_001),
    }  # fmt: skip


@pytest.mark.parametrize("what", broken())
def test_a_wrong_file_is_one_error_with_a_span(tmp_path, what):
    name = file(tmp_path, broken()[what])
    with pytest.raises(BbiError) as caught:
        tiny.check(PIPE.format("output", "pointing_game", name))
    (one,) = caught.value.diagnostics
    assert one.code == "E246" and one.span and len(one.message) < 400, one


def test_where_files_are(tmp_path):
    """Names are relative to the text, and stay inside of `--root`."""
    inside = tmp_path / "inside"
    inside.mkdir()
    file(tmp_path, GOOD)
    text = PIPE.format("output", "pointing_game", '"../boxes.json"')

    def checked(root):
        from bbilang.compiler.check.check import check

        options = Options(description=tiny.adapter().description, inputs=("picture-0",), root=root)
        return check(parse(Source(text, str(inside / "page.bbi"))), registry(), options)

    assert checked(None).elements and checked(tmp_path).elements
    with pytest.raises(BbiError, match="outside"):
        checked(inside)
    for name in ("", "no.json", ".", "a\0b", "x" * 5000):
        with pytest.raises(Fail):
            read(name, FileContext(tmp_path, None, ("picture-0",)))
    with (tmp_path / "large.json").open("wb") as large:
        large.truncate(LARGEST + 1)
    with pytest.raises(Fail, match="larger than 32 MB"):
        read("large.json", FileContext(tmp_path, None, ("picture-0",)))


def test_a_changed_file_is_another_program(tmp_path):
    """The cache key of numbers is the digest of the element's node."""
    text = PIPE.format("output", "pointing_game", file(tmp_path, GOOD))
    (node,) = (n for n in walk(tiny.check(text).elements[0].node) if n.op == "trust")
    assert operation_words(node, tiny.check(text), {}).startswith("trust(boxes=1 of them")
    (before,), (same,) = tiny.check(text).elements, tiny.check(text).elements
    file(tmp_path, coco([(0, "cat", 1, 2, 3, 5)]))
    (after,) = tiny.check(text).elements
    assert before.node.digest == same.node.digest != after.node.digest


WRONG = {
    "input.pixel | attribute(output) | trust(pointing_game) | present(heatmap)": ("E212", "boxes"),
    "input.pixel | attribute(output) | trust(road, boxes={}) | present(heatmap)": ("E238", "localization"),
    "b.channel | attribute(output) | trust(pointing_game, boxes={}) | present(bars)": ("E238", "maps"),
    "input.pixel | attribute(output) | trust(localization, boxes=3) | present(heatmap)": ("E213", "text"),
}


@pytest.mark.parametrize("text", WRONG)
def test_what_cannot_be_played(tmp_path, text):
    code, words = WRONG[text]
    with pytest.raises(BbiError) as caught:
        tiny.check(text.format(file(tmp_path, GOOD)))
    (one,) = caught.value.diagnostics
    assert one.code == code and words in f"{one.message} {one.help}" and one.span
