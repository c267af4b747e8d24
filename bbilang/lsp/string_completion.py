"""What may stand between quotes: classes, models, samples, files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from bbilang.compiler.check.class_names import _names
from bbilang.lsp.cursor import Cursor
from bbilang.lsp.document import Document

LIBRARIES = {"timm:": "a model of timm", "torchvision:": "a model of torchvision",
             "transformers:": "a model of transformers"}  # fmt: skip
ENDINGS = {
    "input": (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".avif", ".txt"),
    "use": (".bbi",), "set": (".txt",), "model": (".pt", ".pth", ".safetensors", ".pt2"), "dataset": (),
}  # fmt: skip
MOST_FILES = 200


@dataclass(frozen=True)
class Choice:
    """One thing to choose. ``insert``: what is written for it; ``call``: with brackets behind it.

    ``match``: what typed letters are compared with; ``about``: (group, name) of what is told when it is looked at.
    """

    label: str
    kind: str
    detail: str = ""
    doc: str = ""
    rank: str = "3"
    insert: str = ""
    call: bool = False
    match: str = ""
    about: tuple[str, str] | None = None


def quoted(document: Document, cursor: Cursor) -> Iterator[Choice]:
    """The texts that may stand at a place, in their quotes."""
    frame, first = cursor.frame, cursor.first
    if frame.opener == "[" and frame.callee == "output":
        yield from _classes(document, cursor)
    elif len(cursor.frames) > 1 and frame.callee and first != "set":
        return
    elif first == "input":
        for name, (package, _) in _samples().items():
            yield _text(f"sample:{name}", "picture", f"a picture of {package}", "0")
        yield from _files(document, cursor, ENDINGS["input"])
    elif first == "model":
        behind = [token.text for token in frame.tokens]
        if "from" in behind:
            yield from _files(document, cursor, ENDINGS["model"])
            return
        for name in document.registry.models():
            yield _text(name, "model", "of the registry", "0")
        for name, words in LIBRARIES.items():
            yield _text(name, "model", words, "1")
    elif first in ("use", "set", "dataset") and not (first == "set" and "labels" not in _said(cursor)):
        yield from _files(document, cursor, ENDINGS[first])
    elif first == "output" and frame.name == "output":
        description = document.description_at(cursor.start)
        for layer in description.layers if description else ():
            if layer.axes == ("channel",):
                yield _text(layer.name, "layer", f"{layer.shape[0]} numbers", "1")


def _said(cursor: Cursor) -> list[str]:
    return [token.text for frame in cursor.frames for token in frame.tokens]


def _text(text: str, kind: str, detail: str, rank: str) -> Choice:
    words = json.dumps(text, ensure_ascii=False)
    return Choice(text, kind, detail, rank=rank, insert=words, match=words)


@lru_cache(maxsize=8)
def _class_choices(labels: tuple[str, ...]) -> tuple[Choice, ...]:
    names, found = _names(labels), []
    for index, label in enumerate(labels):
        for number, name in enumerate(part.strip() for part in label.split(",")):
            if not name:
                continue
            mine = names.get(name.lower(), ()) == (index,)
            words = json.dumps(name, ensure_ascii=False) if mine else str(index)
            shown = name if mine else f"{name} ({index})"
            found.append(Choice(shown, "class", f"class {index}: {label}", rank="0" if number == 0 else "1",
                                insert=words, match=json.dumps(name, ensure_ascii=False)))  # fmt: skip
    return tuple(found)


def _classes(document: Document, cursor: Cursor) -> Iterator[Choice]:
    description = document.description_at(cursor.start)
    if description is not None:
        yield from _class_choices(description.labels)


def _samples() -> dict[str, tuple[str, str]]:
    from bbilang.runtime.inputs.images import SAMPLES

    return SAMPLES


def _files(document: Document, cursor: Cursor, endings: tuple[str, ...]) -> Iterator[Choice]:
    """Files and folders beside the text, or in the folder that is typed."""
    typed = cursor.typed.strip('"')
    folder, slash, _ = typed.rpartition("/")
    if ":" in typed or typed.startswith("~"):
        return
    try:
        entries = sorted((document.folder / (folder + slash)).iterdir(), key=lambda path: path.name)[:MOST_FILES]
        for path in entries:
            if path.name.startswith("."):
                continue
            if path.is_dir():
                yield _text(f"{folder}{slash}{path.name}/", "folder", "a folder", "3")
            elif path.suffix.lower() in endings:
                yield _text(f"{folder}{slash}{path.name}", "file", "", "2")
    except (OSError, ValueError):
        return
