"""Vega, Vega-Lite and Vega-Embed as one JavaScript text: made by vl-convert in two seconds, then kept on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import IO

from bbilang.runtime.versions import version_of

SNIPPET = "window.vegaEmbed=vegaEmbed;"


@lru_cache(maxsize=1)
def javascript() -> str:
    """The libraries, from the cache folder where an undamaged copy of this vl-convert's lies there.

    The folder is ``BBI_CACHE_DIR``, else the user's cache folder; where that fails the text is made each time.
    """
    path = _folder() / f"vega-{version_of('vl-convert-python')}.js"
    try:
        digest, _, text = path.read_text(encoding="utf-8").partition("\n")
        if digest == _digest(text):
            return text
    except (OSError, UnicodeDecodeError):
        pass  # absent or damaged: made again
    import vl_convert

    text = vl_convert.javascript_bundle(SNIPPET)
    # inside a script element these would end or open something; within JavaScript's strings the backslash says nothing
    text = text.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    try:
        write(path, f"{_digest(text)}\n{text}".encode())
    except OSError:
        pass
    return text


def write(path: Path, data: bytes) -> None:
    """All of the file or nothing of it: a temporary file beside it, then a rename. Raises OSError."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes its place when the block ends well, and else leaves no trace. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _folder() -> Path:
    folder = os.environ.get("BBI_CACHE_DIR")
    if folder:
        return Path(folder)
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("bbilang"))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
