"""The filter of pandoc and Quarto, run by pandoc itself on the example of Quarto."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sites import FINE, WRONG, reading, works

from bbilang.hosts.pandoc import FILTER

pypandoc = pytest.importorskip("pypandoc", reason="without the test extra")
EXAMPLE = Path(__file__).parents[2] / "examples" / "quarto"


def pandoc(folder: Path, name: str, *options: str, to: str = "page.html") -> subprocess.CompletedProcess[str]:
    command = [
        pypandoc.get_pandoc_path(),
        name,
        "--lua-filter",
        str(FILTER),
        "-o",
        to,
        "--standalone",
        "-f",
        "markdown",
        *options,
    ]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("quarto")
    shutil.copytree(EXAMPLE, made, dirs_exist_ok=True)
    done = pandoc(made, "index.qmd", to="index.html")
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    return made


def test_the_example(folder: Path) -> None:
    html = (folder / "index.html").read_text()
    addresses = re.findall(r' src="(index_files/bbi/[0-9a-f]{20}\.html)" loading="lazy" sandbox="allow-scripts', html)
    assert len(addresses) == 2 and all((folder / each).is_file() for each in addresses)
    assert html.count("listing") == 1, "its class alone"
    assert str(folder) not in html and str(folder) not in (folder / addresses[0]).read_text()


def test_the_filter_of_the_example_is_the_packages() -> None:
    configured = (EXAMPLE / "_quarto.yml").read_text()
    assert "filters: [bbi.lua]" in configured and FILTER.name == "bbi.lua"


@pytest.mark.browser
def test_in_a_browser(folder: Path, chromium) -> None:
    with reading(chromium, (folder / "index.html").as_uri()) as tab:
        works(tab, "Why a cat?")


def test_a_wrong_text(tmp_path: Path) -> None:
    text = "---\ntitle: x\nbbi: {limits: {seconds: 300}}\n---\n\n"
    text += "- in a list\n\n  ```{.bbi height=x}\n  input | top(3)\n  ```\n\n"
    text += f"```bbi\n{WRONG}```\n"
    (tmp_path / "x.md").write_text(text)
    done = pandoc(tmp_path, "x.md")
    line = text.split("\n").index(WRONG.split("\n")[1]) + 1
    assert done.returncode == 0 and f"x.md:{line}: a `bbi` block has no page" in done.stderr
    assert f"  --> x.md:{line}:6\n" in done.stderr and "^^^^^^" in done.stderr
    assert "error[E434]: `height` is `x`" in done.stderr
    html = (tmp_path / "page.html").read_text()
    assert html.count("This page could not be made.") == 2 and "<iframe" not in html
    (tmp_path / "strict.md").write_text(text.replace("bbi: {", "bbi: {strict: true, "))
    done = pandoc(tmp_path, "strict.md", to="strict.html")
    assert done.returncode != 0 and "E434" in done.stderr and not (tmp_path / "strict.html").exists()


def test_other_formats_keep_the_text(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text(f"```bbi\n{FINE}```\n")
    assert pandoc(tmp_path, "x.md", to="x.tex").returncode == 0
    assert "attribute" in (tmp_path / "x.tex").read_text() and not (tmp_path / "x_files").exists()
