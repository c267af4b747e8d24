"""What defines a group or a direction, as a digest: how it is made, the network, and the content of the pictures.

Neither the names of bindings, nor where files lie, nor when they were written count. So a name stays with its group in
a copy of the folder or a clone of the repository, and is stale where other pictures make other groups.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from bbilang.compiler.check.datasets import SCORED
from bbilang.compiler.ir.program import AtomName, Node, PerExample, Program, walk, with_examples
from bbilang.compiler.ir.types import MADE, VECTORS
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.inputs import texts
from bbilang.runtime.recall import identity

if TYPE_CHECKING:
    from bbilang.runtime.execution.job import Job
    from bbilang.runtime.inputs.load import Input

VERSION = 1  # of how groups and directions are computed: with another one, names of them are stale
UNSAID = ("called", "digest", "given", "path")  # parameters that say what a dataset is called and where it lies
FIXED = ("seed", "labels")  # settings that groups and directions depend on, besides those of `preprocess`


class Makings:
    """The digests of what makes the groups and directions of a text. weights: digest of the weights of each model, by
    its alias."""

    def __init__(self, job: Job, weights: Mapping[str, str]):
        self.job, self.weights = job, weights
        self._made: dict[Node, str | None] = {}
        self._contents: dict[tuple[Node, frozenset[str]], str] = {}

    def of(self, name: AtomName) -> str | None:
        """Return the digest of what makes a named group or direction; empty for an atom of the network. None where it
        cannot be known: its dataset is not there, or its input is an object of the caller's."""
        if name.maker is None:
            return ""
        if name.maker not in self._made:
            self._made[name.maker] = self._digest(name.maker)
        return self._made[name.maker]

    def _digest(self, maker: Node) -> str | None:
        nodes = list(walk(*with_examples(maker)))
        own: list[object] = [VERSION, self._settings]
        if any(node.type.atom in (MADE[0], *VECTORS) for node in nodes):
            if None in self._inputs:
                return None
            own.append(self._inputs)
        words = frozenset(word for node in nodes for _, value in node.parameters for word in _strings(value))
        if words & set(SCORED):
            words |= {"label"}
        if any(_by_name(node) for node in nodes):
            words |= {"file"}
        try:
            own.append(self._written(maker, words, {}))
        except BbiError:  # a dataset has gone since
            return None
        return hashlib.sha256(repr(own).encode("utf-8", "surrogateescape")).hexdigest()

    def _written(self, node: Node, words: frozenset[str], known: dict[int, str]) -> str:
        """Return a digest of an expression. words: those in it, among them the columns that it asks for."""
        if id(node) not in known:
            of = (
                self._content(node, words)
                if node.op == "dataset"
                else [self._written(it, words, known) for it in node.inputs]
            )
            parameters = [
                (name, self._value(name, value, words, known)) for name, value in node.parameters if name not in UNSAID
            ]
            text = repr((node.op, of, parameters))
            known[id(node)] = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        return known[id(node)]

    def _value(self, name: str, value: object, words: frozenset[str], known: dict[int, str]) -> object:
        if isinstance(value, PerExample):
            value = value.node
        if isinstance(value, Node):
            return self._written(value, words, known)
        if isinstance(value, tuple):
            return [self._value(name, item, words, known) for item in value]
        return self.weights.get(value, value) if name == "model" and isinstance(value, str) else value

    def _content(self, dataset: Node, words: frozenset[str]) -> str:
        """Return a digest of the pictures of a dataset, whatever their order, with the columns that are asked for. What
        the cache knows by path, size and time of the files is not read again. Raises BbiError."""
        from bbilang.runtime.scan.digests import digests

        if (dataset, words) not in self._contents:
            opened = self.job.files.dataset(dataset, self.job.program.folder)
            (pictures,) = digests(opened, (range(len(opened)),))
            opened.keep()
            columns = opened.columns
            asked = [columns[name] for name in sorted(words & set(columns) - set(columns.costly))]
            rows = sorted(
                repr((digest, *(column[number] for column in asked))) for number, digest in enumerate(pictures)
            )
            text = "\n".join(rows).encode("utf-8", "surrogateescape")
            self._contents[dataset, words] = hashlib.sha256(text).hexdigest()
        return self._contents[dataset, words]

    @cached_property
    def _settings(self) -> list[tuple[str, str]]:
        settings = self.job.program.settings
        return [(name, repr(value)) for name, value in settings if name in FIXED or name.startswith("preprocess.")]

    @cached_property
    def _inputs(self) -> list[str | None]:
        return [_input(item) for item, _ in self.job.named_inputs]


def shown(name: AtomName, program: Program) -> bool:
    """Return whether a page may show a named atom: groups and directions only where it has some of what makes them."""
    return name.maker is None or (name.layer, name.family) in families(program)


def families(program: Program) -> set[tuple[str, str]]:
    """Return the layers and families of the groups and directions of a program's elements."""
    nodes = walk(*with_examples(*(element.node for element in program.elements)))
    return {(layer, node.type.family) for node in nodes for layer in node.type.layers if node.type.family}


def _input(item: Input) -> str | None:
    if isinstance(item, str) and item.startswith(texts.PREFIX):
        return hashlib.sha256(item.encode("utf-8", "surrogateescape")).hexdigest()
    return identity.input_identity(item)


def _by_name(node: Node) -> bool:
    """Return whether a part of a dataset is chosen by no column: then by the names of the files, as `sample` does."""
    words = {word for _, value in node.parameters for word in _strings(value)}
    return node.type.content == "dataset" and bool(node.inputs) and "column" not in words


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _strings(item)
