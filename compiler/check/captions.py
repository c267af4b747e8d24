"""References of captions to atoms: `[ears](channel 447)`, `(position 6 6)`, `(group 2)`, `(block5c channel 3)`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bbilang.compiler.check.arguments.binding import CheckError, at
from bbilang.compiler.contract import did_you_mean
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.grammar import ast
from bbilang.grammar.source import Span

REFERENCE = re.compile(r"\[([^\[\]]+)\]\(([^()]+)\)")  # [words](channel 447) in a caption
COORDINATES = {"position": ("y", "x"), "neuron": ("y", "x", "channel"), "component": ("group",)}
KINDS = (*COORDINATES, "channel", "group", "class", "token", "frame", "head")
_KEY = re.compile(r"\S+( \w+=\d+(,\w+=\d+)*)+")  # `mixed4d channel=447`, as atoms are called inside a page
_FORM = re.compile(r"(?:(?P<layer>\S+) )?(?P<kind>[^\W\d]\w*)(?P<numbers>(?: \d+)+)")


def references(caption: str) -> list[str]:
    """Return the references of a caption, without their words."""
    return [match[2].strip() for match in REFERENCE.finditer(caption)]


def reference_errors(value: ast.String, model: ModelDescription) -> Iterator[CheckError]:
    """Yield E250 for each reference of a caption that cannot be an atom of any layer of the model."""
    plain = value.span.end - value.span.start == len(value.value) + 2  # no escapes: offsets are those of the text
    for match in REFERENCE.finditer(value.value):
        reference = match[2].strip()
        if wrong := _wrong(reference, model):
            start = value.span.start + 1
            span = Span(start + match.start(), start + match.end()) if plain else value.span
            yield at(span, "E250", f"`({reference})` refers to nothing: {wrong[0]}", wrong[1])


def _wrong(reference: str, model: ModelDescription) -> tuple[str, str] | None:
    """Return (why a reference means nothing, what to write), or None if it may name an atom."""
    kinds = "as in `(channel 447)`, `(position 6 6)`, `(neuron 6 6 447)`, `(group 2)` or `(class 8)`"
    match = _FORM.fullmatch(reference)
    if match is None or match["kind"] in ("row", "column"):
        labels = {part.strip() for label in model.labels for part in (label, *label.split(","))}
        label = reference in labels or model.reads == "text" or "row " in reference or bool(_KEY.fullmatch(reference))
        digits = re.findall(r"\d+", reference)
        if not label and len(digits) == 2 and not re.search(r"[^\W\d]", reference):
            return "it does not name what it counts", f"write `(position {' '.join(digits)})`"
        return None if label else ("it is no atom", kinds)
    kind, numbers = match["kind"], [int(n) for n in match["numbers"].split()]
    if kind not in KINDS:
        return f"there are no atoms called `{kind}`", did_you_mean(kind, KINDS) or kinds
    names = COORDINATES.get(kind, (kind,))
    if len(numbers) != len(names):
        words = "one number" if len(names) == 1 else f"{len(names)} numbers ({', '.join(names)})"
        return f"`{kind}` has {words}", kinds
    if kind == "class" and model.classes and numbers[0] >= model.classes:
        return f"{model.name} has {model.classes} classes", "classes count from zero"
    layers = [x for x in model.layers if match["layer"] in (None, x.name)] or list(model.layers)
    for name, number in zip(names, numbers, strict=True):
        sizes = [x.every_size[name] for x in layers if name in x.every_size]
        if name == "channel" and sizes and number >= max(sizes):  # positions depend on the size of the picture
            where = f"`{match['layer']}`" if match["layer"] in model.by_name else f"a layer of {model.name}"
            return f"{where} has at most {max(sizes)} along `{name}`", "numbers count from zero"
    return None
