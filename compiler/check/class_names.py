"""Resolve names of classes to indices."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

from bbilang.compiler.contract import Fail, did_you_mean
from bbilang.compiler.ir.model_description import ModelDescription

SHOWN = 6  # classes that a message lists


def listed(names: list[str]) -> str:
    """List names for a message: `a`, `b` or `c`."""
    quoted = [f"`{name}`" for name in dict.fromkeys(names)]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


@lru_cache(maxsize=16)
def classes_by_name(labels: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Map every whole label and every synonym, in lower case, to the classes that it names."""
    table: dict[str, set[int]] = defaultdict(set)
    for index, label in enumerate(labels):
        for name in (label, *label.split(",")):
            table[name.strip().lower()].add(index)
    return {name: tuple(sorted(indices)) for name, indices in table.items()}


def _labels_with_words(labels: tuple[str, ...], name: str) -> list[str]:
    """Return the labels, or their synonyms, that contain all words of a name, in order: `tiger cat` for `cats`."""
    singulars = {_singular(word) for word in name.split()}
    matches = []
    for label in labels:
        parts = [part.strip() for part in label.split(",")]
        matches += [next((p for p in parts if singulars and singulars <= set(map(_singular, p.lower().split()))), "")]
    return [name for name in matches if name]


def _singular(word: str) -> str:
    """Guess the singular of an English word: `cats` gives `cat`, `foxes` `fox`, `canaries` `canary`."""
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def class_index(description: ModelDescription, name: str) -> int:
    """Return the index of the class that a name stands for: a whole label or one of its synonyms, in any case.

    A name that is the first synonym of one class and a later one of another is ambiguous: the text must choose.
    Raises `Fail` E205, E206, E207.
    """
    if not description.labels:
        raise Fail(
            "E207",
            f"the class names of {description.name} are not known",
            'use the index, as in `output[208]`, or name them: `set labels "labels.txt"`',
        )
    names = classes_by_name(description.labels)
    word = name.strip().lower()
    indices = names.get(word, ())
    if len(indices) == 1:
        return indices[0]
    if indices:
        listing = ", ".join(f"{i} ({description.labels[i]})" for i in indices)
        raise Fail(
            "E206", f"`{name}` names {len(indices)} classes: {listing}", f"use the index, as in `output[{indices[0]}]`"
        )
    starts = (
        sorted({index for label, indices in names.items() if label.startswith(word) for index in indices})
        if word
        else []
    )
    if len(starts) == 1:
        raise Fail(
            "E205", f"`{name}` is not a class of {description.name}", f"did you mean `{description.label(starts[0])}`?"
        )
    if alike := _labels_with_words(description.labels, word):
        help = f"did you mean {listed(alike[:SHOWN])}?"
        if len(alike) > SHOWN:
            help = f"{len(alike)} classes have it in their names: {listed(alike[:SHOWN])} ..."
        raise Fail("E205", f"`{name}` is not a class of {description.name}", help)
    spelled = (part.strip() for label in description.labels for part in (label, *label.split(",")))
    near = did_you_mean(
        word, spelled, f"the model has {description.classes} classes; an index works too: `output[208]`"
    )
    raise Fail("E205", f"`{name}` is not a class of {description.name}", near)


def check_index(description: ModelDescription, index: int) -> int:
    """Return a class index that the model has. Raises `Fail` E207."""
    if not 0 <= index < description.classes:
        raise Fail(
            "E207",
            f"class {index} is outside 0..{description.classes - 1}",
            f"{description.name} has {description.classes} classes, counted from zero",
        )
    return index
