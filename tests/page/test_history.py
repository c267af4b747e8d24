"""Back takes back what was asked, and nothing that was only pointed at; the address speaks titles."""

from __future__ import annotations

from dataclasses import replace

import planted
import pytest
import views

from bbilang.runtime.page.html import addresses

pytestmark = pytest.mark.browser


def entitled():
    view = views.teaser()
    words = {"a": "Why & what=for?", "b": "Rather than"}
    named = (replace(s, title=words[s.id], address=words[s.id], spoken=True) if s.id in words else s
             for s in view.selections)  # fmt: skip
    return replace(view, selections=tuple(named))


def hits(page, element: str):
    return page.locator(f"[data-chart='{element}'] [class*=front_hit_] path")


def chosen(page, label: str) -> str:
    return page.get_by_label(label, exact=True).evaluate("it => it.selectedOptions[0].text")


def test_back_and_forward_over_menus_and_not_over_pointing(show):
    page = show(views.teaser)
    steps = page.evaluate("history.length")
    hits(page, "blocks").nth(1).hover()
    hits(page, "blocks").nth(3).hover()
    assert page.evaluate("history.length") == steps and "hover-1=" in page.url
    page.get_by_label("b", exact=True).select_option(label="Egyptian cat")
    page.get_by_label("a", exact=True).select_option(label="tabby")
    assert page.evaluate("history.length") == steps + 2
    drawn = page.locator("[data-chart=blocks]").inner_text()
    page.go_back()
    assert (chosen(page, "a"), chosen(page, "b")) == ("tiger cat", "Egyptian cat")
    assert page.locator("[data-chart=blocks]").inner_text() != drawn
    page.go_back()
    assert chosen(page, "b") == "tabby" and "hover-1=" in page.url, "what was pointed at before is not lost"
    page.go_forward()
    page.go_forward()
    assert chosen(page, "a") == "tabby" and page.locator("[data-chart=blocks]").inner_text() == drawn


def test_a_click_is_a_step_and_a_drag_of_a_slider_one(show):
    page = show(planted.neuron_groups)
    slider, steps = page.get_by_label("N", exact=True), page.evaluate("history.length")
    start = slider.input_value()
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.7, 0.5, 0.3, 0.01):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
    page.mouse.up()
    assert slider.input_value() != start
    made = page.evaluate("history.length") - steps
    assert 1 <= made <= 2, "pressing and dragging are not a step for every number that is passed"
    for _ in range(made):
        page.go_back()
    assert slider.input_value() == start


def test_titles_are_shown_heard_and_in_the_address(show):
    page = show(entitled)
    page.get_by_label("Why & what=for?", exact=True).select_option(label="tabby")
    assert page.url.endswith("#Why+%26+what%3Dfor%3F=output+class=282")
    assert page.locator("#status").text_content().startswith("Why & what=for?: tabby")
    again = show(entitled, page.url[page.url.index("#") :])
    assert chosen(again, "Why & what=for?") == "tabby"
    old = show(entitled, "#a=output+class=282")
    assert chosen(old, "Why & what=for?") == "tabby", "links from before there was a title go on working"


def test_one_address_for_one_selection():
    first, second, *rest = views.teaser().selections
    named = addresses((replace(first, address="same"), replace(second, address="same"), *rest))
    assert named[first.id] == first.id and named[second.id] == second.id
    assert addresses((replace(first, address=second.id), second))[first.id] == first.id
