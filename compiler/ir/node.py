"""The nodes of a typed program: frozen, equal by structure, hashed once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import field
from functools import cached_property
from typing import Any

from bbilang.compiler.ir.types import FieldType
from bbilang.grammar.frozen import frozen

MOST_STAGES = 256  # levels of nodes in a text, so that later stages may recurse


@frozen
class Node:
    """An operation applied to its inputs. ``parameters`` hold numbers, strings, None, nodes (targets, selections),
    pipes that are computed for each example (`PerExample`) and tuples of these.

    ``digest``: a hash of the whole expression; nodes are equal when their digests are. What a selection is called is
    left out of it: numbers do not depend on that; it is computed when it is first asked for. ``depth``: its levels of
    nodes. ``children``: the nodes that it depends on, which are its inputs and those in its parameters.
    """

    op: str
    inputs: tuple[Node, ...]
    parameters: tuple[tuple[str, Any], ...]
    type: FieldType
    depth: int = field(init=False)
    children: tuple[Node, ...] = field(init=False)

    def __post_init__(self) -> None:
        nodes = list(self.inputs)
        for name, value in self.parameters:
            if type(value) not in PLAIN:
                _collect(name, value, nodes)
        own = self.__dict__
        own["children"] = children = tuple(nodes)
        own["depth"] = 1 + max([child.depth for child in children], default=0)

    @cached_property
    def digest(self) -> str:
        """A hash of the whole expression."""
        unsaid = "title" if self.type.content == "selection" else ""
        plain = tuple([(name, _digestible(value)) for name, value in self.parameters if name != unsaid])
        text = repr((self.op, [n.digest for n in self.inputs], plain, self.type))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Node) and self.digest == other.digest)

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
        """Return the value of a parameter, or the default if there is none of that name."""
        for key, value in self.parameters:
            if key == name:
                return value
        return default


@frozen
class PerExample:
    """A pipe that is computed for every example of a dataset, and not for the inputs of the page: it is no child of the
    node that holds it, so nothing is run for it on the page's own inputs."""

    node: Node


STAND_IN = "stand_in"
"""The parameter of an intervention that is computed for each example of a dataset and takes something from elsewhere:
the intervention as it stands in the text (`PerExample`), and once that is found, a digest of what it takes."""


ON_PAGE = "of"
"""The parameter of atoms that are chosen, or directions that are made, on the page's own input for every example of a
dataset: the pipe that does it (`PerExample`), until that is done."""


def waits(*pipes: Node) -> bool:
    """Return whether pipes that are computed for each example need what the page finds in a dataset first."""
    return any(_finds_in_datasets(node) for node in walk(*pipes))


def _finds_in_datasets(node: Node) -> bool:
    if isinstance(node.get(STAND_IN), PerExample):
        return True
    made = node.get(ON_PAGE)
    return isinstance(made, PerExample) and any(each.type.content == "dataset" for each in walk(made.node))


PLAIN = frozenset((type(None), bool, int, float, str))


def _digestible(value: Any) -> Any:
    """Return the value of a parameter with nodes replaced by their digests."""
    if isinstance(value, Node):
        return ("node", value.digest)
    if isinstance(value, PerExample):
        return ("per example", value.node.digest)
    return tuple([_digestible(item) for item in value]) if isinstance(value, tuple) else value


def _collect(name: str, value: Any, nodes: list[Node]) -> None:
    """Append the nodes in a parameter's value. Raises TypeError for a value that no parameter may hold."""
    if isinstance(value, Node):
        nodes.append(value)
    elif isinstance(value, tuple):
        for item in value:
            if type(item) not in PLAIN:
                _collect(name, item, nodes)
    elif not isinstance(value, PerExample | bool | int | float | str):
        raise TypeError(f"parameter {name} holds a {type(value).__name__}")


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


def with_examples(*roots: Node) -> list[Node]:
    """Return the roots after the pipes that nodes below them compute for each example, innermost first."""
    found: list[Node] = []
    for node in walk(*roots):
        for _, value in node.parameters:
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, PerExample):
                    found += with_examples(each.node)
    return [*found, *roots]
