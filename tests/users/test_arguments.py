"""Wrong arguments of every kind to the Python API: an error with a code that names the argument, or it works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brings import brings
from PIL import Image
from torch import nn

import bbilang
from bbilang import BbiError

TEXT = "output.class | present(bars)"


def net(classes: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))


IMAGE = torch.rand(3, 9, 9, generator=torch.Generator().manual_seed(0))


def run(**changes: Any) -> Any:
    given = {"text": TEXT, "model": net(), "input": IMAGE, "cache": False, "device": "cpu"} | changes
    return bbilang.run(given.pop("text"), **given)


def words(code: str, call: Callable[[], Any]) -> str:
    with pytest.raises(BbiError) as caught:
        call()
    assert [d.code for d in caught.value.diagnostics] == [code], str(caught.value)
    return str(caught.value)


class Loader:
    def __iter__(self) -> Any:
        return iter([IMAGE])


WRONG: dict[str, tuple[Any, str, str]] = {  # argument, code, what the message says
    "text: a number": ({"text": 3}, "E423", "`text` is an int"),
    "text: nothing": ({"text": None}, "E423", "`text` is None"),
    "text: no file": ({"text": Path("no_such.bbi")}, "E441", "no_such.bbi"),
    "model: a class": ({"model": nn.ReLU}, "E408", "the class ReLU is no model"),
    "model: a function": ({"model": torch.relu}, "E408", "is no model"),
    "model: weights": ({"model": net().state_dict()}, "E408", "an OrderedDict is no model"),
    "model: a list": ({"model": [net()]}, "E408", "a list is no model"),
    "input: a loader": ({"input": torch.utils.data.DataLoader([IMAGE])}, "E418", "a DataLoader is no input"),
    "input: an iterable": ({"input": Loader()}, "E418", "a Loader is no input"),
    "input: an empty list": ({"input": []}, "E418", "`input` is a list without an input in it"),
    "input: an empty batch": ({"input": torch.zeros(0, 3, 9, 9)}, "E418", "without an input in it"),
    "input: numbers": ({"input": [0.5, 0.5]}, "E418", "a list of numbers"),
    "input: a dict of batches": ({"input": {"pixel_values": IMAGE[None].repeat(2, 1, 1, 1)}}, "E418", "holds 2 inputs"),
    "input: a class": ({"input": Image.Image}, "E418", "the class Image is no input"),
    "input: NaN": ({"input": torch.full((3, 9, 9), torch.nan)}, "E418", "[0, 1]"),
    "input: infinity": ({"input": torch.full((3, 9, 9), torch.inf)}, "E418", "[0, 1]"),
    "input: 0 to 255": ({"input": IMAGE * 255}, "E418", "[0, 1]"),
    "input: whole numbers": ({"input": (IMAGE * 255).long()}, "E418", "int64"),
    "input: flags": ({"input": IMAGE > 0.5}, "E418", "bool"),
    "input: complex": ({"input": IMAGE.to(torch.complex64)}, "E418", "complex64"),
    "input: sparse": ({"input": IMAGE.to_sparse()}, "E418", "to_dense"),
    "input: meta": ({"input": IMAGE.to("meta")}, "E418", "plain numbers"),
    "input: five axes": ({"input": IMAGE[None, None]}, "E418", "(1, 1, 3, 9, 9)"),
    "input: an array of int64": ({"input": np.zeros((9, 9, 3), np.int64)}, "E418", "int64"),
    "input: an array of objects": ({"input": np.full((9, 9, 3), None)}, "E418", "object"),
    "input: words in an array": ({"input": np.array(["cat.jpg"])}, "E418", ""),
    "input: a broken picture": ({"input": Image.new("RGB", (0, 4))}, "E414", "0 x 4"),
    "weights: a number": ({"model": None, "weights": 3}, "E423", "`weights` is an int"),
    "device: a number": ({"device": 0}, "E423", "`device` is an int"),
    "device: none there": ({"device": "cuda:77"}, "E406", "cuda:77"),
    "device: no such": ({"device": "gpu"}, "E406", "gpu"),
    "settings: a list": ({"settings": ["seed"]}, "E423", "`settings` is a list"),
    "settings: a text": ({"settings": "seed=3"}, "E423", "`settings` is a str"),
    "settings: keys": ({"settings": {3: 4}}, "E423", "`settings` is an int"),
    "settings: a value": ({"settings": {"seed": object()}}, "E423", "`settings['seed']` is an object"),
    "settings: NaN": ({"settings": {"featvis.rate": float("nan")}}, "E423", "settings['featvis.rate']"),
    "settings: a word": ({"settings": {"featvis.steps": "many"}}, "E213", "steps"),
    "settings: unknown": ({"settings": {"sed": 3}}, "E220", "sed"),
    "input_size: a word": ({"input_size": "9"}, "E423", "`input_size` is a str"),
    "input_size: a fraction": ({"input_size": (9.5, 9)}, "E423", "`input_size` is a tuple"),
    "input_size: nothing": ({"input_size": (0, 9)}, "E423", "(0, 9)"),
    "input_size: three": ({"input_size": (3, 9, 9)}, "E423", "(3, 9, 9)"),
    "optimized: a word": ({"optimized": "no"}, "E423", "`optimized` is a str"),
    "draft: a number": ({"draft": 1}, "E423", "`draft` is an int"),
    "cache: a number": ({"cache": 3}, "E423", "`cache` is an int"),
    "progress: a word": ({"progress": "bar"}, "E423", "`progress` is a str"),
    "progress: a class": ({"progress": dict}, "E423", "`progress` is the class dict"),
    "title: a number": ({"title": 3}, "E423", "`title` is an int"),
}


@brings(
    "Python API",
    "arguments of `run` of the wrong type",
    "refused with E423, E418, E408 or E406, which names the argument",
)
@pytest.mark.parametrize("what", WRONG)
def test_wrong_arguments_of_run(what: str) -> None:
    changes, code, said = WRONG[what]
    assert said in words(code, lambda: run(**changes))
    front = {
        key: value for key, value in changes.items() if key in ("text", "model", "input", "settings", "input_size")
    }
    if front and len(front) == len(changes) and code in ("E423", "E408") and not what.startswith("input:"):
        rest = {"model": net(), "input": IMAGE} | front
        text = rest.pop("text", TEXT)
        assert said in words(code, lambda: bbilang.check(text, **rest))
        assert said in words(code, lambda: bbilang.explain(text, **rest))


ADAPT: dict[str, tuple[Any, str, str]] = {
    "module: a class": ({"module": nn.ReLU}, "E408", "the class ReLU"),
    "module: nothing": ({"module": None}, "E408", "None is no model"),
    "input_size: a word": ({"input_size": "9x9"}, "E423", "`input_size` is a str"),
    "input_size: negative": ({"input_size": (-9, 9)}, "E423", "(-9, 9)"),
    "preprocess: a dict": ({"preprocess": {"mean": 0}}, "E423", "`preprocess` is a dict"),
    "preprocess: a function": ({"preprocess": lambda x: x}, "E423", "`preprocess` is a function"),
    "labels: one text": ({"labels": "a, b, c, d"}, "E423", "`labels` is a str"),
    "labels: a number": ({"labels": 4}, "E423", "`labels` is an int"),
    "labels: too few": ({"labels": ["a"]}, "E408", "4 classes"),
    "labels: keys": ({"labels": {1: "a", 2: "b"}}, "E423", "0 to 1"),
    "labels: objects": ({"labels": [None] * 4}, "E423", "`labels[0]` is None"),
    "labels: no file": ({"labels": Path("no_such.txt")}, "E422", "no_such.txt"),
    "description: a dict": ({"description": {}}, "E423", "`description` is a dict"),
    "output: a module": ({"output": nn.ReLU()}, "E423", "`output` is a ReLU"),
    "name: a number": ({"name": 3}, "E423", "`name` is an int"),
    "channels: a word": ({"channels": "rgb"}, "E423", "`channels` is a str"),
    "channels: none": ({"channels": 0}, "E423", "`channels` is 0"),
    "channels: others": ({"channels": 5}, "E408", "takes 3 channels, and `channels` is 5"),
    "columns: one text": ({"columns": "red"}, "E423", "`columns` is a str"),
    "columns: two": ({"columns": ["red", "green"]}, "E423", "2 names"),
}


@brings("Python API", "arguments of `adapt` of the wrong type", "refused with E423 or E408, which names the argument")
@pytest.mark.parametrize("what", ADAPT)
def test_wrong_arguments_of_adapt(what: str) -> None:
    changes, code, said = ADAPT[what]
    given = {"module": net(), "input_size": (9, 9)} | changes
    assert said in words(code, lambda: bbilang.adapt(**given))


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: bbilang.parse(3), "`text` is an int"),
        (lambda: bbilang.optimize(TEXT), "`program` is a str"),
        (lambda: bbilang.plan(None), "`program` is None"),
        (lambda: bbilang.execute("plan"), "`steps` is a str"),
        (lambda: bbilang.view(3), "`results` is an int"),
        (lambda: bbilang.render("page"), "`page` is a str"),
        (lambda: bbilang.extract(b"<html>"), "`html` is a bytes"),
        (lambda: bbilang.explain(TEXT, force="both"), "`force` is a str"),
        (lambda: bbilang.adapt_text(nn.Embedding(4, 2), lambda text: [1]), "`tokenizer` is a function"),
        (lambda: bbilang.adapt_text(nn.Embedding(4, 2), str), "`tokenizer` is the class str"),
    ],
)
def test_wrong_arguments_of_the_stages(call: Callable[[], Any], said: str) -> None:
    assert said in words("E423", call)


@brings(
    "Python API",
    "`Page.data` and `Page.save` of an element or format that does not exist",
    "refused with E424, E430 or E423",
)
def test_wrong_arguments_of_a_page(tmp_path: Path) -> None:
    page = run()
    assert "element-1" in words("E424", lambda: page.data("nowhere"))
    assert "element-1" in words("E424", lambda: page.data(0))
    with pytest.raises(KeyError):
        page.data("nowhere")
    assert "`path` is an int" in words("E423", lambda: page.save(3))
    assert "docx" in words("E430", lambda: page.save(tmp_path / "page.docx"))
    words("E423", lambda: page.save(tmp_path / "page.html", format=3))
    assert page.save(tmp_path / "page.html") == tmp_path / "page.html"


@brings(
    "Python API",
    "labels as a list, numbers, an array, a tensor, a dict from index to name or from name to index, or a file",
    "works",
)
@pytest.mark.parametrize(
    "labels, first",
    [
        (["a", "b", "c", "d"], "a"),
        (("a", "b", "c", "d"), "a"),
        (list(range(10, 14)), "10"),
        (np.array(["a", "b", "c", "d"]), "a"),
        (np.arange(4), "0"),
        (torch.arange(4), "0"),
        ({3: "d", 1: "b", 2: "c", 0: "a"}, "a"),
        ({str(i): name for i, name in enumerate("abcd")}, "a"),
        ({"a": 0, "b": 1, "c": 2, "d": 3}, "a"),
        ((name for name in "abcd"), "a"),
        (None, "class 0"),
        (Path("names.txt"), "a"),
    ],
)
def test_labels(labels: Any, first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\n")
    monkeypatch.chdir(tmp_path)
    assert bbilang.adapt(net(), (9, 9), labels=labels).description.label(0) == first


@brings("Python API", "`Path`, `torch.device` and numpy or torch scalars as arguments", "works")
def test_other_kinds_that_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.bbi").write_text(TEXT)
    Image.new("RGB", (9, 9)).save(tmp_path / "cat.png")
    assert run(text=tmp_path / "page.bbi").plan.program.source.name.endswith("page.bbi")
    assert run(input=tmp_path / "cat.png", input_size=9).results.pictures[0].name == "cat.png"
    assert run(input=[tmp_path / "cat.png", IMAGE], input_size=9).results.pictures[1].name == "picture 2"
    assert run(device=torch.device("cpu")).view.provenance.device == "cpu"
    program = run(settings={"seed": np.int64(3), "featvis.steps": torch.tensor(5)}).plan.program
    assert program.setting("seed") == 3 and program.setting("featvis.steps") == 5
    assert run(draft=np.bool_(True)).view.provenance.draft
    assert run(cache=tmp_path / "kept") and any((tmp_path / "kept").iterdir())
    np.testing.assert_array_equal(bbilang.check(TEXT, model=net(), input=IMAGE).description.input_size, (9, 9))
    assert run(progress=False).html(), "no progress, as None"


@brings("Python API", "tensors in float64, uint8 and float16, with a graph, and numpy arrays", "works: the same values")
def test_numbers_of_every_type() -> None:
    exact = torch.randint(0, 256, (3, 9, 9), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    shares = exact.double() / 255
    expected = run(input=shares.float()).data("element-1").values
    for given in (
        shares, exact, shares.clone().requires_grad_(), shares.permute(1, 2, 0).numpy(), exact.numpy(),
        shares.numpy(), shares[None], exact.permute(1, 2, 0).numpy()[None], [shares],
        shares.permute(2, 1, 0).contiguous().permute(2, 1, 0),
    ):  # fmt: skip
        actual = run(input=given, input_size=9).data("element-1").values
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)
    half = run(input=shares.half()).data("element-1").values
    np.testing.assert_allclose(half, expected, rtol=0, atol=1e-2)


@brings("Inputs", "a picture of 1 x 99,999,999 pixels", "refused with E414 before it is decoded")
def test_long_strips(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for width, height in ((1, 99_999_999), (99_999_999, 1), (70_000, 1)):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        file = tmp_path / "strip.png"
        file.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
        assert "a side has at most" in words("E414", lambda file=file: run(input=str(file)))
    words("E414", lambda: run(input=Image.new("L", (70_000, 1))))
