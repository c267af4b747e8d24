"""Versions of what is installed, without importing it: read from the names of folders in site-packages."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbilang.compiler.contract import Registry

INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.(?:dist|egg)-info")


def version_of(package: str) -> str:
    """The version of a distribution, as `importlib.metadata` says it; "unknown" where it is not installed."""
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
    """Distribution -> version, the first on the path of imports wins."""
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
    """A sha256 over every file that this package is made of: what numbers and pages depend on besides their inputs."""
    import hashlib

    from bbilang import compiler, grammar, runtime

    front, *packages = (
        Path(str(package.__file__)).parent for package in (sys.modules["bbilang"], compiler, grammar, runtime)
    )
    digest = hashlib.sha256()
    for label, root in (("bbilang", front), *zip(("compiler", "grammar", "runtime"), packages, strict=True)):
        for path in sorted(_sources(root, deep=label != "bbilang")):
            data = path.read_bytes()
            digest.update(f"{label}/{path.relative_to(root).as_posix()} {len(data)}\n".encode())
            digest.update(data)
    return digest.hexdigest()


def _sources(root: Path, deep: bool) -> list[Path]:
    kinds = (".py", ".json", ".txt", ".html", ".css", ".js", ".lark")
    sources = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f != "__pycache__"] if deep else []
        sources += [Path(folder, name) for name in names if name.endswith(kinds)]
    return sources


def plugin_digest(registry: Registry) -> str | None:
    """A digest of the files of the operations, styles and methods that are not built in; None where one has no file."""
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
