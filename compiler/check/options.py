"""Options from the command line or a call, which override the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from bbilang.compiler.check.arguments.bounding_boxes import KnownFiles, Peek
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.grammar.frozen import frozen


class GivenDataset(Protocol):
    """A dataset that stands for a name of the text, whatever the text says of it. ``words``: what it is called.
    ``known`` raises BbiError."""

    @property
    def words(self) -> str: ...
    @property
    def known(self) -> KnownFiles: ...


@frozen
class GivenModel:
    """A model that stands for a name of the text: a ``name`` with ``weights``, or the ``description`` of a caller's own
    module; ``described``: the same with another `size=` and `crop=`."""

    name: str | None = None
    weights: str | None = None
    description: ModelDescription | None = None
    described: Callable[..., ModelDescription] | None = None


@frozen
class Options:
    """Options from the command line or a call. They override the text, each setting separately."""

    model: str | None = None
    weights: str | None = None
    inputs: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # "featvis.steps" -> 64
    description: ModelDescription | None = None  # of a caller's own module
    expand: Callable[[str], Sequence[str]] = lambda name: (name,)  # a glob or a folder to files
    is_sound: Callable[[str], bool] = lambda name: False  # whether an input is a sound, by its name
    frames: Callable[[Sequence[str], str, int | None, int], Sequence[str]] = lambda files, name, every, most: files
    peek: Peek = lambda path, folder, root: None  # what is known of a dataset's files without reading them
    data: Mapping[str, GivenDataset] = field(default_factory=dict)  # by the names of the text
    root: Path | None = None  # files that a text uses lie in it
    described: Callable[..., ModelDescription] | None = None  # the same with `size=` and `crop=`, or for `texts=`
    called: Mapping[str, int] = field(default_factory=dict)  # names of inputs -> their numbers
    models: Mapping[str, GivenModel] = field(default_factory=dict)  # of several models, by their names in the text
    placed: bool = False  # it is one of the texts that `present(space)` of another one places
