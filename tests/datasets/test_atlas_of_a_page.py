"""An atlas: the mean of every bin, computed again from the page's data and raw activations; what it says of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from closeness import close_to
from PIL import Image

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.page.html import data_of

COUNT, EACH, BINS, LEAST = 40, 6, 8, 2
PHOTOS = 'dataset photos = "photos/"\n'
ATLAS = (
    f"{PHOTOS}b.spatial | attribute(output) | across(photos) | project(pca, 2, positions={EACH})\n"
    f"    | present(atlas, bins={BINS}, least={LEAST})"
)
TINY = {"featvis.size": 16, "featvis.steps": 1}


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Noise of two brightnesses, and one picture that is far from all others."""
    top = tmp_path_factory.mktemp("atlas")
    random = np.random.default_rng(4)
    for number in range(COUNT):
        label = ("ant", "bee")[number % 2]
        pixels = random.random((32, 32, 3)) * (90 + 80 * (number % 2)) + (np.arange(32)[:, None, None] * 2)
        if number == 11:
            pixels = np.where(random.random((32, 32, 3)) > 0.5, 255, 0)
        own = top / "photos" / label
        own.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(own / f"{number:02}.png")
    return top


def run(folder: Path, text: str, network, **options):
    (folder / "page.bbi").write_text(text)
    return bbilang.run(folder / "page.bbi", model=network, settings=TINY, cache=False, **options)


@pytest.fixture(scope="module")
def page(folder, network):
    return run(folder, ATLAS, network)


@pytest.fixture(scope="module")
def exported(page) -> dict:
    (element,) = data_of(page.html())["elements"]
    return element


def vectors(folder: Path, network, bins: dict) -> np.ndarray:
    """Raw activations at the exported positions, one picture at a time."""
    maps = []
    with torch.no_grad():
        for file in bins["files"]:
            image = torch.from_numpy(np.array(Image.open(folder / "photos" / file))).permute(2, 0, 1)[None] / 255
            maps.append(network.module.b(network.module.a(network.preprocess.normalize(image)))[0].numpy())
    return np.stack([maps[file][:, y, x] for file, y, x in zip(bins["file"], bins["y"], bins["x"], strict=True)])


def test_the_mean_of_every_bin_is_computed_again(folder, network, page, exported):
    bins, tables = exported["bins"], page.data("element-1").tables
    rows, places = vectors(folder, network, bins), np.array(bins["place"])
    assert len(rows) == COUNT * EACH and bins["side"] == [2, 4, 8]
    low, high = np.array(bins["box"])
    ends = np.percentile(places, [1, 99], axis=0)
    margin = 0.1 * (ends[1] - ends[0])
    inside = ((places >= ends[0] - margin) & (places <= ends[1] + margin)).all(1)
    means = tables["mean"][1]
    for cell, (zoom, slot, start, count) in enumerate(
        zip(bins["zoom"], bins["slot"], bins["start"], bins["count"], strict=True)
    ):
        members, side = bins["member"][start : start + count], bins["side"][zoom]
        row, column = divmod(slot, side)
        for x, y in places[members]:  # rows from the top, where y is largest
            assert (column - 1e-3) / side <= (x - low[1]) / (high[1] - low[1]) <= (column + 1 + 1e-3) / side
            assert (row - 1e-3) / side <= (high[0] - y) / (high[0] - low[0]) <= (row + 1 + 1e-3) / side
        close_to(means[cell], rows[members].mean(0), terms=np.abs(rows).max())
        apart = np.linalg.norm(rows[members] - rows[members].mean(0), axis=1)
        assert count >= LEAST and (np.diff(apart) >= -1e-4).all()
    for zoom, few in enumerate(tables["few"][1].tolist()):
        drawn = sum(count for own, count in zip(bins["zoom"], bins["count"], strict=True) if own == zoom)
        assert drawn + few == inside.sum()
    assert 0 < (~inside).sum() < 20  # what lies far out is on no map
    notes = page.view.interfaces[0].elements[0].legend.notes
    assert any(note.startswith(f"{(~inside).sum()} vectors lie far") for note in notes)


