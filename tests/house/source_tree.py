"""The Python files of the product, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def sources() -> Iterator[Path]:
    """Every Python file of the product. bbilang/ links to the other three folders: links are not followed."""
    for folder in ("grammar", "compiler", "runtime", "bbilang"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not any(parent.is_symlink() for parent in path.parents if parent.is_relative_to(ROOT)):
                yield path


SOURCES = list(sources())
