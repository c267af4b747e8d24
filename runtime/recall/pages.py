"""Cache whole pages, keyed by program, model, inputs and versions.

Vega, most of a page that needs it and the same in all, is left out of the record and put back from its file.
"""

from __future__ import annotations

import hashlib
from typing import Any

from bbilang.compiler.ir.program import walk
from bbilang.grammar.frozen import frozen
from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.cache.versions import code_digest, plugin_digest, version_of
from bbilang.runtime.page import javascript as bundle
from bbilang.runtime.recall.atom_names import states
from bbilang.runtime.recall.identity import expected_device
from bbilang.runtime.recall.job_identity import JobIdentity

LIBRARIES = b"\0the libraries\0"  # no page has a zero byte
VEGA = b'<script type="text/plain" id="bbi-vega">'
BELOW = ("torch", "numpy", "pillow", "altair", "vl-convert-python", "jinja2", "scikit-learn")


@frozen
class StoredPage:
    """A page, and what `bbi run` prints of it."""

    html: bytes
    passes: str
    icons: int
    lines: tuple[str, ...]  # the predictions, in words
    notes: tuple[str, ...]  # "draft", "random weights"
    words: str  # of the icons: "96 px, 256 steps"


def page_key(known: JobIdentity, title: str) -> str | None:
    """Return a hash of everything that the bytes of a page depend on; None where some of it is not known before the
    model is loaded, or never."""
    job = known.job
    program = job.program
    if program.parts:  # the numbers of each model are cached
        return None
    device = expected_device(job.device, known.cache)
    plugins = plugin_digest(job.registry)
    if known.model_key is None or known.inputs is None or device is None or plugins is None:
        return None
    names: list[list[Any]] = []
    if program.names:
        if (weights := known.fingerprint()) is None:
            return None
        found = states(job, {program.models[0].alias: weights})
        names = [[it.name.key, it.name.name, it.stale] for it in found]
    assert program.description is not None
    labels = hashlib.sha256("\n".join(program.description.labels).encode()).hexdigest()
    source = program.source
    elements = [[e.id, e.node.digest, e.title, e.caption, e.over] for e in program.elements]
    nodes = walk(*(element.node for element in program.elements))
    of: dict[str, Any] = {
        "what": "page",
        "code": code_digest(),
        "plugins": plugins,
        "versions": [version_of(name) for name in BELOW],
        "model": [known.model_key, program.output, labels, program.description.title],
        "inputs": [[name, digest] for (_, name), digest in zip(job.named_inputs, known.inputs, strict=True)],
        "elements": elements,
        "interfaces": [[i.title, repr(i.layout), len(i.elements)] for i in program.interfaces],
        "settings": [[key, value] for key, value in program.settings],
        "title": title,
        "selections": sorted((n["id"], n.get("title") or "") for n in nodes if n.type.content == "selection"),
        "source": [source.name, source.text] if source is not None else [],
        "warnings": [warning.message for warning in program.warnings],
        "run": [device, job.draft, program.optimized],
        "names": names,
        "photographs": job.photographs.digest if job.photographs is not None else "",
    }
    return key_of(of)


def recall(cache: Cache, key: str) -> StoredPage | None:
    """Return the page as it was first written, byte for byte."""
    record = cache.get(key)
    if record is None:
        return None
    body, data = record
    try:
        libraries = bundle.packed().encode() if data["libraries"] else b""
        if libraries and data["libraries"] != hashlib.sha256(libraries).hexdigest():
            return None
        words = tuple(map(str, data["lines"])), tuple(map(str, data["notes"])), str(data["words"])
        return StoredPage(body.replace(LIBRARIES, libraries), str(data["passes"]), int(data["icons"]), *words)
    except (KeyError, TypeError, ValueError):
        cache.drop(key)
        return None


def keep(cache: Cache, key: str, page: StoredPage) -> None:
    """Store a page, unless it contains the libraries twice."""
    libraries, body = b"", page.html
    if VEGA in body:
        libraries = bundle.packed().encode()
        body = body.replace(libraries, LIBRARIES)
    if LIBRARIES in page.html or body.count(LIBRARIES) != bool(libraries):
        return
    digest = hashlib.sha256(libraries).hexdigest() if libraries else ""
    data = {"passes": page.passes, "icons": page.icons, "lines": page.lines, "notes": page.notes, "words": page.words}
    cache.put(key, body, {"kind": "page", "libraries": digest, **data})
