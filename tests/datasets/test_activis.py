"""ActiVis as one page: a matrix of channels and kinds of pictures, the pictures as a map, and the one pointed at."""

from __future__ import annotations

import pytest
import tiny
from at_rest import at_rest

import bbilang
from bbilang.runtime.models.preprocess import Preprocess

TEXT = """
dataset shapes = "sample:shapes" | sample(24)
dataset striped = shapes | filter(texture == "striped")
by_shape = b.channel | across(shapes) | mean(example, per=label) | top(4) | present(matrix)
by_texture = b.channel | across([shapes, striped]) | mean(example) | top(4) | present(matrix)
map = b.channel | across(shapes) | project(pca, 2, along=channel) | present(scatter)
one = shapes | at(hover(map)) | present(image)
why = b.channel | attribute(output) | across(shapes) | at(hover(map)) | top(3) | present(bars)
"""


@pytest.mark.browser
def test_pointing_at_a_picture_shows_it_and_its_channels(chromium, tmp_path):
    model = bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))
    (tmp_path / "page.bbi").write_text(TEXT)
    page = bbilang.run(tmp_path / "page.bbi", model=model)
    assert len(page.results.program.scans) == 1
    field = page.results.fields["map"]
    files = [f"file {file}" for file in field.columns["file"].data.tolist()]
    tab = chromium.new_page(viewport={"width": 1200, "height": 2400})
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(page.save(tmp_path / "page.html").as_uri())
    tab.wait_for_selector('[data-chart="one"] image')
    chart = tab.locator('[data-chart="map"]')
    said = set()
    chart.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        chart.press(key)
        at_rest(tab)
        said.add((tab.locator("#element-one h3").inner_text(), tab.locator('[data-answer="why"]').inner_text()))
    assert len(said) > 1 and all(label.split()[-1] in answer for label, answer in said)
    box = tab.locator('[data-chart="one"] image').first.bounding_box()
    tab.mouse.move(box["x"] + 5, box["y"] + 5)
    tab.mouse.move(box["x"] + 9, box["y"] + 9)
    assert tab.locator('[data-chart="one"] title').first.text_content() in files
    assert not complaints
    tab.close()
