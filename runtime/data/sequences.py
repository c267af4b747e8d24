"""Datasets of Python objects: a torch Dataset, or any sequence of (picture, label). Torch is never imported."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Protocol, cast, runtime_checkable

import numpy as np
from PIL import Image

from bbilang.runtime.data.dataset import Dataset, open_dataset
from bbilang.runtime.data.objects import EXPECTED as KINDS
from bbilang.runtime.data.objects import picture_from
from bbilang.runtime.data.pictures import Unreadable
from bbilang.runtime.data.resolve import EXPECTED, fail
from bbilang.runtime.inputs.arguments import wrong

PICTURES = ("image", "img", "picture", "pixel_values")  # keys of an example that is a mapping
LABELS = ("label", "labels", "target", "class", "fine_label")


@runtime_checkable
class Examples(Protocol):
    """A torch Dataset of the kind that has a length, or a list."""

    def __len__(self) -> int: ...
    def __getitem__(self, number: int, /) -> object: ...


def as_dataset(data: object, name: str, folder: str | PathLike[str] = ".", root: Path | None = None) -> Dataset:
    """Make the dataset of an entry of `data={name: ...}`: a Dataset itself, the path of one, or a sequence. Raises
    BbiError."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, str | PathLike):
        return open_dataset(str(data), folder, root)
    return of_sequence(data, name)


def of_sequence(sequence: object, name: str = "data") -> Dataset:
    """Return a dataset of a torch Dataset or a sequence whose items are (picture, label), (picture,), a mapping with
    `image` and `label`, or pictures. Pictures: PIL, names of files, arrays (y, x, channel) or tensors (channel, y, x)
    of uint8 or of floating point in [0, 1], before normalization; grey ones have one channel or none.

    Labels: words, or whole numbers, which the sequence's `classes` name. Where it has `targets`, as torchvision's
    datasets do, no item is opened for its label; else all are, once. Raises BbiError E423 for another kind of object,
    E418 for a first picture that is none, E451 for no example.
    """
    if isinstance(sequence, str | bytes | Mapping | type) or not isinstance(sequence, Examples):
        wrong(f"data[{name!r}]", sequence, EXPECTED, "an iterable is read into a list: `list(...)`")
    count = _length(sequence, name)
    if count == 0:
        fail("E451", f"{name} has no examples")
    source = SequenceSource(sequence, name)
    source.check()
    labels = _labels(sequence, source)
    columns = {"file": np.array([source.name(number) for number in range(count)])}
    if any(labels):
        columns["label"] = np.array(labels)
    return Dataset(name, source, columns)


def _length(sequence: Examples, name: str) -> int:
    try:
        return len(sequence)
    except TypeError:  # as torch's IterableDataset has it
        return wrong(f"data[{name!r}]", sequence, EXPECTED, "it has no length")


