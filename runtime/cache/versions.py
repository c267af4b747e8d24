"""Versions of installed packages without importing them, from the names of folders in site-packages."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbilang.compiler.contract import Registry

INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.(?:dist|egg)-info")


def version_of(package: str) -> str:
    """Return the version of a distribution as `importlib.metadata` gives it; "unknown" if it is not installed."""
    name = _plain(package)
    if (version_here := _installed().get(name)) is not None:
        return version_here
    from importlib.metadata import PackageNotFoundError, version  # a thirtieth of a second, and seldom needed

    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


@cache
def _installed() -> dict[str, str]:
    """Return distribution -> version; the first on the import path wins."""
    versions: dict[str, str] = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:  # an archive, or a folder that is not there
            continue
        for name in names:
            if match := INFO.fullmatch(name):
                versions.setdefault(_plain(match["name"]), match["version"])
    return versions


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def code_digest() -> str:
    """Return a sha256 over every file of this package: what numbers and pages depend on besides their inputs."""
    import hashlib

    from bbilang import compiler, grammar, runtime

    packages = {"bbilang": sys.modules["bbilang"], "compiler": compiler, "grammar": grammar, "runtime": runtime}
    digest = hashlib.sha256()
    for label, package in packages.items():
        root = os.path.dirname(str(package.__file__))
        for name in sorted(_sources(root, "", deep=label != "bbilang")):
            data = _contents(f"{root}{os.sep}{name}")
            digest.update(f"{label}/{name.replace(os.sep, '/')} {len(data)}\n".encode())
            digest.update(data)
    return digest.hexdigest()


SOURCES = (".py", ".json", ".txt", ".html", ".css", ".js", ".lark")


def _sources(root: str, folder: str, deep: bool) -> Iterator[str]:
    """Return the files below a folder, relative to ``root``, as strings: every cached page waits for this, and path
    objects took most of the time."""
    with os.scandir(os.path.join(root, folder)) as entries:
        for entry in entries:
            name = f"{folder}{entry.name}"
            if name.endswith(SOURCES):
                yield name
            elif deep and entry.name != "__pycache__" and entry.is_dir(follow_symlinks=False):
                yield from _sources(root, f"{name}{os.sep}", deep)


def _contents(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def plugin_digest(registry: Registry) -> str | None:
    """Return a digest of the files of the operations, styles and methods that are not built in; None if one has no
    file."""
    import hashlib

    files = set()
    for thing in (*registry.operations.values(), *registry.styles.values(), *registry.methods.values()):
        for module in {type(thing).__module__, *(v.__module__ for v in vars(thing).values() if callable(v))}:
            if module.partition(".")[0] == "bbilang":
                continue
            file = getattr(sys.modules.get(module), "__file__", None)
            if file is None:
                return None
            files.add(file)
    try:
        return hashlib.sha256(b"".join(Path(file).read_bytes() for file in sorted(files))).hexdigest() if files else ""
    except OSError:
        return None
