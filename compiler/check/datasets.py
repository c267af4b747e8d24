"""Datasets: the examples that a `dataset` statement names, and parts of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bbilang.compiler.check.arguments.binding import CheckError, at, describe
from bbilang.compiler.check.scope import Scope
from bbilang.compiler.contract import Fail
from bbilang.compiler.ir.program import Node, source_dataset
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.source import Span

if TYPE_CHECKING:
    from bbilang.compiler.check.arguments.bounding_boxes import KnownColumn, KnownFiles
    from bbilang.compiler.check.options import GivenDataset
    from bbilang.compiler.check.resolve import Resolver

MOST_EXAMPLES = 10_000_000
SCORED = ("predicted", "correct", "loss", "confidence", "label_probability")  # columns that need a forward pass
SAID = "said"  # the operation and the content of what another model says of each example
MEMBER = "member"  # the component of examples of several datasets side by side: their numbers are of different files
MEASURED = ("file", "label", "width", "height")  # columns that every dataset has


def known_columns(field: Node, scope: Scope) -> Mapping[str, KnownColumn]:
    """Return what is known of the columns of a field's examples without reading them."""
    while field.op != "dataset":
        dataset = field.get("dataset")
        if isinstance(dataset, tuple) and len({source_dataset(each) for each in dataset}) > 1:
            return {}  # each has values of its own
        if dataset is not None:
            field = dataset[0] if isinstance(dataset, tuple) else dataset
        elif field.inputs:
            field = field.inputs[0]
        else:
            return {}
    return scope.columns.get(field["digest"], {})


def drawn_dataset(element: Node) -> Node:
    """Return the dataset whose examples an element draws."""
    stage = element
    while stage.type.content != "dataset" and not isinstance(stage.get("dataset"), Node):
        stage = stage.inputs[0]  # all checkpoints are of the same examples
    dataset: Node = stage if stage.type.content == "dataset" else stage["dataset"]
    return dataset


def said_by(model: str, field: Node, scope: Scope, span: Span) -> Node:
    """Return the node of what a model of the text says of a dataset's examples: `b:predicted`. Raises CheckError
    E257."""
    if field.type.content != "dataset":
        message = f"this pipe is of `{field.type.model}`, and the column of `{model}`"
        help = f"name a dataset first: `dataset some = photos | filter({model}:predicted != label)`"
        raise at(span, "E257", message, help)
    type = replace(field.type, content=SAID, model=model, signed=False)
    return scope.make(SAID, (), {"dataset": field, "model": model}, type, span)


class DatasetReader:
    """Reads what stands after `dataset name =`."""

    def __init__(self, scope: Scope):
        self.scope = scope

    def read(self, name: str, value: ast.Expression, resolver: Resolver) -> Node:
        """Return the node of a dataset: its files, or a pipe that keeps some of the examples of one. It holds its name,
        for what is shown of several."""
        made = self._value(value, resolver)
        parameters = {key: item for key, item in made.parameters if key != "called"}
        return self.scope.make(made.op, made.inputs, {**parameters, "called": name}, made.type, value.span)

    def _value(self, value: ast.Expression, resolver: Resolver) -> Node:
        if isinstance(value, ast.String):
            return self.source(value.value, value.span)
        if isinstance(value, ast.Path):
            return self._of(value)
        assert isinstance(value, ast.Pipe), "the grammar allows nothing else"
        head = value.head
        dataset = self.source(head.value, head.span) if isinstance(head, ast.String) else self._of(head)
        for stage in value.stages:
            span = head.span | stage.span
            dataset = resolver.stage(dataset, stage, span)
            if dataset.type.content != "dataset":
                help = "keep some of its examples: `filter(...)`, `sample(...)`"
                raise at(stage.span, "E260", f"what `{stage.name}` gives is no dataset", help)
        return dataset

    def _of(self, value: ast.Expression) -> Node:
        dataset = self.scope.value(value)
        if isinstance(dataset, Node) and dataset.type.content == "dataset":
            return dataset
        raise at(value.span, "E213", f"{describe(value)} is not a dataset", 'name one: `dataset photos = "folder/"`')

    def source(self, path: str, span: Span) -> Node:
        """Return the node of the files that a text names. What they are is known as far as it can be without reading
        one. Raises CheckError for files that are not there."""
        files = self.scope.files
        return self._source({"path": path}, lambda: files.peek(path, files.folder, files.root), span)

    def given(self, name: str, given: GivenDataset, span: Span) -> Node:
        """Return the node of a dataset that a caller gives for a name. Raises CheckError."""
        return self._source({"path": given.words, "given": name, "called": name}, lambda: given.known, span)

    def _source(self, parameters: dict[str, str], known_files: Callable[[], KnownFiles | None], span: Span) -> Node:
        try:
            known = known_files()
        except Fail as fail:
            raise CheckError(fail, span) from fail
        except BbiError as error:
            first = error.diagnostics[0]
            raise at(span, first.code, first.message, first.help) from error
        sizes = dict.fromkeys((*MEASURED, *SCORED), 0)
        size, exact, digest = MOST_EXAMPLES, False, ""
        if known is not None:
            self.scope.columns[known.digest] = known.columns
            size, exact, digest = min(max(known.count, 1), MOST_EXAMPLES), known.exact, known.digest
            sizes |= {name: len(column.values or ()) for name, column in known.columns.items()}
            sizes["label"] = len([label for label in known.labels if label])
        axis = Axis("example", size, exact=exact)
        type = FieldType("dataset", "example", (), (axis,), signed=False, columns=tuple(sorted(sizes.items())))
        return self.scope.make("dataset", (), {**parameters, "digest": digest}, type, span)
