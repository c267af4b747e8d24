"""Checkpoints of one network as an axis `model`: `model runs = resnet20 from "runs/*.safetensors"`.

A pipe of `runs` is read once for each checkpoint, as if it were a model of its own, and the fields are stacked along
the axis `model`. What chooses atoms, or works along that axis, works on the stack: one choice for all checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from bbilang.compiler.check.arguments.binding import at
from bbilang.compiler.check.scope import Layers, Scope
from bbilang.compiler.contract import Operation, Registry
from bbilang.compiler.ir.models import CHECKPOINT_AXIS, STACK, is_stack
from bbilang.compiler.ir.program import Node, walk
from bbilang.compiler.ir.types import MADE, Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.source import Span
from bbilang.grammar.walk import walk as walk_tree

Stage = Callable[[Node, ast.Call, Span], Node]
Read = Callable[[ast.Expression], object]


class CheckpointReader:
    """Reads expressions and stages of models that are several checkpoints."""

    def __init__(self, scope: Scope):
        self.scope = scope

    # --- expressions -----------------------------------------------------------------------------------------------

    def read(self, expression: ast.Expression, read: Read) -> object:
        """Read an expression; one about the scores of checkpoints for each of them, as a stack."""
        alias = self._named(expression) if isinstance(expression, ast.Path | ast.Index | ast.List | ast.Binary) else ""
        if not alias:
            return read(expression)
        values = []
        for member in self.scope.models[alias].slot.members:
            with self.scope.within(member, own=self.scope.own):
                values.append(read(expression))
        nodes = [value for value in values if isinstance(value, Node)]
        if len(nodes) == len(values):
            return stacked(self.scope, nodes, expression.span)
        (first, *_) = values
        return replace(first, model=alias) if isinstance(first, Layers) else first

    def _named(self, expression: ast.Expression) -> str:
        """Return the model of several checkpoints whose scores an expression is about; empty for anything else."""
        if self.scope.model.slot.of:  # they are read for one of them
            return ""
        paths = [node for node in walk_tree(expression) if isinstance(node, ast.Path)]
        if isinstance(expression, ast.Path):
            paths = [path for path in paths if path.name.partition(".")[0] == "output"]
            paths = [] if paths and self.scope.find("output") is not None else paths
        own = self.scope.model.slot.alias if self.scope.model.slot.members else ""
        for path in paths:
            if path.model is not None:
                if path.model in self.scope.models and self.scope.models[path.model].slot.members:
                    return path.model
                continue
            binding = self.scope.find(path.name)
            if binding is not None and isinstance(binding.value, Node) and is_stack(binding.value):
                return binding.value.type.model
            if own and (binding is None or isinstance(binding.value, Layers)):
                return own
        return ""

    def first(self) -> AbstractContextManager[None]:
        """Return a context in which names are of the first checkpoint: what a reader chooses among is one list."""
        members = self.scope.model.slot.members
        return self.scope.within(members[0], own=self.scope.own) if members else nullcontext()

    # --- stages ----------------------------------------------------------------------------------------------------

    def stage(self, field: Node, call: ast.Call, operation: Operation, span: Span, stage: Stage) -> Node | None:
        """Apply one stage to a field of checkpoints: to each, or to the stack. None for a field of a single model.
        Raises CheckError E341."""
        context = self.scope.models.get(field.type.model)
        if context is None or not context.slot.members:
            return None
        if is_stack(field) and not _of_the_stack(operation, call):
            nodes = []
            for member in field.inputs:
                with self.scope.within(member.type.model):
                    nodes.append(stage(member, call, span))
            return stacked(self.scope, nodes, call.span)
        first = context.slot.members[0]
        if self.scope.current == first:
            return None
        with self.scope.within(first):
            made = stage(field, call, span)
        if not operation.draws and _runs(made, operation, self.scope.registry):
            message = f"`{call.name}` runs the network, and the stage before it chooses for all checkpoints together"
            raise at(call.span, "E341", message, f"put `{call.name}` before the choice")
        return made


def _of_the_stack(operation: Operation, call: ast.Call) -> bool:
    """Return whether a stage works on all checkpoints together: it draws, chooses atoms or names the axis."""
    named = any(a.value == ast.Path(CHECKPOINT_AXIS, span=a.value.span) for a in call.arguments)
    return operation.draws or operation.selects or operation.hands_over or named


def _runs(node: Node, operation: Operation, registry: Registry) -> bool:
    """Return whether a stage needs a network for each checkpoint, and not only numbers."""
    return not (operation.pure or operation.selects or operation.hands_over) or bool(operation.demands(node, registry))


def stacked(scope: Scope, nodes: list[Node], span: Span) -> Node:
    """Return the fields of all checkpoints as one, with an axis `model`. Raises CheckError E342."""
    first, alias = nodes[0].type, scope.models[nodes[0].type.model].slot.of
    if first.atom == "list" or first.atom == MADE[0]:
        what = "a linked list" if first.atom == "list" else f"{first.atom}s"
        message = f"these are {what} of each checkpoint by itself, which do not correspond"
        raise at(span, "E342", message, 'show one checkpoint: `model last = ... from "..."`')
    plain = {replace(node.type, model="") for node in nodes}
    if len(plain) > 1:
        raise at(span, "E342", "the checkpoints differ in the axes of this field", "show one checkpoint by itself")
    found = any(scope.registry.operations[node.op].retrieves for node in walk(nodes[0]))
    axes = [replace(a, varies=(*a.varies, CHECKPOINT_AXIS)) if found and "example" in a.components else a
            for a in first.axes]  # fmt: skip
    number = next((n + 1 for n, axis in enumerate(axes) if axis.name == "input"), 0)
    axes.insert(number, Axis(CHECKPOINT_AXIS, len(nodes)))
    type: FieldType = replace(first, model=alias, axes=tuple(axes))
    return scope.make(STACK, tuple(nodes), {"names": names_of(scope, alias)}, type, span)


def names_of(scope: Scope, alias: str) -> tuple[str, ...]:
    """Return what the checkpoints of a model are called."""
    return tuple(member.removeprefix(f"{alias} ") for member in scope.models[alias].slot.members)


def projected(scope: Scope, value: object) -> object:
    """Return the value of a name as it is for the checkpoint that is being read; unchanged where none is."""
    slot = scope.model.slot
    if not slot.of or not isinstance(value, Node | Layers):
        return value
    if isinstance(value, Layers):
        return replace(value, model=slot.alias) if value.model == slot.of else value
    if not is_stack(value) or value.type.model != slot.of:
        return value
    return next(member for member in value.inputs if member.type.model == slot.alias)
