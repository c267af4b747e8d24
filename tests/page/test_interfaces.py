"""The article's interactions on planted numbers, as a reader does them: grids, masks, matrices, links and points."""

from __future__ import annotations

import json

import planted
import pytest
from closeness import close_to, within

from bbilang.registry import registry
from bbilang.runtime.page import javascript as bundle
from bbilang.runtime.vega.specification import picture_uris
from bbilang.runtime.vega.standalone import specification
from bbilang.runtime.view.states import elements

pytestmark = pytest.mark.browser


def pictures(page, element: str, layer: int = 0) -> list[str]:
    marks = page.locator(f"[data-chart='{element}'] .mark-image").nth(layer).locator("image")
    return marks.evaluate_all("nodes => nodes.map(n => n.getAttribute('href') || n.getAttribute('xlink:href'))")


def hits(page, element: str):
    return page.locator(f"[data-chart='{element}'] [class*=front_hit_] path")


def point(page, element: str, panel: int, u: float, v: float) -> None:
    hits(page, element).nth(panel).scroll_into_view_if_needed()
    box = hits(page, element).nth(panel).bounding_box()
    page.mouse.move(box["x"] + box["width"] * u, box["y"] + box["height"] * v)


def marked(page, element: str) -> list[str]:
    """Outlines of the cells that are marked now, in every panel."""
    paths = page.locator(f"[data-chart='{element}'] [class*=front_2_] path")
    return paths.evaluate_all(
        "nodes => nodes.filter(n => +n.getAttribute('stroke-opacity')).map(n => n.getAttribute('d'))"
    )


def lenses(page, element: str) -> list[str]:
    """Addresses of the enlarged cells that are shown."""
    marks = page.locator(f"[data-chart='{element}'] [class*=front_lens_] image[width]:not([width='0'])")
    return marks.evaluate_all("nodes => nodes.map(n => n.getAttribute('href') || n.getAttribute('xlink:href'))")


def test_the_same_place_is_marked_and_enlarged_in_every_grid(show):
    page = show(planted.quiet_grids)
    assert marked(page, "first") == marked(page, "second") == lenses(page, "first") == []
    point(page, "first", 1, 5.5 / 7, 2.5 / 7)  # a cell of 7 by 7
    assert len(marked(page, "first")) == 2 and len(marked(page, "second")) == 1
    assert len(lenses(page, "first")) == 2 and len(lenses(page, "second")) == 1
    before = lenses(page, "first")
    assert all(uri.startswith("data:image/png") for uri in before)
    point(page, "second", 0, 0.1, 0.9)
    assert len(marked(page, "first")) == 2 and lenses(page, "first") != before
    page.mouse.move(5, 5)
    assert marked(page, "first") == marked(page, "second") == []
    assert "#" not in page.url


