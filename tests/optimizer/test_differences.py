"""A sum or difference of classes is one backward by linearity, at the input and at hidden layers."""

import numpy as np
import pytest
import torch
from closeness import close_to
from torch import nn

import bbilang

torch.manual_seed(0)
PICTURE = torch.rand(3, 10, 10)
NET = nn.Sequential(
    nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 9)
).eval()  # fmt: skip
TERMS = {"output[1] - output[2]": {1: 1, 2: -1}, "output[0] + output[3] + output[5]": {0: 1, 3: 1, 5: 1}}


def product(terms, layer):
    """activation x gradient of a sum of classes, (y, x)."""
    pixels = PICTURE[None].clone().requires_grad_()
    at = pixels if layer is None else NET[: layer + 1](pixels)
    scores = NET[0 if layer is None else layer + 1 :](at)[0]
    (slope,) = torch.autograd.grad(sum(factor * scores[k] for k, factor in terms.items()), at)
    return (slope * at).detach().sum(1)[0]


@pytest.mark.parametrize("to", TERMS)
@pytest.mark.parametrize(("target_layer", "layer"), [("input.pixel", None), ('"0".spatial', 0), ('"2".spatial', 2)])
def test_one_backward(to, target_layer, layer):
    page = bbilang.run(f"{target_layer} | attribute({to}) | present(heatmap)", model=NET, input=PICTURE, cache=False)
    assert page.results.model_passes == (1, 1) and page.results.tangents == 0
    close_to(page.data("element-1").values, product(TERMS[to], layer), roundings=100)


def test_classes_that_are_followed_anyway_serve_their_difference():
    text = 'a = "2".channel | attribute([output[1], output[2]]) | present(matrix)'
    both = f'interface "x" {{ {text}\n b = "2".channel | attribute(output[1] - output[2]) | present(bars) }}'
    page = bbilang.run(both, model=NET, input=PICTURE, cache=False)
    assert sum(page.results.model_passes) + page.results.tangents <= 3
    one, other = page.data("a").values, page.data("b").values
    pair = one if one.shape[0] == 2 else one.T
    close_to(other, pair[0] - pair[1], terms=np.abs(pair).sum(0), roundings=100)


def test_many_differences_of_few_classes_are_made_of_the_classes():
    pairs = ", ".join(f"output[{a}] - output[{b}]" for a in range(3) for b in range(3) if a != b)
    text = f"input.pixel | attribute([{pairs}]) | present(heatmap, facet=class)"
    page = bbilang.run(text, model=NET, input=PICTURE, cache=False)
    assert page.results.model_passes == (1, 3)
