"""Heads that change in a `model` statement equal a network whose projection does not read them."""

import copy

import numpy as np
import pytest
import torch
from by_hand_heads import OfTorch, drawn, vit

import bbilang
from bbilang.runtime.models.adapt import adapt

NETWORKS = {  # name -> (network, its attention, the projection, the size of a picture)
    "torch": (lambda: drawn(OfTorch(True)), "attn", "attn.out_proj", 24),
    "torch, tokens first": (lambda: drawn(OfTorch(False)), "attn", "attn.out_proj", 24),
    "vit": (lambda: vit("eager"), "vit.layers.1.attention", "", 32),
}


def scores(network, image):
    with torch.no_grad():
        result = network(image[None])
    return getattr(result, "logits", result)[0].numpy()


def without(network, path, heads):
    """A copy whose projection at a path reads nothing of some of four heads."""
    network = copy.deepcopy(network)
    weight = network.get_submodule(path).weight
    with torch.no_grad():
        weight.view(len(weight), 4, -1)[:, heads] = 0
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_heads_of_a_derived_model(name):
    make, attention, path, size = NETWORKS[name]
    network, image = make(), torch.rand(3, size, size, generator=torch.Generator().manual_seed(0))
    model = adapt(network, (size, size), name="net")
    heads = model.description.heads
    attention = next(own for own in heads if own == attention or own.endswith("1.attention"))
    path = path or model.description.by_name[heads[attention]].module.rpartition(".")[0]
    text = f"model a = net\nmodel b = a | ablate({attention}.head[2])\nmodel c = b | ablate({attention}.head[0])\n"
    text += "".join(f"{one} = {one}:output.class | present(table)\n" for one in "abc").replace("= a:", "= a:")
    text = text.replace("\na = ", "\nshow_a = ").replace("\nb = ", "\nshow_b = ").replace("\nc = ", "\nshow_c = ")
    text += f"left = b:{attention}.head | ablate(zero) | effect(b:output.class) | present(table)\n"
    results = bbilang.run(text, model=model, input=image, cache=False).results
    expected = [scores(network, image)] + [scores(without(network, path, own), image) for own in ([2], [0, 2])]
    for one, numbers in zip("abc", expected, strict=True):
        found = results.fields[f"show_{one}"].values.ordered(("input", "class")).data[0]
        np.testing.assert_allclose(found, numbers, rtol=0, atol=2e-6 * np.abs(numbers).max())
    left = results.fields["left"].values.ordered(("input", "head", "class")).data[0]
    largest = np.abs(expected[1]).max()
    np.testing.assert_allclose(left[2], 0, rtol=0, atol=2e-6 * largest)  # it is gone already
    np.testing.assert_allclose(left[0], expected[2] - expected[1], rtol=0, atol=4e-6 * largest)
    np.testing.assert_array_equal(scores(network, image), expected[0], "the base stays as it is")
