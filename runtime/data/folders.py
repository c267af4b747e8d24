"""Folders of pictures: every picture below, in the order of names, labelled by its folder. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bbilang.grammar.files import inside, short
from bbilang.runtime.data.listing import Listing, columns_of_names, not_empty
from bbilang.runtime.data.resolve import fail
from bbilang.runtime.inputs.images import SUFFIXES

MOST_DEPTH = 64  # of folders in folders
HIDDEN = ("__MACOSX",)  # and what begins with a full stop


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name in HIDDEN


def is_picture(name: str) -> bool:
    """Return whether a file's name ends like a picture's, and is not hidden."""
    return name.lower().endswith(SUFFIXES) and not is_hidden(name)


def list_folder(path: Path, root: Path | None) -> Listing:
    """List the pictures of a folder and of the folders in it; hidden files and other files are left out. Links are
    followed. Raises BbiError E451 without a picture, E455 for a link that leaves ``root``."""
    walk = _Walk(root)
    entries = sorted(walk.below(str(path), "", (os.path.realpath(path),)))
    names = [name for name, _, _ in entries]
    closed = tuple(sorted(walk.closed))
    listing = Listing("folder", path, path, names, [size for _, size, _ in entries], [s for _, _, s in entries],
                      columns_of_names(names), closed)  # fmt: skip
    return not_empty(listing, f"the folder {short(path.name)}")


class _Walk:
    def __init__(self, root: Path | None):
        self.root = root
        self.closed: list[tuple[str, str]] = []

    def below(self, folder: str, prefix: str, parents: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
        """Yield (name, bytes, time of the last change). ``parents``: real paths, by which a circle of links is seen."""
        try:
            entries = list(os.scandir(folder))
        except OSError as failure:
            self.closed.append((prefix.rstrip("/") or ".", failure.strerror or "it cannot be opened"))
            return
        for entry in entries:
            if is_hidden(entry.name):
                continue
            link = entry.is_symlink()
            try:
                if entry.is_dir():
                    real = os.path.realpath(entry.path) if link else f"{parents[-1]}{os.sep}{entry.name}"
                    if link:
                        self._stays(entry.path, prefix + entry.name)
                    if len(parents) > MOST_DEPTH:
                        self.closed.append((prefix + entry.name, f"it lies in over {MOST_DEPTH} folders"))
                    elif real not in parents:
                        yield from self.below(entry.path, f"{prefix}{entry.name}/", (*parents, real))
                elif entry.name.lower().endswith(SUFFIXES):
                    if link:
                        self._stays(entry.path, prefix + entry.name)
                    yield (prefix + entry.name, *_stamp(entry))
            except OSError as failure:  # removed meanwhile
                self.closed.append((prefix + entry.name, failure.strerror or "it cannot be opened"))

    def _stays(self, path: str, name: str) -> None:
        if not inside(Path(path), self.root):
            help = "copy into the folder what the link leads to"
            fail("E455", f"the link {short(name)} leads out of the folder given with `--root`", help)


def _stamp(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        status = entry.stat()
    except OSError:  # a link to nothing: counted as unreadable when it is opened
        return 0, 0
    return status.st_size, status.st_mtime_ns
