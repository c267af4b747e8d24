"""docs/architecture.md: a traced `bbi run` enters the functions that the page lists, in their order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def section(anchor: str) -> tuple[str, list[tuple[str, str]]]:
    """(the text of a section, the functions that it lists)."""
    words = PAGE.split(f'<a id="{anchor}"></a>')[1].split("<a id=")[0].split("\n## Where")[0]
    text = re.search(r"^```bbi\n(.*?)^```$", words, re.MULTILINE | re.DOTALL)[1]
    return text, re.findall(r"^\| `([\w/]+\.py)` \| `([\w.]+)` \|", words, re.MULTILINE)


TRACED = """
import sys, threading
entered = {}

def trace(frame, event, argument):
    code = frame.f_code
    if code.co_flags & 1:  # a function, not the body of a module or class
        entered.setdefault((code.co_filename, code.co_qualname), None)

threading.settrace(trace)
sys.settrace(trace)
sys.argv = ["bbi", "run", "page.bbi", "--quiet"]
from bbilang.entry import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
sys.settrace(None)
for file, name in entered:
    print(file, name, sep="\\t")
"""


def entered(folder: Path) -> list[tuple[str, str]]:
    """(file, function) of every function of the repository that `bbi run` enters, in the order of first entry."""
    paths = {"PYTHONPATH": str(ROOT), "BBI_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", TRACED], capture_output=True, text=True, cwd=folder, env=os.environ | paths
    )
    assert done.returncode == 0, done.stderr[-3000:]
    pairs = (line.split("\t") for line in done.stdout.splitlines() if "\t" in line)
    files = ((Path(file).resolve(), name) for file, name in pairs)
    return [
        (str(file.relative_to(ROOT.resolve())), name) for file, name in files if file.is_relative_to(ROOT.resolve())
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("anchor", "least"), [("life", 26), ("scan", 14)])
def test_a_run_enters_the_listed_functions_in_order(anchor: str, least: int, tmp_path: Path) -> None:
    text, steps = section(anchor)
    (tmp_path / "page.bbi").write_text(text, encoding="utf-8")
    order = {step: number for number, step in enumerate(entered(tmp_path))}
    assert len(steps) >= least
    assert [step for step in steps if step not in order] == []
    assert sorted(steps, key=order.__getitem__) == steps
    again = set(entered(tmp_path))
    assert ("runtime/recall/pages.py", "page_key") in again
    assert ("runtime/models/loading.py", "load") not in again, "the second run takes the page from the cache"


def test_folders_and_files_exist() -> None:
    """Every path on the page exists; folders after a `·` are relative to the parent of the first."""
    for line in PAGE.splitlines():
        for cell in line.split("|")[1:]:
            parent = ""
            for name in re.findall(r"`([\w/]+(?:/|\.py|\.js|\.lark|\.md))`", cell):
                known = [name, f"{parent}{name}", f"bbilang/{name}"]
                assert any((ROOT / each).exists() for each in known), name
                if name.endswith("/") and name.count("/") > 1:
                    parent = f"{name.partition('/')[0]}/"


def test_every_folder_is_listed() -> None:
    table = PAGE.split("## Folders")[1].split("<a id=")[0]
    for package in ("compiler", "runtime"):
        for folder in (ROOT / package).iterdir():
            if (folder / "__init__.py").is_file():
                assert f"{folder.name}/`" in table, f"{package}/{folder.name}"
