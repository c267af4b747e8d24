"""A page of weights in a browser: kernels as maps, made of parameters alone."""

from __future__ import annotations

import pytest
import tiny
from closeness import within

import bbilang

TEXT = "weights(input, a, kernel=each)[from=0] | top(4, by=magnitude) | present(heatmap, facet=to.channel)"


CIRCUIT = "flow = [weights(a, b), weights(b, c)[to=2]] | circuit(2) | present(sankey)"


def circuit():
    text = CIRCUIT + "\ninto = weights(b, c)[to=2] | top(2, by=magnitude) | present(bars)"
    page = bbilang.run(text, model=bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS), cache=False)
    return page.view


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


def bands(page) -> list[float]:
    lines = page.locator("[data-chart=flow] .mark-line path")
    return lines.evaluate_all("nodes => nodes.map(n => +n.getAttribute('stroke-width'))")


def colours(page) -> list[str]:
    lines = page.locator("[data-chart=flow] .mark-line path")
    return lines.evaluate_all("nodes => nodes.map(n => n.getAttribute('stroke'))")


@pytest.mark.browser
def test_a_circuit_is_a_flow_of_weights(show):
    page = show(circuit)
    first, second = (layer.weight.sum((2, 3)).detach() for layer in (tiny.build().b[0], tiny.build().c))
    middle = second[2].abs().topk(2).indices.tolist()
    start = list(dict.fromkeys(int(a) for b in middle for a in first[b].abs().topk(2).indices))
    links = [float(first[b, a]) for a in start for b in middle], [float(second[2, b]) for b in middle]
    found, hues = bands(page), colours(page)
    assert len(found) == len(links[0]) + 2
    for own, drawn in zip(links, (found[:-2], found[-2:]), strict=True):  # each pair of columns on its own scale
        largest = max(map(abs, own))
        within([wide / max(drawn) for wide in drawn], [abs(value) / largest for value in own],
               absolute=0.03, because="a band is at least 0.6 pixels wide, and widths have five digits")  # fmt: skip
    assert len({hue for hue, value in zip(hues, (*links[0], *links[1]), strict=True) if value > 0}) == 1
    signs = {(hue, value > 0) for hue, value in zip(hues, (*links[0], *links[1]), strict=True)}
    assert len(signs) == len({sign for _, sign in signs})  # a colour for each sign
    figure = page.locator("figure.element").first
    assert "The width of a band is the size of the weight" in figure.inner_text()
    best = max(middle, key=lambda b: abs(float(second[2, b])))
    said = f"The largest weight into channel 2 of c is from channel {best} ({float(second[2, best]):+.2f}) of b"
    assert said.replace("-", "−") in page.locator(".lead").first.inner_text()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("[data-chart=flow]").focus()
    page.keyboard.press("ArrowRight")  # the first channel of the first column
    page.wait_for_function("document.querySelector('#status').textContent.trim() !== ''")
    page.keyboard.press("c")
    page.wait_for_function("document.querySelector('#told').textContent.includes('weights(')")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"weights(a, b)[from={start[0]}] | top(8, by=magnitude) | present(featvis)"


@pytest.mark.browser
def test_a_circuit_has_room_on_a_phone_and_a_clicked_channel_keeps_its_own_bands(show):
    page = show(circuit, width=390)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opening = bands(page)
    page.locator("[data-chart=flow]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash.includes('a+channel=')")
    page.wait_for_function(
        "before => [...document.querySelectorAll('[data-chart=flow] .mark-line path')]"
        ".some((n, i) => +n.getAttribute('stroke-width') < before[i])", arg=opening)  # fmt: skip
