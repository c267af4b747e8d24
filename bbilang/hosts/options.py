"""What a host is configured with, and what a block says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from pathlib import Path

from bbilang.compiler.contract import did_you_mean
from bbilang.compiler.plan.limits import Limits, limits_of
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.frozen import frozen

TEXTS = ("folded", "open", "none")
KNOWN = ("title", "height", "text", "draft")
FLAGS = ("page", "listing")  # what a block of Markdown is, besides
WORD = re.compile(r"""([\w.:-]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'}]+))?""")
TALLEST = 6000  # pixels


@frozen
class BlockOptions:
    """What a block says of itself. ``title``: of the page and its frame. ``height``: of the frame in pixels; None for
    the page's own. ``text``: the text below the frame, `folded`, `open` or `none`. ``draft``: small icons."""

    title: str = ""
    height: int | None = None
    text: str = "folded"
    draft: bool = False


@frozen
class HostSettings:
    """What a host allows and sets for all of its blocks. ``root``: the folder that must contain every file that a text
    names. ``settings``, ``model``: as in `bbilang.run`. ``cache``: a folder, None for the reader's own, False for
    none."""

    root: Path
    limits: Limits = field(default_factory=Limits.strangers)
    settings: Mapping[str, object] = field(default_factory=dict)
    draft: bool = False
    model: object = None
    cache: str | Path | bool | None = None


def words_of(info: str) -> dict[str, str]:
    """Return the words after the fence of a block, `title="Why" draft`, with or without braces, as a dict; a word
    without a value is `true`."""
    inside = info.strip().removeprefix("{").removesuffix("}")
    return {name: value.strip("\"'") if value else "true" for name, value in WORD.findall(inside)}


def block_options(words: Mapping[str, object]) -> BlockOptions:
    """Return the options of a block. Raises BbiError E434 for one that is not known, or not what it should be."""
    for name in words:
        if name not in (*KNOWN, *FLAGS):
            _wrong(
                f"a `bbi` block has no option `{name}`", did_you_mean(name, KNOWN, f"options are {', '.join(KNOWN)}")
            )
    height, text = words.get("height"), str(words.get("text", "folded"))
    if height is not None and not (str(height).isdecimal() and 0 < int(str(height)) <= TALLEST):
        _wrong(
            f"`height` is `{height}`", f"a whole number of pixels up to {TALLEST}; without it, the page's own height"
        )
    if text not in TEXTS:
        _wrong(f"`text` is `{text}`", f"one of {', '.join(TEXTS)}")
    draft = str(words.get("draft", "false")).lower()
    if draft not in ("true", "false", ""):
        _wrong(f"`draft` is `{draft}`", "`draft` alone, or `draft=false`")
    pixels = int(str(height)) if height is not None else None
    return BlockOptions(str(words.get("title", "")), pixels, text, draft != "false")


def _wrong(message: str, help: str | None) -> None:
    raise BbiError(Diagnostic("E434", message, help=help))


def limits_with(changes: Mapping[str, object] | None) -> Limits:
    """Return the limits for texts of strangers with some of them changed: `{"seconds": 120, "page": "5MB"}`; None lifts
    one. Raises BbiError E433."""
    given = dict(changes or {})
    lifted = {name: None for name, value in given.items() if value is None}
    limits_of({name: 1 for name in lifted})  # refuses names that are none
    made = limits_of({name: value for name, value in given.items() if value is not None})
    chosen = {name: value for name, value in asdict(made).items() if value is not None}
    return replace(Limits.strangers(), **chosen, **lifted)
