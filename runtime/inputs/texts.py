"""Read texts as inputs of text models: `text:the words themselves`, or a file of plain text."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NoReturn

from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.files import is_pattern, matching, read_text, short
from bbilang.runtime.errors import error

PREFIX = "text:"
SUFFIX = ".txt"
MOST_BYTES = 1 << 20
SHOWN = 60  # characters of a text that are its name


def is_text(spec: str) -> bool:
    """Return whether an `input` is a text: the words themselves, a text file, or a pattern of such files."""
    return spec.startswith(PREFIX) or spec.lower().endswith(SUFFIX)


def expand(spec: str, base_folder: str | Path = ".") -> list[str]:
    """Expand the name of an `input` to texts, each as `read` takes it. Raises BbiError E411, E417."""
    if spec.startswith(PREFIX):
        return [spec]
    try:
        files = matching(spec, base_folder)
    except OSError as e:
        raise error("E411", f"{short(spec)} cannot be read: {e.strerror or e}") from e
    if files or is_pattern(spec):
        return files or _fail("E417", f"no text matches {spec}")
    return _fail(
        "E411", f"there is no text {short(spec)}", f'the words themselves follow `{PREFIX}`: `input "{PREFIX}..."`'
    )


def read(spec: str) -> tuple[str, str]:
    """Return (name, text). The name of literal words is their beginning. Raises BbiError E411, E412."""
    if spec.startswith(PREFIX):
        text = spec.removeprefix(PREFIX).strip()
        return (text if len(text) <= SHOWN else f"{text[: SHOWN - 1].rstrip()}…"), text
    path = Path(spec)  # as `expand` gave it
    try:
        return path.name, read_text(path, MOST_BYTES).strip()
    except OSError as e:
        help = "no model reads as much: cut it" if e.errno == errno.EFBIG else None
        code = "E412" if e.errno in (errno.EFBIG, errno.EILSEQ) else "E411"
        raise error(code, f"{short(spec)} cannot be read: {e.strerror or e}", help=help) from e


def _fail(code: str, message: str, help: str | None = None) -> NoReturn:
    raise error(code, message, help=help)


def differing_lengths(what: str) -> BbiError:
    """Make the error of ``what`` takes all inputs at once: that has no meaning for texts that differ in length."""
    help = "give one text at a time, or texts of as many tokens"
    return error("E530", f"{what} takes texts of one length, and these differ", help)
