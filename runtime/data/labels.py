"""Which class of a model a label stands for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bbilang.compiler.check.class_names import classes_by_name
from bbilang.compiler.ir.model_description import ModelDescription

# columns that no text can name: what conditions compare
CLASS, CLASS_OF_LABEL = "class predicted", "class of the label"
CLASSES = (CLASS, CLASS_OF_LABEL)


def class_of_label(labels: Iterable[str], class_names: Sequence[str]) -> np.ndarray:
    """Return the class (label,) of each label, int64; -1 where it is no class, or names several.

    A label names a class by the whole name or one of the synonyms, as `output["..."]` does, in any case; `_` stands for
    a space as well. Of several classes with that name, the one whose first name it is counts: a folder has no other way
    to say which. Of nested folders
    the innermost that is a class counts (`dogs/beagle`, `beagle/2019`). Where all labels are whole numbers and none is
    a name, they are indices of classes.
    """
    words = [str(label) for label in labels]
    names = tuple(class_names)
    first = classes_by_name(tuple(name.partition(",")[0] for name in names))
    known = {word: _class(word, classes_by_name(names), first) for word in dict.fromkeys(words)}
    if all(index < 0 for index in known.values()) and all(word.isascii() and word.isdigit() for word in known if word):
        known = {word: int(word) if word and int(word) < len(names) else -1 for word in known}
    return np.array([known[word] for word in words], np.int64)


def classes_of(labels: Iterable[object], description: ModelDescription) -> np.ndarray:
    """Return the class of each label, (example,); -1 where it is none. Classes without names are called by their
    numbers."""
    names = description.labels or tuple(str(number) for number in range(description.classes))
    return class_of_label([str(label) for label in labels], names)


def _class(label: str, every: dict[str, tuple[int, ...]], first: dict[str, tuple[int, ...]]) -> int:
    for word in (label, *reversed(label.split("/"))):
        for spelling in (word, word.replace("_", " ")):
            indices = every.get(spelling.strip().lower(), ()) if word else ()
            if len(indices) > 1:
                indices = first.get(spelling.strip().lower(), ())
            if len(indices) == 1:
                return indices[0]
    return -1
