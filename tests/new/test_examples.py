"""`bbi examples`: every text of the gallery, listed, printed and copied."""

from pathlib import Path

import pytest

from bbilang.cli.app import main

SPECS = {path.stem: path for path in (Path(__file__).parents[2] / "specs").glob("*.bbi")}


@pytest.fixture
def bbi(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capfd.readouterr()
        code = main(list(arguments))
        return code, *capfd.readouterr()

    return run


def test_all_are_listed_with_what_they_ask(bbi):
    code, out, _ = bbi("examples")
    assert code == 0
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines.keys() == SPECS.keys()
    assert lines["teaser"] == "Why does the network say one class and not another?"


def test_one_is_printed_as_it_is(bbi):
    for name, path in SPECS.items():
        assert bbi("examples", name)[:2] == (0, path.read_text(encoding="utf-8"))
    assert bbi("examples", "teaser.bbi")[0] == 0


def test_one_is_copied_and_nothing_is_overwritten(bbi, tmp_path):
    assert bbi("examples", "teaser", "-o", "mine.bbi")[:2] == (0, "mine.bbi\n")
    assert (tmp_path / "mine.bbi").read_bytes() == SPECS["teaser"].read_bytes()
    (tmp_path / "mine.bbi").write_text("mine")
    code, _, err = bbi("examples", "teaser", "-o", "mine.bbi")
    assert code == 2 and "is there already" in err and (tmp_path / "mine.bbi").read_text() == "mine"
    assert bbi("examples", "teaser", "-o", "mine.bbi", "--force")[0] == 0
    assert bbi("examples", "teaser", "-o", ".")[:2] == (0, "teaser.bbi\n")


def test_a_wrong_name(bbi):
    code, _, err = bbi("examples", "teasr")
    assert code == 2 and "did you mean `teaser`?" in err
    assert bbi("examples", "-o", "mine.bbi")[0] == 2
