"""The frame of a page: four sizes of text, one legend line, the photo in view, targets for fingers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import views
from at_rest import at_rest
from text_sizes import ALLOWED, sizes

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("view", [views.teaser, views.dictionary, views.survey, views.atlas])
@pytest.mark.parametrize("kind", [{}, PHONE])
def test_four_sizes_of_text(show, view, kind):
    sizes_shown = sizes(show(view, **kind))
    assert "13px" in sizes_shown and sizes_shown <= ALLOWED


def test_one_legend_line_and_the_rest_is_folded(show):
    page = show(views.teaser)
    blocks = page.locator("#element-blocks")
    assert blocks.locator(".legend").count() == 1 and blocks.locator(".legend").bounding_box()["height"] < 24
    assert blocks.locator(".reading").is_hidden()
    blocks.get_by_text("How to read this").click()
    assert blocks.locator(".reading").is_visible()
    assert views.teaser().interfaces[0].elements[1].legend.scope in blocks.locator(".reading").inner_text()


def test_the_interface_starts_above_the_fold(show):
    page = show(views.teaser)
    assert page.locator(".interface").bounding_box()["y"] < 200
    assert page.locator("footer dl").is_hidden() and page.locator("footer").bounding_box()["height"] < 80


def test_the_photo_stays_in_view_on_a_phone(show):
    page = show(views.teaser, **PHONE)
    chart, icons = page.locator("[data-chart=photo]"), page.locator("[data-chart=blocks]")
    icons.evaluate("(node) => scrollTo(0, node.getBoundingClientRect().bottom + scrollY - innerHeight)")
    at_rest(page)
    box, high = chart.bounding_box(), page.evaluate("innerHeight")
    assert abs(box["y"]) < 1 and box["height"] <= 0.4 * high
    before = page.locator("[data-now=where]").text_content()
    page.locator("[data-chart=blocks] [class*=front_hit_] path").last.tap()
    assert page.locator("[data-now=where]").text_content() != before, "what is tapped lies below the photo"
    assert abs(chart.bounding_box()["y"]) < 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("view", [views.teaser, views.survey, views.atlas])
def test_targets_for_fingers(show, view):
    page = show(view, **PHONE)
    small = page.evaluate("""() => [...document.querySelectorAll("button, select, summary, input")]
        .filter((node) => node.checkVisibility() && !node.matches(".ref")) // words in a line of text, 44 px high
        .map((it) => [it.outerHTML.slice(0, 50), it.closest(".controls > div")?.offsetHeight ?? it.offsetHeight])
        .filter(([, high]) => high < 44)""")
    assert small == []


def test_the_column_of_the_photo_stays_in_view_on_a_wide_page(show):
    page = show(views.teaser)
    page.set_viewport_size({"width": 1280, "height": 620})
    page.evaluate("document.querySelector('#element-blocks').style.paddingBottom = '1500px'")
    page.evaluate("scrollTo(0, 900)")
    at_rest(page)
    box = page.locator("[data-chart=photo]").bounding_box()
    assert box["y"] + box["height"] > 0 and box["y"] < 620, "it would have left the view long ago"


def test_what_waits_for_a_choice_says_what_to_do(show):
    page = show(views.atlas)
    page.locator("[data-tab=inner]").click()
    waiting = page.locator("[data-waits=inner]")
    assert waiting.is_visible() and waiting.inner_text().startswith("Point at a position in “")
    hits = page.locator("[data-chart=grid] [class*=front_hit_] path")
    hits.nth(1).hover()
    assert waiting.is_hidden() and page.locator("[data-now=inner]").inner_text()


def test_a_photo_below_what_it_changes_does_not_stay(show):
    """It would only hide what comes below it."""
    page = show(turned, **PHONE)
    assert page.locator(".photo").count() == 1 and page.locator(".docked").count() == 0
    assert show(views.teaser, **PHONE).locator(".docked").count() == 1


def turned():
    view = views.teaser()
    (interface,) = view.interfaces
    kind, (photo, blocks) = interface.layout
    return replace(view, interfaces=(replace(interface, layout=(kind, (blocks, photo))),))
