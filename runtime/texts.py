"""Texts as inputs of models that read: `text:the words themselves`, or a file of plain text."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import NoReturn

from bbilang.grammar.diagnostic import BbiError, Diagnostic

PREFIX = "text:"
SUFFIX = ".txt"
MOST_BYTES = 1 << 20
SHOWN = 60  # characters of a text that stand for it where its name is asked


def is_text(spec: str) -> bool:
    """Whether an `input` names a text: the words themselves, a file of them, or a pattern of such files."""
    return spec.startswith(PREFIX) or spec.lower().endswith(SUFFIX)


def expand(spec: str, base_folder: str | Path = ".") -> list[str]:
    """The texts that an `input` names, each as `read` takes it. Raises BbiError E411, E417."""
    if spec.startswith(PREFIX):
        return [spec]
    path = Path(base_folder) / Path(spec).expanduser()
    if path.exists():
        return [str(path)]
    if any(c in spec for c in "*?["):
        found = glob.glob(os.path.join(glob.escape(str(base_folder)), os.path.expanduser(spec)), recursive=True)
        return sorted(found) or _fail("E417", f"no text matches {spec}")
    return _fail("E411", f"there is no text {spec}", f'the words themselves follow `{PREFIX}`: `input "{PREFIX}..."`')


def read(spec: str) -> tuple[str, str]:
    """(name, text). The words themselves are called by their beginning. Raises BbiError E411, E412."""
    if spec.startswith(PREFIX):
        text = spec.removeprefix(PREFIX).strip()
        return (text if len(text) <= SHOWN else f"{text[: SHOWN - 1].rstrip()}…"), text
    path = Path(spec)
    try:
        if path.stat().st_size > MOST_BYTES:
            _fail("E412", f"{path.name} is longer than any model reads", "cut it")
        return path.name, path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as e:
        raise BbiError(Diagnostic("E412", f"{path.name} is not text in UTF-8")) from e
    except OSError as e:
        raise BbiError(Diagnostic("E411", f"{spec} cannot be opened: {e.strerror or e}")) from e


def _fail(code: str, message: str, help: str | None = None) -> NoReturn:
    raise BbiError(Diagnostic(code, message, help=help))
