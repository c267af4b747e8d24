"""A page of several models in a browser: which model a number is of, at every width."""

from __future__ import annotations

import blocks
import pytest

import bbilang

TEXT = (
    "model a = net\nmodel b = a | ablate(body.two.channel[1])\nmodel c = b | steer(body.two.channel[0], 2)\n"
    "a:body.sum.channel | attribute(output) | present(bars)\nb:body.sum.channel | attribute(output) | present(bars)\n"
    "c:output.class | present(bars)"
)


def several():
    return bbilang.run(TEXT, model=blocks.adapter("residual"), input=blocks.image(), cache=False).view


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_it_says_which_model_each_number_is_of(show, width):
    page = show(several, width=width)
    assert page.locator("h1").inner_text() == "A look inside a, b and c"
    said = page.locator(".models li")
    assert said.count() == 3 and said.nth(0).inner_text().startswith("a: ")
    assert said.nth(1).inner_text() == "b: a with channel 1 of body.two set to zero"
    assert said.nth(2).inner_text().startswith("c: b with channel 0 of body.two")
    for number, name in enumerate("abc"):
        line = page.locator(".prediction p").nth(number)
        assert line.is_visible() and line.inner_text() == f"{name} says"
    assert page.locator(".lead .whose").inner_text() == "a: Channels of body.sum"
    assert [title.inner_text()[:2] for title in page.locator("figure h3").all()] == ["a:", "b:", "c:"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
