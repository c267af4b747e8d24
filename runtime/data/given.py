"""Datasets that a caller gives by name, `data={"photos": dataset}`: they win over the text. Standard library only until
one is opened."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from os import PathLike, fspath
from typing import TYPE_CHECKING

from bbilang.grammar.statement_words import is_free_name
from bbilang.runtime.data.peek import Peek, peek
from bbilang.runtime.data.resolve import EXPECTED
from bbilang.runtime.data.store import Store
from bbilang.runtime.inputs.arguments import wrong

if TYPE_CHECKING:
    from bbilang.runtime.data.dataset import Dataset

TAKES = "a dict from names of the text to datasets"
AS_IN = 'as in `data={"photos": dataset}`'


class Given:
    """A dataset that stands for a name of the text: ``given`` is a path, which starts in the current folder, a
    `Dataset`, a torch Dataset or a sequence. It is opened when it is first read, and once. It may lie outside of the
    folder of `--root`, which is for files that a text names."""

    def __init__(self, name: str, given: object, store: Store | None = None):
        self.name, self._given, self._store = name, given, store

    @property
    def words(self) -> str:
        """What a page calls it: the path as it was given, else the name."""
        return fspath(self._given) if isinstance(self._given, str | PathLike) else self.name

    @cached_property
    def known(self) -> Peek:
        """What the checker knows of it. Of an object of Python all pictures are read, once, since nothing else tells
        whether it is the one of an earlier run. Raises BbiError."""
        if isinstance(self._given, str | PathLike):
            return peek(self.words, store=self._store)
        from bbilang.runtime.data.dataset import peek_of

        return peek_of(self.dataset)

    @cached_property
    def dataset(self) -> Dataset:
        """Raises BbiError."""
        from bbilang.runtime.data.sequences import as_dataset

        dataset = as_dataset(self._given, self.name)
        if self._store is not None:
            dataset.remember(self._store)
        return dataset


def given_datasets(data: object, store: Store | None = None) -> dict[str, Given]:
    """Return what `data=` gives, by names. Raises BbiError E423 for what is no dict from names to datasets."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        wrong("data", data, TAKES, AS_IN)
    found = {}
    for name, value in data.items():
        if not isinstance(name, str):
            wrong("data", name, "names of datasets in the text", AS_IN)
        if not is_free_name(name):
            wrong(f"data[{name!r}]", name, "names as in a text: letters, digits and underscores", AS_IN)
        if value is None or isinstance(value, bytes | int | float | Mapping | type):
            wrong(f"data[{name!r}]", value, EXPECTED)
        found[name] = Given(name, value, store)
    return found
