"""Names of models outside of the registry: permission to run code, missing libraries, what is read how."""

import importlib.util
import sys
import textwrap

import pytest
import torch
from closeness import close_to
from safetensors.torch import save_file
from torch import nn

import bbilang
from bbilang.cli.app import main
from bbilang.runtime.models.descriptions import describe
from bbilang.runtime.models.loading import load
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.models.sources.from_transformers import preprocess_of
from bbilang.runtime.models.sources.permission import code_allowed
from bbilang.runtime.models.sources.source import source_of

NETWORK = """
    import torch
    from torch import nn

    def make():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))

    def adapted():
        import bbilang
        from bbilang.runtime.models.preprocess import Preprocess
        labels = ["ant", "bee", "cat", "dog", "elk"]
        return bbilang.adapt(make(), (32, 32), Preprocess(40, (32, 32), std=(0.5, 0.5, 0.5)), labels=labels)

    def broken():
        raise RuntimeError("no such thing")

    def wrong():
        return 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "my_networks.py").write_text(textwrap.dedent(NETWORK))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("my_networks", None)


@pytest.fixture
def exported(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 16, 16),)), path)
    return module, path


def test_code_needs_a_permission(mine, exported, fails):
    for name in ("my_networks:make", "os:getcwd", str(exported[1])):
        for action in (describe, load):
            with fails("E409", "runs code of its own", "--allow-code"):
                action(name)
    assert "my_networks" not in sys.modules
    with code_allowed(False), fails("E409"):
        describe("my_networks:make")


def test_a_text_allows_nothing(mine, fails, capsys):
    (mine / "page.bbi").write_text('model "my_networks:make"\ninput "sample:chelsea"\n0.channel | present(bars)\n')
    assert main(["check", "page.bbi"]) == 1
    assert "E409" in capsys.readouterr().err
    assert "my_networks" not in sys.modules
    assert main(["layers", "my_networks:make", "--allow-code"]) == 0
    assert main(["layers", "my_networks:make"]) == 1  # it was allowed to that call alone


def test_a_factory(mine):
    with code_allowed():
        description, adapter = describe("my_networks:make"), load("my_networks:make")
        again = load("my_networks:make", "random", seed=3)
    assert [layer.name for layer in description.layers] == ["0", "1", "2", "3", "4"]
    assert description.input_size == (224, 224) and description.classes == 5
    assert adapter.description == description and not any(p.requires_grad for p in adapter.module.parameters())
    assert again.random and again.fingerprint != adapter.fingerprint


def test_a_factory_of_an_adapter(mine):
    with code_allowed():
        adapter = load("my_networks:adapted")
    assert adapter.description.labels[2] == "cat" and adapter.description.input_size == (32, 32)
    assert adapter.preprocess == Preprocess(40, (32, 32), std=(0.5, 0.5, 0.5))


def test_a_page_of_a_factory(mine):
    text = 'model "my_networks:adapted"\ninput "sample:chelsea"\noutput.class | present(bars)\n'
    with code_allowed():
        page = bbilang.run(text, cache=False)
    assert {label for label, _ in page.view.predictions[0].top} <= {"ant", "bee", "cat", "dog", "elk"}


def test_factories_that_fail(mine, fails):
    with code_allowed():
        with fails("E408", "failed: RuntimeError: no such thing"):
            describe("my_networks:broken")
        with fails("E408", "gives a int"):
            describe("my_networks:wrong")
        with fails("E401", "has no function `nothing`"):
            describe("my_networks:nothing")
        with fails("E401", "cannot be imported"):
            describe("no_such_package.networks:make")


def test_an_exported_program(exported):
    module, path = exported
    with code_allowed():
        adapter = load(str(path))
    assert [layer.name for layer in adapter.description.layers] == ["0", "1", "2", "3", "4"]
    assert adapter.description.input_size == (16, 16) and adapter.description.classes == 3
    image = torch.rand(1, 3, 16, 16)
    close_to(adapter.module(adapter.normalize(image)), module(image))


def test_damaged_programs(tmp_path, fails):
    (tmp_path / "broken.pt2").write_bytes(b"not a program")
    with code_allowed():
        with fails("E403", "broken.pt2 is no program of torch.export"):
            describe(str(tmp_path / "broken.pt2"))
        with fails("E401", "there is no file"):
            describe(str(tmp_path / "missing.pt2"))


def test_libraries_that_are_not_there(fails, monkeypatch):
    real = importlib.util.find_spec
    gone = ("timm", "torchvision", "transformers")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in gone else real(name, *a))
    for library in gone:
        with fails("E410", f"{library} is not installed", "pip install 'bbilang[models]'"):
            describe(f"{library}:resnet50")


def test_a_library_that_cannot_be_imported(fails, monkeypatch, tmp_path):
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with fails("E410", "cannot be imported: operator torchvision::nms does not exist", "belong together"):
        load("timm:resnet18")


def test_which_names_are_whose():
    assert source_of("efficientnet_lite0") is None and source_of("C:/weights") is None
    assert source_of("timm:resnet50").__name__.endswith("from_timm")
    assert source_of("a.b:c").__name__.endswith("from_code") and source_of("x/net.pt2").__name__.endswith("from_code")
    assert describe("torchvision:googlenet").name == "googlenet"  # the registry's own


class Config:
    image_size = 224


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"size": {"height": 224, "width": 224}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2},
         Preprocess(224, (224, 224), "bilinear", (0.5,) * 3, (0.5,) * 3, True)),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True,
          "resample": 3, "image_mean": [0.4, 0.4, 0.4], "image_std": [0.2, 0.2, 0.2]},
         Preprocess(256, (224, 224), "bicubic", (0.4,) * 3, (0.2,) * 3)),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3},
         Preprocess(256, (224, 224), "bicubic", (0.5,) * 3, (0.5,) * 3)),
        ({"size": 224, "do_normalize": False}, Preprocess(224, (224, 224), "bilinear", squashed=True)),
        ({}, Preprocess(224, (224, 224), "bilinear", (0.5,) * 3, (0.5,) * 3, True)),
    ],
)  # fmt: skip
def test_preprocessing_of_transformers(options, expected):
    assert preprocess_of(options, Config()) == expected


def test_a_squashed_picture_keeps_its_edges():
    import numpy as np
    from PIL import Image

    picture = Image.new("RGB", (300, 100), "white")
    picture.paste("red", (0, 0, 30, 100))
    shown = Preprocess(64, (64, 64), squashed=True).display(picture)
    assert shown.shape == (64, 64, 3)
    np.testing.assert_array_equal(shown[32, 2], (255, 0, 0))
    assert Preprocess(64, (64, 64)).display(picture)[32, 2].tolist() == [255, 255, 255]


def test_weights_of_a_file_for_a_factory(mine, fails):
    with code_allowed():
        adapter = load("my_networks:make")
        state = {name: tensor * 2 for name, tensor in adapter.module.state_dict().items()}
        save_file(state, mine / "twice.safetensors")
        twice = load("my_networks:make", mine / "twice.safetensors")
        assert twice.weights == "twice.safetensors: 4 tensors"
        close_to(twice.module[0].weight, adapter.module[0].weight * 2)
        save_file({"0.weight": state["0.weight"]}, mine / "half.safetensors")
        with fails("E404", "does not fit"):
            load("my_networks:make", mine / "half.safetensors")
