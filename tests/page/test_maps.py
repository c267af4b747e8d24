"""Colours of maps: one scale for magnitudes, spotlights and tints over photos, the faint input below a map."""

from __future__ import annotations

import io
import json

import map_views
import numpy as np
import planted
import pytest
import tiny
from PIL import Image

from bbilang.registry import registry
from bbilang.runtime.charts.maps import matched
from bbilang.runtime.fields.method_axis import titles
from bbilang.runtime.page.export import export
from bbilang.runtime.vega.colours import DIVERGING, SEQUENTIAL, colour_map_png, shades, smoothed, veil_png
from bbilang.runtime.vega.specification import layouts
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.long_table import long_table
from bbilang.runtime.view.repeated import UNSAID
from bbilang.runtime.view.scales import clipped, scale_ends, smoothing
from bbilang.runtime.view.states import elements
from bbilang.runtime.view.styles import style_of


def lightness(colour: str) -> float:
    """CIE L* of a colour."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * luminance ** (1 / 3) - 16


def rgba(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(float)


def test_the_scale_of_magnitudes_is_even_and_begins_where_the_diverging_one_is_neutral():
    steps = np.diff([lightness(colour) for colour in SEQUENTIAL])
    assert np.ptp(steps) < 0.8 and steps.mean() == pytest.approx(-10, abs=0.2)
    assert SEQUENTIAL[0] == DIVERGING[4] == "#f7f7f7"
    assert (np.diff([lightness(colour) for colour in shades(False)]) < 0).all()


@pytest.mark.parametrize("signed", [True, False])
def test_maps_let_the_ground_through_and_are_the_scale_on_neutral_ground(signed):
    values = np.linspace(-1 if signed else 0, 1, 33)[None]
    drawn = rgba(colour_map_png(values, (values.min(), 1), signed))[0]
    share = drawn[:, 3:] / 255
    composed = share * drawn[:, :3] + (1 - share) * 0xF7
    expected = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in shades(signed)]
    assert np.abs(composed - expected).max() < 7
    assert drawn[16 if signed else 0, 3] == 0, "zero is transparent"
    assert (np.diff(drawn[16 if signed else 0 :, 3]) >= 0).all()


def test_a_veil_is_the_complement_of_the_value():
    drawn = rgba(veil_png(np.array([[0.0, 0.25, 1.0, 7.0, -3.0, np.nan]]), (0, 1)))[0]
    assert drawn[:, 3].tolist() == [255, pytest.approx(191, abs=1), 0, 0, 255, 0]


def test_smooth_maps_keep_their_places():
    values = np.zeros((5, 7))
    values[1, 5] = 1
    large = smoothed(values, 4)
    assert large.shape == (20, 28)
    y, x = np.unravel_index(large.argmax(), large.shape)
    assert (y // 4, x // 4) == (1, 5)
    assert np.abs(smoothed(np.full((3, 3), 0.3), 4) - 0.3).max() < 1e-6
    assert smoothing(np.zeros((30, 14, 14))) == 4 and smoothing(np.zeros((1300, 14, 14))) == 1


def test_colours_of_pixels_are_clipped_at_the_99th_percentile():
    values = np.concatenate([np.linspace(-1, 1, 2001), [40.0, -50.0]])
    assert scale_ends(clipped(values), True)[1] == pytest.approx(np.percentile(np.abs(values), 99), rel=0.01)
    assert clipped(np.array([0.0, 0.0, 3.0]))[2] == 3, "a handful of numbers is not clipped"
    assert clipped(np.r_[np.zeros(1000), 5.0])[-1] == 5, "nor are maps that are zero nearly everywhere"


def element_of(text: str, name: str, **given: int):
    view = tiny.view_of(tiny.run(text, **given))
    return view, next(e for e in elements(view) if e.id == name)


def test_a_magnitude_over_the_photo_is_a_veil_and_alone_lies_on_the_input():
    text = "photo = input | present(image)\nwhere = c.spatial | activation(norm) | present(heatmap, over=photo)"
    view, where = element_of(text.replace("(norm)", ""), "where")
    (frame,) = where.panels[0].frames
    assert len(frame.pictures) == 1 and view.pictures[frame.pictures[0]].width == 4 * 8
    cells = np.array([row[0] for row in frame.values]).reshape(8, 8)
    alpha = rgba(view.pictures[frame.pictures[0]].data)[..., 3].reshape(8, 4, 8, 4).mean((1, 3))
    assert np.corrcoef(alpha.ravel(), -cells.ravel())[0, 1] > 0.97
    assert "in full where it is largest" in " ".join(where.legend.notes)
    view, where = element_of(
        "photo = input | present(image)\nwhere = c.spatial | activation | present(heatmap)", "where"
    )
    photo = next(e for e in elements(view) if e.id == "photo")
    assert where.panels[0].frames[0].pictures[1] == photo.panels[0].frames[0].pictures[0]
    assert view.pictures[where.panels[0].frames[0].pictures[0]].width == 8, "one pixel a cell: sharp"


def test_the_input_below_is_that_of_the_state():
    _, where = element_of("where = c.spatial | activation | present(heatmap)", "where", inputs=2)
    assert [frame.pictures[1] for frame in where.panels[0].frames] == sorted(
        {f.pictures[1] for f in where.panels[0].frames}
    )
    assert len(where.panels[0].frames) == 2


def test_the_legend_says_where_colours_are_clipped():
    text = "map = input.pixel | attribute(output{}) | present(heatmap{})"
    _, one = element_of(text.format(", method=gradient", ""), "map")
    assert "clipped at the 99th percentile; the largest value is" in " ".join(one.legend.notes)
    assert one.legend.domain[1] == -one.legend.domain[0] and one.legend.unit
    _, two = element_of(text.format(", method=[gradient, occlusion]", ", facet=method"), "map")
    assert "clipped at the 99th percentile of each panel" in " ".join(two.legend.notes)
    assert two.legend.domain == (-1, 1) and two.legend.unit == "share of the upper end of each panel's scale"
    assert two.legend.table_unit == "share of the method's maximum", "of the numbers, which tables hold"
    _, cells = element_of("map = c.spatial | attribute(output) | present(heatmap)", "map")
    assert "clipped" not in " ".join(cells.legend.notes), "a map of cells shows its largest"


def test_panels_have_the_methods_names_and_tables_their_identifiers():
    methods = "gradient, integrated_gradients(n_steps=4), grad_cam, lrp, rise(n_masks=4), rise(n_masks=8)"
    text = "map = c.spatial | attribute(output, method=[gradient, grad_cam]) | present(heatmap, facet=method)"
    view, one = element_of(text, "map")
    assert [panel.label for panel in one.panels] == ["Gradient", "Grad-CAM"]
    assert [panel.key for panel in one.panels] == ["gradient", "grad_cam"]
    assert "Grad-CAM" in " ".join(one.legend.notes) and "grad_cam" not in " ".join(one.legend.notes)
    table = long_table(view)
    assert '"grad_cam"' in table and "Grad-CAM" not in table
    program = tiny.check(f"map = input.pixel | attribute(output, method=[{methods}]) | present(heatmap, facet=method)")
    assert list(titles(program.elements[0].node, registry()).values()) == [
        "Gradient", "Integrated gradients", "Grad-CAM", "LRP (epsilon-plus)", "RISE (n_masks=4)", "RISE (n_masks=8)",
    ]  # fmt: skip


def test_a_photo_is_repeated_for_the_panels_of_what_lies_over_it():
    text = (
        "photo = input | present(image)\n"
        "maps = c.spatial | attribute(output, method=[gradient, grad_cam])"
        " | present(heatmap, over=photo, facet=method)\n"
        "where = c.spatial | activation | present(heatmap, over=photo)"
    )
    _, photo = element_of(text, "photo")
    assert [panel.label for panel in photo.panels] == ["Gradient", "Grad-CAM"] and photo.facet_axis == "method"
    assert len({panel.frames[0].pictures for panel in photo.panels}) == 1, "one picture, drawn twice"
    maps, where = photo.overlays
    assert matched(maps, photo) == [(0, 0), (1, 1)] and matched(where, photo) == [(0, 0), (1, 0)]


def test_labels_that_follow_the_state_stand_over_the_repeated_photo():
    text = (
        "photo = input | present(image)\nk = pick(output[top(3)])\n"
        "known = c.channel | attribute(output[k]) | top(2) | present(bars)\n"
        "maps = c.neuron | activation | only(known) | present(heatmap, over=photo, facet=channel)"
    )
    view, photo = element_of(text, "photo")
    assert [panel.label for panel in photo.panels] == [UNSAID, UNSAID]
    assert "datum.frame.label" in json.dumps(layouts(view, registry().styles)["photo"])
    assert all(len(panel.labels) == 3 for panel in photo.overlays[0].panels)


# ---- what it looks like, in static pictures and in the page ----------------------------------------------------------


def places(image: Image.Image, box: tuple[float, float, float, float], *shares: float) -> list[np.ndarray]:
    """Colours in the middle of a box, at these shares of its width."""
    pixels = np.asarray(image.convert("RGB")).astype(float)
    left, top, wide, deep = box
    return [pixels[int(top + deep / 2), int(left + wide * share)] for share in shares]


def spread(colour: np.ndarray) -> float:
    """How colourful: the difference of the channels."""
    return float(np.ptp(colour))


def in_page(show, view, **options: object) -> tuple[Image.Image, tuple[float, float, float, float]]:
    page = show(view, **options)
    chart = page.locator("[data-chart]").first
    image = Image.open(io.BytesIO(chart.screenshot()))
    outer, inner = chart.bounding_box(), page.locator("[data-chart] image").first.bounding_box()
    return image, (inner["x"] - outer["x"], inner["y"] - outer["y"], inner["width"], inner["height"])


def static(tmp_path, view) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """The picture, and the box of the photo: all that is orange, grey or tinted between the title and the legend."""
    image = Image.open(export(view(), tmp_path / "page.png", "png", registry().styles))
    pixels = np.asarray(image.convert("RGB")).astype(int)
    rows = np.flatnonzero((np.abs(pixels - 255).max(-1) > 12).mean(1) > 0.3)  # a photo's rows are full
    row = pixels[(rows[0] + rows[-1]) // 2]
    columns = np.flatnonzero(np.abs(row - 255).max(-1) > 12)
    return image, (columns[0], rows[0], np.ptp(columns), np.ptp(rows))


def holds_spotlight(image: Image.Image, box) -> None:
    full, nothing = places(image, box, 0.12, 0.88)
    assert np.abs(full - map_views.ORANGE).max() < 8, "in full where the value is largest"
    assert spread(nothing) < 12 < 120 < spread(full), "without colour where it is zero"


def holds_tint(image: Image.Image, box) -> None:
    raised, neutral, lowered = places(image, box, 0.1, 0.5, 0.9)
    assert raised[0] - raised[2] > 80 and lowered[2] - lowered[0] > 80, "red above zero, blue below"
    assert spread(neutral) < 12, "nothing at zero"


def test_static_pictures_draw_spotlights_and_tints(tmp_path):
    holds_spotlight(*static(tmp_path, map_views.spotlight))
    holds_tint(*static(tmp_path, map_views.tint))
    holds_tint(*static(tmp_path, map_views.alone))


@pytest.mark.browser
def test_the_page_draws_spotlights_and_tints(show):
    holds_spotlight(*in_page(show, map_views.spotlight))
    holds_tint(*in_page(show, map_views.tint))
    holds_tint(*in_page(show, map_views.alone))


@pytest.mark.browser
def test_on_a_dark_page_what_is_faded_is_dark(show):
    def darkness(view, share: float, **options: object) -> float:
        return float(places(*in_page(show, view, **options), share)[0].mean())

    assert darkness(map_views.spotlight, 0.88) > 190 > 100 > darkness(map_views.spotlight, 0.88, color_scheme="dark")
    holds_spotlight(*in_page(show, map_views.spotlight, color_scheme="dark"))
    assert darkness(map_views.alone, 0.5) > 200 > 90 > darkness(map_views.alone, 0.5, color_scheme="dark")
    holds_tint(*in_page(show, map_views.alone, color_scheme="dark"))


# ---- the width -------------------------------------------------------------------------------------------------------


def panel_width(view, name: str, room: int) -> float:
    """Width of a panel of an element in a room: `panel_<name>` with its expression's value, from the drawn geometry."""
    theme = Theme(room=room)
    element = next(e for e in elements(view) if e.id == name)
    style_of(element, registry().styles).chart(element, theme)
    return theme.geometries[name].width.value


