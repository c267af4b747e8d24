"""Initial states of selections: what their element shows in its present state, in Python and in the page alike."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.runtime.view.states import answer_of, elements, start_choices

CHANNELS, CLASSES = 8, 4
STRONGEST = "c = pick(output[top(3)])\nit = late.channel | attribute(output[c]) | top(3) | present(bars)\n"


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """A layer `late` of 8 channels on 8 x 8 positions after ReLU, then the mean and 4 classes."""
    torch.manual_seed(3)
    parts = {"conv": nn.Conv2d(3, CHANNELS, 3, padding=1, stride=2), "late": nn.ReLU()}
    parts |= {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "scores": nn.Linear(CHANNELS, CLASSES)}
    return nn.Sequential(OrderedDict(parts)).eval()


def pictures(count: int) -> list[torch.Tensor]:
    """Pictures of different colours, so that the likeliest class differs."""
    return [torch.rand(3, 1, 1, generator=torch.Generator().manual_seed(s)).expand(3, 16, 16) for s in range(count)]


def started(page: bbilang.Page, selection: str, **chosen: int) -> str:
    (found,) = (it for it in page.view.selections if it.id == selection)
    number = start_choices(page.view, chosen)[selection]
    return "" if number is None else found.atoms[number].label


@pytest.mark.parametrize("number", [2, 7])
def test_a_number_counts_the_atoms_of_the_state_that_is_shown(net, number):
    text = f"{STRONGEST}late.neuron | activation | at(hover(it, start={number})) | present(heatmap)"
    page = bbilang.run(text, model=net, input=pictures(1)[0], cache=False)
    with torch.no_grad():
        late = net[:2](pictures(1)[0][None]).mean((2, 3))[0]
        order = net(pictures(1)[0][None])[0].argsort(descending=True)
    firsts = []
    for state in range(3):
        strength = (late * net.scores.weight[order[state]]).detach().numpy()
        wanted = np.argsort(-strength, kind="stable")[:3][min(number, 2)]
        assert started(page, "hover-it", c=state) == f"channel {wanted}"
        firsts.append(wanted)
    assert len(set(firsts)) > 1, "planted: the states differ"


FLOW = "groups = late | factorize(nmf, 2)\nflow = [groups, output[top(3)]] | link() | present(sankey)"


@pytest.fixture(scope="module")
def flows(net) -> bbilang.Page:
    return bbilang.run(FLOW, model=net, input=pictures(6), cache=False)


def test_a_flow_starts_at_the_likeliest_class_of_the_input_that_is_shown(net, flows):
    best = [int(net(picture[None])[0].argmax()) for picture in pictures(6)]
    assert len(set(best)) > 1, "planted: the likeliest classes differ"
    assert [started(flows, "flow", input=k) for k in range(6)] == [f"class {k}" for k in best]


@pytest.mark.browser
def test_the_page_starts_where_python_says(net, flows, chromium, tmp_path):
    text = f"{STRONGEST}late.neuron | activation | at(hover(it, start=2)) | present(heatmap)"
    ranks = bbilang.run(text, model=net, input=pictures(1)[0], cache=False)
    for page, menu, selection, count in ((flows, "input", "flow", 6), (ranks, "c", "hover-it", 3)):
        tab = chromium.new_page()
        tab.goto(page.save(tmp_path / f"{menu}.html").as_uri())
        tab.wait_for_selector("html[data-ready]")
        for state in range(count):
            tab.locator(f"select[data-selection='{menu}']").select_option(index=state)
            wanted = started(page, selection, **{menu: state})
            if selection == "flow":
                shown = tab.locator("select[data-selection='flow'] option:checked").inner_text()
                assert shown == wanted
            else:
                assert wanted in tab.locator("figure").nth(1).inner_text()
        tab.close()


# ---- sums ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layers", "said"), [("[conv, late]", False), ("late", True)])
def test_numbers_of_layers_one_after_the_other_are_not_added_up(net, layers, said):
    """Each layer has the whole of the score: a sum over two counts it twice."""
    text = f"{layers}.channel | attribute(output) | top(3) | present(bars)"
    (element,) = elements(bbilang.run(text, model=net, input=pictures(1)[0], cache=False).view)
    assert ("add up to" in answer_of(element, 0)) == said


def test_the_largest_number_of_a_matrix_over_pictures_is_for_a_picture(net):
    text = "late.channel | activation(reduce=mean) | present(matrix)"
    (element,) = elements(bbilang.run(text, model=net, input=pictures(3), cache=False).view)
    (frame,) = element.panels[0].frames
    slot, column = np.unravel_index(np.argmax(np.array(frame.values)), (CHANNELS, 3))
    words = answer_of(element, 0)
    assert f", of {element.atoms[frame.atoms[slot]].label} for {frame.series[column]}." in words, words