class SequenceSource:
    """Items of a sequence, one taken at a time."""

    def __init__(self, sequence: Examples, name: str):
        self.sequence, self._name = sequence, name
        self._lock = Lock()

    def __getstate__(self) -> dict[str, object]:
        return {"sequence": self.sequence, "_name": self._name}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=Lock())

    def name(self, number: int) -> str:
        """Return the name of a file that is an item, else `picture 1`, `picture 2` ..."""
        if type(self.sequence) in (list, tuple):  # which cost nothing to look at
            picture = _parts(self.sequence[number])[0]
            if isinstance(picture, str | PathLike):
                return str(picture)
        return f"picture {number + 1}"

    def check(self) -> None:
        """Raise BbiError E418 where the first item is no picture."""
        try:
            picture = self.item(0)[0]
        except Unreadable:  # counted, as any other
            return
        if not isinstance(picture, str | PathLike):
            try:
                picture_from(picture, self.name(0))
            except Unreadable as failure:
                fail("E418", f"{self._name}: the first example is no picture: {failure.reason}", KINDS)

    def item(self, number: int) -> tuple[object, object]:
        """Return (picture, label). Raises Unreadable whatever the sequence raises."""
        try:
            with self._lock:
                return _parts(self.sequence[number])
        except Exception as failure:  # the code of whoever made the sequence
            raise Unreadable(f"picture {number + 1}", f"{type(failure).__name__}: {failure}") from failure

    def load(self, number: int) -> tuple[Image.Image, str]:
        picture = picture_from(self.item(number)[0], self.name(number))
        return picture, hashlib.sha256(b"%d %d " % picture.size + picture.tobytes()).hexdigest()

    def read(self, number: int) -> bytes:
        """Return the picture as PNG: 8 bits a colour, nothing lost."""
        file = io.BytesIO()
        self.load(number)[0].save(file, "PNG")
        return file.getvalue()

    def header(self, number: int) -> BinaryIO:
        return io.BytesIO(self.read(number))

    def digest(self, number: int) -> str:
        return self.load(number)[1]

    def stamp(self, number: int) -> tuple[str, int, int] | None:
        return None

    def unchanged(self, number: int) -> bool:
        return False


def _parts(item: object) -> tuple[object, object]:
    """Return (picture, label), None for no label."""
    if isinstance(item, Mapping):
        return next((item[key] for key in PICTURES if key in item), None), next(
            (item[key] for key in LABELS if key in item), None
        )
    if isinstance(item, tuple | list):
        return (item[0] if item else None), (item[1] if len(item) > 1 else None)
    return item, None


def _labels(sequence: Examples, source: SequenceSource) -> list[str]:
    """Return the label of every example as a word, "" for none."""
    classes = _classes(sequence)
    known = _targets(sequence)
    labels = known if known is not None else _labels_of_items(source, len(sequence))
    return [_word(label, classes) for label in labels]


def _labels_of_items(source: SequenceSource, count: int) -> Iterator[object]:
    for number in range(count):
        try:
            yield source.item(number)[1]
        except Unreadable:
            yield None


def _targets(sequence: object) -> list[object] | None:
    """Return the labels that a dataset of torchvision, or a part of one, holds beside its pictures."""
    inner, indices = getattr(sequence, "dataset", None), getattr(sequence, "indices", None)
    if inner is not None and indices is not None:  # torch.utils.data.Subset
        targets = _targets(inner)
        return None if targets is None else [targets[int(index)] for index in indices]
    names = getattr(sequence, "column_names", None)  # a dataset of Hugging Face
    if isinstance(names, list):
        return next((_column(sequence, key) for key in LABELS if key in names), None)
    for key in ("targets", "labels"):
        values = getattr(sequence, key, None)
        values = values.tolist() if values is not None and hasattr(values, "tolist") else values
        if isinstance(values, list | tuple) and isinstance(sequence, Examples) and len(values) == len(sequence):
            return list(values)
    return None


def _column(sequence: object, key: str) -> list[object]:
    return list(cast("Mapping[str, Iterable[object]]", sequence)[key])


def _classes(sequence: object) -> Sequence[str]:
    inner = getattr(sequence, "dataset", None)
    if inner is not None and hasattr(sequence, "indices"):
        return _classes(inner)
    classes = getattr(sequence, "classes", None)
    if classes is None:  # a dataset of Hugging Face
        features = getattr(sequence, "features", None)
        feature = next((features[key] for key in LABELS if key in features), None) if features else None
        classes = getattr(feature, "names", None)
    return [str(name) for name in classes] if isinstance(classes, list | tuple) else []


def _word(label: object, classes: Sequence[str]) -> str:
    if hasattr(label, "item") and getattr(label, "size", 1) not in (0,):  # a number of numpy or torch
        try:
            label = label.item()
        except (ValueError, RuntimeError):  # several numbers are no label
            return ""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(classes):
        return classes[label]
    return "" if label is None else str(label)