def test_grids_by_keyboard_and_by_words_of_a_caption(show):
    page = show(planted.quiet_grids)
    page.locator("[data-chart=second]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert len(marked(page, "first")) == 2 and page.locator("#status").inner_text().startswith("position: row 1")
    page.keyboard.press("Escape")
    assert marked(page, "second") == []
    ref = page.locator(".ref", has_text="roof")
    ref.focus()
    one = marked(page, "second")
    assert len(one) == 1 and ref.get_attribute("aria-pressed") == "true"
    point(page, "second", 0, 9.5 / 14, 2.5 / 14)  # row 2, column 9
    assert marked(page, "second") == one


def test_a_position_masks_every_layer_and_stays(show):
    page = show(planted.few_grids)
    before, icons = pictures(page, "grids", 1), pictures(page, "grids", 0)
    point(page, "grids", 0, 7.5 / 14, 3.5 / 14)
    after = pictures(page, "grids", 1)
    assert len(after) == 2 and all(a != b for a, b in zip(after, before, strict=True))
    assert pictures(page, "grids", 0) == icons
    assert page.locator("[data-now=influence]").inner_text() == "middle, row 3, column 7"
    assert page.url.endswith("#cell=middle+y=3+x=7") and len(lenses(page, "grids")) == 2
    page.mouse.move(5, 5)
    assert pictures(page, "grids", 1) == after  # a hover of the text keeps what was last pointed at
    again = show(planted.few_grids, "#cell=last+y=6+x=6")
    assert again.locator("[data-now=influence]").inner_text() == "last, row 6, column 6"


def opacities(page, element: str) -> list[float]:
    marks = page.locator(f"[data-chart='{element}'] .mark-image").first.locator("image")
    return marks.evaluate_all("nodes => nodes.map(n => +(n.getAttribute('opacity') ?? 1))")


def test_a_group_shows_its_own_map_and_a_position_fades_the_others(show):
    page = show(planted.neuron_groups)
    every = pictures(page, "photo", 1)
    hits(page, "groups").nth(1).hover()
    one = pictures(page, "photo", 1)
    assert one != every
    assert page.locator(".chip[aria-pressed=true]").all_inner_texts() == ["group 1"]
    page.locator("[data-chips=where] .chip").nth(1).focus()
    assert pictures(page, "photo", 1) == one
    page.mouse.move(5, 5)
    page.locator("#theme").focus()
    assert pictures(page, "photo", 1) == every and set(opacities(page, "groups")) == {1.0}
    point(page, "photo", 0, 0.06, 0.3)
    faded = opacities(page, "groups")
    assert faded[0] == 1.0 and max(faded[1:]) < 0.5
    page.mouse.move(5, 5)
    assert set(opacities(page, "groups")) == {1.0}


def test_more_groups_by_slider_and_a_row_of_the_matrix(show):
    page = show(planted.neuron_groups)
    slider = page.get_by_label("N", exact=True)
    slider.focus()
    page.keyboard.press("Home")
    assert page.locator("[data-chips=where] .chip").count() == 2
    colours = page.locator("[data-chips=where] .chip i").evaluate_all("nodes => nodes.map(n => n.style.background)")
    page.keyboard.press("ArrowRight")
    assert page.locator("[data-chips=where] .chip").count() == 4
    more = page.locator("[data-chips=where] .chip i").evaluate_all("nodes => nodes.map(n => n.style.background)")
    assert more[:2] == colours and len(set(more)) == 4  # a group keeps its colour as more join it
    before = pictures(page, "photo", 1)
    hits(page, "effect").nth(2).hover()
    assert pictures(page, "photo", 1) != before
    assert page.locator("#status").inner_text().startswith("pointed at: group 2")
    page.locator(".ref", has_text="left").hover()
    assert page.locator("#status").inner_text().startswith("pointed at: group 0")


def widths(page) -> list[float]:
    lines = page.locator("[data-chart=flow] .mark-line path")
    return lines.evaluate_all("nodes => nodes.map(n => +n.getAttribute('stroke-width'))")


def test_a_clicked_class_scales_the_links_that_lead_to_it(show):
    page = show(planted.flows)
    opening = widths(page)
    page.locator("select").first.select_option(label="all of them")
    whole = widths(page)
    assert len(whole) == 8 * 6 + 6 * 5
    hits(page, "flow").nth(8 + 6 + 1).click()
    page.mouse.move(5, 5)
    frame = next(elements(planted.flows())).panels[0].frames[0]
    some = widths(page)
    assert page.url.endswith("#flow=output+class=1")
    for (_start, end, _), before, after in zip(frame.links, whole, some, strict=True):
        if end == 15:
            close_to(after, before, digits=6)
        elif end > 15 or (end > 13 and end != 15):
            close_to(after, max(0.6, before * 0.04))
        else:
            leaving = [link for link in frame.links if link[0] == end]
            share = sum(abs(v) for _, to, v in leaving if to == 15) / sum(abs(v) for *_, v in leaving)
            within(after, max(0.6, before * share), absolute=0.02, because="opacities are drawn with two digits")
    hits(page, "flow").nth(9).hover()  # a group, while the class stays clicked
    assert widths(page) != some
    page.mouse.move(5, 5)
    assert widths(page) == some
    hits(page, "flow").nth(8 + 6 + 1).click()
    page.mouse.move(5, 5)
    assert widths(page) == opening and "#" not in page.url


def test_a_point_is_named_and_shows_its_icon(show):
    page = show(planted.numbers)
    chart = page.locator("[data-chart=points]")
    assert "channel" not in chart.inner_text()
    chart.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "channel 1" in chart.inner_text()
    icons = page.locator("[data-chart=points] [class*=front_icon_] image")
    shown = icons.evaluate_all("nodes => nodes.filter(n => +n.getAttribute('width') > 1).length")
    assert shown == 1


@pytest.mark.parametrize(
    "view",
    [planted.quiet_grids, planted.neuron_groups, planted.flows, planted.numbers, planted.components],
    ids=lambda v: v.__name__,
)
def test_on_a_phone(show, view):
    page = show(view, width=390, has_touch=True, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    charts = page.locator("[data-chart]")
    assert charts.evaluate_all(
        "nodes => nodes.every(n => n.querySelector('svg').getBoundingClientRect().right <= innerWidth + 6)"
    )
    assert charts.evaluate_all("nodes => nodes.every(n => n.getAttribute('aria-label').length > 8)")


def test_a_tap_selects_and_a_tap_beside_lets_go(show):
    page = show(planted.neuron_groups, width=390, has_touch=True)
    every = pictures(page, "photo", 1)
    hits(page, "groups").nth(3).tap()
    assert pictures(page, "photo", 1) != every
    page.locator("h1").tap()
    assert pictures(page, "photo", 1) == every


def test_the_specification_alone_does_the_same(chromium, tmp_path):
    """Without the page script: Vega's own selections mark the same place, fade groups and scale links."""

    def opened(view):
        text = json.dumps(specification(view, picture_uris(view), registry().styles)).replace("<", "\\u003c")
        embedded = f'(await vegaEmbed("#here", {text}, {{renderer: "svg", actions: false}})).view'
        script = f"window.view = {embedded}; document.body.dataset.ready = 1"
        (tmp_path / "one.html").write_text(
            f'<body><div id="here"></div><script type="module">{bundle.javascript()}</script>'
            f'<script type="module">{script}</script>', "utf-8")  # fmt: skip
        page = chromium.new_page(viewport={"width": 1280, "height": 1400})
        page.goto((tmp_path / "one.html").as_uri())
        page.wait_for_selector("body[data-ready]")
        return page

    page = opened(planted.quiet_grids())
    cells = page.locator("[class*=front_hit_second] path")
    assert cells.count() == 196
    cells.nth(2 * 14 + 9).hover(force=True)
    close_to(page.evaluate("view.signal('spot_first')"), [9.5 / 14, 2.5 / 14])
    page.mouse.move(2, 2)
    assert page.evaluate("view.signal('spot_first')") == []
    page.close()
    page = opened(planted.flows())
    page.locator("[class*=front_hit_flow] path").nth(15).click(force=True)
    assert page.evaluate("view.signal('selected_flow')")[1] == 15
    page.close()
    page = opened(planted.neuron_groups())
    page.locator("[class*=front_hit_photo] path").nth(4 * 14).hover(force=True)
    faded = page.evaluate("view.signal('faded_groups')")
    assert len(faded) == 8 and faded[0] == pytest.approx(1) and max(faded[1:]) < 0.5
    page.close()


def test_a_number_is_large_and_is_heard(show):
    """In digits of 32 pixels, with its unit and what it is; the keyboard reaches it, and its label says it."""
    page = show(planted.numbers)
    chart = page.locator("[data-chart=score]")
    sizes = {node.text_content(): node.get_attribute("font-size") for node in chart.locator("text").all()}
    assert sizes["9.17"] == "32px" and sizes["logits"] == sizes["tiger cat: score"] == "13px"
    assert "tiger cat 9.167" in chart.get_attribute("aria-label")