def test_grids_and_maps_use_the_width():
    text = "grids = [a, a, c].spatial | activation | present(featvis, facet=layer)"
    view, _ = element_of(text.replace("[a, a, c]", "[a, b, c]"), "grids")
    cells = max(panel.shape[1] for panel in next(e for e in elements(view) if e.id == "grids").panels)
    assert panel_width(view, "grids", 1236) >= 24 * cells, "cells of 24 pixels where there is room"
    assert panel_width(view, "grids", 350) == pytest.approx(350, abs=1), "one column on a phone"
    methods = "[gradient, occlusion, smoothgrad, grad_cam]"
    text = f"m = input.pixel | attribute(output, method={methods}) | present(heatmap, facet=method)"
    view, _ = element_of(text, "m")
    assert 220 <= panel_width(view, "m", 1104) <= 360


@pytest.mark.browser
def test_icons_share_the_row_of_the_present_state(show):
    page = show(planted.neuron_groups)
    side = "() => +document.querySelector('[data-chart=groups] .mark-image image').getAttribute('width')"
    slider = page.locator("input[type=range]").first
    slider.focus()
    page.keyboard.press("End")
    many = page.evaluate(side)
    page.keyboard.press("Home")
    assert page.evaluate(side) >= many and page.evaluate(side) > 120
