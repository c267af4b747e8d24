"""`bbi explain`: output files, formats, and options of the command line."""

import json
import sys
from xml.etree import ElementTree

import jsonschema
import pytest
from explanations import HEAD, HOSTILE, MODES

from bbilang.cli.app import main
from bbilang.compiler.explain.json_form import schema

SMALL = HEAD + "head.channel | attribute(output) | top(3) | present(bars)\n"


@pytest.fixture
def bbi(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "BBI_DEBUG", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "page.bbi").write_text(SMALL)
    (tmp_path / "modes.bbi").write_text(MODES)

    def run(*arguments):
        capfd.readouterr()
        code = main(["explain", *map(str, arguments)])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def test_text_into_a_file_is_what_is_printed(bbi, tmp_path):
    code, out, err = bbi("page.bbi")
    assert (code, err) == (0, "") and "PHYSICAL PLAN, optimized" in out
    assert bbi("page.bbi", "-o", "plan.txt")[:2] == (0, "plan.txt\n")
    assert (tmp_path / "plan.txt").read_text(encoding="utf-8") == out


def test_json(bbi, tmp_path):
    printed = json.loads(bbi("page.bbi", "--json")[1])
    jsonschema.validate(printed, schema())
    assert json.loads(bbi("page.bbi", "--format", "json")[1]) == printed
    bbi("page.bbi", "-o", "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text(encoding="utf-8")) == printed


@pytest.mark.parametrize(("ending", "begins"), [("svg", b"<svg "), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_pictures(bbi, tmp_path, ending, begins):
    code, out, _ = bbi("modes.bbi", "-o", f"made/plan.{ending}", "--parents")
    made = (tmp_path / "made" / f"plan.{ending}").read_bytes()
    assert (code, out) == (0, f"made/plan.{ending}\n") and made.startswith(begins)


def test_a_picture_has_what_the_plan_says(bbi):
    root = ElementTree.fromstring(bbi("modes.bbi", "--format", "svg")[1])
    words = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert (
        "196 tangents from block5c to the scores" in words and "1,000 × backward to the picture, past block5c" in words
    )


def test_force(bbi):
    reverse = json.loads(bbi("modes.bbi", "--json", "--force", "reverse")[1])
    forward = json.loads(bbi("modes.bbi", "--json", "--force", "forward")[1])
    assert [s["passes"] for s in reverse["after"] if s["kind"] == "backward"] == [1000]
    assert [s["passes"] for s in forward["after"] if s["kind"] == "tangents"] == [196]
    assert reverse["before"] == forward["before"]
    _, out, _ = bbi("modes.bbi", "--force", "reverse")
    assert "chosen: reverse mode, 1,000 passes" in out and "instead of forward mode" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["page.bbi", "--force", "sideways"], "there is no mode `sideways`"),
        (["page.bbi", "--force", "reverse", "--no-optimize"], "--no-optimize leaves it out"),
        (["page.bbi", "--format", "csv"], "there is no format `csv`"),
        (["page.bbi", "-o", "plan.docx"], "there is no format `docx`"),
        (["page.bbi", "-o", "page.bbi", "--format", "svg"], "would overwrite page.bbi"),
    ],
)
def test_what_makes_no_sense(bbi, tmp_path, arguments, said):
    code, out, err = bbi(*arguments)
    assert code in (1, 2) and out == "" and said in err
    assert (tmp_path / "page.bbi").read_text() == SMALL


def test_eighty_columns(bbi, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, bbi("modes.bbi")[1].splitlines())) <= 80
    monkeypatch.setenv("COLUMNS", "wide")  # a shell's mistake is not ours to fail on
    assert bbi("modes.bbi")[0] == 0


def test_a_terminal_of_ascii(bbi, monkeypatch, tmp_path):
    with (tmp_path / "out").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["explain", "page.bbi"]) == 0
    shown = (tmp_path / "out").read_text(encoding="ascii")
    assert "?" not in shown and "224 x 224 pixels" in shown and "|- " in shown


def test_strange_words_do_not_steer_the_terminal(bbi, tmp_path):
    title = HOSTILE.replace('"', "'").replace("\x07", "").replace("\u202e", "")
    (tmp_path / "strange.bbi").write_text(f'{HEAD}input | present(image, title="{title}")\n', encoding="utf-8")
    code, out, _ = bbi("strange.bbi")
    assert code == 0 and "\x07" not in out and "\x1b" not in out
