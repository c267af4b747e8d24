"""Vega, Vega-Lite and Vega-Embed as one JavaScript text: made by vl-convert in two seconds, then cached on disk."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from bbilang.runtime.cache.disk import default_folder
from bbilang.runtime.cache.versions import version_of
from bbilang.runtime.files import write
from bbilang.runtime.page import packing

SNIPPET = "window.vegaEmbed=vegaEmbed;"


@lru_cache(maxsize=1)
def javascript() -> str:
    """Return the libraries, from the cache folder if it holds an undamaged copy of this vl-convert's.

    The folder is ``BBI_CACHE_DIR``, else the user's cache folder; where that fails the text is made each time.
    """
    path = default_folder() / f"vega-{version_of('vl-convert-python')}.js"
    try:
        digest, _, text = path.read_text(encoding="utf-8").partition("\n")
        if digest == _digest(text):
            return text
    except (OSError, UnicodeDecodeError):
        pass  # absent or damaged: made again
    import vl_convert

    text = vl_convert.javascript_bundle(SNIPPET)
    # inside a script element these would end or open something; within JavaScript's strings the backslash has no effect
    text = text.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    try:
        write(path, f"{_digest(text)}\n{text}".encode(), parents=True)
    except OSError:
        pass
    return text


def announced() -> str:
    """Return the libraries with code that announces when they are loaded, since inline modules have no such event."""
    return f'{javascript()}\ndispatchEvent(new Event("bbi-vega"));'


@lru_cache(maxsize=1)
def packed() -> str:
    """Return `announced`, compressed."""
    return packing.packed(announced())


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
