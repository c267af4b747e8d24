"""`name layer.channel[3] "stripes"`: shown wherever the channel is, kept with the weights, stale with others."""

from __future__ import annotations

import csv
import io
import json
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

import bbilang
from bbilang.cli.app import main
from bbilang.compiler.ir.program import AtomName
from bbilang.grammar.source import Source
from bbilang.registry import registry
from bbilang.runtime.execution.job import Job
from bbilang.runtime.recall import atom_names
from bbilang.runtime.recall.atom_names import NameState, NotOurs
from bbilang.runtime.view.states import elements
from bbilang.texts import read

NAMES = 'name "0".channel[3] "stripes"\nname "0".channel[5] "<b>grass & sky</b>"\n'
STYLES = {  # style -> a pipe that shows channel 3
    "bars": '"0".channel | attribute(output[1]) | top(8) | present(bars)',
    "table": '"0".channel | attribute(output[1]) | top(8) | present(table)',
    "matrix": '"0".channel | attribute(output[top(2)]) | top(8) | present(matrix)',
    "featvis": '"0".channel | attribute(output[1]) | top(8) | present(featvis)',
    "neurons": '"0".neuron | activation | top(400) | present(table)',
    "facets": '"0".neuron | activation | at(pick("0".channel)) | present(heatmap)',
    "panels": '"0".neuron | activation | top(8, along=channel) | present(heatmap, facet=channel)',
    "pairs": '"0".channel | attribute("2".channel) | top(48) | present(table)',
    "number": '"0".channel[3] | attribute(output[1]) | present(number)',
    "number at": 'e = "0".channel | attribute(output[1]) | top(8) | present(bars)\n'
    '"0".channel | attribute(output[1]) | at(click(e)) | present(number)',
}
SMALL = {"featvis.size": 16, "featvis.steps": 1}


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(6, 5))  # fmt: skip


def page(text, seed: int = 0, **options):
    torch.manual_seed(1)
    return bbilang.run(text, model=network(seed), input=torch.rand(3, 12, 12), settings=SMALL, cache=False, **options)


def source(path: Path) -> Source:
    return read(str(path))


def labels(made) -> list[str]:
    view = made.view
    words = [atom.label for element in elements(view) for atom in element.atoms]
    for panel in (panel for element in elements(view) for panel in element.panels):
        words += [panel.label, *panel.labels, *(label for frame in panel.frames for label in frame.series)]
    return words + [atom.label for selection in view.selections for atom in selection.atoms]


@pytest.fixture
def text(tmp_path) -> Path:
    path = tmp_path / "page.bbi"
    path.write_text(NAMES + STYLES["bars"] + "\n")
    return path


@pytest.mark.parametrize("style", STYLES)
def test_a_name_is_shown_wherever_the_channel_is(style):
    plain, named = labels(page(STYLES[style])), labels(page(NAMES + STYLES[style]))
    assert any("channel 3" in label for label in plain)
    assert [label.replace(' "stripes"', "").replace(' "<b>grass & sky</b>"', "") for label in named] == plain
    for label in named:
        assert ("channel 3" in label.split(' "')[0].split(", to")[0]) == ('channel 3 "stripes"' in label), label


def test_a_name_is_words_on_the_page_and_in_files(tmp_path):
    made = page(NAMES + STYLES["bars"])
    html = made.html()
    assert "<b>grass" not in html and "grass" in html
    rows = list(csv.DictReader(io.StringIO(Path(made.save(tmp_path / "page.csv")).read_text())))
    assert 'channel 3 "stripes"' in {row["atom"] for row in rows}
    assert '"stripes"' in next(iter(made.answers.values())) or "grass" in next(iter(made.answers.values()))


def test_numbers_do_not_depend_on_names():
    plain, named = page(STYLES["bars"]), page(NAMES + STYLES["bars"])
    (left,), (right,) = ([e.node.digest for e in p.results.program.elements] for p in (plain, named))
    assert left == right


def test_a_caption_refers_to_a_channel_by_its_number():
    caption = STYLES["bars"].replace("(bars)", '(bars, caption="[this](channel 3)")')
    assert page(NAMES + caption).to_dict()["warnings"] == ()


def test_names_are_kept_beside_the_text_with_the_weights(text):
    made = page(source(text))
    kept = json.loads(text.with_name("page.names.json").read_text())
    weights = made.view.provenance.fingerprint
    expected = {"name": "stripes", "model": made.results.program.models[0].name, "weights": weights}
    assert kept["names"]["0.channel[3]"] == expected and set(kept["names"]) == {"0.channel[3]", "0.channel[5]"}
    assert not [path for path in text.parent.iterdir() if path.name not in ("page.bbi", "page.names.json")]


