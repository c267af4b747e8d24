"""Parts of a dataset that a reader encloses: what a page can compute for them by itself, and how much it stores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from bbilang.compiler.check.arguments.binding import at
from bbilang.compiler.check.datasets import MEMBER, MOST_EXAMPLES
from bbilang.compiler.contract import Arguments, Operation, Registry, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.grammar.source import Span

MOST_STORED = 8_000_000  # bytes of the numbers that a page keeps for one element, before they are compressed
NUMBER = 4  # bytes
MOST_PICTURES = 2_000  # of examples, in a row of which the page shows those that are enclosed
EXAMPLE = "example"
JOINED = (
    "reduce them: `mean(example)`, or count them: `present(histogram, facet=subset)`; or make one dataset of all: a "
    "folder with their folders, or a table with a column"
)
POSSIBLE = (
    "a page computes `mean`, `sum`, `std`, `max`, `min`, `quantile` and `fraction` of `example` for a lasso, "
    "the `top` of those, histograms, rows of examples and the icon of a map; put all else before `at`"
)


def check_stage(
    operation: Operation, field: Node, arguments: Arguments, spans: Mapping[str, Span], span: Span, registry: Registry
) -> None:
    """Raise CheckError E265 for an operation that a page cannot apply to the examples in a lasso, E258 for one that
    needs the files of examples that are of several datasets."""
    if is_joined(field.type) and not operation.pure:
        raise at(
            span, "E258", f"`{operation.name}` is of the examples of one dataset, and these are of several", JOINED
        )
    for name, value in arguments.items():
        parts = value if isinstance(value, tuple) else (value,)
        enclosed = any(isinstance(part, Node) and part.type.content == "dataset" and part.type.lasso for part in parts)
        if enclosed and not operation.takes_parts:
            message = f"`{operation.name}` would need a pass for each part that a reader encloses"
            raise at(spans.get(name, span), "E265", message, POSSIBLE)
    if field.type.lasso is None:
        return
    if ranked(field, registry):
        message = f"`{operation.name}` cannot follow a ranking that the page computes for a lasso"
        raise at(span, "E265", message, f"put `{field.op}(...)` last, before `present`")
    if not operation.follows(field.type, arguments):
        raise at(span, "E265", f"`{operation.name}` cannot be computed in the page for what a lasso encloses", POSSIBLE)


def is_joined(type: FieldType) -> bool:
    """Return whether a field has the examples of several datasets side by side."""
    return any(MEMBER in axis.components for axis in type.axes)


def ranked(field: Node, registry: Registry) -> bool:
    """Return whether a field that follows a lasso is a ranking of what it reduced the examples to."""
    return field.type.lasso is not None and field.op in registry.operations and (
        registry.operations[field.op].ranks(field) is not None)  # fmt: skip


def check_style(
    field: Node, style: Style, facet: str | None, size: str | None, spans: Mapping[str, Span], registry: Registry
) -> None:
    """Raise CheckError E265 for a style that a page cannot draw again, E312 for more numbers than it stores, E258 for
    one that draws examples of several datasets."""
    type, span = field.type, spans["style"]
    if is_joined(type) and style.redraws(type.panel(facet)) != "counts":
        raise at(span, "E258", f"`{style.name}` draws the examples of one dataset, and these are of several", JOINED)
    if type.lasso is None:
        return
    redraw = style.redraws(type.panel(facet))
    alone = facet is None and len(type.states) == 1
    if (
        not redraw or size is not None or (redraw in ("rows", "nearest") and not alone)
        or (ranked(field, registry) and (style.states_one or facet is not None))
    ):  # fmt: skip
        sized = redraw and size is not None
        what = "`size=`" if sized else f"`{style.name}` of this field"
        raise at(spans["size"] if sized else span, "E265", f"{what} cannot follow a lasso", POSSIBLE)
    stages = list(_chain(field))
    examples = next((axis.size for stage in stages for axis in stage.type.axes if axis.name == EXAMPLE), 1)
    grouped = {name for name, _ in type.columns} | {EXAMPLE}
    drawn = stages[1] if ranked(field, registry) else field  # a ranking is of all atoms
    vectors = type.state_count * math.prod(axis.size for axis in drawn.type.axes if axis.name not in grouped)
    if examples != MOST_EXAMPLES and redraw == "rows" and examples > MOST_PICTURES:
        message = f"a row that follows a lasso holds a picture of each of {examples:,} examples, and "
        raise at(span, "E312", f"{message}{MOST_PICTURES:,} is the limit", "show fewer: `sample(2000)`")
    if examples != MOST_EXAMPLES and vectors * examples * NUMBER > MOST_STORED:
        raise at(span, "E312", too_much(vectors, examples), REMEDY)


REMEDY = "keep fewer atoms before `at`: `only(...)`; or fewer examples: `sample(2000)`"


def too_much(vectors: int, examples: int) -> str:
    """Say how much a page would store for a lasso."""
    size = f"{vectors * examples * NUMBER / 1e6:,.0f} MB"
    return (
        f"for the lasso the page would keep {vectors:,} numbers of each of {examples:,} examples ({size}), and "
        f"{MOST_STORED / 1e6:,.0f} MB is the limit"
    )


def _chain(node: Node) -> Iterator[Node]:
    yield node
    while node.inputs:
        node = node.inputs[0]
        yield node
