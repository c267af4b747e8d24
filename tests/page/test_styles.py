"""Styles of positions, groups, links and numbers: what they draw against slow twins."""

from __future__ import annotations

import io
import math
from itertools import pairwise

import numpy as np
import planted
import pytest
from closeness import close_to
from PIL import Image
from views_hold import assert_consistent

from bbilang.registry import registry
from bbilang.runtime.page.html import render
from bbilang.runtime.page.packing import KEYS, Lists, sheeted
from bbilang.runtime.styles.masks import mask, spots
from bbilang.runtime.styles.rgb import colours
from bbilang.runtime.vega.colours import colour_map_png
from bbilang.runtime.vega.sankey_layout import GHOST, LABEL, LEAST, flow, scaled
from bbilang.runtime.view import groups as grouping
from bbilang.runtime.view import hues
from bbilang.runtime.view.atom_words import refers
from bbilang.runtime.view.image_bytes import palette_of, palette_png
from bbilang.runtime.view.implicit_selections import cell_middles
from bbilang.runtime.view.model import Atom, Frame, Picture
from bbilang.runtime.view.states import elements

VIEWS = (
    planted.few_grids,
    planted.quiet_grids,
    planted.components,
    planted.neuron_groups,
    planted.flows,
    planted.numbers,
)


def element(view, name):
    return next(e for e in elements(view) if e.id == name)


@pytest.mark.parametrize("make", VIEWS, ids=lambda make: make.__name__)
def test_views_hold_together(make):
    assert_consistent(make())


# --- colours ----------------------------------------------------------------------------------------------------------


def test_two_components_are_the_article_s_formula():
    parts = np.random.default_rng(1).normal(0.3, 1, (3, 4, 2))
    t0, t1 = parts[..., 0], parts[..., 1]
    every = [[(t0[y, x], (t0[y, x] + t1[y, x]) / 2, t1[y, x]) for x in range(4)] for y in range(3)]
    mean = sum(v for row in every for one in row for v in one) / 36
    most = max(abs(v - mean) for row in every for one in row for v in one)
    drawn = colours(parts, True, 9.0)
    for y in range(3):
        for x in range(4):
            expected = [min(max((v - mean) / (most / 1.5) + 0.3, 0), 1) * 255 for v in every[y][x]]
            assert np.abs(drawn[y, x] - np.array(expected)).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(("signed", "zero"), [(True, 128), (False, 0)])
def test_three_components_are_red_green_and_blue(signed, zero):
    parts = np.zeros((1, 3, 3))
    parts[0, 1] = (2.0, 0, -1.0 if signed else 1.0)
    drawn = colours(parts, signed, 2.0)
    assert drawn[0, 0].tolist() == [zero] * 3
    assert drawn[0, 1].tolist() == ([255, 128, 64] if signed else [255, 0, 128])


def test_slots_without_a_group_have_no_colour():
    assert grouping.colours(np.array([0, -1, 1]), 2) == (hues.colour(0), "", hues.colour(1))
    assert grouping.colours(np.array([0, 1]), 2, first=9) == (hues.colour(9), hues.colour(0))


def test_masks_are_the_mean_of_the_groups_colours():
    weights, own = np.random.default_rng(2).uniform(0, 4, (3, 3, 5)), [hues.colour(g) for g in range(5)]
    drawn = mask(weights, own)
    labs = [oklab([int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)]) for c in own]
    for y in range(3):
        for x in range(3):
            share = [weights[y, x, g] / weights[..., g].max() for g in range(5)]
            expected = [sum(s * lab[k] for s, lab in zip(share, labs, strict=True)) / sum(share) for k in range(3)]
            made = oklab(drawn[y, x, :3] / 255.0)
            assert math.dist(made, expected) < 0.004  # of a half step of eight bits
            assert abs(drawn[y, x, 3] - 255 * max(share)) <= 0.5 + 1e-6


