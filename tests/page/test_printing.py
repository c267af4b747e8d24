"""A page on paper: words for what is chosen, nothing to press, nothing folded, charts as wide as the sheet."""

from __future__ import annotations

import re

import pytest
import views

pytestmark = pytest.mark.browser


def paper(page):
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    return page


def test_choices_are_words(show):
    page = show(views.teaser)
    page.get_by_label("b", exact=True).select_option(label="Egyptian cat")
    paper(page)
    assert page.locator(".controls").inner_text().split("\n") == ["a", "tiger cat", "b", "Egyptian cat"]
    shown = "(nodes) => nodes.filter((node) => node.checkVisibility()).length"
    assert page.locator("select, input, .menu, #theme, .hint, .tabs").evaluate_all(shown) == 0


def test_sliders_and_switches_are_words(show):
    page = show(views.survey)
    slider = page.locator("input[type=range]").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    chosen = page.locator("output").first.inner_text()
    assert chosen and paper(page).locator("div:has(> input[type=range]) .said").first.inner_text() == chosen


def test_what_is_folded_is_printed_and_folded_again(show):
    page = show(views.teaser)
    reading, facts = page.locator("#element-blocks .reading"), page.locator("footer dl")
    assert reading.is_hidden() and facts.is_hidden()
    paper(page)
    assert reading.is_visible() and facts.is_visible() and page.locator(".source pre").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert reading.is_hidden() and facts.is_hidden()


def test_charts_fit_the_sheet_and_go_back(show):
    page = show(views.teaser)
    widths = "all => all.map((svg) => svg.viewBox.baseVal.width)"
    before = page.locator(".chart svg").evaluate_all(widths)
    paper(page)
    on_paper = page.locator(".chart svg").evaluate_all(widths)
    assert sum(on_paper) < 760 and on_paper < before
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".chart svg").evaluate_all(widths) == before


def test_a_pdf(show):
    pdf = show(views.teaser).pdf(format="A4")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 3
