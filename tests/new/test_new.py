"""`bbi new` writes texts that check, for every network and every question; it overwrites nothing without permission."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bbilang.cli import new_templates as newtexts
from bbilang.cli.app import main
from bbilang.runtime.models.descriptions import describe
from bbilang.runtime.models.registry import MODELS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bbi(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capfd.readouterr()
        code = main([str(a) for a in arguments])
        return code, *capfd.readouterr()

    return run


@pytest.mark.parametrize("model", MODELS)
def test_every_look_of_every_model_checks(bbi, model):
    names = [look.name for look in newtexts.looks(describe(model))]
    sound = describe(model).reads == "audio"
    given = "sample:note" if sound else "sample:coffee"
    assert names[0] == "channels" and len(names) == (2 if sound else 5)
    for name in names:
        code, out, err = bbi("new", f"{name}.bbi", "--model", model, "--show", name, "--input", given)
        assert (code, out) == (0, f"{name}.bbi\n"), err
        assert f"Now: bbi run {name}.bbi" in err
        assert ("--weights" in err) == (model not in ("efficientnet_lite0", "crepe_tiny"))
        text = Path(f"{name}.bbi").read_text()
        assert f"model {model}\n" in text and f'input "{given}"\n' in text
        assert max(map(len, text.splitlines())) <= 120
    assert bbi("check", ".")[0] == 0
    assert bbi("fmt", "--check", ".")[0] == 0


def test_the_page_of_the_first_text(bbi):
    assert bbi("new")[0] == 0
    code, out, _ = bbi("run", "first.bbi", "--set", "featvis.size=16", "--set", "featvis.steps=2", "-q")
    assert (code, out) == (0, "first.html\n")


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_224", "timm:resnet18"])
def test_networks_of_a_library(bbi, name):
    pytest.importorskip("timm", reason="without the models extra")
    model = describe(name)
    proposed = newtexts.proposals(model)
    assert proposed and [layer for layer in model.layers if layer in proposed] == list(proposed), "in forward order"
    for look in newtexts.looks(model):
        assert bbi("new", f"{look.name}.bbi", "-m", name, "--show", look.name)[0] == 0
    assert bbi("check", ".")[0] == 0


def test_a_model_that_reads_text():
    from bbilang.compiler.ir.model_description import LayerDescription, ModelDescription
    from bbilang.grammar.format import format_file
    from bbilang.grammar.parse import parse
    from bbilang.grammar.source import Source

    layers = tuple(LayerDescription(f"layer.{n}", f"layer.{n}", ("token", "channel"), (7, 16)) for n in range(4))
    model = ModelDescription("transformers:moods", "Moods", (1, 7), layers, 2, ("glad", "sad"), reads="text")
    [look] = newtexts.looks(model)
    text = newtexts.text(
        model, model.name, "text:good day", look, newtexts.first(newtexts.proposals(model)), "words.bbi"
    )
    assert 'model "transformers:moods"' in text and 'input "text:good day"' in text and "layer.3.token" in text
    assert format_file(parse(Source(text))) == text and "featvis" not in text, "icons are pictures"


def test_layers_come_from_the_description():
    proposed = newtexts.proposals(describe("inceptionv1"))
    sizes = [layer.every_size["y"] for layer in proposed]
    assert sizes == sorted(set(sizes), reverse=True), "one of each size of map, in forward order"
    assert newtexts.first(proposed).name == "mixed4e"


def test_a_layer_of_ones_own(bbi):
    assert bbi("new", "--layer", "block3b")[0] == 0
    assert "icons = block3b.channel" in Path("first.bbi").read_text()
    code, _, err = bbi("new", "two.bbi", "--layer", "block3f")
    assert code == 2 and "did you mean `block3" in err and not Path("two.bbi").exists()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--show", "dreams"], "E440", "it has channels, classes"),
        (["--model", "efficientnet"], "E401", "efficientnet_lite0"),
        (["--input", "cat.jpg"], "E411", "there is no picture cat.jpg"),
        (["--input", "sample:chelse"], "E415", "did you mean `sample:chelsea`?"),
    ],
)
def test_wrong_options(bbi, options, code, words):
    done = bbi("new", *options)
    assert done[0] and f"error[{code}]" in done[2] and words in done[2] and not Path("first.bbi").exists()


def test_nothing_is_overwritten(bbi):
    Path("first.bbi").write_text("mine")
    code, _, err = bbi("new")
    assert code == 2 and "is there already" in err and Path("first.bbi").read_text() == "mine"
    assert bbi("new", "--force")[0] == 0 and Path("first.bbi").read_text() != "mine"


class Terminal:
    """`bbi` on a terminal of its own: what it prints is waited for, then answered."""

    def __init__(self, folder, *arguments):
        self.master, slave = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bbilang.cli", *arguments], cwd=folder, env=environment,
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.said = ""

    def until(self, words, answer=None, seconds=60):
        end = time.monotonic() + seconds
        while words not in self.said and time.monotonic() < end:
            if not select.select([self.master], [], [], 1)[0]:
                continue
            try:
                self.said += os.read(self.master, 4096).decode().replace("\r\n", "\n")
            except OSError:
                break
        assert words in self.said
        self.said = self.said.partition(words)[2]
        if answer is not None:
            os.write(self.master, answer.encode())


def test_three_questions(tmp_path):
    (tmp_path / "first.bbi").write_text("mine")
    (tmp_path / "dog.jpg").write_bytes((ROOT / "docs" / "images" / "tutorial-first.png").read_bytes())
    terminal = Terminal(tmp_path, "new")
    terminal.until("Write over it? (yes or no) [no]: ", "yes\n")
    terminal.until("Three questions")
    terminal.until("network [efficientnet_lite0]: ", "efficientnet\n")
    terminal.until("error[E401]")
    terminal.until("network [efficientnet_lite0]: ", "\n")
    terminal.until("in this folder: dog.jpg")
    terminal.until("picture [dog.jpg]: ", "\n")
    terminal.until("5  groups")
    terminal.until("a number or a word [channels]: ", "2\n")
    terminal.until("Now: bbi run first.bbi")
    assert terminal.process.wait(20) == 0
    text = (tmp_path / "first.bbi").read_text()
    assert 'input "dog.jpg"' in text and "Why one class and not another?" in text


def test_no_is_no_and_the_end_of_input_is_the_end(tmp_path):
    (tmp_path / "first.bbi").write_text("mine")
    terminal = Terminal(tmp_path, "new")
    terminal.until("[no]: ", "\n")
    terminal.until("first.bbi is there already")
    assert terminal.process.wait(20) == 2
    terminal = Terminal(tmp_path, "new", "other.bbi")
    terminal.until("[efficientnet_lite0]: ", "\x04")
    terminal.until("nothing was written")
    assert terminal.process.wait(20) == 130
    assert (tmp_path / "first.bbi").read_text() == "mine" and not (tmp_path / "other.bbi").exists()