def oklab(rgb):
    """OKLab as its author writes it (Ottosson 2020), one colour at a time."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def test_a_group_s_number_stands_where_it_stands_out():
    weights = planted.factors(4)
    for group, (x, y) in enumerate(spots(weights)):
        own = [[weights[i, j, g] / weights[..., g].max() for g in range(4)] for i in range(14) for j in range(14)]
        ahead = [row[group] - max(v for g, v in enumerate(row) if g != group) for row in own]
        row, column = divmod(ahead.index(max(ahead)), 14)
        assert (x, y) == ((column + 0.5) / 14, (row + 0.5) / 14)


def test_the_mask_of_one_group_has_its_colour_and_its_shape():
    weights = planted.factors(4)
    drawn = mask(weights, [hues.colour(g) for g in range(4)], only=2)
    share = weights[..., 2] / weights[..., 2].max()
    assert np.array_equal(drawn[..., 3], np.rint(255 * share.astype(np.float64)))
    red, green, blue = drawn[np.unravel_index(share.argmax(), share.shape)][:3]
    assert f"#{red:02x}{green:02x}{blue:02x}" == hues.colour(2)


def test_a_group_has_one_colour_and_one_key_everywhere():
    view = planted.neuron_groups()
    where, groups, effect = (element(view, name) for name in ("where", "groups", "effect"))
    for state, count in enumerate((2, 4, 6, 8)):
        own = [hues.colour(g) for g in range(count)]
        assert list(where.panels[0].frames[state].series_colours) == own
        for other in (groups, effect):
            frame = other.panels[0].frames[state]
            assert [c for c in frame.colours if c] == own
            shown = [other.atoms[a].key for a in frame.atoms if a >= 0]
            assert shown == [where.atoms[a].key for a in where.panels[0].frames[state].series_atoms]


# --- positions --------------------------------------------------------------------------------------------------------


def test_the_area_of_a_cell_is_its_share_of_the_largest_of_its_layer():
    view = planted.quiet_grids()
    for panel in element(view, "first").panels:
        (frame,) = panel.frames
        picture = np.array(Image.open(io.BytesIO(view.pictures[frame.pictures[0]].data)).convert("RGBA"))
        deep, wide = panel.shape
        side = picture.shape[0] // deep
        most = max(value for (value,) in frame.values)
        for i, (value,) in enumerate(frame.values):
            top, left = i // wide * side, i % wide * side
            opaque = (picture[top : top + side, left : left + side, 3] > 127).sum()
            assert (
                opaque == round(side * math.sqrt(value / most)) ** 2 or abs(opaque - side**2 * value / most) < 2 * side
            )
        assert abs(sum(frame.sizes) - sum(v for (v,) in frame.values) / most) < 1e-3 * len(frame.sizes)


def test_places_are_middles_of_cells():
    middles = cell_middles(planted.quiet_grids())
    assert middles["last y=0 x=6"] == (6.5 / 7, 0.5 / 7) and middles["middle y=13 x=0"] == (0.5 / 14, 13.5 / 14)


def test_maps_of_many_states_come_back_from_their_sheet():
    view = planted.few_grids()
    pictures, sheets = sheeted(view.pictures)
    on_sheets = [i for i, p in enumerate(pictures) if not isinstance(p, str)]
    assert len(on_sheets) > 200 and 2 <= len(sheets) <= 3
    for i in on_sheets[:: len(on_sheets) // 20]:
        sheet, tile = pictures[i]
        (wide, high), across = sheets[sheet]["size"], sheets[sheet]["across"]
        whole = Image.open(io.BytesIO(_bytes(sheets[sheet]["uri"]))).convert("RGBA")
        left, top = tile % across * wide, tile // across * high
        part = whole.crop((left, top, left + wide, top + high))
        assert np.array_equal(part, Image.open(io.BytesIO(view.pictures[i].data)).convert("RGBA"))


def _bytes(uri: str) -> bytes:
    from base64 import b64decode

    return b64decode(uri.partition(",")[2])


def test_palette_pictures_are_what_pillow_reads():
    index = np.random.default_rng(3).integers(0, 4, (5, 7), np.uint8)
    palette, opacity = bytes(range(12)), b"\x00\x80"
    data = palette_png(index, palette, opacity)
    image = np.array(Image.open(io.BytesIO(data)).convert("RGBA"))
    for y in range(5):
        for x in range(7):
            k = int(index[y, x])
            assert image[y, x].tolist() == [*palette[3 * k : 3 * k + 3], opacity[k] if k < 2 else 255]
    back = palette_of(data)
    assert back is not None and np.array_equal(back[0], index) and back[1:] == (palette, opacity)
    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(file, "PNG")
    assert palette_of(file.getvalue()) is None
    assert sheeted([Picture(colour_map_png(np.eye(3), (0, 1), False), "image/png", 3, 3, "")])[1] == []  # too few


def test_frames_come_back_from_their_lists():
    frames = [{key: [i % 2, key] for key in KEYS} for i in range(5)]
    lists = Lists()
    numbers = [lists.numbers(frame) for frame in frames]
    assert [{k: lists.values[n] for k, n in zip(KEYS, one, strict=True)} for one in numbers] == frames
    assert len(lists.values) == 2 * len(KEYS)


def test_a_page_of_many_states_is_small():
    view = planted.few_grids()
    assert len(element(view, "influence").panels[0].frames) == 14 * 14 + 7 * 7
    assert len(render(view, registry().styles).encode()) < 2_000_000


# --- numbers and links ------------------------------------------------------------------------------------------------


def test_matrix_table_curve_and_points_carry_the_field_s_numbers():
    view, random = planted.numbers(), np.random.default_rng(9)
    values = random.normal(0, 1.5, (6, 3)).astype(np.float32)
    table = element(view, "table").panels[0].frames[0]
    close_to(table.values, values, digits=4)
    assert table.series == planted.LABELS[:3]
    close_to(element(view, "curve").panels[0].frames[0].values, random.uniform(2, 9, (4, 1)), digits=4)
    assert [a.label for a in element(view, "curve").atoms] == list(planted.SIZES)
    close_to(element(view, "points").panels[0].frames[0].values, random.normal(0, 1, (40, 2)), digits=4)


def test_pairs_are_cells_of_the_matrix_of_their_atoms():
    weights = element(planted.numbers(), "weights")
    (frame,) = weights.panels[0].frames
    assert [weights.atoms[a].key for a in frame.atoms] == [f"middle channel={c}" for c in (3, 8, 1)]
    assert [weights.atoms[a].key for a in frame.series_atoms] == [f"late channel={c}" for c in (7, 2, 9)]
    assert frame.values == ((1.0, -0.5, None), (0.25, None, 0.75), (None, -2.0, None))


def test_flow_of_a_small_network():
    """Two groups, two groups, two classes: what leads to the first class, by hand."""
    links = ((0, 2, 3.0), (0, 3, -1.0), (1, 3, 2.0), (2, 4, 1.0), (2, 5, 3.0), (3, 4, -2.0))
    frame = Frame(tuple(range(6)), (), ((1.0,),) * 6, links=links, columns=(0, 0, 1, 1, 2, 2))
    (of_one,) = scaled([frame], (0, 0))  # one unit: one scale for the whole picture
    made = flow(frame, (0, 0), (of_one,), 2 * LABEL / (LEAST + 2 * LABEL))
    nodes = made["nodes"]
    close_to([link[4] for link in made["links"]], [of_one * abs(value) for _, _, value in links], digits=3)
    assert made["through"][4] == [0.25, 1.0, 1.0, 1.0, GHOST, 1.0]  # of node 2 a quarter goes on to the class
    assert made["through"][0] == [1.0, 1.0, GHOST, 1.0, 1.0, pytest.approx(1 / 3, abs=1e-3)]
    assert [node[8:] for node in nodes] == [[None, 2], [None, 2], [3, 4], [1, -2], [-1, None], [3, None]]
    assert made["between"][4] == [None, None, 1.0, -2.0, None, None]  # what adds up to the first class
    for column in (0, 1, 2):
        spans = sorted(node[1:3] for node in nodes if node[0] == column)
        assert all(a[1] <= b[0] for a, b in pairwise(spans)) and spans[-1][1] <= 1.0001
    for slot, (_, top, bottom, waist, *parts, into, out) in enumerate(nodes):
        for raising, lowering, net, own in ((*parts[:2], into, 1), (*parts[2:], out, 0)):
            values = [value for *ends, value in links if ends[own] == slot]
            close_to(raising, of_one * sum(v for v in values if v > 0), digits=3)
            close_to(lowering, -of_one * sum(v for v in values if v < 0), digits=3)
            close_to(raising - lowering, of_one * (net or 0), digits=3)
            assert top <= waist - raising + 1e-4 and waist + lowering <= bottom + 1e-4
    for (start, end, value), (_, _, at_start, at_end, width, _) in zip(links, made["links"], strict=True):
        for slot, middle in ((start, at_start), (end, at_end)):  # what raises lies above the waist, what lowers below
            edge = middle + width / 2 if value > 0 else middle - width / 2
            assert (edge <= nodes[slot][3] + 1e-4) if value > 0 else (edge >= nodes[slot][3] - 1e-4)


def test_flows_of_two_units_have_two_scales_the_same_in_every_state():
    columns = (0, 1, 1, 2)
    links = ((0, 1, 30.0), (0, 2, -10.0), (1, 3, 0.5), (2, 3, -0.25))
    frames = [
        Frame(tuple(range(4)), links=tuple((a, b, v * k) for a, b, v in links), columns=columns) for k in (1.0, 0.5)
    ]
    scales = scaled(frames, (0, 1))
    assert scales[1] > 10 * scales[0]
    full, half = ([link[4] for link in flow(frame, (0, 1), scales, 0.2)["links"]] for frame in frames)
    close_to(half, [width / 2 for width in full], digits=3)
    close_to(full, [scales[k] * abs(v) for k, (_, _, v) in zip((0, 0, 1, 1), links, strict=True)], digits=3)


def test_a_sankey_s_links_are_the_pairs():
    flowing = element(planted.flows(), "flow")
    (frame,) = flowing.panels[0].frames
    assert len(frame.atoms) == 8 + 6 + 5 and len(frame.links) == 8 * 6 + 6 * 5
    assert frame.columns == (0,) * 8 + (1,) * 6 + (2,) * 5
    assert flowing.options["columns"] == ("middle", "late", "classes")
    assert flowing.options["scales"] == (0, 1)  # a group's score and a class's have no common unit
    assert flowing.legend.domain[0] == -flowing.legend.domain[1]


# --- captions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "key", "meant"),
    [
        ("channel 447", "late channel=447", True),
        ("channel 44", "late channel=447", False),
        ("position 6 4", "late y=6 x=4", True),
        ("position 6 4", "late y=4 x=6", False),
        ("late position 6 4", "late y=6 x=4", True),
        ("early position 6 4", "late y=6 x=4", False),
        ("group 2", "late/nmf-3fa9 group=2", True),
        ("late group 2", "late/nmf-3fa9 group=2", True),
        ("neuron 6 4 12", "late y=6 x=4 channel=12", True),
        ("tiger cat", "output class=282", True),
        ("position 6", "late y=6 x=4", False),
        ("position", "late y=6 x=4", False),
    ],
)
def test_references(reference, key, meant):
    assert refers(reference, Atom(key, "tiger cat" if "class" in key else "")) == meant
