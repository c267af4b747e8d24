"""What the language wishes of icons: each word reaches the engine, the picture, the legend and the cache's key."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.featvis.icon import Objective, Recipe, Start, icon_key
from bbilang.runtime.view.icon_tiles import tile

LAYER = "block1a.depthwise"
TINY = {"featvis.size": 16, "featvis.steps": 2, "featvis.batch": 2}
CHANNELS = f"{LAYER}.channel | activation | top(2) | present(featvis"


def made(text: str, **settings: object) -> bbilang.Page:
    return bbilang.run(text, input="sample:chelsea", settings={**TINY, **settings})


def asked(text: str, monkeypatch: pytest.MonkeyPatch, cache: object = False) -> list[Objective]:
    """The objectives that a text comes to; nothing is made."""
    from bbilang.runtime.execution import full
    from bbilang.runtime.featvis.icon import Icon

    seen: list[Objective] = []

    def icons(job, adapter, objectives, *rest):
        seen.extend(objectives)
        return [Icon(np.zeros((16, 16, 3), np.uint8), 0.0) for _ in objectives]

    monkeypatch.setattr(full, "make_icons", icons)
    bbilang.run(text, input="sample:chelsea", settings=TINY, cache=cache)
    return seen


def test_each_wish_is_an_objective(monkeypatch):
    usual = asked(f"{CHANNELS})", monkeypatch)
    assert usual == [Objective(LAYER, o.direction) for o in usual] and len(usual) == 2
    assert asked(f"{CHANNELS}, negative=true)", monkeypatch) == [replace(o, negative=True) for o in usual]
    several = [replace(o, number=n, pictures=3) for o in usual for n in range(3)]
    assert asked(f"{CHANNELS}, diversity=3)", monkeypatch) == several
    page = bbilang.run(f"{CHANNELS})", input="sample:chelsea", settings=TINY)
    start = Start.of(page.results.pictures[0].shown)
    assert asked(f"{CHANNELS}, start=input)", monkeypatch) == [replace(o, start=start) for o in usual]
    # for a whole file; an element's own word wins
    text = f"set featvis(negative=true)\na = {CHANNELS})\nb = {CHANNELS}, negative=false)"
    assert asked(text, monkeypatch) == [*(replace(o, negative=True) for o in usual), *usual]
    # a channel has no place, a neuron and a vector have
    assert asked(f"{CHANNELS}, place=true)", monkeypatch) == usual


def test_places(monkeypatch):
    text = "block6c.expand.neuron | activation | top(3) | present(featvis, place=true)"
    objectives = asked(text, monkeypatch)
    page = bbilang.run(text.replace("featvis, place=true", "bars"), input="sample:chelsea")
    coords = page.data("element-1").coords
    y, x, channel = (coords[c][1].ravel().tolist() for c in ("y", "x", "channel"))
    assert [o.direction for o in objectives] == channel
    assert [o.at for o in objectives] == [((b + 0.5) / 7, (c + 0.5) / 7) for b, c in zip(y, x, strict=True)]
    grid = asked("block6c.expand.spatial | activation | present(featvis, place=true)", monkeypatch)
    assert [o.at for o in grid] == [((i + 0.5) / 7, (j + 0.5) / 7) for i in range(7) for j in range(7)]


def test_whole_layers(monkeypatch):
    text = f"[{LAYER}, block2a.expand].whole | activation | present(featvis, facet=layer{{}})"
    objectives = asked(text.format(""), monkeypatch)
    assert [(o.layer, o.kind, o.direction) for o in objectives] == [
        (LAYER, "caricature", ()),
        ("block2a.expand", "caricature", ()),
    ]
    assert all(o.start is not None for o in objectives)
    assert {o.kind for o in asked(text.format(", objective=dream"), monkeypatch)} == {"dream"}
    with pytest.raises(BbiError) as refused:
        made(f"{LAYER}.whole | attribute(output) | present(featvis)")
    assert refused.value.diagnostics[0].code == "E304"


def test_wishes_that_do_not_go_together():
    text = "set featvis(coherence=2, negative=true)\nblock6c.expand.spatial | activation | present(featvis)"
    with pytest.raises(BbiError, match="coherence") as refused:
        made(text)
    assert refused.value.diagnostics[0].code == "E510" and refused.value.diagnostics[0].span is not None


def test_every_wish_has_a_key_of_its_own():
    class Adapter:
        device = "cpu"

    usual, recipe, start = Objective("a", 3), Recipe(), Start.of(np.zeros((2, 2, 3), np.uint8))
    other = Start.of(np.ones((2, 2, 3), np.uint8))
    objectives = [
        usual, replace(usual, negative=True), replace(usual, pictures=2), replace(usual, number=1, pictures=2),
        replace(usual, pictures=3), replace(usual, at=(0.5, 0.5)), replace(usual, at=(0.5, 0.25)),
        replace(usual, start=start), replace(usual, start=other), Objective("a", (), "dream", start=start),
        Objective("a", (), "caricature", start=start),
    ]  # fmt: skip
    keys = {icon_key("model", o, recipe, 8, Adapter()) for o in objectives}
    keys |= {icon_key("model", usual, replace(recipe, **{k: v}), 8, Adapter())
             for k, v in (("parametrization", "maco"), ("transparency", True))}  # fmt: skip
    assert len(keys) == len(objectives) + 2


def test_real_pictures_and_what_is_remembered():
    """The same cache serves all: numbers are found again, and no picture stands for another wish."""
    texts = {
        "usual": f"{CHANNELS})",
        "negative": f"set featvis(negative=true)\n{CHANNELS})",
        "maco": f"set featvis(parametrization=maco)\n{CHANNELS})",
        "transparent": f"set featvis(transparency=true)\n{CHANNELS})",
        "several": f"set featvis(diversity=2)\n{CHANNELS})",
        "input": f"set featvis(start=input)\n{CHANNELS})",
        "caricature": f"{LAYER}.whole | activation | present(featvis)",
    }
    pages = {name: made(text) for name, text in texts.items()}
    again = {name: made(texts[name]) for name in ("usual", "several", "transparent")}
    first = {name: page.results.icons[0].picture for name, page in pages.items()}
    assert len({picture.tobytes() for picture in first.values()}) == len(texts)
    for name, page in again.items():
        np.testing.assert_array_equal(page.results.icons[0].picture, first[name])
    assert first["transparent"].shape == (16, 16, 4) and first["usual"].shape == (16, 16, 3)
    assert len(pages["several"].results.icons) == 4
    shown = {name: page.view.pictures[page.view.interfaces[0].elements[0].panels[0].frames[0].pictures[0]]
             for name, page in pages.items()}  # fmt: skip
    assert (shown["several"].width, shown["several"].height) == (33, 16)  # a gap of 1 px
    notes = {name: " ".join(page.view.interfaces[0].elements[0].legend.notes) for name, page in pages.items()}
    for name, words in (("negative", "other end"), ("several", "2 pictures"), ("input", "start from the input"),
                        ("transparent", "does not need"), ("caricature", "exaggerated")):  # fmt: skip
        assert words in notes[name] and words not in notes["usual"]
    assert ("featvis.parametrization", "maco") in pages["maco"].view.provenance.settings


def test_a_grid_remembers_whether_its_cells_cohere(monkeypatch):
    """Numbers that are recalled come with the icons that this text wishes, not with those of another."""
    text = "{}block6c.expand.spatial | activation | present(featvis)"
    for before in ("", "set featvis(coherence=2)\n", "set featvis(negative=true)\n", "", "set featvis(coherence=3)\n"):
        objectives = asked(text.format(before), monkeypatch, cache=None)
        assert len(objectives) == 49 and all(o.negative == ("negative" in before) for o in objectives)
        assert {o.grid.groups if o.grid else 0 for o in objectives} == {int(before[-3]) if "coherence" in before else 0}


def test_tile():
    pictures = [np.full((2, 3, 3), n, np.uint8) for n in (10, 20, 30)]
    sheet = tile(pictures)
    assert sheet.shape == (5, 7, 4) and tile(pictures[:1]) is pictures[0]
    assert (sheet[:2, :3, :3] == 10).all() and (sheet[:2, 4:, :3] == 20).all() and (sheet[3:, :3, :3] == 30).all()
    assert (sheet[3:, 4:] == 0).all() and (sheet[:2, :3, 3] == 255).all()
    assert not sheet[2].any() and not sheet[:, 3].any(), "the gap is transparent"