def test_other_weights_make_names_stale_until_they_are_kept_again(text):
    page(source(text))
    other = page(source(text), seed=9)
    assert 'channel 3 (stale "stripes")' in labels(other)
    (warning,) = other.to_dict()["warnings"]
    assert warning.startswith("2 names were given for other weights") and "bbi names page.bbi --keep" in warning
    assert 'channel 3 "stripes"' in labels(page(source(text))), "the weights that it was given for"
    text.write_text(text.read_text().replace("stripes", "zebra"))
    assert 'channel 3 "zebra"' in labels(page(source(text), seed=9)), "other words are a new name"
    kept = atom_names.read(text.with_name("page.names.json"))
    assert len({given.weights for given in kept.values()}) == 2


def test_names_of_a_used_file_are_kept_beside_that_file(tmp_path):
    (tmp_path / "ours.bbi").write_text(NAMES)
    text = tmp_path / "page.bbi"
    text.write_text(f'use "ours.bbi"\n{STYLES["bars"]}\n')
    assert 'channel 3 "stripes"' in labels(page(source(text)))
    assert (tmp_path / "ours.names.json").exists() and not (tmp_path / "page.names.json").exists()


def test_a_file_that_is_not_ours_is_left_alone(text):
    theirs = text.with_name("page.names.json")
    for content in (b'{"zebra": 1}', b"\xff\xfe", b"[" * 5000, b'{"format": "bbi-names", "version": 2, "names": {}}'):
        theirs.write_bytes(content)
        (warning,) = page(source(text)).to_dict()["warnings"]
        assert "the names of this text are not kept" in warning and theirs.read_bytes() == content
        with pytest.raises((NotOurs, OSError)):
            atom_names.read(theirs)


def test_a_name_is_shown_where_it_cannot_be_kept(text, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atom_names.files, "write", full)
    made = page(source(text))
    assert 'channel 3 "stripes"' in labels(made)
    assert "No space left" in made.to_dict()["warnings"][0]


def test_a_text_in_no_file_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert page(NAMES + STYLES["bars"]).to_dict()["warnings"] == () and not list(tmp_path.iterdir())


def test_runs_at_the_same_time_lose_no_name(text):
    made = page(source(text))
    job = Job(made.plan, registry())
    text.with_name("page.names.json").unlink()
    parts = [AtomName("", "0", "channel", (("channel", n),), f"n{n}") for n in range(8)]
    each = [(NameState(one, None, "w", ""),) for one in parts]
    threads = [threading.Thread(target=atom_names.keep, args=(job, states)) for states in each]
    for step in (threading.Thread.start, threading.Thread.join):
        for thread in threads:
            step(thread)
    assert len(atom_names.read(text.with_name("page.names.json"))) == 8


RANDOM = ("--weights", "random")
LINES = """set preprocess(size=32, crop=32)
input "sample:chelsea"
name block1a.expand.channel[3] "stripes"
block1a.expand.channel | activation | top(32) | present(bars)
"""


def test_the_command_lists_names_and_keeps_them(tmp_path, capsys):
    path, out = tmp_path / "page.bbi", str(tmp_path / "page.html")
    layer = "block2a.expand"
    path.write_text(LINES.replace("block1a.expand", layer).replace("top(32)", "top(96)"))

    def bbi(*arguments: str) -> tuple[int, str]:
        return main(list(arguments)), "".join(capsys.readouterr())

    assert bbi("names", str(path), *RANDOM)[1].count("new") == 1 and not path.with_name("page.names.json").exists()
    code, said = bbi("run", str(path), "-o", out, *RANDOM)
    assert code == 0 and "warning" not in said
    assert "reused: the whole page" in bbi("run", str(path), "-o", out, *RANDOM)[1]
    path.with_name("page.names.json").unlink()
    assert "reused: the whole page" in bbi("run", str(path), "-o", out, *RANDOM)[1]
    code, said = bbi("names", str(path), *RANDOM)
    assert code == 0 and "kept" in said, "a page from the cache keeps its names too"
    other = (*RANDOM, "--set", "seed=5")
    code, said = bbi("run", str(path), "-o", out, *other)
    assert code == 0 and "warning: the name was given for other weights" in said
    assert "(stale" in Path(out).read_text()
    code, said = bbi("names", str(path), "--json", *other)
    assert code == 1 and json.loads(said)[0]["state"] == "stale"
    assert bbi("names", str(path), "--keep", *other)[0] == 0
    code, said = bbi("run", str(path), "-o", out, *other)
    assert code == 0 and "warning" not in said and "(stale" not in Path(out).read_text()
