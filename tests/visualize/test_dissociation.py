"""Icons that may mislead: planted circuits are found, honest and polysemantic units are not marked."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from closeness import close_to
from planted_circuits import COUNT, SIDE, photographs, planted

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.dissociation import cases, verdict
from bbilang.runtime.featvis.dissociation.check import check
from bbilang.runtime.featvis.dissociation.photographs import Photographs
from bbilang.runtime.featvis.dissociation.scan import Scan, image_of, scan
from bbilang.runtime.featvis.dissociation.section import Section
from bbilang.runtime.featvis.engine import visualize
from bbilang.runtime.featvis.icon import Objective, Recipe
from bbilang.runtime.view.states import elements

RECIPE = Recipe(size=SIDE, steps=96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    skimage = pytest.importorskip("skimage", reason="without the demo extra")
    return photographs(tmp_path_factory.mktemp("pictures") / "photos", Path(skimage.__file__).parent)


@pytest.fixture(scope="module")
def photos(folder):
    return Photographs("photos", tuple(sorted(map(str, folder.iterdir()))), "these")


@pytest.fixture(scope="module")
def adapter(photos):
    plain = bbilang.adapt(planted(torch.zeros(1, 3, SIDE, SIDE)), SIDE)
    images = torch.stack([image_of(plain, file) for file in photos.files])
    return bbilang.adapt(planted(images), SIDE)


def test_planted_circuits_are_found_and_honest_units_are_not_marked(adapter, photos):
    objectives = [Objective("unit", n) for n in range(3 * COUNT)]
    icons = dict(zip(objectives, visualize(adapter, objectives, RECIPE), strict=True))
    found = check(adapter, icons, RECIPE, photos)
    marked = [n for n, objective in enumerate(objectives) if found[objective].misleads]
    assert marked == list(range(COUNT))
    assert all(found[o].photographs == 48 and "relu" in found[o].words for o in objectives[:COUNT])
    assert not any(found[o].words for o in objectives[COUNT:])


def test_the_smallest_set_that_carries_the_response():
    rng = np.random.default_rng(3)
    for _ in range(20):
        contributions = rng.normal(size=7)
        response = float(contributions[contributions > 0].sum()) * rng.uniform(0.2, 1.2)
        chosen = verdict.carriers(contributions, response)
        sets = [s for size in range(8) for s in combinations(range(7), size)]
        enough = [s for s in sets if contributions[list(s)].sum() >= verdict.CARRIED * response]
        fewest = min(map(len, enough)) if enough else int((contributions > 0).sum())
        assert chosen.sum() == fewest and (contributions[chosen] > 0).all()


def test_two_kinds_of_photographs_are_two_clusters():
    rows = np.repeat([[1.0, 0, 0], [0, 2.0, 0]], 3, 0) + np.random.default_rng(0).normal(0, 0.01, (6, 3))
    labels = verdict.clusters(rows)
    assert len({*labels[:3]}) == len({*labels[3:]}) == 1 and labels[0] != labels[3]
    assert not verdict.clusters(np.ones((6, 3))).any()


def test_a_verdict_by_hand():
    labels, icon = np.array([0, 0, 1, 1]), np.array([0.9, 1.0])
    made = verdict.verdict_of("cut", icon, np.array([0.8, 1.0, 1.0, 1.0]), np.array([0.5, 0.7, 0.1, 0.3]), labels)
    assert (made.icon_left, made.photos_left) == (0.9, pytest.approx(0.9)) and made.among == pytest.approx(0.2)
    assert made.misleads and "90% of the icon's response" in made.words
    assert not replace(made, among=0.95).misleads, "the photographs are as far from each other"
    assert not replace(made, icon_left=0.7).misleads, "what drives the photographs drives the icon too"


def test_drive_and_ablation_are_those_of_plain_torch(adapter, photos):
    """The path integral against autograd step by step, an ablation against the modules called by hand."""
    network = adapter.module
    scanned = scan(adapter, "key", photos, ["relu", "unit"], None, passes.Passes())
    images = torch.stack([image_of(adapter, file) for file in photos.files[:5]])
    channels = torch.eye(3 * COUNT)[[0, 3, 21, 45, 59]]
    mean = scanned.mean("relu")
    with torch.no_grad():
        hidden = network.relu(network.first(images - 0.5))
        everything = torch.stack(
            [network.relu(network.first(image_of(adapter, f)[None] - 0.5))[0].mean((1, 2)) for f in photos.files]
        )
    close_to(mean, everything.mean(0).numpy(), terms=everything.abs().mean(0).numpy())
    captured = passes.forward(adapter, images, ["relu"], False, cuts=["relu"])
    with passes.above(adapter, captured, "relu", ["unit"]) as upper:
        section = Section(adapter, upper, "unit", channels, mean)
        contributions, bases = section.contributions(), section.bases()
        responses = section.responses(np.arange(5))
        ablated = np.zeros((5, 3 * COUNT), bool)
        ablated[:, [0, 1, 21, 45]] = True
        left = section.responses(np.arange(5), ablated)
    flat = torch.tensor(mean)[None, :, None, None].expand_as(hidden)
    point = flat.clone().requires_grad_()
    (network.unit(point).mean((2, 3)) * channels).sum().backward()  # linear above: one gradient is the integral
    want = (point.grad * (hidden - flat)).sum((2, 3))
    close_to(contributions, want.numpy(), terms=want.abs().sum(1, keepdim=True).numpy(), dtype=np.float32)
    with torch.no_grad():
        without = torch.where(torch.tensor(ablated)[:, :, None, None], flat, hidden)
        for have, at in ((responses, hidden), (bases, flat), (left, without)):
            want = (network.unit(at).mean((2, 3)) * channels).sum(1)
            close_to(have, want.numpy(), terms=want.abs().max().numpy(), dtype=np.float32)
    close_to(contributions.sum(1), responses - bases, terms=np.abs(contributions).sum(1), dtype=np.float32)


def test_the_strongest_photographs(photos):
    values = np.random.default_rng(1).normal(size=(48, 4)).astype(np.float32)
    values[7] = np.nan  # could not be read
    direction = np.array([1.0, 0, -1.0, 0])
    want = sorted((n for n in range(48) if n != 7), key=lambda n: -(values[n] @ direction))[:6]
    assert Scan(photos, {"unit": values}).strongest("unit", direction, 6) == want


TEXT = """
set featvis(size=64, steps=96, check="{folder}")
unit.channel | only(unit.channel[0]) | present(featvis)
unit.channel | only(unit.channel[20]) | present(featvis)
"""


def test_a_page_marks_what_may_mislead(adapter, folder, tmp_path):
    cache = Cache(tmp_path / "cache")
    page = bbilang.run(TEXT.format(folder=folder), model=adapter, input=np.zeros((64, 64, 3), np.uint8), cache=cache)
    planted_icon, honest_icon = elements(page.view)
    assert planted_icon.panels[0].frames[0].notes == ("may mislead",)
    (warning,) = planted_icon.legend.warnings
    assert warning.startswith("one icon may mislead: without the channels of relu that drive the photographs, ")
    assert "1 icon checked against 48 photographs: 1 may mislead" in planted_icon.legend.notes
    assert honest_icon.panels[0].frames[0].notes == ("",) and not honest_icon.legend.warnings
    drives = "1 icon checked against 48 photographs: the inputs that drive them drive the photographs too"
    assert drives in honest_icon.legend.notes


def test_a_check_is_recalled(adapter, folder, tmp_path, monkeypatch):
    given = {"model": adapter, "input": np.zeros((64, 64, 3), np.uint8), "cache": Cache(tmp_path / "cache")}
    first = bbilang.run(TEXT.format(folder=folder), **given)
    monkeypatch.setattr(cases, "verdicts", lambda *given: pytest.fail("it is computed again"))
    again = bbilang.run(TEXT.format(folder=folder), **given)
    assert [e.legend for e in elements(again.view)] == [e.legend for e in elements(first.view)]
    assert [icon.check for icon in again.results.icons] == [icon.check for icon in first.results.icons]
    (folder / "new.png").write_bytes((folder / "0_00.png").read_bytes())
    try:
        with pytest.raises(pytest.fail.Exception):
            bbilang.run(TEXT.format(folder=folder), **given)
    finally:
        (folder / "new.png").unlink()


def test_what_cannot_be_checked_is_said(adapter, folder, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted(folder.iterdir())[:3]:
        (few / file.name).write_bytes(file.read_bytes())
    for name, code in ((few, "E447"), (tmp_path / "nowhere", "E411"), (tmp_path, "E417")):
        with pytest.raises(BbiError) as raised:
            bbilang.run(TEXT.format(folder=name), model=adapter, input=np.zeros((64, 64, 3), np.uint8))
        (diagnostic,) = raised.value.diagnostics
        assert diagnostic.code == code and diagnostic.span is not None
    for broken in range(40):
        (few / f"broken{broken:02}.png").write_bytes(b"no picture")
    with pytest.raises(BbiError, match="3 of the 43 pictures"):
        bbilang.run(TEXT.format(folder=few), model=adapter, input=np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(BbiError, match="E"):
        bbilang.check("set featvis(check=true)\nunit.channel | top(1) | present(featvis)", model=adapter)
    first = Objective("relu", 3)
    icons = {first: visualize(adapter, [first], RECIPE)[0]}
    files = Photographs("photos", tuple(sorted(map(str, folder.iterdir()))), "these")
    assert not check(adapter, icons, RECIPE, files)[first].misleads
    bottom = Objective("first", 3)
    icons = {bottom: visualize(adapter, [bottom], RECIPE)[0]}
    words = check(adapter, icons, RECIPE, files)[bottom].words
    assert words == "not checked: no layer in front of first is on every path to it"


def test_the_plan_says_that_icons_are_checked(adapter, folder):
    told = str(bbilang.explain(TEXT.format(folder=folder), model=adapter, input=np.zeros((64, 64, 3), np.uint8)))
    assert "64 px, 96 steps, each checked against the photographs" in " ".join(told.split())


def test_cuts_before_a_layer(adapter):
    assert adapter.description.cuts_before("unit") == ("first", "relu")
    assert adapter.description.cuts_before("first") == ()
