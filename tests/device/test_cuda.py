"""What CUDA computes is what the CPU computes: every method of attribution, links, groups and measures of trust.

Skipped where there is no CUDA device. ``BBI_OTHER_DEVICE=cpu`` runs the comparison of the CPU with itself.
"""

import os

import numpy as np
import pytest
import torch

from bbilang import run
from bbilang.registry import registry
from bbilang.runtime.fields.field import Linked

OTHER = os.environ.get("BBI_OTHER_DEVICE", "cuda")
pytestmark = pytest.mark.skipif(OTHER == "cuda" and not torch.cuda.is_available(), reason="there is no CUDA device")

# Shorter than their defaults; `cam` needs the layer in front of the pooled scores.
ARGUMENTS = {
    "integrated_gradients": "integrated_gradients(n_steps=8)",
    "smoothgrad": "smoothgrad(n_samples=4)",
    "vargrad": "vargrad(n_samples=4)",
    "occlusion": "occlusion(window=64, stride=64)",
    "rise": "rise(n_masks=32)",
    "meaningful_perturbation": "meaningful_perturbation(steps=20)",
    "extremal_perturbation": "extremal_perturbation(steps=20)",
}
# What leaps (a mask learnt by many steps, the order of nearly equal atoms) may differ by more than roundings.
LOOSE = {"meaningful_perturbation": 0.05, "extremal_perturbation": 0.05}
OTHERS = {
    "scores": "output[top(5)] | present(bars)",
    "channels": 'block6a.expand.channel | attribute(output["tiger cat"]) | present(bars)',
    "positions": "block5a.expand.spatial | attribute(output[top(3)]) | present(matrix)",
    "groups": "block5c.expand | factorize(nmf, 4) | attribute(output[top(3)]) | present(matrix)",
    "links": (
        "late = block5c.expand | factorize(nmf, 3)\nearly = block4c.expand | factorize(nmf, 3, compatible=late)\n"
        "[early, late, output[top(3)]] | link() | present(sankey)"
    ),
    "deletion": "block6a.expand.channel | attribute(output) | trust(deletion) | present(curve)",
    "path": "block6a.expand.channel | attribute(output) | trust(path_dependence) | top(8) | present(bars)",
}
MODEL = 'model efficientnet_lite0\ninput "sample:chelsea"\n'


def numbers(text, device):
    results = run(MODEL + text + "\n", device=device, cache=False).results
    (field,) = results.fields.values()
    assert torch.device(results.adapter.device).type == torch.device(device).type
    if isinstance(field, Linked):
        return np.concatenate([np.asarray(pair.values.data, float).ravel() for pair in field.pairs])
    return np.asarray(field.values.data, float)


def same(text, share):
    cpu, other = numbers(text, "cpu"), numbers(text, OTHER)
    assert cpu.shape == other.shape and np.array_equal(np.isnan(cpu), np.isnan(other))
    scale = np.nanmax(np.abs(cpu))
    worst = np.nanmax(np.abs(cpu - other)) / scale
    print(f"largest difference {worst:.1e} of the largest magnitude: {text}")
    assert scale > 0 and worst <= share


@pytest.mark.parametrize("name", sorted(set(registry().methods) - {"smooth_pool", "relaxed_pool"}))
def test_methods(name):
    """Float32 on both; ReLU6 of a value that is 6 or 0 up to a rounding may open on one and not on the other."""
    method = ARGUMENTS.get(name, name)
    at = {"cam": "head.spatial", "excitation_backprop": "stem.spatial"}.get(name, "input.pixel")
    same(f"{at} | attribute(output, method={method}) | present(heatmap)", LOOSE.get(name, 2e-3))


@pytest.mark.parametrize("name", OTHERS)
def test_elements(name):
    same(OTHERS[name], 2e-3)