def test_icons_are_of_the_means(page):
    field = page.results.fields["element-1"]
    style = bbilang.registry.registry().styles["atlas"]
    program = page.results.program
    index, objectives = style.objectives(program.elements[0].node, field, SimpleNamespace(program=program))
    cells = field.tables
    assert len(objectives) == len(page.results.icons) == len(cells["count"].data)
    assert (index.data[cells["zoom"].data, cells["slot"].data] == np.arange(len(objectives))).all()
    assert (index.data >= 0).sum() == len(objectives)
    np.testing.assert_array_equal([o.direction for o in objectives], cells["mean"].data)


def test_contributions_of_a_bin_are_means_over_its_vectors(folder, network, page, exported):
    bins, tables = exported["bins"], page.data("element-1").tables
    alone = {}
    for file in bins["files"]:
        field = bbilang.run("b.spatial | attribute(output) | present(heatmap)", model=network, cache=False,
                            input=str(folder / "photos" / file)).results.fields["element-1"]  # fmt: skip
        alone[file] = (int(field.coords["class"].data.ravel()[0]), field.values.ordered(("input", "y", "x")).data[0])
    own = [(alone[bins["files"][file]][0], alone[bins["files"][file]][1][y, x])
           for file, y, x in zip(bins["file"], bins["y"], bins["x"], strict=True)]  # fmt: skip
    largest = max(abs(value) for _, value in own)
    for cell, (start, count) in enumerate(zip(bins["start"], bins["count"], strict=True)):
        members = [own[member] for member in bins["member"][start : start + count]]
        for rank in np.flatnonzero(tables["class"][1][cell] >= 0):
            values = [value for number, value in members if number == tables["class"][1][cell, rank]]
            assert tables["known"][1][cell, rank] == len(values)
            close_to(tables["attribution"][1][cell, rank], np.mean(values), terms=largest)


def test_without_attribution_bins_have_labels(folder, network):
    element = run(folder, ATLAS.replace("attribute(output) | ", ""), network).view.interfaces[0].elements[0]
    assert len(element.details) == len(element.atoms) > 10
    for detail in element.details:
        assert detail.bars_title == "Labels of their pictures" and {bar[0] for bar in detail.bars} <= {"ant", "bee"}
        assert sum(share for _, share, _ in detail.bars) == pytest.approx(1) and detail.picture >= 0


def test_it_is_recalled_as_it_was(folder, network, tmp_path):
    (folder / "page.bbi").write_text(ATLAS)
    first, again = (bbilang.run(folder / "page.bbi", model=network, settings=TINY, cache=tmp_path) for _ in range(2))
    assert again.view.provenance.passes.startswith("nothing ran") and first.html().count("data-zoom=") == 3
    for name, array in first.results.fields["element-1"].tables.items():
        np.testing.assert_array_equal(array.data, again.results.fields["element-1"].tables[name].data)


MAP = "b.spatial | across(photos) | project(pca, 2)"
REFUSED = [
    (f"{MAP} | present(atlas, bins=6)", "E214"),
    (f"{MAP[:-1]}, positions=60) | present(atlas, bins=100, least=1)", "E316"),
    ("b.channel | across(photos) | project(pca, 2, along=channel) | present(atlas)", "E304"),
    ("b.spatial | across(photos) | project(pca, 3) | present(atlas)", "E304"),
    (f"{MAP} | abs | present(atlas)", "E304"),
    (f"{MAP} | present(atlas, least=1000)", "E519"),
]


@pytest.mark.parametrize(("pipe", "code"), REFUSED)
def test_what_is_refused(pipe, code, folder, network):
    with pytest.raises(BbiError) as caught:
        run(folder, PHOTOS + pipe, network)
    found = {d.code: d.span for d in caught.value.diagnostics}
    assert found.get(code) is not None, caught.value


def test_the_plan_bounds_the_icons(folder, network):
    text = f"{PHOTOS}{MAP} | present(atlas, bins=12, least=4)"
    (folder / "page.bbi").write_text(text)
    plan = bbilang.run(folder / "page.bbi", model=network, settings=TINY, cache=False).plan
    (step,) = [step for step in plan.steps if step.kind == "icons"]
    assert step.passes == 9 + 36 + 40 * 8 // 4 and step.bound
