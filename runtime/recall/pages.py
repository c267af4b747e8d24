"""Finished pages, kept whole: the same program on the same model, inputs and versions is the same page.

The JavaScript libraries, half of a page and the same in all, are left out of the record and put back from their file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbilang.registry import registry
from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.cache.versions import code_digest, plugin_digest, version_of
from bbilang.runtime.page import javascript as bundle
from bbilang.runtime.recall import identity as subjects
from bbilang.runtime.recall.incremental import Work

if TYPE_CHECKING:
    from bbilang.page import Page

LIBRARIES = b"\0the libraries\0"  # no page has a zero byte
BELOW = ("torch", "numpy", "pillow", "altair", "vl-convert-python", "jinja2", "scikit-learn")


@dataclass(frozen=True)
class Finished:
    """A page and what `bbi run` says of it."""

    html: bytes
    passes: str
    icons: int
    lines: tuple[str, ...]  # the predictions, in words
    notes: tuple[str, ...]  # "draft", "random weights"
    words: str  # of the icons: "96 px, 256 steps"


def page_key(work: Work, title: str) -> str | None:
    """Everything that the bytes of a page depend on; None where it is not known before the model is loaded."""
    program = work.program
    device = subjects.expected_device(work.device, work.cache)
    plugins = plugin_digest(registry())
    if work.model_key is None or work.identities is None or device is None or plugins is None:
        return None
    assert program.description is not None
    labels = hashlib.sha256("\n".join(program.description.labels).encode()).hexdigest()
    source = program.source
    elements = [[e.id, e.node.digest, e.title, e.caption, e.over] for e in program.elements]
    of: dict[str, Any] = {
        "what": "page",
        "code": code_digest(),
        "plugins": plugins,
        "versions": [version_of(name) for name in BELOW],
        "model": [work.model_key, program.output, labels, program.description.title],
        "inputs": [[name, identity] for (_, name), identity in zip(work.given, work.identities, strict=True)],
        "elements": elements,
        "interfaces": [[i.title, repr(i.layout), len(i.elements)] for i in program.interfaces],
        "settings": [[key, value] for key, value in program.settings],
        "title": title,
        "source": [source.name, source.text] if source is not None else [],
        "warnings": [warning.message for warning in program.warnings],
        "run": [device, work.draft, program.optimized],
    }
    return key_of(of)


def recall(cache: Cache, key: str) -> Finished | None:
    """The page as it was written the first time, byte by byte."""
    record = cache.get(key)
    if record is None:
        return None
    body, data = record
    try:
        libraries = bundle.javascript().encode()
        if data["libraries"] != hashlib.sha256(libraries).hexdigest():
            return None
        words = tuple(map(str, data["lines"])), tuple(map(str, data["notes"])), str(data["words"])
        return Finished(body.replace(LIBRARIES, libraries), str(data["passes"]), int(data["icons"]), *words)
    except (KeyError, TypeError, ValueError):
        cache.drop(key)
        return None


def keep(cache: Cache, key: str, page: Finished) -> None:
    libraries = bundle.javascript().encode()
    body = page.html.replace(libraries, LIBRARIES)
    if LIBRARIES in page.html or body.count(LIBRARIES) != 1:
        return
    data = {"passes": page.passes, "icons": page.icons, "lines": page.lines, "notes": page.notes, "words": page.words}
    cache.put(key, body, {"kind": "page", "libraries": hashlib.sha256(libraries).hexdigest(), **data})


def finished(page: Page, html: bytes, lines: list[str], notes: list[str]) -> Finished:
    recipe = page.results.recipe
    words = f"{recipe.size} px, {recipe.steps} steps"
    return Finished(html, page.view.provenance.passes, len(page.results.icons), tuple(lines), tuple(notes), words)
