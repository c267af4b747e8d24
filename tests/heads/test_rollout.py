"""Attention rollout: equal to the product of the layers, token by token and path by path."""

from itertools import product

import numpy as np
import pytest
import torch
from by_hand_heads import TEXT, Words, bert, gpt2, timm_vit
from libraries import need

import bbilang

LAYERS = {"gpt2": "[h.0.attn, h.1.attn]", "bert": "[layer.1.attention, layer.0.attention]"}


@pytest.mark.parametrize("name", LAYERS)
def test_equal_to_the_sum_over_paths(name):
    """The slow twin adds up every path of two steps, instead of multiplying matrices; layers in any order."""
    need("transformers")
    make, words = {"gpt2": gpt2, "bert": bert}[name], Words()
    labels = ["a", "b", "c"] if name == "bert" else [str(n) for n in range(50)]
    adapter = bbilang.adapt_text(make("sdpa"), words, labels)
    heads = f"{LAYERS[name]}.head"
    text = f"flow = {heads} | rollout | present(matrix)\none = {heads} | rollout(query=4) | present(heatmap)"
    page = bbilang.run(text, model=adapter, input=f"text:{TEXT}", cache=False)
    attentions = make("eager")(torch.tensor([words.read(TEXT)[0]]), output_attentions=True).attentions
    first, second = (layer[0].mean(0).detach().numpy() / 2 + np.eye(6) / 2 for layer in attentions)
    hand = np.zeros((6, 6))
    for query, between, key in product(range(6), repeat=3):
        hand[query, key] += second[query, between] * first[between, key]
    own = np.asarray(page.data("flow").values, np.float64).reshape(6, 6)
    assert np.abs(own - hand).max() < 1e-6 and np.abs(own.sum(1) - 1).max() < 1e-5
    assert np.abs(np.asarray(page.data("one").values).ravel() - hand[4]).max() < 1e-6


def test_over_patches_and_texts_of_two_lengths(fails):
    need("timm", "transformers")
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    pipe = "[blocks.0.attn, blocks.1.attn].head | rollout(query=0, keys=patches) | present(heatmap)"
    page = bbilang.run(
        f"a = {pipe}", model=bbilang.adapt(timm_vit(True), input_size=(32, 32)), input=image, cache=False
    )
    own = np.asarray(page.data("a").values)
    assert own.size == 4 and 0 < own.sum() < 1
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), [str(n) for n in range(50)])
    pipe = "a = [h.0.attn, h.1.attn].head | rollout(query=1) | present(heatmap, facet=input)"
    texts = [f"text:{TEXT}", "text:a dog ran"]
    both = np.asarray(bbilang.run(pipe, model=adapter, input=texts, cache=False).data("a").values)
    each = [
        np.asarray(bbilang.run(pipe, model=adapter, input=one, cache=False).data("a").values).ravel() for one in texts
    ]
    assert np.abs(both[0] - each[0]).max() < 1e-6 and np.abs(both[1, :3] - each[1]).max() < 1e-6
    with fails("E366", "some were left out"):
        bbilang.run("h.1.attn.head | attribute(output) | top(2) | rollout | present(arcs)", model=adapter,
                    input=f"text:{TEXT}", cache=False)  # fmt: skip
