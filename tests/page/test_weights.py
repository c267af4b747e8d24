"""A page of weights in a browser: kernels as maps, made of parameters alone."""

from __future__ import annotations

import pytest
import tiny

import bbilang

TEXT = "weights(input, a, kernel=each)[from=0] | top(4, by=magnitude) | present(heatmap, facet=to.channel)"


def kernels():
    page = bbilang.run(TEXT, model=bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS), cache=False)
    return page.view


@pytest.mark.browser
def test_kernels_are_drawn_and_read_at_their_offsets(show):
    page = show(kernels, width=390)
    element = page.locator("figure.element")
    assert element.locator("svg image").count() == 4
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    kernel = tiny.build().a[0].weight[:, 0].detach()
    channel, y, x = (int(number) for number in (kernel.abs() == kernel.abs().max()).nonzero()[0])
    assert (y, x) == (0, 1)  # of 3 x 3, so one up from the middle
    said = f"The largest weight is {float(kernel[channel, y, x]):+.2f}, 1 up, to channel {channel}."
    assert said in page.locator(".lead").first.inner_text()
    assert f"to channel {channel}" in element.inner_text()
    element.locator("[data-chart]").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('#status').textContent.trim() !== ''")
