"""A project of Sphinx with the directive `bbi`, in reStructuredText and MyST, built and read in a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sites import FINE, WRONG, reading, served, works

pytest.importorskip("sphinx", reason="without the test extra")
pytest.importorskip("myst_parser", reason="without the test extra")

CONF = """project = "Try"
extensions = ["myst_parser", "bbilang.hosts.sphinx"]
myst_fence_as_directive = ["bbi"]
suppress_warnings = ["toc.not_included"]
"""


def indented(text: str, by: int = 3) -> str:
    return "".join(f"{' ' * by}{line}" if line.strip() else line for line in text.splitlines(True))


INDEX = f"""Start
=====

.. bbi::
   :title: Why is it a cat?
   :text: open

{indented(FINE)}
.. toctree::

   deep/page
"""
DEEP = f"# Deep\n\n```{{bbi}}\n:height: 500\n{FINE}```\n\n- in a list\n\n  ```bbi\n{indented(FINE, 2)}  ```\n"


def project(folder: Path, conf: str = "", **pages: str) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "conf.py").write_text(CONF + (conf or 'bbi_limits = {"seconds": 900}\n'))
    for name, text in pages.items():
        stem, _, suffix = name.replace("__", "/").rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(text)
    return folder


def build(folder: Path, *options: str, builder: str = "html") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-d", "doctrees", ".", builder, *options]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = project(tmp_path_factory.mktemp("sphinx"), index_rst=INDEX, deep__page_md=DEEP)
    done = build(made, "-W", "-j", "2")
    assert done.returncode == 0, done.stderr
    return made


def addresses(page: Path) -> list[str]:
    return re.findall(r'<iframe class="bbi-page"[^>]* src="([^"]+)" loading="lazy"', page.read_text())


def test_blocks_are_pages(folder: Path) -> None:
    (address,) = addresses(folder / "html" / "index.html")
    assert re.fullmatch(r"_bbi/[0-9a-f]{20}\.html", address) and (folder / "html" / address).is_file()
    deep = addresses(folder / "html" / "deep" / "page.html")
    assert len(deep) == 2 and all((folder / "html" / "deep" / each).is_file() for each in deep)
    assert deep[0] == deep[1], "one text, one page"
    html = (folder / "html" / "index.html").read_text()
    assert '<span class="nf">present</span>' in html and "<details open>" in html
    page = (folder / "html" / address).read_text()
    assert str(folder) not in page and str(Path.cwd()) not in page


def test_built_again(folder: Path) -> None:
    """Pages come back without being made, also where the site alone was deleted, and for another builder."""
    before = addresses(folder / "html" / "index.html")
    shutil.rmtree(folder / "html")
    done = build(folder, "-W")
    assert done.returncode == 0, done.stderr
    assert addresses(folder / "html" / "index.html") == before and (folder / "html" / before[0]).is_file()
    assert build(folder, "-W", builder="dirhtml").returncode == 0
    (address, _) = addresses(folder / "dirhtml" / "deep" / "page" / "index.html")
    assert address.startswith("../../_bbi/") and (folder / "dirhtml" / "deep" / "page" / address).is_file()
    assert build(folder, "-W", builder="text").returncode == 0
    assert "present(bars)" in (folder / "text" / "index.txt").read_text()


@pytest.mark.browser
def test_in_a_browser(folder: Path, chromium) -> None:
    with served(folder / "html") as address:
        with reading(chromium, f"{address}/index.html") as tab:
            works(tab, "Why is it a cat?")
        with reading(chromium, f"{address}/deep/page.html", color_scheme="dark") as tab:
            frame = tab.locator("iframe.bbi-page").first
            inside = tab.frame_locator("iframe.bbi-page >> nth=0")
            inside.locator(".chart svg").first.wait_for()
            assert frame.bounding_box()["height"] == 500, "fixed by `height`"


def test_a_wrong_text_is_a_warning_at_its_line_and_a_box(tmp_path: Path) -> None:
    rst = f"Start\n=====\n\nOne.\n\n* A list\n\n  .. bbi::\n\n{indented(WRONG, 5)}\n"
    md = f"# Two\n\nwords\n\n```{{bbi}}\n:text: wide\n{FINE}```\n\n```bbi\n{WRONG}```\n"
    folder = project(tmp_path, index_rst=rst, two_md=md)
    done = build(folder)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    line = rst.split("\n").index("     head.chanel | attribute(output) | top(5) | present(bars)") + 1
    assert f"index.rst:{line}: WARNING: a `bbi` block has no page" in done.stderr
    assert f"  --> index.rst:{line}:11\n" in done.stderr and "error[E208]: `chanel` is not an atom" in done.stderr
    line = md.split("\n").index("head.chanel | attribute(output) | top(5) | present(bars)") + 1
    assert f"  --> two.md:{line}:6\n" in done.stderr and f"two.md:{line}: WARNING" in done.stderr
    assert "error[E434]: `text` is `wide`" in done.stderr
    html = (folder / "html" / "index.html").read_text()
    assert "This page could not be made." in html and "E208" in html and 'role="note"' in html
    assert build(folder, "-W", "-E").returncode != 0


def test_strict_fails_the_build(tmp_path: Path) -> None:
    done = build(
        project(
            tmp_path,
            'bbi_strict = True\nbbi_limits = {"seconds": 900}\n',
            index_rst=f"A\n=\n\n.. bbi::\n\n{indented(WRONG)}",
        )
    )
    assert done.returncode == 2 and "E208" in done.stderr and "index.rst:7" in done.stderr


def test_strangers_are_bounded_and_settings_hold(tmp_path: Path) -> None:
    texts = ['input "../secret.png"\ninput | present(image)\n', "input | present(image)\n", FINE]
    blocks = "\n".join(f".. bbi::\n\n{indented(text)}" for text in texts)
    folder = project(tmp_path, 'bbi_limits = {"passes": 1}\n', index_rst=f"A\n=\n\n{blocks}")
    done = build(folder)
    assert re.findall(r"error\[(E\d+)\]", done.stderr) == ["E244", "E420", "E380"]
