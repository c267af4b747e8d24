"""The nodes of a typed program: frozen, equal by structure, hashed once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bbilang.compiler.ir.types import FieldType
from bbilang.grammar.frozen import frozen

MOST_STAGES = 256  # levels of nodes in a text, so that later stages may recurse


@dataclass(frozen=True, eq=False)
class Node:
    """An operation applied to its inputs. ``parameters`` hold numbers, strings, None, nodes (targets, selections),
    pipes that are computed for each example (`PerExample`) and tuples of these.

    ``digest``: a hash of the whole expression; nodes are equal when their digests are. What a selection is called is
    left out of it: numbers do not depend on that. ``depth``: its levels of nodes.
    """

    op: str
    inputs: tuple[Node, ...]
    parameters: tuple[tuple[str, Any], ...]
    type: FieldType
    digest: str = field(init=False)
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 1 + max([child.depth for child in self.children], default=0))
        unsaid = "title" if self.type.content == "selection" else ""
        plain = tuple([(name, _digestible(name, value)) for name, value in self.parameters if name != unsaid])
        text = repr((self.op, [n.digest for n in self.inputs], plain, self.type))
        object.__setattr__(self, "digest", hashlib.sha256(text.encode()).hexdigest()[:32])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<{self.op} {self.digest[:8]}: {self.type}>"

    def __getitem__(self, name: str) -> Any:
        """Return the value of a parameter. Raises KeyError if there is none of that name."""
        for key, value in self.parameters:
            if key == name:
                return value
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        return next((value for key, value in self.parameters if key == name), default)

    @cached_property
    def children(self) -> tuple[Node, ...]:
        """The nodes that this one depends on: its inputs, and those in its parameters."""
        nodes = list(self.inputs)
        for _, value in self.parameters:
            _collect(value, nodes)
        return tuple(nodes)


@frozen
class PerExample:
    """A pipe that is computed for every example of a dataset, and not for the inputs of the page: it is no child of the
    node that holds it, so nothing is run for it on the page's own inputs."""

    node: Node


STAND_IN = "stand_in"
"""The parameter of an intervention that is computed for each example of a dataset and takes something from elsewhere:
the intervention as it stands in the text (`PerExample`), and once that is found, a digest of what it takes."""


def waits(*pipes: Node) -> bool:
    """Return whether pipes that are computed for each example need what the page has to find first."""
    return any(isinstance(node.get(STAND_IN), PerExample) for node in walk(*pipes))


PLAIN = frozenset((type(None), bool, int, float, str))


def _digestible(name: str, value: Any) -> Any:
    """Return the value with nodes replaced by their digests. Raises TypeError for a value that no parameter may
    hold."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, Node):
        return ("node", value.digest)
    if isinstance(value, PerExample):
        return ("per example", value.node.digest)
    if isinstance(value, tuple):
        return tuple([_digestible(name, item) for item in value])
    if isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"parameter {name} holds a {type(value).__name__}")


def _collect(value: Any, nodes: list[Node]) -> None:
    """Append the nodes in a parameter's value."""
    if isinstance(value, Node):
        nodes.append(value)
    elif isinstance(value, tuple):
        for item in value:
            _collect(item, nodes)


def source_dataset(dataset: Node) -> Node:
    """Return the dataset that a dataset is a part of, and whose files its examples are: itself where it is whole."""
    while dataset.inputs:
        (dataset,) = dataset.inputs
    return dataset


def walk(*roots: Node) -> Iterator[Node]:
    """Yield every node object below the roots once, children first. Equal nodes that are two objects come twice."""
    return walk_within(lambda node: True, *roots)


def walk_within(inside: Callable[[Node], bool], *roots: Node) -> Iterator[Node]:
    """Yield the same without the nodes that are not ``inside``, nor what is below those."""
    seen: set[int] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif id(node) not in seen and inside(node):
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.children))
