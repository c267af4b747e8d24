"""One map at a time: of several over one picture a tab is in front."""

from __future__ import annotations

import pytest
import views

from bbilang.registry import registry
from bbilang.runtime.vega.specification import picture_uris
from bbilang.runtime.vega.standalone import specification
from bbilang.runtime.view.states import shown_at_start, start_states

pytestmark = pytest.mark.browser


def drawn(page) -> list[bool]:
    """Whether each map over the photo is drawn: `middle`, then `inner`."""
    veils = page.locator("[data-chart=photo] [class*=veil_] image")
    uris = veils.evaluate_all("nodes => nodes.map(n => n.getAttribute('href') || n.getAttribute('xlink:href'))")
    return [not uri.startswith("data:image/gif") for uri in uris]


def selected(page) -> str:
    return page.locator("[data-tabs=photo] [aria-selected=true]").inner_text()


def point_at_a_cell(page) -> None:
    box = page.locator("[data-chart=grid] [class*=front_hit_] path").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.4)


def test_tabs_and_their_keyboard(show):
    page = show(views.atlas)
    tabs = page.get_by_role("tab")
    assert tabs.all_inner_texts() == ["Always", "Its effect", "none"]
    assert selected(page) == "Always" and drawn(page) == [True, False] and "#" not in page.url
    tabs.nth(2).click()
    assert drawn(page) == [False, False] and page.url.endswith("#over.photo=none")
    page.keyboard.press("ArrowRight")  # after the last the first
    assert selected(page) == "Always" == page.evaluate("document.activeElement.innerText") and "over." not in page.url
    assert page.locator("#status").inner_text() == "Always: shown on Input"
    assert [tab.get_attribute("tabindex") for tab in tabs.all()] == ["0", "-1", "-1"]


def test_what_is_pointed_at_comes_to_the_front(show):
    page = show(views.atlas)
    assert page.locator("figcaption [data-over=inner]").is_hidden()
    point_at_a_cell(page)
    assert selected(page) == "Its effect" and drawn(page) == [False, True]
    assert page.locator("figcaption [data-over=middle]").is_hidden()
    assert "over.photo=inner" in page.url and "cell=" in page.url
    page.get_by_role("tab", name="Always").click()
    assert drawn(page) == [True, False]
    address = page.url[page.url.index("#") :].replace("over.photo=middle", "over.photo=inner")
    again = show(views.atlas, f"{address}&over.photo=inner&over.nobody=x&over.photo=nothing")
    assert selected(again) == "Its effect" and drawn(again) == [False, True]


def test_labels_speak_of_the_map_in_front(show):
    page = show(views.atlas)
    assert "Its effect" not in page.locator("[data-chart=photo]").get_attribute("aria-label")
    point_at_a_cell(page)
    assert "Its effect: row" in page.locator("[data-chart=photo]").get_attribute("aria-label")


def test_one_map_needs_no_tabs(show):
    page = show(views.teaser)
    assert page.get_by_role("tab").count() == 0 and page.locator("figcaption > [data-over=where]").is_visible()


def test_static_pictures_show_the_first_and_specifications_have_a_choice():
    view = views.atlas()
    photo = next(e for e in view.interfaces[0].elements if e.id == "photo")
    inner = photo.overlays[0].overlays[0]
    assert shown_at_start(view, photo) == start_states(view) | {"inner": len(inner.panels[0].frames)}
    live = specification(view, picture_uris(view), registry().styles)
    params = {param["name"]: param for param in live["params"]}
    assert params["tab_photo"]["bind"]["labels"] == ["Always", "Its effect", "none"]
    assert params["state_middle"]["expr"] == "tab_photo == 0 ? (0) : 1"
