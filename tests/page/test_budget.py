"""The budget line stands under the picture, follows the state, and is there in static formats too."""

from __future__ import annotations

from dataclasses import replace

import map_views
import pytest
import views

from bbilang.registry import registry
from bbilang.runtime.vega.standalone import specification
from bbilang.runtime.view.model import Element, Frame, Panel, View
from bbilang.runtime.view.states import budget_of, start_states


def teaser_with_budgets() -> View:
    """The teaser with a line for every state of its icons."""
    view = views.teaser()
    (interface,) = view.interfaces
    blocks = next(e for e in interface.elements if e.id == "blocks")
    frames = tuple(
        replace(frame, budget=f"Shown +{number}.5; score 9.17\nblock5c is a side branch <b>")
        for number, frame in enumerate(blocks.panels[0].frames)
    )
    changed = replace(blocks, panels=(replace(blocks.panels[0], frames=frames),))
    elements = tuple(changed if e.id == "blocks" else e for e in interface.elements)
    return replace(view, interfaces=(replace(interface, elements=elements),))


def test_panels_that_say_the_same_say_it_once():
    one = Panel("a", (Frame(budget="x"), Frame(budget="y")))
    other = Panel("b", (Frame(budget="x"), Frame(budget="z")))
    blocks = next(e for e in teaser_with_budgets().interfaces[0].elements if e.id == "blocks")
    both = replace(blocks, panels=(one, other))
    assert budget_of(both, 0) == "x"
    assert budget_of(both, 1) == "y\nz"
    assert budget_of(both, 2) == "", "a state that shows nothing"


def panels() -> View:
    """A picture of three panels, two of which have the same budget."""
    album = views.Album()
    budgets = ("a: shown +1.2\nMixed_5c is a <b>", "b: shown +1.3", "b: shown +1.3")
    shown = [Panel("", (Frame(pictures=(map_views.photo(album),), budget=words),)) for words in budgets]
    return map_views.page_of(album, Element("photo", "image", "The photo", "", "a photo", (), tuple(shown)))


@pytest.mark.browser
def test_each_distinct_budget_of_the_panels_is_shown_once(show):
    expected = "a: shown +1.2\nMixed_5c is a <b>\nb: shown +1.3"
    assert budget_of(panels().interfaces[0].elements[0], 0) == expected
    assert show(panels).locator("[data-budget]").inner_text() == expected


def test_static_formats_have_the_line_of_the_state_shown():
    view = teaser_with_budgets()
    made = specification(view, [""] * len(view.pictures), registry().styles)
    text = repr(made)
    state = start_states(view)["blocks"]
    assert f"Shown +{state}.5; score 9.17" in text and ".budget" in text


@pytest.mark.browser
def test_the_line_stands_under_the_picture_and_follows_the_state(show):
    page = show(teaser_with_budgets)
    line = page.locator("[data-budget=blocks]")
    first = line.inner_text()
    assert "Shown +" in first and first.endswith("side branch <b>"), "words are text, and each line its own"
    assert first.count("\n") == 1
    picture, below = page.locator("[data-chart=blocks]").bounding_box(), line.bounding_box()
    legend = page.locator("#element-blocks .legend").bounding_box()
    assert picture["y"] + picture["height"] <= below["y"] < legend["y"]
    page.get_by_label("b", exact=True).select_option(label="Egyptian cat")
    assert line.inner_text() != first
