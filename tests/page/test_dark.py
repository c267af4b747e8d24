"""Dark pages: what is drawn on paper turns dark with it, and letters stay readable on the colours of scales."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

import numpy as np
import planted
import pytest
from PIL import Image
from test_colours import ciede2000, lab, linear

import bbilang.runtime.page
from bbilang.runtime.charts.level_colours import interpolated, is_light
from bbilang.runtime.vega.colours import DIVERGING, SEQUENTIAL

SHEET = (Path(bbilang.runtime.page.__file__).parent / "page.css").read_text("utf-8")
LETTERS, STEPS = 4.0, 5.0  # the least contrast of letters; the least CIEDE2000 between eighths of a scale


def dark(variable: str) -> str:
    """The value of a variable on dark pages."""
    (value,) = set(re.findall(rf"color-scheme: dark;.*?{variable}: ([^;]+);", SHEET))
    return value


def filtered(colour: str, filters: str) -> str:
    """A colour after CSS filters, by the matrices of the Filter Effects specification (in sRGB, as browsers do)."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    luma = np.array([0.213, 0.715, 0.072])
    for name, argument in re.findall(r"([\w-]+)\(([\d.]+)(?:deg)?\)", filters):
        amount = float(argument)
        if name == "invert":
            rgb = rgb * (1 - 2 * amount) + amount
        elif name == "brightness":
            rgb = rgb * amount
        elif name == "saturate":
            rgb = (luma + amount * (np.eye(3) - luma)) @ rgb
        else:
            assert name == "hue-rotate", name
            cos, sin = math.cos(math.radians(amount)), math.sin(math.radians(amount))
            turn = np.array([[-0.213, -0.715, 0.928], [0.143, 0.140, -0.283], [-0.787, 0.715, 0.072]])
            rgb = (luma + cos * (np.eye(3) - luma) + sin * turn) @ rgb
        rgb = np.clip(rgb, 0, 1)
    return "#" + "".join(f"{round(255 * c):02x}" for c in rgb)


def luminance(colour: str) -> float:
    return float(np.dot((0.2126, 0.7152, 0.0722), linear(colour)))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one) + 0.05, luminance(other) + 0.05))
    return high / low


@pytest.mark.parametrize("scale", [DIVERGING, SEQUENTIAL], ids=["signed", "magnitudes"])
def test_letters_read_and_colours_differ_on_light_and_dark_pages(scale):
    colours = interpolated(scale)
    inks = ["#111111" if is_light(colour) else "#ffffff" for colour in colours]
    for cells, letters in (("brightness(1)", "brightness(1)"), (dark("--turn"), dark("--flip"))):
        seen = [filtered(colour, cells) for colour in colours]
        assert min(contrast(a, filtered(b, letters)) for a, b in zip(seen, inks, strict=True)) >= LETTERS
        assert min(ciede2000(lab(a), lab(b)) for a, b in zip(seen[:-8:8], seen[8::8], strict=True)) >= STEPS
    zero = filtered("#f7f7f7", dark("--turn"))
    assert ciede2000(lab(zero), lab(dark("--paper"))) < 3, "nothing is as dark as the page"


def test_the_specification_s_filters():
    """Values that follow from the specification by hand."""
    assert filtered("#336699", "invert(1)") == "#cc9966" and filtered("#808080", "hue-rotate(180deg)") == "#808080"
    assert filtered("#336699", "saturate(0)") == filtered("#336699", "saturate(0) saturate(3)")


@pytest.mark.browser
@pytest.mark.parametrize(("view", "element"), [(planted.numbers, "weights"), (planted.grids, "grids")])
def test_what_is_drawn_on_paper_is_dark_on_a_dark_page(show, view, element):
    """The ground between cells, and cells without a number."""

    def ground(**options: object) -> float:
        page = show(view, **options)
        chart = page.locator(f"[data-chart='{element}']")
        pixels = np.asarray(Image.open(io.BytesIO(chart.screenshot())).convert("L")).astype(float)
        return float(np.median(pixels))

    assert ground(color_scheme="dark") < 80 < 150 < ground(color_scheme="light")


@pytest.mark.browser
def test_the_lens_has_no_white_ground_on_a_dark_page(show):
    page = show(planted.grids, color_scheme="dark")
    filters = page.eval_on_selector_all("[class*=front_veil_]", "all => all.map(it => getComputedStyle(it).filter)")
    assert filters and all("invert" in words for words in filters)
