"""Completion inside quotes: classes, models, sample pictures, files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from bbilang.compiler.check.class_names import classes_by_name
from bbilang.lsp.cursor import Cursor
from bbilang.lsp.document import Document

LIBRARIES = {"timm:": "a model of timm", "torchvision:": "a model of torchvision",
             "transformers:": "a model of transformers"}  # fmt: skip
EXTENSIONS = {
    "input": (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".avif", ".txt"),
    "use": (".bbi",), "set": (".txt",), "model": (".pt", ".pth", ".safetensors", ".pt2"), "dataset": (),
}  # fmt: skip
MAX_FILES = 200


@dataclass(frozen=True)
class Choice:
    """One completion item. ``insert``: the inserted text, if not the label; ``call``: parentheses are appended.

    ``match``: the text that typed letters are compared with; ``topic``: (group, name) for `documentation_of`.
    """

    label: str
    kind: str
    detail: str = ""
    doc: str = ""
    rank: str = "3"
    insert: str = ""
    call: bool = False
    match: str = ""
    topic: tuple[str, str] | None = None


def string_choices(document: Document, cursor: Cursor) -> Iterator[Choice]:
    """Yield the strings that fit at the cursor, with their quotes."""
    frame, first = cursor.frame, cursor.first
    if frame.opener == "[" and frame.callee == "output":
        yield from _classes(document, cursor)
    elif len(cursor.frames) > 1 and frame.callee and first != "set":
        return
    elif first == "input":
        for name, (package, _) in _samples().items():
            yield _text(f"sample:{name}", "picture", f"a picture of {package}", "0")
        yield from _files(document, cursor, EXTENSIONS["input"])
    elif first == "model":
        before = [token.text for token in frame.tokens]
        if "from" in before:
            yield from _files(document, cursor, EXTENSIONS["model"])
            return
        for name in document.registry.models():
            yield _text(name, "model", "of the registry", "0")
        for name, words in LIBRARIES.items():
            yield _text(name, "model", words, "1")
    elif first in ("use", "set", "dataset") and not (first == "set" and "labels" not in _words_before(cursor)):
        yield from _files(document, cursor, EXTENSIONS[first])
    elif first == "output" and frame.name == "output":
        description = document.description_at(cursor.start)
        for layer in description.layers if description else ():
            if layer.axes == ("channel",):
                yield _text(layer.name, "layer", f"{layer.shape[0]} numbers", "1")


def _words_before(cursor: Cursor) -> list[str]:
    return [token.text for frame in cursor.frames for token in frame.tokens]


def _text(text: str, kind: str, detail: str, rank: str) -> Choice:
    words = json.dumps(text, ensure_ascii=False)
    return Choice(text, kind, detail, rank=rank, insert=words, match=words)


@lru_cache(maxsize=8)
def _class_choices(labels: tuple[str, ...]) -> tuple[Choice, ...]:
    names, choices = classes_by_name(labels), []
    for index, label in enumerate(labels):
        for number, name in enumerate(part.strip() for part in label.split(",")):
            if not name:
                continue
            unambiguous = names.get(name.lower(), ()) == (index,)
            words = json.dumps(name, ensure_ascii=False) if unambiguous else str(index)
            shown = name if unambiguous else f"{name} ({index})"
            choices.append(Choice(shown, "class", f"class {index}: {label}", rank="0" if number == 0 else "1",
                                insert=words, match=json.dumps(name, ensure_ascii=False)))  # fmt: skip
    return tuple(choices)


def _classes(document: Document, cursor: Cursor) -> Iterator[Choice]:
    description = document.description_at(cursor.start)
    if description is not None:
        yield from _class_choices(description.labels)


def _samples() -> dict[str, tuple[str, str]]:
    from bbilang.runtime.inputs.images import SAMPLES

    return SAMPLES


def _files(document: Document, cursor: Cursor, extensions: tuple[str, ...]) -> Iterator[Choice]:
    """Yield files and folders next to the text, or in the folder that was typed."""
    typed = cursor.typed.strip('"')
    folder, slash, _ = typed.rpartition("/")
    if ":" in typed or typed.startswith("~"):
        return
    try:
        entries = sorted((document.folder / (folder + slash)).iterdir(), key=lambda path: path.name)[:MAX_FILES]
        for path in entries:
            if path.name.startswith("."):
                continue
            if path.is_dir():
                yield _text(f"{folder}{slash}{path.name}/", "folder", "a folder", "3")
            elif path.suffix.lower() in extensions:
                yield _text(f"{folder}{slash}{path.name}", "file", "", "2")
    except (OSError, ValueError):
        return
