"""A site of MkDocs with `bbi` blocks, built by the command and read in a browser."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sites import FINE, WRONG, reading, served, works

pytest.importorskip("material", reason="without the docs extra")

MATERIAL = """site_name: Try
theme: {{name: material, font: false}}
plugins:
  - search
  - bbi: {{{options}}}
markdown_extensions: [admonition, pymdownx.superfences, {{pymdownx.tabbed: {{alternate_style: true}}}}]
"""
PLAIN = """site_name: Try
theme: mkdocs
plugins:
  - bbi: {{{options}}}
markdown_extensions: [fenced_code]
"""
INDENTED = "".join(f"    {line}" if line.strip() else line for line in FINE.splitlines(True))
INDEX = f"""---
title: Start
---

# Start

``` bbi title="Why is it a cat?" text=open
{FINE}```

!!! note

    ```bbi title="In a note"
{INDENTED}    ```

````markdown
```bbi
NotAPage
```
````

```bbi listing
input | present(image)
```
"""


def project(folder: Path, form: str = MATERIAL, options: str = "limits: {seconds: 900}", **pages: str) -> Path:
    (folder / "docs" / "deep").mkdir(parents=True)
    (folder / "mkdocs.yml").write_text(form.format(options=options))
    for name, text in pages.items():
        (folder / "docs" / f"{name.replace('__', '/')}.md").write_text(text)
    return folder


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", "site", *options]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "true"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = project(tmp_path_factory.mktemp("mkdocs"), index=INDEX, deep__page=f"# Deep\n\n```bbi\n{FINE}```\n")
    done = build(folder, "--strict")
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_blocks_are_pages_and_listings_stay(site: Path) -> None:
    html = (site / "index.html").read_text()
    rights = 'sandbox="allow-scripts allow-downloads"'
    frames = re.findall(rf'<iframe class="bbi-page" src="([^"]+)" loading="lazy" {rights} title="([^"]+)"', html)
    assert [title for _, title in frames] == ["Why is it a cat?", "In a note"]
    assert all((site / address).is_file() for address, _ in frames)
    assert html.count("NotAPage") == 1 and "listing" not in html and "wzxhzdk" not in html
    assert html.count('<span class="nf">present</span>') == 3, "two texts below their pages, one listing, in colours"
    assert re.search(r'<div class="admonition note">.*In a note.*?</details>', html, re.S)
    assert html.count("<details open>") == 1 and html.count("Open this page alone</a>") == 2
    deep = (site / "deep" / "page" / "index.html").read_text()
    (address,) = re.findall(r'src="(\.\./\.\./assets/bbi/[0-9a-f]{20}\.html)"', deep)
    page = (site / "deep" / "page" / address).read_text()
    assert 'data-name="page.bbi"' in page and str(Path.cwd()) not in page and str(site.parent) not in page


@pytest.mark.browser
@pytest.mark.parametrize("over", ["file", "http"])
def test_in_a_browser(over: str, site: Path, chromium) -> None:
    with (
        served(site) as address,
        reading(chromium, (site.as_uri() if over == "file" else address) + "/index.html") as tab,
    ):
        works(tab, "Why is it a cat?")
        link = tab.get_by_role("link", name="Open this page alone: Why is it a cat?")
        with tab.expect_popup() as opened:
            link.press("Enter")  # a click right after scrolling can still go to the frame that was there before
        opened.value.locator(".chart svg").first.wait_for()
        opened.value.close()
        frame = tab.get_by_title("Why is it a cat?")
        assert frame.evaluate("node => node.contentDocument") is None, "the page has no rights on the site"


@pytest.mark.parametrize("form", [MATERIAL, PLAIN], ids=["material", "plain"])
def test_a_wrong_text_is_a_warning_at_its_line_and_a_box(form: str, tmp_path: Path) -> None:
    inside = "".join(f"    {line}" for line in WRONG.splitlines(True))
    text = f"---\ntitle: x\n---\n\nOne\n\n- a list\n\n    ```bbi\n{inside}    ```\n\n```bbi hight=3\n{FINE}```\n"
    folder = project(tmp_path, form, index=text)
    done = build(folder)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    line = text.split("\n").index("    head.chanel | attribute(output) | top(5) | present(bars)") + 1
    assert f"index.md:{line}: a `bbi` block has no page" in done.stderr
    shown = f"  --> index.md:{line}:10\n{line:>4} |     head.chanel | attribute(output) | top(5) | present(bars)\n"
    assert "error[E208]" in done.stderr and f"{shown}{'':>4}            ^^^^^^\n" in done.stderr
    assert "error[E434]: a `bbi` block has no option `hight`" in done.stderr and "did you mean `height`" in done.stderr
    html = (folder / "site" / "index.html").read_text()
    assert html.count('role="note"') == 2 and "This page could not be made." in html and "E208" in html
    assert not list((folder / "site").rglob("bbi/*.html"))
    assert build(folder, "--strict").returncode == 1


def test_strict_fails_the_build(tmp_path: Path) -> None:
    done = build(project(tmp_path, options="strict: true, limits: {seconds: 900}", index=f"```bbi\n{WRONG}```\n"))
    assert done.returncode == 1 and "E208" in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "mkdocs.yml").write_text(MATERIAL.format(options="limits: {second: 3}"))
    done = build(tmp_path)
    assert done.returncode == 1 and "E433" in done.stderr and "Traceback" not in done.stderr


def test_marked_blocks_alone(tmp_path: Path) -> None:
    text = f"```bbi\n{FINE}```\n\n```bbi page\n{FINE}```\n"
    assert build(project(tmp_path, options="blocks: marked, limits: {seconds: 900}", index=text)).returncode == 0
    html = (tmp_path / "site" / "index.html").read_text()
    assert html.count("<iframe") == 1


def test_strangers_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    texts = {
        'input "../secret.png"\ninput | present(image)\n': "E244",
        'model "os:system"\ninput "sample:chelsea"\ninput | present(image)\n': "E409",
        'model efficientnet_lite0 from "download"\ninput "sample:chelsea"\ninput | present(image)\n': "E446",
        'input "sample:chelsea"\nhead.channel | top(1000) | present(featvis)\n': "E380",
        'input "sample:chelsea"\n' + "head.channel | top(3) | present(bars)\n" * 51: "E435",
        'input "sample:chelsea"\nhead.? | top(3) | present(bars)\n': "E298",
        'input "sample:chelsea"\ninput | present(image)\n': "E589",
    }
    blocks = "\n\n".join(f"```bbi\n{text}```" for text in texts)
    folder = project(tmp_path / "site", options="limits: {page: 1kB, seconds: 900}", index=blocks)
    done = build(folder)
    assert done.returncode == 0
    assert re.findall(r"^error\[(E\d+)\]", done.stderr, re.M) == list(texts.values())


def test_built_twice_and_at_once(tmp_path: Path) -> None:
    """The second build takes pages from the cache; two at a time into one folder leave whole files."""
    folder = project(tmp_path, index=f"```bbi\n{FINE}```\n")
    command = [sys.executable, "-m", "mkdocs", "build", "--dirty", "-q", "--site-dir", "site"]
    both = [subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE) for _ in range(2)]
    assert [one.wait(600) for one in both] == [0, 0], [one.stderr.read() for one in both]
    pages = {page.name: page.read_bytes() for page in (folder / "site" / "assets" / "bbi").iterdir()}
    assert 1 <= len(pages) <= 2  # each measures the machine, and may choose another mode: last digits differ then
    assert all(html.rstrip().endswith(b"</html>") for html in pages.values())
    code = (
        "import sys; from mkdocs.__main__ import cli; cli(['build', '-q', '--site-dir', 'site'], standalone_mode=False)"
    )
    code += "; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == "False", done.stderr
    (page,) = (folder / "site" / "assets" / "bbi").iterdir()
    assert page.read_bytes() == pages[page.name]


def test_ctrl_c_leaves_no_half_of_a_page(tmp_path: Path) -> None:
    slow = 'set featvis(size=64, steps=2000)\ninput "sample:chelsea"\n'
    slow += "head.channel | attribute(output) | top(8) | present(featvis)\n"
    folder = project(tmp_path, index=f"```bbi\n{FINE}```\n\n```bbi\n{slow}```\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", "site"], cwd=folder, stderr=subprocess.PIPE
    )
    pages = folder / "site" / "assets" / "bbi"
    end = time.monotonic() + 300
    while not list(pages.glob("*.html")) and time.monotonic() < end:
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    child.wait(300)
    assert child.returncode != 0
    (page,) = pages.iterdir()
    assert page.read_text().rstrip().endswith("</html>")
