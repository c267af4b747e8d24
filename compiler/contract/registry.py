"""Every operation, style and method by its name, and the nearest known name to a misspelled one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bbilang.compiler.contract.method import Method
    from bbilang.compiler.contract.operation import Operation
    from bbilang.compiler.contract.style import Style
    from bbilang.compiler.ir.model_description import ModelDescription
    from bbilang.compiler.ir.program import Node


def suggest(word: str, known: Iterable[str]) -> str | None:
    """Return the nearest known word, where one is near enough to be a misspelling."""
    from rapidfuzz import fuzz, process  # seldom needed, and not quickly imported

    match = process.extractOne(word, list(known), scorer=fuzz.ratio, processor=str.lower, score_cutoff=60)
    return match[0] if match else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """Return a hint with the nearest known word, else ``otherwise``."""
    near = suggest(word, known)
    return f"did you mean `{near}`?" if near else otherwise


@dataclass
class Registry:
    """Everything that has a name in the language. Filled by the front door; ``find`` loads plugins on first use."""

    operations: dict[str, Operation] = field(default_factory=dict)
    styles: dict[str, Style] = field(default_factory=dict)
    methods: dict[str, Method] = field(default_factory=dict)
    describe: Callable[..., ModelDescription] | None = None  # of (registry name, crop, texts=)
    models: Callable[[], tuple[str, ...]] = lambda: ()
    discover: Callable[[str, Registry], bool] | None = None

    def method_argument(self, node: Node) -> Any:
        """Return the argument of a node that names its attribution method; None for an operation that uses none."""
        operation = self.operations.get(node.op)
        parameters = operation.parameters if operation is not None else ()
        return next((node.get(parameter.name) for parameter in parameters if parameter.kind == "method"), None)

    def find(self, group: str, name: str) -> Any | None:
        """Return the entry of a name, such as an operation; plug-ins are looked for where it is not known. None where
        there is none."""
        table: dict[str, Any] = getattr(self, group)
        if name not in table and self.discover is not None:
            self.discover(group, self)
        return table.get(name)
