"""The peers, each used as its documentation shows. What cannot be imported is listed with the reason and left out.

They get the network as their users have it (`work.theirs`), the normalized picture, and the same layers and classes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from benchmarks import work
from benchmarks.harness import Numbers, Way

MODULES = {
    "captum": "captum.attr",
    "lucent": "lucent.optvis.render",
    "grad-cam": "pytorch_grad_cam",
    "nnsight": "nnsight",
    "zennit": "zennit.composites",
    "torchray": "torchray.attribution.extremal_perturbation",
}
OPERATORS = ("nms", "qnms")
SEEDS_APART = 10_000  # more than a layer has channels: a channel has its own seeds
_library: list[Any] = []


def define_missing_operators() -> None:
    """Declare the two operators that torchvision's Python part needs to import when its CUDA wheel stands beside a CPU
    torch. They have no code, and nothing here calls them."""
    import torch

    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in importlib.sys.modules if name.partition(".")[0] == "torchvision"]:
            del importlib.sys.modules[name]
        _library.append(torch.library.Library("torchvision", "DEF"))
        for name in OPERATORS:
            _library[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


@cache
def reason_missing(peer: str) -> str:
    """Return why a peer is not available here; empty where it is."""
    try:
        if peer != "captum":
            define_missing_operators()
        importlib.import_module(MODULES[peer])
    except (ImportError, RuntimeError, OSError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def ways(
    requested: Mapping[str, tuple[str, Callable[[], Any]]],
    numbers: Callable[[Any], Numbers],
    shares: Mapping[str, float] | None = None,
) -> tuple[tuple[Way, ...], dict[str, str]]:
    """Return (available ways as name -> (peer, work), name -> why a way is not available)."""
    offered, missing = [], {}
    for name, (peer, each) in requested.items():
        if reason := reason_missing(peer):
            missing[name] = reason
        else:
            offered.append(Way(name, "beside", each, numbers, (shares or {}).get(name, 1.0)))
    return tuple(offered), missing


def _layer(path: str) -> Any:
    return work.theirs().get_submodule(path)


def captum_linear(paths: Sequence[str], classes: Sequence[int], together: bool) -> dict[str, np.ndarray]:
    """Return layer -> (class, channel): one call per class with a list of layers, or one per class and layer."""
    from captum.attr import LayerGradientXActivation

    rows: dict[str, list[np.ndarray]] = {path: [] for path in paths}
    for index in classes:
        if together:
            method = LayerGradientXActivation(work.theirs(), [_layer(path) for path in paths])
            attributions = method.attribute(work.normalized(), target=index)
        else:
            attributions = [
                LayerGradientXActivation(work.theirs(), _layer(path)).attribute(work.normalized(), target=index)
                for path in paths
            ]
        for path, each in zip(paths, attributions, strict=True):
            rows[path].append(each.detach()[0].sum((1, 2)).numpy())
    return {path: np.stack(each) for path, each in rows.items()}


def captum_positions(path: str, classes: Sequence[int]) -> np.ndarray:
    """Return (y * x, class): one call per class."""
    from captum.attr import LayerGradientXActivation

    method = LayerGradientXActivation(work.theirs(), _layer(path))
    return np.stack(
        [method.attribute(work.normalized(), target=c).detach()[0].sum(0).flatten().numpy() for c in classes], 1
    )


def captum_integrated_gradients(path: str, index: int, n_steps: int) -> Any:
    """Return (channel, y, x); the path starts at the layer's activation on a black picture, and Gauss-Legendre is
    Captum's default."""
    import torch
    from captum.attr import LayerIntegratedGradients

    method = LayerIntegratedGradients(work.theirs(), _layer(path))
    black = work.adapter().normalize(torch.zeros_like(work.picture())[None])
    return method.attribute(work.normalized(), black, target=index, n_steps=n_steps).detach()[0]


def lucent(layer: str, channels: Sequence[int], steps: int) -> list[np.ndarray]:
    """Return icons as uint8 (y, x, rgb), one after another."""
    return [lucent_pictures(layer, channel, (steps,))[0] for channel in channels]


def lucent_pictures(layer: str, channel: int, thresholds: Sequence[int], seed: int = 0) -> list[np.ndarray]:
    """Return an icon as uint8 (y, x, rgb) after each number of steps, with torch-lucent's defaults: 128 px, shown to
    the network at 224.

    Its own normalization is ImageNet's mean and deviation; this network's takes its place.
    """
    import copy

    import torch
    from lucent.optvis import param, render, transform

    np.random.seed(channel + SEEDS_APART * seed)
    torch.manual_seed(channel + SEEDS_APART * seed)
    rendered = render.render_vis(
        copy.deepcopy(work.theirs()),  # its hooks stay on the module
        f"{layer.replace('.', '_')}:{channel}",
        param_f=lambda: param.image(128),
        transforms=[*transform.standard_transforms, work.adapter().normalize],
        thresholds=tuple(thresholds),
        preprocess=False,
        progress=False,
        show_image=False,
    )
    return [(np.asarray(each)[0] * 255).round().astype(np.uint8) for each in rendered]
