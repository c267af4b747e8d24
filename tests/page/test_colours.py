"""The ten colours of groups and classes, measured with formulas written out here: CIEDE2000 and Machado et al. 2009."""

from __future__ import annotations

import math
import re
from itertools import combinations
from pathlib import Path

import planted
import pytest

import bbilang.runtime.page
from bbilang.runtime.view.hues import PALETTE
from bbilang.runtime.view.states import elements

# Machado, Oliveira and Fernandes (2009), severity 1, over linear sRGB
DEUTERANOPE = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
NORMAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
BARS = {"two of ten": 12.0, "contrast": 3.0}  # ../shared/design/decisions.md


def linear(colour: str) -> list[float]:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def times(matrix, vector) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def lab(colour: str, seen_as=NORMAL) -> tuple[float, float, float]:
    """CIELAB under D65 of a colour as it is seen, on a screen of eight bits' range."""
    seen = [min(max(c, 0.0), 1.0) for c in times(seen_as, linear(colour))]
    xyz = times(
        ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041)), seen
    )
    x, y, z = (
        t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116
        for t in (value / white for value, white in zip(xyz, (0.95047, 1.0, 1.08883), strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def ciede2000(one, other) -> float:
    """The colour difference of Sharma, Wu and Dalal (2005), step by step."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean_chroma = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    g = 0.5 * (1 - math.sqrt(mean_chroma**7 / (mean_chroma**7 + 25**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    dl, dc, dh = l2 - l1, c2 - c1, 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn) / 2)
    mean_l, c = (l1 + l2) / 2, (c1 + c2) / 2
    h = h1 + h2 if c1 * c2 == 0 else (h1 + h2) / 2 if abs(h1 - h2) <= 180 else ((h1 + h2 + 360) / 2) % 360
    cos = lambda degrees: math.cos(math.radians(degrees))  # noqa: E731
    t = 1 - 0.17 * cos(h - 30) + 0.24 * cos(2 * h) + 0.32 * cos(3 * h + 6) - 0.20 * cos(4 * h - 63)
    sl = 1 + 0.015 * (mean_l - 50) ** 2 / math.sqrt(20 + (mean_l - 50) ** 2)
    sc, sh = 1 + 0.045 * c, 1 + 0.015 * c * t
    rt = -math.sin(math.radians(60 * math.exp(-(((h - 275) / 25) ** 2)))) * 2 * math.sqrt(c**7 / (c**7 + 25**7))
    return math.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * dc / sc * dh / sh)


@pytest.mark.parametrize(
    ("one", "other", "published"),
    [  # of the table of Sharma, Wu and Dalal (2005)
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_formula_gives_the_published_differences(one, other, published):
    assert ciede2000(one, other) == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize("seen_as", [NORMAL, DEUTERANOPE], ids=["normal", "deuteranope"])
def test_ten_colours_are_told_apart(seen_as):
    assert len(PALETTE) == len(set(PALETTE)) == 10
    closest = min(ciede2000(lab(a, seen_as), lab(b, seen_as)) for a, b in combinations(PALETTE, 2))
    assert closest >= BARS["two of ten"]


@pytest.mark.parametrize("ground", ["#ffffff", "#181818"])
def test_ten_colours_stand_out_from_the_page(ground):
    def luminance(colour):
        return times(((0.2126, 0.7152, 0.0722),), linear(colour))[0]

    for colour in PALETTE:
        light, dark = sorted((luminance(colour) + 0.05, luminance(ground) + 0.05), reverse=True)
        assert light / dark >= BARS["contrast"], colour


def test_no_colour_is_the_page_s_accent():
    """What marks a selection or a control is the colour of no class and of no group."""
    sheet = (Path(bbilang.runtime.page.__file__).parent / "page.css").read_text()
    accents = set(re.findall(r"--accent: (#[0-9a-f]{6})", sheet))
    assert accents
    for accent in accents:
        assert min(ciede2000(lab(accent), lab(colour)) for colour in PALETTE) >= BARS["two of ten"], accent


def test_two_factorizations_have_colours_of_their_own():
    """Groups with the same number in two layers do not belong together."""
    flow = next(e for e in elements(planted.flows()) if e.id == "flow")
    (frame,) = flow.panels[0].frames
    early, late = (
        [colour for colour, column in zip(frame.colours, frame.columns, strict=True) if column == k] for k in (0, 1)
    )
    assert early == [PALETTE[k] for k in range(8)]
    assert late == [PALETTE[k % 10] for k in range(8, 14)]
