"""Interventions by hand: a hook on the module, one whole forward for each change. Layers are (input, channel, y, x), or
(input, token, channel) where a network has tokens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

TOKENS = ("body.out", "body.mix", "body.sum")


def positions(layer: str) -> tuple[int, ...]:
    """The dimensions of (channel, y, x) or (token, channel) that are positions."""
    return (0,) if layer in TOKENS else (1, 2)


def scores(
    network: torch.nn.Module, image: torch.Tensor, layer: str, change: Callable[[np.ndarray], np.ndarray] | None
):
    """The scores (class,) of one image where the layer's result, without its input axis, is changed."""

    def hook(module, arguments, result):
        return None if change is None else torch.as_tensor(change(result[0].double().numpy())).to(result)[None]

    handle = network.get_submodule(layer).register_forward_hook(hook)
    try:
        with torch.no_grad():
            return network(image[None])[0].double().numpy()
    finally:
        handle.remove()


def activation(network: torch.nn.Module, image: torch.Tensor, layer: str) -> np.ndarray:
    seen = []
    handle = network.get_submodule(layer).register_forward_hook(lambda m, a, result: seen.append(result[0].double()))
    with torch.no_grad():
        network(image[None])
    handle.remove()
    return seen[0].numpy()


def mask(shape: tuple[int, ...], layer: str, atom: str, index: tuple[int, ...]) -> np.ndarray:
    """1 at the entries of one atom."""
    own = np.zeros(shape)
    if atom == "channel":
        own[(slice(None), index[0]) if layer in TOKENS else index[0]] = 1
    elif atom == "token":
        own[index[0]] = 1
    elif atom == "spatial":
        own[:, index[0], index[1]] = 1
    elif atom == "neuron":
        own[index if layer in TOKENS else (index[-1], *index[:-1])] = 1
    else:
        own[:] = 1
    return own


def instead(values: np.ndarray, layer: str, how: str, atom: str) -> np.ndarray:
    """What each entry becomes: "zero", "position_mean" or "steer AMOUNT"."""
    if how == "zero":
        return np.zeros_like(values)
    if how == "position_mean":
        return np.broadcast_to(values.mean(positions(layer), keepdims=True), values.shape)
    amount = float(how.split()[1])
    if atom == "channel":
        return values + amount * np.sqrt((values**2).mean(positions(layer), keepdims=True))
    return values + amount * (np.abs(values) if atom == "neuron" else values)


def effects(network, image, layer, atom, how, sets):
    """The change of all scores (set, class) where the atoms of each set change together."""
    before = scores(network, image, layer, None)
    rows = []
    for atoms in sets:

        def change(values, atoms=atoms):
            chosen = sum(mask(values.shape, layer, atom, index) for index in atoms)
            return values + chosen * (instead(values, layer, how, atom) - values)

        rows.append(scores(network, image, layer, change) - before)
    return np.array(rows)
