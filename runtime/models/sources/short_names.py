"""Short names of modules: their paths without the containers that hold nearly the whole network."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def short_names(module: nn.Module) -> dict[str, str]:
    """Return module path -> short name, without containers that hold nearly the whole network:
    `vit.encoder.layer.0` -> `layer.0`. A name that two modules would share stays a path. The root is left out."""
    paths = [path for path, _ in module.named_modules() if path]
    trunk = ""
    while True:
        below = [path.removeprefix(trunk) for path in paths if path.startswith(trunk)]
        heads = {path.split(".")[0] for path in below}
        sizes = {head: sum(path.startswith(f"{head}.") for path in below) for head in heads}
        largest = max(sizes, key=lambda head: sizes[head], default="")
        inside = {path.split(".")[1] for path in below if path.startswith(f"{largest}.")}
        numbered = bool(inside) and all(part.isdigit() for part in inside)
        if not largest or numbered or largest[-1].isdigit() or sizes[largest] < 0.6 * len(below):
            break
        trunk += f"{largest}."
    parts = trunk.split(".")[:-1]
    short = {path: _without(path, parts) for path in paths}
    count = Counter(short.values())
    whole = set(paths)
    return {path: name if name == path or (count[name] == 1 and name not in whole) else path
            for path, name in short.items()}  # fmt: skip


def _without(path: str, trunk: list[str]) -> str:
    """Remove the leading modules that belong to the trunk from a path; the last part always stays."""
    words = path.split(".")
    for common, word in enumerate(words[:-1]):
        if common >= len(trunk) or word != trunk[common]:
            return ".".join(words[common:])
    return words[-1]
