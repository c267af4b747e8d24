"""The page of weights: its numbers, which a network's parameters give without a picture."""

from __future__ import annotations

import pytest
import torch

from bbilang.runtime.models.loading import load

pytestmark = pytest.mark.browser


def test_what_a_neuron_multiplies(read, shown):
    reader = read("what_a_neuron_multiplies")
    module = load("efficientnet_lite0").module
    names = {layer.name: layer.module for layer in load("efficientnet_lite0").description.layers}
    modules = dict(module.named_modules())
    convolution, norm = (layer for layer in modules[names["block5c.project"]].children())
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weights = (convolution.weight[:, :, 0, 0] * scale[:, None]).detach().double()
    into = weights[3]
    order = into.argsort(descending=True).tolist()
    expected = [*order[:4], *order[-4:]]
    assert reader.atoms("icons", "channel").ravel().tolist() == expected
    shown(reader.numbers("icons"), into[expected].numpy())
    assert len(reader.pictures("icons")) == 8
    best = weights.abs().argmax()
    to, start = divmod(int(best), weights.shape[1])
    assert f"from channel {start} to channel {to}" in reader.words("pairs")
    assert f"channel {order[0]}" in reader.words("kernel") and "in the middle" in reader.words("kernel")
