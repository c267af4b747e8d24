"""`histogram`: counts against NumPy's, zeros and a ceiling apart, one set of bins for all states."""

from __future__ import annotations

import numpy as np
import pytest
from planted import Planting

from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.registry import registry
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.page.html import render
from bbilang.runtime.view.model import View


def values() -> np.ndarray:
    made = np.minimum(np.maximum(np.random.default_rng(4).normal(2, 3, 500), 0), 6).astype(np.float32)
    made[5] = np.nan
    return made


def histogram() -> View:
    plant = Planting()
    axes = (Axis("facets", 2, ("channel",)), Axis("example", 500))
    both = np.stack([values(), np.zeros(500, np.float32)])
    type = FieldType("activation", "channel", ("late",), axes, signed=False, unit="activation")
    coords = {"channel": Named(("facets",), np.array([3, 9])), "example": Named(("example",), np.arange(500))}
    plant.present("h", "histogram", Field(type, Named(("facets", "example"), both), coords), facet="facets", title="H")
    return plant.view("Values")


def test_counts():
    element = histogram().interfaces[0].elements[0]
    first, second = (panel.frames[0] for panel in element.panels)
    numbers, known = [row[0] for row in first.values], values()[np.isfinite(values())]
    zeros, full = int((known == 0).sum()), int((known == 6).sum())
    assert numbers[0] == zeros > 100 and numbers[-1] == full > 20
    every, inside = known[known > 0].astype(float), known[(known > 0) & (known < 6)]
    edges = np.histogram_bin_edges(every, 32)
    assert [number or 0 for number in numbers[1:-1]] == np.histogram(inside, edges)[0].tolist()
    assert sum(numbers) == 499 and element.legend.domain == (0.0, 500.0)
    assert first.remark.startswith(f"499 examples, zero on {zeros}, at the ceiling of 6 on {full}, median of the ")
    assert first.remark.endswith("1 without a number left out")
    assert second.remark == "500 examples, zero on all 500 examples scanned" and second.values[0] == (500.0,)
    assert (first.notes[0], first.notes[-1]) == ("zero", "at 6")
    assert first.notes[1] == f"{edges[0]:.4g} to {edges[1]:.4g}"


@pytest.mark.browser
def test_bars_in_the_browser(show):
    assert 'id="bbi-vega"' not in render(histogram(), registry().styles), "the page draws it itself"
    page = show(histogram)
    heights = page.evaluate(
        """() => [...document.querySelectorAll("[data-chart=h] path")]
            .filter((it) => ["#7a869a", "#b06a10"].includes(it.getAttribute("fill")))
            .map((it) => it.getBBox().height).filter((high) => high > 0.5)"""
    )
    counts = [row[0] for panel in histogram().interfaces[0].elements[0].panels for row in panel.frames[0].values]
    assert heights == pytest.approx([max(1, 156 * count / 500) for count in counts if count], abs=0.01)
    words = page.locator("[data-chart=h] text").all_text_contents()
    assert "zero" in words and "at 6" in words and "500" in words
    assert "499 examples" in page.locator("[data-remark=h]").inner_text()
