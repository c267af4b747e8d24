"""Datasets that a caller gives by name: `data={"photos": dataset}`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

import bbilang
from bbilang.cli.app import main
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.models.preprocess import Preprocess

MEAN = "b.channel | across(photos) | mean(example) | present(bars)\n"
NOISE = np.random.default_rng(2).integers(0, 256, (6, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder of two labels whose pictures are those of NOISE."""
    for number, pixels in enumerate(NOISE):
        own = tmp_path / "photos" / ("ant", "bee")[number % 2]
        own.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(own / f"{number}.png")
    return tmp_path / "photos"


class Pictures(torch.utils.data.Dataset):
    classes = ("ant", "bee")

    def __len__(self) -> int:
        return len(NOISE)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(NOISE[number]).movedim(-1, 0), number % 2


def values(page) -> np.ndarray:
    return page.data("element-1").values


def test_a_name_is_given_by_what_python_has(photos, network):
    """A torch Dataset, pairs, mappings, a path, and a Dataset of a folder have the same pictures, so the same numbers,
    up to the order of the sums."""
    ways = [
        Pictures(),
        [(Image.fromarray(pixels), ("ant", "bee")[n % 2]) for n, pixels in enumerate(NOISE)],
        [{"image": pixels, "label": ("ant", "bee")[n % 2]} for n, pixels in enumerate(NOISE)],
        photos,
        str(photos),
        open_dataset(str(photos)),
    ]
    expected = values(bbilang.run(f'dataset photos = "{photos}"\n{MEAN}', model=network, cache=False))
    for given in ways:
        made = bbilang.run(MEAN, model=network, data={"photos": given}, cache=False)
        np.testing.assert_allclose(values(made), expected, rtol=1e-5, atol=1e-6)
    per_label = MEAN.replace("mean(example)", "mean(example, per=label)").replace("bars", "matrix")
    page = bbilang.run(per_label, model=network, data={"photos": Pictures()}, cache=False)
    assert page.data("element-1").labels["label"][1].tolist() == ["ant", "bee"]


def test_it_wins_over_the_statement_of_the_text(photos, network):
    text = f'dataset photos = "no such folder/"\n{MEAN}'
    given = bbilang.run(text, model=network, data={"photos": photos}, cache=False)
    assert not np.isnan(values(given)).any()
    part = 'dataset photos = "gone/"\ndataset ants = photos | filter(label == "ant")\n'
    ants = bbilang.run(
        part + MEAN.replace("(photos)", "(ants)"), model=network, data={"photos": Pictures()}, cache=False
    )
    alone = bbilang.run(MEAN, model=network, data={"photos": list(NOISE[::2])}, cache=False)
    np.testing.assert_allclose(values(ants), values(alone), rtol=1e-5, atol=1e-6)


def test_the_checker_knows_what_is_given(photos, network):
    program = bbilang.check(bbilang.parse(MEAN), model=network, data={"photos": Pictures()})
    (scan,) = program.scans
    assert scan.dataset.type.axes[0].size == 6 and scan.dataset.type.axes[0].exact
    assert dict(scan.dataset.type.columns)["label"] == 2
    with pytest.raises(BbiError, match="E215"):
        bbilang.check(bbilang.parse(MEAN.replace("(example)", "(example, per=lable)")), model=network,
                      data={"photos": Pictures()})  # fmt: skip
    assert "6 examples" in str(bbilang.explain(MEAN, model=network, data={"photos": photos}))


def test_other_pictures_are_other_results(network, tmp_path):
    """Nothing of an earlier dataset of the same name is recalled; the same pictures are."""
    given = [list(NOISE[:3]), list(NOISE[3:]), list(NOISE[:3])]
    pages = [bbilang.run(MEAN, model=network, data={"photos": each}, cache=tmp_path / "cache") for each in given]
    assert not np.allclose(values(pages[0]), values(pages[1]))
    np.testing.assert_array_equal(values(pages[0]), values(pages[2]))
    assert pages[2].results.passes is None or pages[2].results.passes.forwards == 0


def test_a_program_that_was_checked_runs_with_the_dataset_it_was_checked_with(network):
    data = {"photos": Pictures()}
    steps = bbilang.plan(bbilang.check(bbilang.parse(MEAN), model=network, data=data))
    results = bbilang.execute(steps, model=network, data=data, cache=False)
    assert len(results.fields) == 1
    with pytest.raises(BbiError, match=r"E423.*`photos`.*`data` lacks"):
        bbilang.execute(steps, model=network, cache=False)


@pytest.mark.parametrize(
    "given, words",
    [
        ([1], "`data` is a list, and takes a dict"),
        ({1: "photos/"}, "takes names of datasets"),
        ({"my photos": "photos/"}, "takes names as in a text"),
        ({"photos": 3}, r"`data\['photos'\]` is an int"),
        ({"photos": {"ant": []}}, r"`data\['photos'\]` is a dict"),
        ({"photos": iter(NOISE)}, r"`data\['photos'\]` is an? "),
    ],
)
def test_what_is_no_dataset_is_refused(given, words, network):
    with pytest.raises(BbiError, match=f"E423.*{words}"):
        bbilang.run(MEAN, model=network, data=given, cache=False)


def test_a_name_that_the_text_does_not_use_is_said(photos, network):
    page = bbilang.run(f'dataset photos = "{photos}"\n{MEAN}', model=network, data={"fotos": [NOISE[0]]}, cache=False)
    assert any("`data` gives `fotos`, and the text does not use it" in w.message for w in page.results.program.warnings)


def test_the_command_line_gives_a_path(photos, capsys, monkeypatch):
    monkeypatch.chdir(photos.parent)
    Path("page.bbi").write_text(MEAN.replace("b.channel", "block6a.expand.channel"))
    assert main(["check", "page.bbi"]) == 1
    assert main(["check", "page.bbi", "--data", "photos=photos/"]) == 0
    assert main(["explain", "page.bbi", "--data", "photos=photos/"]) == 0
    assert "photos/: 6 examples" in capsys.readouterr().out
    assert main(["explain", "page.bbi", "--data", "photos"]) != 0
    assert "E440" in capsys.readouterr().err
