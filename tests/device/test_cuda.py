"""CUDA gives the CPU's numbers: every attribution method, links, groups and trust measures.

In float64 the two agree to a millionth of the largest magnitude: this shows that the code is right on both. In float32,
in which pages are made, a ReLU6 whose input is 0 or 6 up to a rounding passes a gradient on one device and not on the
other. Most methods agree there to 0.2 % as well; those that sum such gradients along a path or in many steps differ
at single pixels by more, and are compared as whole maps.

Skipped where there is no CUDA device. ``BBI_OTHER_DEVICE=cpu`` compares the CPU with itself, in float32 with other
kernels (without oneDNN): integrated gradients, smoothgrad and vargrad then differ by as much as on an H200.
"""

import os
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from bbilang import check, optimize, parse, plan, run
from bbilang.registry import registry
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.fields.field import Linked
from bbilang.runtime.inputs.load import picture_of
from bbilang.runtime.models.loading import load

OTHER = os.environ.get("BBI_OTHER_DEVICE", "cuda")
pytestmark = pytest.mark.skipif(OTHER == "cuda" and not torch.cuda.is_available(), reason="there is no CUDA device")

# Shorter than their defaults.
ARGUMENTS = {
    "integrated_gradients": "integrated_gradients(n_steps=8)",
    "smoothgrad": "smoothgrad(n_samples=4)",
    "vargrad": "vargrad(n_samples=4)",
    "occlusion": "occlusion(window=32, stride=32)",
    "rise": "rise(n_masks=32)",
    "meaningful_perturbation": "meaningful_perturbation(steps=20)",
    "extremal_perturbation": "extremal_perturbation(steps=20)",
}
AT = {"cam": "head.spatial", "excitation_backprop": "stem.spatial"}  # `cam` needs the layer before the pooled scores
METHODS = {
    name: f"{AT.get(name, 'input.pixel')} | attribute(output, method={ARGUMENTS.get(name, name)}) | present(heatmap)"
    for name in sorted(set(registry().methods) - {"smooth_pool", "relaxed_pool"})
}
ELEMENTS = {
    "scores": "output[top(5)] | present(bars)",
    "channels": 'block6a.expand.channel | attribute(output["tiger cat"]) | present(bars)',
    "positions": "block5a.expand.spatial | attribute(output) | present(heatmap)",
    "groups": "block5c.expand | factorize(nmf, 4) | attribute(output[top(3)]) | present(matrix)",
    "links": (
        "late = block5c.expand | factorize(nmf, 3)\nearly = block4c.expand | factorize(nmf, 3, compatible=late)\n"
        "[early, late, output[top(3)]] | link() | present(sankey)"
    ),
    "deletion": "block6a.expand.channel | attribute(output) | trust(deletion) | present(curve)",
    "path": "block6a.expand.channel | attribute(output) | top(8) | trust(path_dependence) | present(bars)",
}
TEXTS = METHODS | ELEMENTS
# In float32 single pixels leap: least correlation of the two maps, largest median difference. Adam moves the cells of a
# mask by its whole rate even where their gradients are roundings: another target's mask has a correlation of -0.1.
GRADIENTS, MASK = (0.9999, 1e-6), (0.97, 0.03)
LEAPING = {
    "integrated_gradients": GRADIENTS, "smoothgrad": GRADIENTS, "vargrad": GRADIENTS, "meaningful_perturbation": MASK,
    "extremal_perturbation": MASK,
}  # fmt: skip
MODEL, PICTURE = "efficientnet_lite0", "sample:chelsea"
SIZE = 64  # pixels in float64, which is slow on a CPU
EXACT, ROUNDED = 1e-6, 2e-3  # of the largest magnitude, in float64 and in float32


def source(text, setting=""):
    return f'model {MODEL}\n{setting}input "{PICTURE}"\n{text}\n'


@cache
def network(device):
    """The demo's network in float64, with its own layers and labels."""
    adapter = load(MODEL).with_preprocess(size=SIZE, crop=SIZE)
    return replace(adapter, module=deepcopy(adapter.module).double().to(device))


def in_float32(text, device):
    results = run(source(text), device=device, cache=False).results
    assert torch.device(results.adapter.device).type == torch.device(device).type
    return values(results)


def in_float64(text, device):
    """The picture is float64 too: between it and a path, noise or a mask, nothing is rounded to float32."""
    program = optimize(check(parse(source(text, f"set preprocess(size={SIZE}, crop={SIZE})\n"))))
    adapter = replace(network(device), description=program.description)
    picture = picture_of(PICTURE, PICTURE, adapter)
    pictures = [replace(picture, image=picture.image.double())]
    return values(execute(plan(program), registry(), adapter, pictures, icons=lambda *_: []))


def affordable(name):
    """A text that the CPU runs in seconds: one method takes a backward pass for each of 1000 classes."""
    text = TEXTS[name]
    return text.replace("input.pixel", "block7a.spatial") if name == "competitive_input_x_gradient" else text


def values(results):
    (field,) = results.fields.values()
    if isinstance(field, Linked):
        return np.concatenate([np.asarray(pair.values.data, float).ravel() for pair in field.pairs])
    return np.asarray(field.values.data, float).ravel()


def differences(compute, text):
    """Both results where they are numbers, and how far they differ, as a share of the largest magnitude."""
    cpu = compute(text, "cpu")
    with torch.backends.mkldnn.flags(enabled=False) if OTHER == "cpu" else nullcontext():
        other = compute(text, OTHER)
    assert cpu.shape == other.shape and np.array_equal(np.isnan(cpu), np.isnan(other))
    cpu, other = cpu[~np.isnan(cpu)], other[~np.isnan(other)]
    assert np.abs(cpu).max() > 0
    return cpu, other, np.abs(cpu - other) / np.abs(cpu).max()


@pytest.mark.parametrize("name", TEXTS)
def test_in_float64(name):
    *_, differing = differences(in_float64, affordable(name))
    print(f"largest difference {differing.max():.1e}: {name}")
    assert differing.max() <= EXACT


@pytest.mark.parametrize("name", TEXTS)
def test_in_float32(name):
    cpu, other, differing = differences(in_float32, affordable(name) if OTHER == "cpu" else TEXTS[name])
    correlation, median = np.corrcoef(cpu, other)[0, 1], np.median(differing)
    print(f"largest {differing.max():.1e}, median {median:.1e}, correlation {correlation:.6f}: {name}")
    if name in LEAPING:
        least, most = LEAPING[name]
        assert correlation >= least and median <= most
    else:
        assert differing.max() <= ROUNDED
