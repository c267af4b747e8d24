"""What a dataset's name stands for: a folder, a table or an archive, inside the folder of ``--root``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, NoReturn

from bbilang.grammar.files import beside, inside, kind, short
from bbilang.runtime.errors import error
from bbilang.runtime.inputs.images import ADDRESS, SUFFIXES

Kind = Literal["folder", "table", "tar", "gzip", "zip", "sample"]

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
ENDINGS: dict[str, Kind] = {
    **dict.fromkeys(TABLES, "table"),
    ".tar": "tar",
    ".tar.gz": "gzip",
    ".tgz": "gzip",
    ".zip": "zip",
}
REPACK = (".tar.bz2", ".tar.xz", ".tar.zst", ".7z", ".rar", ".tbz2", ".txz")
SOURCES = "a dataset is a folder of pictures, a table (.csv, .jsonl, .parquet) or an archive (.tar, .tar.gz, .zip)"
EXPECTED = "a folder, a table, an archive, or a sequence of (picture, label) with a length"  # in `data=`


def resolve(name: str, folder: str | os.PathLike[str], root: Path | None) -> tuple[Path, Kind]:
    """Return the absolute path of a dataset, relative names starting in ``folder``, and its kind.

    Raises BbiError E450 where there is none or it is of another kind, E455 where it lies outside of ``root``.
    """
    if ADDRESS.match(name):
        fail("E450", f"{short(name)} is an address, and a dataset is on this machine", "download it first")
    try:
        path = beside(Path(folder), name)
        if not inside(path, root):
            fail("E455", f"{short(name)} lies outside of the folder given with `--root`", "move it into that folder")
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        fail("E450", f"there is no dataset {short(name)}", _near(beside(Path(folder), name)))
    except OSError as failure:
        raise error("E450", f"{short(name)} cannot be opened: {failure.strerror or failure}", SOURCES) from failure
    path = Path(os.path.abspath(path))
    if os.path.isdir(path):
        return path, "folder"
    if (special := kind(mode)) is not None:
        fail("E450", f"{short(name)} is {special}", SOURCES)
    lower = path.name.lower()
    for ending, what in ENDINGS.items():
        if lower.endswith(ending):
            return path, what
    if lower.endswith(REPACK):
        fail("E450", f"{short(name)} is compressed in a way that is not read in place", "pack it as .tar or .zip")
    if lower.endswith(SUFFIXES):
        fail("E450", f"{short(name)} is one picture", f"name the folder that it lies in: {SOURCES}")
    fail("E450", f"{short(name)} is not a dataset", SOURCES)


def _near(path: Path) -> str:
    from bbilang.compiler.contract import did_you_mean

    try:
        names = [entry.name for entry in os.scandir(path.parent) if entry.name[0] != "."]
    except OSError:
        return f"there is no folder {short(path.parent.name)} either"
    return did_you_mean(path.name, names) or SOURCES


def fail(code: str, message: str, help: str | None = None) -> NoReturn:
    raise error(code, message, help)
