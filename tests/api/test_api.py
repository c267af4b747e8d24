"""Embedding: a caller's module, tensors, arrays and pictures, through `run` and through the stages one by one."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import tiny
import torch
from closeness import close_to
from PIL import Image

import bbilang
from bbilang import BbiError

SMALL = {"featvis.size": 16, "featvis.steps": 1, "featvis.batch": 2}
TEXT = """
photo = input | present(image)
blocks = b.channel | attribute(output[top(2)]) | top(3) | present(bars)
where = b.neuron | at(hover(blocks)) | present(heatmap, over=photo)
"""


@pytest.fixture(scope="module")
def tensor():
    return tiny.images()[0]


def run(text, model=None, **options):
    return bbilang.run(text, model=model or tiny.build(), settings=SMALL, cache=False, device="cpu", **options)


def test_a_module_and_a_tensor(tensor):
    module = tiny.build()
    module.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    page = bbilang.run(TEXT, model=module, input=tensor, settings=SMALL, cache=False)
    data = page.data("blocks")
    assert (data.content, data.unit, data.axes) == ("attribution", "logits", ("channel", "class"))
    expected = tiny.values(TEXT.replace("where", "# where"), "channel", "class")
    close_to(data.values, expected)
    dims, channels = data.coords["channel"]
    assert dims == ("channel",) and channels.shape == (3,)
    assert module.training and all(p.requires_grad and p.grad is None for p in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(m._forward_hooks for m in module.modules())
    assert "<bbilang page" in repr(page)


def test_states_of_data(tensor):
    page = run(TEXT, input=tensor)
    where = page.data("where")
    assert where.axes == ("hover-blocks", "y", "x") and where.values.shape == (3, 8, 8)
    with pytest.raises(KeyError, match=r"nowhere.*photo, blocks, where"):
        page.data("nowhere")


@pytest.mark.parametrize("kind", ["tensor", "batch", "float array", "byte array", "picture", "several"])
def test_inputs_of_every_kind(kind, tensor):
    """All are the same picture to the network."""
    pixels = (tensor.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    exact = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    model = bbilang.adapt(tiny.build(), (tiny.SIZE, tiny.SIZE), labels=tiny.LABELS)
    given = {
        "tensor": exact,
        "batch": exact[None],
        "float array": exact.permute(1, 2, 0).numpy(),
        "byte array": pixels,
        "picture": Image.fromarray(pixels),
        "several": [exact, Image.fromarray(pixels)],
    }[kind]
    text = "c.channel | attribute(output) | present(bars)"
    expected = bbilang.run(text, model=model, input=exact, cache=False).data("element-1").values
    data = bbilang.run(text, model=model, input=given, cache=False).data("element-1")
    if kind == "several":
        assert data.axes == ("input", "channel")
        expected = np.stack([expected, expected])
    close_to(data.values, expected)


@pytest.mark.parametrize(
    "given, code",
    [
        (torch.zeros(3, 31, 32), "E418"),
        (torch.full((3, 32, 32), 2.0), "E418"),
        (torch.full((3, 32, 32), float("nan")), "E418"),
        (np.zeros((32, 32), np.uint8), "E418"),
        (3.5, "E418"),
    ],
)
def test_inputs_that_are_none(given, code):
    model = bbilang.adapt(tiny.build(), (tiny.SIZE, tiny.SIZE))
    with pytest.raises(BbiError) as caught:
        bbilang.run("input | present(image)", model=model, input=given, cache=False)
    assert [d.code for d in caught.value.diagnostics] == [code] and caught.value.diagnostics[0].help


def test_a_model_that_is_none(tensor):
    with pytest.raises(BbiError) as caught:
        bbilang.run("input | present(image)", model=3, input=tensor)
    assert [d.code for d in caught.value.diagnostics] == ["E408"]


def test_the_stages_one_by_one(tensor):
    module = tiny.build()
    file = bbilang.parse(TEXT)
    program = bbilang.check(file, model=module, input=tensor, settings=SMALL)
    better = bbilang.optimize(program)
    steps = bbilang.plan(better)
    results = bbilang.execute(steps, model=module, input=tensor, cache=False)
    page = bbilang.view(results)
    html = bbilang.render(page)
    assert html.startswith("<!doctype html>") or html.lower().startswith("<!doctype html>")
    assert [e.id for e in program.elements] == ["photo", "blocks", "where"]
    assert results.model_passes == (1, 2)
    assert "forward passes" in str(bbilang.explain(TEXT, model=module, input=tensor))
    again = bbilang.execute(bbilang.plan(program), model=module, input=tensor, cache=False)
    for name, field in results.fields.items():
        other = again.fields[name].values.ordered(field.values.dims).data
        close_to(field.values.data, other)


def test_a_program_read_back_runs_the_same(tensor):
    module = tiny.build()
    tree = bbilang.tree_from_json(json.loads(json.dumps(bbilang.tree_to_json(bbilang.parse(TEXT)))))
    program = bbilang.check(tree, model=module, input=tensor)
    read = bbilang.program_from_json(json.loads(json.dumps(bbilang.program_to_json(program))))
    assert read == program and bbilang.optimize(read) == bbilang.optimize(program)
    one, two = (bbilang.execute(bbilang.plan(p), model=module, input=tensor, cache=False) for p in (program, read))
    assert bbilang.view(one).interfaces == bbilang.view(two).interfaces
    with pytest.raises(BbiError) as caught:
        bbilang.execute(bbilang.plan(read), input=tensor)
    assert [d.code for d in caught.value.diagnostics] == ["E408"]


def test_real_icons_of_a_tiny_network(tensor):
    page = run("b.channel | attribute(output) | top(2) | present(featvis)", input=tensor)
    (element,) = page.view.interfaces[0].elements
    pictures = [page.view.pictures[i] for i in element.panels[0].frames[0].pictures]
    assert {(p.width, p.height, p.mime) for p in pictures} == {(16, 16, "image/webp")}


def test_all_that_is_wrong_at_once(tensor):
    text = "d.channel | present(bars)\nb.channel | topp(3) | present(bars)\nb.channel | present(pie)"
    with pytest.raises(BbiError) as caught:
        run(text, input=tensor)
    assert [d.code for d in caught.value.diagnostics] == ["E201", "E210", "E218"]


@pytest.mark.parametrize("ending", ["html", "json", "csv"])
def test_a_page_is_saved(ending, tensor, tmp_path):
    page = run(TEXT, input=tensor)
    path = page.save(tmp_path / f"page.{ending}")
    assert path.exists()
    with pytest.raises(BbiError) as caught:
        page.save(tmp_path / "page.docx")
    assert caught.value.diagnostics[0].code == "E430"
    assert not (tmp_path / "page.docx").exists()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BbiError) as caught:
        page.save(tmp_path / "file" / f"page.{ending}")
    assert caught.value.diagnostics[0].code == "E431"


def test_notebooks_and_dictionaries(tensor):
    page = run(TEXT, input=tensor)
    bundle = page._repr_mimebundle_()
    assert "<iframe" in bundle["text/html"] and "bbilang page" in bundle["text/plain"]
    plain = page.to_dict()
    assert plain == asdict(page.view) and [e["id"] for e in plain["interfaces"][0]["elements"]] == ["photo", "blocks"]
