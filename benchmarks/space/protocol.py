"""What a tool is asked, and what it answers. A tool of your own is a subclass of `Tool` with methods that it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Numbers = NDArray[np.floating]


class NotOffered(Exception):
    """The tool has nothing of its own for the question: what its user would have to write does not count."""


@dataclass(frozen=True)
class Unit:
    """One channel of a layer."""

    layer: str
    channel: int


@dataclass(frozen=True)
class Direction:
    """A vector over the channels of a layer."""

    layer: str
    vector: tuple[float, ...]


@dataclass(frozen=True)
class Difference:
    """The score of one class minus that of another."""

    more: int
    less: int


Target = int | Difference | Unit  # a class; for a unit, the sum of its map


@dataclass(frozen=True)
class Question:
    """What is asked. Layers are paths of modules.

    ``network``: in eval mode, parameters with gradients; scores are logits (input, class). ``picture``: (channel, y, x)
    in [0, 1]; ``given``: the same as the network takes it (input=1, channel, y, x). ``other``: a second picture, as the
    network takes it. ``pictures``: a dataset (example, channel, y, x), as the network takes it. ``text``: ours.
    """

    network: nn.Module
    picture: Tensor
    given: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    text: str
    layers: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    units: tuple[Unit | Direction, ...] = ()
    method: str = ""
    atoms: str = "channel"
    size: int = 0
    count: int = 0
    seed: int = 0
    other: Tensor | None = None
    pictures: Tensor | None = None

    def normalize(self, pictures: Tensor) -> Tensor:
        """Return pictures (input, channel, y, x) in [0, 1] as the network takes them."""
        mean, std = (pictures.new_tensor(x)[:, None, None] for x in (self.mean, self.std))
        return (pictures - mean) / std

    def shown(self, given: Tensor) -> Tensor:
        """Return what the network takes (input, channel, y, x) as pictures in [0, 1]."""
        mean, std = (given.new_tensor(x)[:, None, None] for x in (self.mean, self.std))
        return given * std + mean


@dataclass(frozen=True)
class Page:
    """A page that was written. CSS selectors: ``item`` of marks that a reader can point at, ``keys`` of what takes the
    arrow keys, ``shows`` of what changes then."""

    path: Path
    item: str = ""
    keys: str = ""
    shows: str = ""


class Tool:
    """A tool, by what it can be asked. Methods that a tool does not override are not offered."""

    name = ""
    package = ""  # its distribution, for the version

    def activation(self, question: Question) -> Numbers:
        """Return the activations of the first layer, (channel, y, x)."""
        self._no()

    def attribution(self, question: Question) -> Mapping[str, Numbers]:
        """Return layer -> contributions to each of ``targets`` by ``method``: (target, channel), summed over positions,
        with ``atoms`` channel; (target, y, x), summed over channels, with position; (target, channel, y, x) with pixel.
        """
        self._no()

    def occlusion(self, question: Question) -> Numbers:
        """Return how much the score of the target falls where a square of ``size`` pixels is black, squares side by
        side: (y, x)."""
        self._no()

    def ablation(self, question: Question) -> Numbers:
        """Return the target's score without each channel of the layer minus the score, (channel,)."""
        self._no()

    def patching(self, question: Question) -> Numbers:
        """Return the target's score minus the score of the picture where each position of the layer has the activations
        of ``other``: (y, x)."""
        self._no()

    def groups(self, question: Question) -> tuple[Numbers, Numbers]:
        """Return ``count`` groups of channels of the layer: directions (group, channel) and maps (group, y, x), both
        nonnegative, whose products sum to the activations."""
        self._no()

    def examples(self, question: Question) -> NDArray[np.integer]:
        """Return the ``count`` pictures with the largest value of each channel at any position, (channel, rank)."""
        self._no()

    def icons(self, question: Question) -> Numbers:
        """Return pictures that activate each of ``units`` most, (unit, y, x, rgb) in [0, 1], ``size`` pixels wide."""
        self._no()

    def cuts(self, question: Question) -> Mapping[str, bool]:
        """Return layer -> whether every path from the input to the scores leads through it."""
        self._no()

    def page(self, question: Question, path: Path) -> Page:
        """Write one page that shows the icons of the eight channels of the layer that contribute most to the target."""
        self._no()

    def source(self, path: Path) -> str:
        """Return what a page was made of, in the tool's own words, from the page alone."""
        self._no()

    def _no(self) -> NoReturn:
        raise NotOffered


def one(question: Question) -> tuple[str, Target]:
    """Return the only layer and the only target of a question."""
    (layer,), (target,) = question.layers, question.targets
    return layer, target
