"""The tutorial, from top to bottom: texts are written, commands run, outputs compared, pages viewed.

Icons are made smaller than the tutorial's, and the line that says how large they are is read accordingly.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bbilang.cli.app import main

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(bbi \S+|console)\n(.*?)^```$", re.M | re.S)
FENCE = re.compile(r"^```", re.M)
SMALLER = ["--set", "featvis.size=16", "--set", "featvis.steps=2"]
SIZES = "(64 px, 64 steps)", "(16 px, 2 steps)"


def commands(block):
    """(command, what it prints) of a console block."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.M)
    assert parts[0] == "", "a console block begins with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def matches(expected, printed):
    """Match literally, except that `...` matches anything."""
    pattern = ".*?".join(map(re.escape, expected.strip().replace(*SIZES).split("...")))
    return re.fullmatch(pattern, printed.strip(), re.S)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """The folder in which every step was taken, in order, and every command's output as [(line, expected, printed)]."""
    folder = tmp_path_factory.mktemp("tutorial")
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "stdin", None)
        for libraries in Path(os.environ["BBI_CACHE_DIR"]).glob("vega-*.js"):  # two seconds, and not what is looked at
            shutil.copy(libraries, folder)
        patch.setenv("BBI_CACHE_DIR", str(folder))  # a reader's first: what other tests computed is not there
        for name in ("FORCE_COLOR", "NO_COLOR", "BBI_DEBUG"):
            patch.delenv(name, raising=False)
        for match in BLOCK.finditer(TUTORIAL):
            line = TUTORIAL[: match.start()].count("\n") + 1
            if match[1].startswith("bbi "):
                Path(match[1].removeprefix("bbi ")).write_text(match[2], encoding="utf-8")
                continue
            for command, expected in commands(match[2]):
                said.append((line, command, expected, _printed(command, folder, patch)))
    return folder, said


def _printed(command, folder, patch):
    words = shlex.split(command)
    if words[0] == "pip":
        return ""
    assert words[0] == "bbi"
    if words[1] == "run":
        words += SMALLER
    with (folder / ".printed").open("w+", encoding="utf-8") as file:  # both streams in one, as a terminal shows them
        patch.setattr(sys, "stdout", file)
        patch.setattr(sys, "stderr", file)
        main(words[1:])
        file.seek(0)
        return file.read()


def test_every_block_is_a_step():
    assert len(FENCE.findall(TUTORIAL)) == 2 * len(BLOCK.findall(TUTORIAL))
    assert {path.name for path in (ROOT / "docs" / "images").glob("tutorial-*.png")} == set(
        re.findall(r"images/(tutorial-\w+\.png)", TUTORIAL)
    )


def test_what_is_printed(tutorial):
    _, said = tutorial
    assert len(said) > 10
    for line, command, expected, printed in said:
        assert matches(expected, printed), (
            f"docs/tutorial.md:{line}: {command}\n{expected}\n-- but printed --\n{printed}"
        )


def test_the_install():
    """What the first step installs is what there is to install; a wheel is built and opened by tests/house."""
    [line] = re.findall(r"^\$ pip install '\.\[(\w+)\]'$", TUTORIAL, re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert line in project["optional-dependencies"] and "bbi" in project["scripts"]
    done = subprocess.run([sys.executable, "-m", "bbilang.cli", "--version"], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == f"bbi {project['version']}\n"


# --- the pages, looked at -------------------------------------------------------------------------------------------


def icons(page):
    """Pointing at an icon says where its channel is active."""
    page.focus('[data-chart="icons"]')
    words = []
    for _ in range(2):
        page.keyboard.press("ArrowRight")
        words.append(page.text_content('[data-now="where"]'))
    assert len(set(words)) == 2 and all(
        word.startswith("block6a.expand channel ") or "channel" in word for word in words
    )


def bars(page):
    words = page.locator('[data-chart="element-1"]').text_content()
    assert len(re.findall(r"channel \d", words)) == 5


def place(page):
    """Pointing at the photo selects a position, which changes the bars."""
    before = page.text_content("[data-now]")
    box = page.locator('[data-chart="photo"] svg').bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.2)
    page.wait_for_function("before => document.querySelector('[data-now]').textContent !== before", arg=before)


def groups(page):
    """The slider changes how many groups there are."""
    chips = page.locator(".chips").first.locator(".chip")
    assert page.text_content("output") == "3" and chips.count() == 3
    page.focus("input[type=range]")
    page.keyboard.press("ArrowRight")
    assert page.text_content("output") == "4" and chips.count() == 4


LOOKS = {"first.html": icons, "mine.html": bars, "place.html": place, "groups.html": groups}


@pytest.mark.browser
def test_the_pages(tutorial, chromium):
    folder, _ = tutorial
    assert {path.name for path in folder.glob("*.html")} == LOOKS.keys()
    for name, look in LOOKS.items():
        page = chromium.new_page()
        troubles = []
        page.on("pageerror", lambda error, to=troubles: to.append(str(error)))
        page.goto((folder / name).as_uri())
        page.wait_for_selector("html[data-ready]")
        look(page)
        assert troubles == []
        page.close()
