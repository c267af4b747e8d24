"""Every intervention equals a hook by hand, on residual, concatenating and attention networks, at cuts and branches."""

from __future__ import annotations

import blocks
import numpy as np
import pytest
import torch
from by_hand import activation, effects, mask, positions, scores

from bbilang.grammar.diagnostic import BbiError

PLACES = {  # network, layer -> whether it is a cut or a branch
    ("residual", "stem"): "cut",
    ("residual", "body.two"): "branch",
    ("concatenation", "stem"): "cut",
    ("concatenation", "body.left"): "branch",
    ("attention", "body.out"): "branch",
    ("attention", "body.sum"): "cut",
}
AVERAGED = {("attention", "body.out"), ("attention", "body.sum")}  # what follows reads their mean over tokens alone
ATOMS = {"channel": ("channel",), "spatial": ("y", "x"), "token": ("token",), "whole": ()}
STAGES = {
    "ablate(zero)": "zero",
    "ablate(position_mean)": "position_mean",
    "steer(2)": "steer 2",
    "steer(-0.5)": "steer -0.5",
}


DRAWN = {"channel": "matrix", "token": "matrix", "spatial": "heatmap, facet=class", "whole": "bars"}


def sizes(name: str, layer: str, atom: str) -> tuple[int, ...]:
    described = blocks.adapter(name).description.by_name[layer]
    return tuple(described.sizes[axis] for axis in ATOMS[atom])


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=2e-6, rtol=1e-6)


def atoms_of(name: str, layer: str) -> tuple[str, ...]:
    tokens = "token" in blocks.adapter(name).description.by_name[layer].axes
    return ("channel", "whole", "token" if tokens else "spatial")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_one_at_a_time(name, layer, stage):
    assert blocks.adapter(name).description.place(layer) == PLACES[name, layer]
    for atom in atoms_of(name, layer):
        text = f"{layer}.{atom} | {stage} | effect(output.class) | present({DRAWN[atom]})"
        if stage == "ablate(position_mean)" and (name, layer) in AVERAGED and atom != "token":
            with pytest.raises(BbiError, match="E540"):
                blocks.attributed(text, name)
            continue
        found = blocks.attributed(text, name, True, 0, *ATOMS[atom], "class")
        sets = [[index] for index in np.ndindex(sizes(name, layer, atom))]
        close(found, effects(blocks.block(name), blocks.image(), layer, atom, STAGES[stage], sets))


@pytest.mark.parametrize("stage", ["ablate(zero, together=true)", "steer(2, together=true)"])
@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_together(name, layer, stage):
    how = "zero" if "zero" in stage else "steer 2"
    for atom in atoms_of(name, layer)[::2]:
        chosen = f"{layer}.{atom} | activation | top(3, along={ATOMS[atom][0]})" if len(ATOMS[atom]) == 1 else (
            f"{layer}.{atom} | activation | top(3)")  # fmt: skip
        found = blocks.attributed(f"{chosen} | {stage} | effect(output.class) | present(bars)", name)
        values = activation(blocks.block(name), blocks.image(), layer)
        tokens = "token" in atoms_of(name, layer)
        if atom == "channel":
            strength = values.sum(0) if tokens else values.sum((1, 2))
        else:
            strength = np.linalg.norm(values, axis=1 if tokens else 0)
        best = np.argsort(-strength.ravel(), kind="stable")[:3]
        sets = [[tuple(int(n) for n in np.unravel_index(index, strength.shape)) for index in best]]
        close(found, effects(blocks.block(name), blocks.image(), layer, atom, how, sets)[0])


def test_neurons_one_at_a_time():
    text = "stem.neuron | activation | top(5) | ablate(zero) | effect(output.class) | present(matrix)"
    found = blocks.attributed(text, "residual", True, 0, "neuron", "class")
    values = activation(blocks.block("residual"), blocks.image(), "stem")
    best = np.argsort(-values.transpose(1, 2, 0).ravel(), kind="stable")[:5]
    sets = [[tuple(int(n) for n in np.unravel_index(index, (6, 6, 4)))] for index in best]
    close(found, effects(blocks.block("residual"), blocks.image(), "stem", "neuron", "zero", sets))


@pytest.mark.parametrize("name", ["residual", "concatenation", "attention"])
def test_the_plain_plan_gives_the_same(name):
    for text in (
        "stem.channel | attribute(output) | top(2) | ablate(zero) | effect(output) | present(bars)",
        "stem.channel | attribute(output) | top(2) | ablate(zero, together=true) | effect(output) | present(number)",
        "stem.spatial | attribute(output) | top(3) | steer(1.5) | effect(output[1] - output[2]) | present(bars)",
        "stem.channel | ablate(noise) | effect(output[1, score=probability]) | present(bars)",
    ):
        fast, slow = (blocks.attributed(text, name, optimized=way) for way in (True, False))
        np.testing.assert_allclose(fast, slow, atol=3e-6)  # float32, of scores about 5


@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_noise_one_at_a_time(name, layer):
    """The mean effect of eight draws of normal noise with each channel's mean and deviation over positions."""
    text = f"{layer}.channel | ablate(noise) | effect(output.class) | present(matrix)"
    found = blocks.attributed(text, name, True, 0, "channel", "class")
    network, image = blocks.block(name), blocks.image()
    own, where = activation(network, image, layer), positions(layer)
    normal = np.random.default_rng([0, 5]).standard_normal((8, 1, *own.shape), np.float32)[:, 0]
    noises = own.mean(where, keepdims=True) + own.std(where, keepdims=True) * normal
    before = scores(network, image, layer, None)
    for channel in range(len(found)):
        chosen = mask(own.shape, layer, "channel", (channel,))
        rows = [scores(network, image, layer, lambda a, n=n, c=chosen: a + c * (n - a)) - before for n in noises]
        close(found[channel], np.mean(rows, 0))


@pytest.mark.parametrize("name", ["residual", "concatenation", "attention"])
def test_an_effect_on_a_later_layer(name):
    later = {"residual": "body.sum", "concatenation": "body.join", "attention": "body.sum"}[name]
    text = f"stem.channel | ablate(zero) | effect({later}.channel) | present(matrix)"
    found = blocks.attributed(text, name, True, 0, "channel", "to.channel")
    network, image = blocks.block(name), blocks.image()
    before = activation(network, image, later)
    for channel in range(4):
        handle = network.stem.register_forward_hook(
            lambda m, a, r, c=channel: r * (torch.arange(4) != c)[:, None, None]
        )
        after = activation(network, image, later)
        handle.remove()
        np.testing.assert_allclose(
            found[channel], (after - before).sum((0,) if before.ndim == 2 else (1, 2)), atol=1e-5
        )
