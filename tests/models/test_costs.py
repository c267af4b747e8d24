"""FLOPs and kinds of layers in the descriptions, and descriptions at other input sizes."""

import importlib
import json
import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bbilang.compiler.ir.model_description import LayerDescription, ModelDescription
from bbilang.runtime.models import descriptions
from bbilang.runtime.models.adapt import adapt
from bbilang.runtime.models.adapter import describe_module
from bbilang.runtime.models.descriptions import describe
from bbilang.runtime.models.loading import load
from bbilang.runtime.models.registry import MODELS

LAYERS = {
    "efficientnet_lite0": ("stem", "block1a", "block3a.depthwise", "block5c.expand", "block5c", "head"),
    "inceptionv1": ("conv2d0", "maxpool4", "mixed4a.pool", "mixed4d", "mixed5b"),
    "googlenet": ("conv1", "maxpool4", "mixed4d", "mixed5b"),
    "crepe_tiny": ("conv1", "conv4", "pitch"),
}


def on_meta(name):
    with torch.device("meta"):
        return importlib.import_module(MODELS[name].definition).build().eval()


def stopped_forward(module, path, size):
    """FLOPs of a forward that an exception leaves as soon as the layer has its value."""

    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    handle = module.get_submodule(path).register_forward_hook(stop) if path else None
    counter = FlopCounterMode(display=False)
    with counter:
        try:
            with torch.no_grad():
                module(torch.empty(size, device="meta"))
        except Stop:
            pass
    if handle:
        handle.remove()
    return counter.get_total_flops()


@pytest.mark.parametrize("name", MODELS)
def test_costs_are_those_of_stopped_forwards(name):
    description, module = describe(name), on_meta(name)
    shape = (1, *description.input.shape)
    for layer in LAYERS[name]:
        described = description.by_name[layer]
        assert described.flops == stopped_forward(module, described.module, shape), layer
    assert description.flops == stopped_forward(module, "", shape)


def test_costs_by_hand():
    """Twice the multiplications: positions x channels x weights of one channel."""
    layers = describe("efficientnet_lite0").by_name
    stem = 2 * 112 * 112 * 32 * (3 * 3 * 3)
    depthwise = 2 * 112 * 112 * 32 * (3 * 3)
    assert layers["stem"].flops == stem
    assert layers["block1a.depthwise"].flops == stem + depthwise
    assert layers["block1a"].flops == stem + depthwise + 2 * 112 * 112 * 16 * 32
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=True), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    described = adapt(network, (8, 8)).description
    convolution = 2 * 36 * 4 * 27
    assert [layer.flops for layer in described.layers] == [convolution] * 3 + [convolution + 2 * 144 * 5]
    assert described.flops == described.layers[-1].flops


def test_costs_of_attention():
    """The four projections and the two products of attention, for 6 tokens of 8 entries."""

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            tokens = x.flatten(1).reshape(1, 6, 8)
            return self.attention(tokens, tokens, tokens)[0]

    layer = describe_module(Tokens(), (4, 4)).by_name["attention"]
    assert layer.flops == 2 * (4 * 6 * 8 * 8 + 2 * 6 * 6 * 8)


@pytest.mark.parametrize("name", MODELS)
def test_costs_never_fall_along_the_way(name):
    costs = [layer.flops for layer in describe(name).layers]
    assert costs == sorted(costs) and costs[0] > 0 and describe(name).flops >= costs[-1]


def test_kinds():
    layers = describe("efficientnet_lite0").by_name
    kinds = {name: layers[name].kind for name in ("stem", "block5c", "block5c.expand", "head")}
    assert kinds == {"stem": "conv", "block5c": "block", "block5c.expand": "inner", "head": "conv"}
    for name in ("inceptionv1", "googlenet"):
        blocks = [layer.name for layer in describe(name).layers if layer.kind == "block"]
        assert blocks == [f"mixed{ending}" for ending in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")]
        pools = [layer.name for layer in describe(name).layers if layer.kind == "pool"]
        assert len(pools) == 4 and all(pool.startswith("maxpool") for pool in pools)
    assert describe("inceptionv1").by_name["localresponsenorm0"].kind == "norm"
    assert describe_module(nn.Sequential(nn.ReLU()), (4, 4)).by_name["0"].kind == ""


def test_json_is_read_back_and_old_json_too():
    description = describe("googlenet")
    assert ModelDescription.from_json(json.loads(json.dumps(description.to_json()))) == description
    old = {"name": "a", "module": "b", "axes": ["channel"], "shape": [3]}
    read = ModelDescription.from_json({"name": "m", "title": "M", "input_size": [4, 4], "layers": [old], "classes": 0})
    assert read.layers == (LayerDescription("a", "b", ("channel",), (3,)),) and read.labels == ()


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path))
    descriptions._at_size.cache_clear()
    yield tmp_path
    descriptions._at_size.cache_clear()


def test_another_crop(cache_folder):
    small, own = describe("efficientnet_lite0", 192), describe("efficientnet_lite0")
    assert small.input_size == (192, 192) and small.by_name["block5c"].shape == (112, 12, 12)
    assert small.by_name["stem"].flops == 2 * 96 * 96 * 32 * 27 and small.flops < own.flops
    assert small.labels == own.labels and small.aliases == own.aliases
    assert [layer.kind for layer in small.layers] == [layer.kind for layer in own.layers]
    assert [layer.nonnegative for layer in small.layers] == [layer.nonnegative for layer in own.layers]
    wide = describe("inceptionv1", (256, 320))
    assert wide.by_name["mixed4d"].shape == (528, 16, 20) and len(wide.labels) == 1008
    assert describe("inceptionv1", 256).by_name["mixed5b"].shape == (1024, 8, 8)
    assert describe("googlenet", 224) is describe("googlenet") is describe("googlenet", (224, 224))


def test_another_crop_is_that_of_the_adapter(cache_folder):
    adapter = load("efficientnet_lite0", "random").with_preprocess(size=128, crop=96)
    assert adapter.description == describe("efficientnet_lite0", 96)


def test_another_crop_comes_from_the_disk_without_torch(cache_folder):
    first = describe("efficientnet_lite0", 64)
    use = "import sys; from bbilang.runtime.models.descriptions import describe; d = describe('efficientnet_lite0', 64)"
    code = f"{use}; print(d.flops); sys.exit('torch' in sys.modules)"
    environment = os.environ | {"BBI_CACHE_DIR": str(cache_folder)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(run.stdout) == first.flops
