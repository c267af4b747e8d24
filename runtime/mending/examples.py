"""The labelled examples of a dataset: which are trained on, and which only measure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.runtime.data.dataset import Dataset
from bbilang.runtime.data.labels import classes_of
from bbilang.runtime.errors import error

FEWEST = 2  # examples on either side


@dataclass(frozen=True)
class Labelled:
    """Examples of which a class is known. numbers: in the dataset; classes (example,): of the network; digests: of
    their contents. unlabelled: how many have no label that is a class; unreadable: whose picture cannot be read."""

    dataset: Dataset
    numbers: np.ndarray
    classes: np.ndarray
    digests: tuple[str, ...]
    unlabelled: int = 0
    unreadable: int = 0

    def __len__(self) -> int:
        return len(self.numbers)


def labelled(dataset: Dataset, description: ModelDescription) -> Labelled:
    """Return the examples whose label is a class. Raises BbiError E487 without labels, or of one class alone."""
    from bbilang.runtime.data.duplicates import digests

    labels = dataset.labels
    if labels is None:
        help = 'name the column: `dataset photos = "photos.csv", label=kind`, or put the pictures into folders'
        raise error("E487", f"the examples of {dataset.name} have no labels", help)
    own = classes_of(labels, description)
    known = np.flatnonzero(own >= 0)
    if len(set(own[known].tolist())) < 2:
        some = f"those of {len(known):,} of {len(labels):,} examples are classes" if len(known) else "no label is one"
        help = 'labels are names of classes, as in `output["..."]`, or their numbers'
        raise error("E487", f"training needs examples of two classes or more of the network: {some}", help)
    every = tuple(digests(dataset.subset(known)))
    readable = np.array([not digest.startswith("unreadable") for digest in every], bool)
    return Labelled(
        dataset,
        known[readable],
        own[known[readable]],
        tuple(digest for digest, fine in zip(every, readable.tolist(), strict=True) if fine),
        len(labels) - len(known),
        int((~readable).sum()),
    )


def held_out(examples: Labelled, share: float, seed: int) -> np.ndarray:
    """Return which examples only measure (example,), bool: of each class that share, chosen by their contents, so that
    equal pictures are on one side; of classes with too few examples for that, the share of those together. Raises
    BbiError E488 where either side is too small."""
    order = np.array([int(hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()[:12], 16) for digest in
                      examples.digests], np.float64)  # fmt: skip
    chosen = np.zeros(len(examples), bool)
    rare: list[int] = []
    for own in np.unique(examples.classes):
        rows = np.flatnonzero(examples.classes == own)
        if round(share * len(np.unique(order[rows]))):
            _choose(chosen, order, rows, share)
        else:
            rare += rows.tolist()
    _choose(chosen, order, np.array(rare, np.int64), share)
    twice = set(np.array(examples.digests)[chosen]) & set(np.array(examples.digests)[~chosen])  # under two labels
    for row, digest in enumerate(examples.digests):
        chosen[row] &= digest not in twice
    check_sides(chosen)
    return chosen


def _choose(chosen: np.ndarray, order: np.ndarray, rows: np.ndarray, share: float) -> None:
    """Choose that share of the different values of ``order`` among some rows: the smallest."""
    values = np.unique(order[rows])
    count = round(share * len(values))
    if count:
        chosen[rows] = order[rows] <= values[count - 1]


def check_sides(chosen: np.ndarray) -> None:
    """Raise BbiError E488 where too few examples are trained on or held out."""
    trained, measured = int((~chosen).sum()), int(chosen.sum())
    if min(trained, measured) < FEWEST:
        message = f"{trained:,} examples would be trained on and {measured:,} held out: too few"
        raise error("E488", message, "take more examples, or another share: `set training(held_out=0.5, ...)`")
