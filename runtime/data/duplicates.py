"""Duplicates in a dataset, and examples that two datasets (train and test) share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bbilang.runtime.data.dataset import Dataset
from bbilang.runtime.data.fingerprints import THRESHOLD, Fingerprint, NearIndex, leaders
from bbilang.runtime.data.pictures import Unreadable


def exact_leaders(dataset: Dataset) -> np.ndarray:
    """Return, for each example, the number of the earliest example of the same content, int64."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(digest, i) for i, digest in enumerate(digests(dataset))], np.int64)


def near_leaders(dataset: Dataset, threshold: int = THRESHOLD) -> np.ndarray:
    """Return, for each example, the number of the earliest example that it nearly equals (`leaders`), int64. Every
    picture is decoded once."""
    return leaders(marks(dataset), threshold)


@dataclass(frozen=True)
class Overlap:
    """Pairs (example of the one, example of the other), int64 (pair, 2), one for each example of the first that has a
    match. ``near``: those that are not exact."""

    exact: np.ndarray
    near: np.ndarray


def overlap(test: Dataset, train: Dataset, threshold: int = THRESHOLD, read: bool = True) -> Overlap:
    """Return which examples of ``test`` are in ``train``, as the same content or nearly so. ``read``: what is not known
    of an example is read from its file; else the example is compared by what is known."""
    contents: dict[str, int] = {}
    index = NearIndex(threshold)
    for number, (digest, mark) in enumerate(_facts(train, read)):
        if digest is not None:
            contents.setdefault(digest, number)
        if mark is not None:
            index.add(number, mark)
    exact, near = [], []
    for number, (digest, mark) in enumerate(_facts(test, read)):
        if digest is not None and digest in contents:
            exact.append((number, contents[digest]))
        elif mark is not None and (found := index.find(mark)) is not None:
            near.append((number, found))
    return Overlap(*(np.array(pairs, np.int64).reshape(-1, 2) for pairs in (exact, near)))


def split_overlaps(dataset: Dataset, threshold: int = THRESHOLD, read: bool = True) -> dict[tuple[str, str], Overlap]:
    """Return (split, other split) -> which examples of the first are in the other too, numbered as in the dataset; for
    every two splits that share some. Each picture is decoded once, and none without ``read`` (see `overlap`)."""
    split = dataset.split
    if split is None:
        return {}
    names = [name for name in dict.fromkeys(split.tolist()) if name]
    rows = {name: np.flatnonzero(split == name) for name in names}
    found = {}
    for number, name in enumerate(names):
        for other in names[:number]:
            part = overlap(dataset.subset(rows[name]), dataset.subset(rows[other]), threshold, read)
            exact, near = (_numbered(pairs, rows[name], rows[other]) for pairs in (part.exact, part.near))
            if len(exact) or len(near):
                found[name, other] = Overlap(exact, near)
    return found


def _numbered(pairs: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.stack([first[pairs[:, 0]], second[pairs[:, 1]]], 1)


def _facts(dataset: Dataset, read: bool) -> Iterator[tuple[str | None, Fingerprint | None]]:
    """Yield the content's hash and the fingerprint of every example, None where they are not known."""
    if not read:
        return (dataset.known(number) for number in range(len(dataset)))
    return zip(digests(dataset), marks(dataset), strict=True)


def digests(dataset: Dataset) -> Iterator[str]:
    """Yield the content's hash of every example; of an unreadable one a word that no other has."""
    for number in range(len(dataset)):
        try:
            yield dataset.digest(number)
        except Unreadable:
            yield f"unreadable {id(dataset)} {number}"
    dataset.keep()


def marks(dataset: Dataset) -> Iterator[Fingerprint | None]:
    """Yield the fingerprint of every example; None of an unreadable one."""
    for number in range(len(dataset)):
        try:
            yield dataset.fingerprint(number)
        except Unreadable:
            yield None
    dataset.keep()
