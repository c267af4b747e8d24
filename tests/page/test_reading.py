"""The value at a position: of maps, of maps over photos, and of maps of pixels."""

from __future__ import annotations

import csv
import io

import map_views
import numpy as np
import pytest
import tiny

from bbilang.runtime.view.scales import clipped, coarse, scale_ends
from bbilang.runtime.view.states import elements

pytestmark = pytest.mark.browser


def point(page, u: float, v: float) -> None:
    box = page.locator("[data-chart] [class*=front_hit_] path").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * u, box["y"] + box["height"] * v)


def readout(page) -> str:
    return page.locator(".readout").first.inner_text()


def test_the_pointer_reads_a_map_over_the_photo(show):
    page = show(map_views.spotlight)
    assert readout(page) == "" and page.locator(".cells").count() == 0, "no grid until something is pointed at"
    point(page, 0.3, 0.6)
    assert readout(page) == "row 2, column 1: 1"
    grid, photo = page.locator(".cells").bounding_box(), page.locator("[data-chart] image").first.bounding_box()
    assert all(abs(grid[key] - photo[key]) < 1.5 for key in photo)
    point(page, 0.8, 0.1)
    assert readout(page) == "row 0, column 3: 0"
    page.mouse.move(2, 2)
    assert readout(page) == "" and page.locator(".cells").count() == 0


def test_the_keyboard_reads_and_announces(show):
    page = show(map_views.tint)
    page.locator("[data-chart=photo]").focus()
    page.keyboard.press("ArrowRight")
    assert readout(page) == page.locator("#status").inner_text() == "row 0, column 0: 1"
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert readout(page) == "row 1, column 5: \u22121"
    assert page.locator("#status").inner_text() == "row 1, column 5: minus 1"
    page.keyboard.press("Escape")
    assert readout(page) == ""


def test_maps_of_pixels_are_read_in_blocks(show):
    page = show(map_views.pixels)
    point(page, 0.99, 0.01)
    assert readout(page) == "rows 0 to 3, columns 52 to 55, mean: 0.5"


def test_the_means_of_the_blocks_are_saved(show, tmp_path):
    page = show(map_views.pixels)
    page.locator(".save summary").click()
    with page.expect_download() as download:
        page.locator(".save button", has_text="CSV").click()
    download.value.save_as(tmp_path / "file")
    rows = list(csv.reader(io.StringIO((tmp_path / "file").read_text("utf-8-sig"), newline="")))
    assert rows[0] == ["panel", "y", "x", "height", "width", "mean of the block (logits)"]
    table = np.array([row[1:] for row in rows[1:]], float)
    expected = [[y, x, 4, 4, 0.5 if x == 52 else 0] for y in range(0, 56, 4) for x in range(0, 56, 4)]
    assert np.array_equal(table, expected)


def test_a_picture_without_numbers_says_where_they_are(show):
    page = show(map_views.picture_only)
    page.locator(".save summary").click()
    assert page.locator(".save p").inner_text() == "numbers: bbi run ... -o numbers.csv"
    assert page.locator(".save button", has_text="CSV").count() == 0
    page = show(map_views.pixels)
    assert page.locator(".save p").count() == 0


def test_means_of_panels_with_units_of_their_own_are_in_the_legends_unit(monkeypatch):
    monkeypatch.setattr("bbilang.runtime.styles.heatmap.MAX_CELLS", 0)  # too fine for every number, as 224 x 224 are
    text = "map = input.pixel | attribute(output, method=[gradient, occlusion]) | present(heatmap, facet=method)"
    results = tiny.run(text)
    one = next(e for e in elements(tiny.view_of(results)) if e.id == "map")
    assert one.legend.unit == "share of the upper end of each panel's scale"
    field = results.fields["map"].values.ordered(("input", "method", "y", "x")).data[0]
    for panel, raw in zip(one.panels, field, strict=True):
        (frame,) = panel.frames
        shares = raw / np.abs(raw).max()
        end = scale_ends(clipped(shares), True)[1]
        expected = np.array(coarse(shares)) / end
        assert not frame.values and np.abs(np.array(frame.coarse) - expected).max() < 0.01 * np.abs(expected).max()
    assert not any("1 stands for" in note for note in one.legend.notes)


def test_means_are_those_of_the_blocks():
    view = tiny.view_of(tiny.run("map = input.pixel | attribute(output) | present(heatmap)"))
    frame = next(e for e in elements(view) if e.id == "map").panels[0].frames[0]
    assert frame.values and not frame.coarse, "fine enough to carry every number"
    cells = np.random.default_rng(0).normal(size=(224, 224))
    blocks = cells.reshape(14, 16, 14, 16).mean((1, 3))
    assert np.abs(np.array(coarse(cells)) - blocks).max() < 0.005 * np.abs(blocks).max()
    assert np.array(coarse(np.ones((5, 70)))).shape == (5, 14)
