"""Pages of interventions in a browser: the band of random sets behind the bars, and inputs under their names."""

from __future__ import annotations

import blocks
import numpy as np
import pytest
from PIL import Image

import bbilang

BAND = "#c2a468"
COUNTED = "stem.channel | attribute(output[0]) | top(2) | ablate(zero) | effect(output[0], controls=2) | present(bars)"


def results_of_controls():
    text, model, image = COUNTED, blocks.adapter("residual"), blocks.image()
    return bbilang.run(text, model=model, input=image, cache=False)


def controls():
    return results_of_controls().view


@pytest.mark.browser
def test_the_band_reaches_from_the_lowest_to_the_highest_control(show):
    """Bars start at zero, and their lengths give the scale that the band is measured with."""
    (field,) = results_of_controls().results.fields.values()
    values = field.values.ordered(("input", "channel")).data[0]
    others = field.beside["controls"].ordered(("input", "channel", "control")).data[0]
    page = show(controls)
    key, *bands = [path.bounding_box() for path in page.locator(f"[data-chart] path[fill='{BAND}']").all()]
    assert key["width"] == key["height"]
    assert len(bands) == len(values)
    widths = np.array([box["width"] for box in bands]) - 2  # a pixel more at each end
    spans = np.nanmax(others, 1) - np.nanmin(others, 1)
    assert spans.min() > 0
    np.testing.assert_allclose(widths / widths.max(), spans / spans.max(), atol=0.03)
    assert "random channels of like magnitude" in page.locator("figure.element").first.inner_text()


@pytest.fixture
def named(tmp_path):
    for number, name in enumerate(("a.png", "b.png")):
        Image.fromarray(blocks.picture(number).shown).save(tmp_path / name)
    (tmp_path / "page.bbi").write_text(
        'input cat = "a.png", dog = "b.png"\n'
        "input | present(image)\n"
        "stem.channel | patch(source=dog) | effect(output[0]) | present(bars)\n"
    )
    return bbilang.run(tmp_path / "page.bbi", model=blocks.adapter("residual"), cache=False)


@pytest.mark.browser
def test_inputs_are_called_by_their_names(named, chromium, tmp_path):
    assert [picture.name for picture in named.results.pictures] == ["cat", "dog"]
    page = chromium.new_page()
    page.goto(named.save(tmp_path / "page.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.locator("select option").all_inner_texts() == ["cat", "dog"]
    shown = page.locator("body").inner_text()
    assert "a.png" not in shown.replace("page.bbi", "") and "taken from dog" in shown
    page.close()


def test_a_file_without_a_name_keeps_its_own(tmp_path):
    for number, name in enumerate(("a.png", "b.png")):
        Image.fromarray(blocks.picture(number).shown).save(tmp_path / name)
    text = 'input "a.png"\ninput dog = "b.png"\nstem.channel | activation | present(bars)'
    (tmp_path / "page.bbi").write_text(text)
    page = bbilang.run(tmp_path / "page.bbi", model=blocks.adapter("residual"), cache=False)
    assert [picture.name.removesuffix(".png") for picture in page.results.pictures] == ["a", "dog"]
