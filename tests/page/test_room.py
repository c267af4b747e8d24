"""What is drawn has room: names in flows, charts as high as their state, long names of controls on phones."""

import planted
import pytest
from at_rest import at_rest

PHONE = {"width": 375}
TEXTS = "all => all.map(it => [it.textContent, it.getAttribute('transform')])"
CUT = """all => all.filter(it => it.textContent.trim() && it.scrollWidth > it.clientWidth + 1
    && getComputedStyle(it).overflow != 'visible').map(it => it.outerHTML.slice(0, 200))"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [375, 1280])
def test_names_in_flows_stand_on_paper(show, width):
    """Each text has an outline in the paper's colour below it, at the same position."""
    page = show(planted.flows, width=width)
    outlined = [tuple(it) for it in page.eval_on_selector_all("[data-chart=flow] [class*=veil_] text", TEXTS)]
    styles = page.eval_on_selector_all(
        "[data-chart=flow] [class*=veil_] text",
        "all => all.map(it => [it.getAttribute('stroke-width'), it.getAttribute('stroke')])",
    )
    texts = [tuple(it) for it in page.eval_on_selector_all("[data-chart=flow] svg text", TEXTS)]
    assert len(outlined) >= 8 + 6 + 5 and all(float(wide) == 4 and colour for wide, colour in styles)
    for text in outlined:
        assert texts.count(text) == 2, f"{text}: the outline and the letters"


@pytest.mark.browser
def test_a_chart_is_as_high_as_its_state(show):
    """A matrix of two groups leaves no room for the eight that the slider may choose."""
    page = show(planted.neuron_groups)
    slider = page.locator("input[type=range]").first

    def height(value: str) -> float:
        slider.evaluate(
            "(it, value) => { it.value = value; it.dispatchEvent(new Event('input', {bubbles: true})) }", value
        )
        at_rest(page)
        return page.locator("[data-chart=effect]").bounding_box()["height"]

    least, most = slider.get_attribute("min"), slider.get_attribute("max")
    heights = [height(least), height(most), height(least)]
    assert heights[0] == heights[2] < heights[1] - 50, heights


@pytest.mark.browser
def test_long_names_of_controls_are_whole_on_phones(show):
    page = show(planted.neuron_groups, **PHONE)
    cut = page.eval_on_selector_all(".controls *", CUT)
    assert cut == []
