"""`crop=` of `examples`: maps of the atom itself, and receptive fields; their passes are planned, counted and kept."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

import bbilang
from bbilang.compiler.plan.plan import plan
from bbilang.grammar.diagnostic import BbiError
from bbilang.registry import registry
from bbilang.runtime.execution.thumbnails import DIM, thumbnail
from bbilang.runtime.models.preprocess import Preprocess

HEAD = 'dataset shapes = "sample:shapes" | sample(20)\n'


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


def run(tmp_path, network, line: str, **options):
    (tmp_path / "page.bbi").write_text(HEAD + line)
    return bbilang.run(tmp_path / "page.bbi", model=network, **options)


def by_hand(network, rows: np.ndarray, channel: int, layer: str = "b") -> np.ndarray:
    """Maps (example, y, x) of a channel of a layer, from plain torch and a hook."""
    from bbilang.runtime.data.dataset import open_dataset

    dataset, found = open_dataset("sample:shapes"), []
    handle = getattr(network.module, layer).register_forward_hook(lambda *given: found.append(given[2].detach()))
    try:
        for row in rows.tolist():
            shown = network.preprocess.display(dataset.picture(row))
            image = torch.from_numpy(np.ascontiguousarray(shown.transpose(2, 0, 1))).float()[None] / 255
            with torch.no_grad():
                network.module(network.preprocess.normalize(image))
    finally:
        handle.remove()
    return np.stack([maps[0, channel].numpy() for maps in found])


def test_pictures_are_dimmed_by_the_channels_own_map(network, tmp_path):
    page = run(tmp_path, network, "row = b.channel[3] | examples(shapes, 4, crop=map) | present(image)")
    field = page.results.fields["row"]
    rows = field.coords["example"].data.ravel()
    shade = field.coords["shade"].data.reshape(4, *field.coords["shade"].data.shape[-2:])
    assert shade.max() == 1 and shade.min() >= 0
    peak = shade.reshape(4, -1).max(1)
    np.testing.assert_allclose(peak, field.values.data.ravel() / field.values.data.max(), rtol=1e-4)
    at = np.stack([field.coords["at.y"].data.ravel(), field.coords["at.x"].data.ravel()], 1)
    assert [np.unravel_index(one.argmax(), one.shape) for one in shade] == [tuple(place) for place in at.tolist()]
    expected = np.maximum(by_hand(network, rows, 3), 0)
    np.testing.assert_allclose(shade, expected / expected.max(), rtol=1e-3, atol=1e-5)


def test_pictures_are_dimmed_by_a_directions_own_map(network, tmp_path):
    """Its map is the sum of those of its channels, and the scan keeps it: there is no other pass."""
    line = "d = b.channel[3] - b.channel[1] + b.channel[5]\nrow = d | activation(reduce=max) "
    line += "| examples(shapes, {}, crop=map)"
    page = run(tmp_path, network, line.format(4) + " | present(image)")
    field = page.results.fields["row"]
    rows = field.coords["example"].data.ravel()
    shade = field.coords["shade"].data.reshape(4, *field.coords["shade"].data.shape[-2:])
    expected = by_hand(network, rows, 3) - by_hand(network, rows, 1) + by_hand(network, rows, 5)
    np.testing.assert_allclose(field.values.data.ravel(), expected.reshape(4, -1).max(1), rtol=1e-4)
    positive = np.maximum(expected, 0)
    np.testing.assert_allclose(shade, positive / positive.max(), rtol=1e-3, atol=1e-5)
    again = run(tmp_path, network, line.format(6) + " | present(image)")
    assert again.results.scanned == 0 and again.results.recalled == page.results.scanned == 20
    assert "the direction's map is low" in " ".join(field.notes)


def test_a_thumbnail_is_grey_where_the_map_is_zero(network, tmp_path):
    line = "row = b.channel[3] | examples(shapes, 2{}) | present(image)"
    pictures = []
    for crop in (", crop=map", ""):
        made = run(tmp_path, network, line.format(crop)).results.thumbnails["row"]
        data = thumbnail(made, int(made["index"].data.ravel()[0]))[0]
        pictures.append(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float))
    dimmed, plain = pictures
    assert dimmed.shape == plain.shape and dimmed.mean() < plain.mean()
    assert dimmed.mean() > DIM * plain.mean() - 8


def test_the_plan_counts_the_passes(network, tmp_path):
    line = (
        "field = b.channel[1] | examples(shapes, 3, crop=field) | present(image)\n"
        "maps = b.channel[1] | examples(shapes, 3, crop=map) | present(image)"
    )
    (tmp_path / "page.bbi").write_text(HEAD + line)
    program = bbilang.check(tmp_path / "page.bbi", model=network)
    from bbilang.compiler.optimize.lower import with_passes
    from bbilang.compiler.optimize.rules import optimize

    steps = {
        step.words.split("`")[1]: step
        for step in plan(optimize(with_passes(program, registry(), True)), registry()).steps
        if step.kind == "draw"
    }
    assert (
        steps["maps"].passes == 3 and steps["maps"].bound and "maps of b for the examples shown" in steps["maps"].words
    )
    assert steps["field"].passes == 8 * 5 and "the receptive field of b" in steps["field"].words
    assert steps["maps"].flops > 0 < steps["field"].flops


def test_another_page_needs_no_network(network, tmp_path, monkeypatch):
    line = (
        "maps = b.channel[1] | examples(shapes, 3, crop=map) | present(image{0})\n"
        "field = b.channel[1] | examples(shapes, 3, crop=field) | present(image{0})"
    )
    first = run(tmp_path, network, line.format(""), cache=tmp_path / "cache")
    from bbilang.runtime.execution import example_maps
    from bbilang.runtime.ops.datasets import receptive

    def never(*given):
        raise AssertionError("it was computed before")

    monkeypatch.setattr("bbilang.runtime.execution.scanned_dataset.maps_of", never)
    monkeypatch.setattr(receptive, "_found", never)
    assert example_maps.BATCH
    second = run(tmp_path, network, line.format(', title="again"'), cache=tmp_path / "cache")
    for name, part in (("maps", "shade"), ("field", "cut.top")):
        one, other = (page.results.fields[name].coords[part].data for page in (first, second))
        assert one.tolist() == other.tolist()


EXTREME = {"negative": np.argmin, "magnitude": lambda own: np.abs(own).argmax(), "positive": np.argmax}


@pytest.mark.parametrize("sign", ["positive", "negative", "magnitude"])
@pytest.mark.parametrize("atoms", ["direction", "channel"])
def test_both_ends_have_maps_and_fields(network, tmp_path, atoms, sign):
    """The twin: every map by hand, its extreme, and the examples in the order of those."""
    pipe = {"direction": "d = b.channel[3] - b.channel[1]\nd | activation(reduce=max)",
            "channel": "c.channel[2]"}[atoms]  # fmt: skip
    made, _, pipe = pipe.rpartition("\n")
    line = f"{made}\nmaps = {pipe} | examples(shapes, 5, sign={sign}, crop=map) | present(image)\n"
    line += f"fields = {pipe} | examples(shapes, 5, sign={sign}, crop=field) | present(image)"
    page = run(tmp_path, network, line)
    field, cut = page.results.fields["maps"], page.results.fields["fields"]
    every = np.sort(page.results.fields["maps"].coords["example"].data.ravel())
    sample = run(tmp_path, network, "row = shapes | present(image)").results.fields["row"].coords["example"].data
    assert set(every.tolist()) <= set(sample.tolist())
    if atoms == "direction":
        maps = by_hand(network, sample, 3) - by_hand(network, sample, 1)
    else:
        maps = by_hand(network, sample, 2, "c")
    flat = maps.reshape(len(maps), -1)
    at = np.array([EXTREME[sign](own) for own in flat])
    values = flat[np.arange(len(flat)), at]
    strength = {"positive": values, "negative": -values, "magnitude": np.abs(values)}[sign]
    order = np.argsort(-strength, kind="stable")[:5]
    assert field.coords["example"].data.ravel().tolist() == sample[order].tolist()
    np.testing.assert_allclose(field.values.data.ravel(), values[order], rtol=1e-4)
    y, x = np.divmod(at[order], maps.shape[-1])
    assert field.coords["at.y"].data.ravel().tolist() == y.tolist() == cut.coords["at.y"].data.ravel().tolist()
    assert field.coords["at.x"].data.ravel().tolist() == x.tolist()
    shown = {"positive": np.maximum(maps, 0), "negative": np.maximum(-maps, 0), "magnitude": np.abs(maps)}[sign][order]
    np.testing.assert_allclose(field.coords["shade"].data.reshape(shown.shape), shown / shown.max(),
                               rtol=1e-3, atol=1e-5)  # fmt: skip
    assert {"positive": "largest", "negative": "smallest", "magnitude": "magnitude"}[sign] in field.type.unit


def test_arithmetic_before_examples_counts(network, tmp_path):
    """`abs` and `normalize` were ignored: shown was the largest activation over positions whatever stood there."""
    line = "plain = c.channel[2] | across(shapes) | present(bars)\n"
    line += "size = c.channel[2] | activation | abs | examples(shapes, 4) | present(image)\n"
    line += (
        "low = c.channel[2] | activation | normalize(global) | examples(shapes, 4, sign=negative) | present(image)\n"
    )
    line += "range = c.channel[2] | activation | abs | spectrum(shapes, 3) | present(image)"
    page = run(tmp_path, network, line)
    sums = page.results.fields["plain"].values.data.ravel()
    expected = np.sort(np.abs(sums))[::-1]
    np.testing.assert_allclose(page.results.fields["size"].values.data.ravel(), expected[:4], rtol=1e-4)
    rows = page.results.fields["plain"].coords["example"].data[np.argsort(sums)[:4]]
    assert page.results.fields["low"].coords["example"].data.ravel().tolist() == rows.tolist()
    ends = page.results.fields["range"].values.data.ravel()
    np.testing.assert_allclose([ends.min(), ends.max()], [expected[-1], expected[0]], rtol=1e-4)
    assert "largest" not in page.results.fields["size"].type.unit


@pytest.mark.parametrize("more", ["crop=map", "by=max"])
def test_what_is_of_a_channels_own_values_is_refused_after_arithmetic(network, tmp_path, more):
    with pytest.raises(BbiError, match="E238"):
        bbilang.check(HEAD + f"c.channel[2] | activation | abs | examples(shapes, 3, {more}) | present(image)",
                      model=network)  # fmt: skip


def test_what_has_no_map_is_refused(network, tmp_path):
    line = "b.neuron | activation | examples(shapes, 3, crop=map) | present(image, facet=channel)"
    with pytest.raises(BbiError, match=r"E238.*`crop=map`"):
        bbilang.check(HEAD + line, model=network)
