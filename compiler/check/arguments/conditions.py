"""Reads conditions, and the names of columns of a dataset: `predicted != label and width > 300`."""

from __future__ import annotations

from typing import Any

from bbilang.compiler.check.arguments.binding import at, describe
from bbilang.compiler.check.datasets import SCORED, known_columns, said_by
from bbilang.compiler.check.scope import Scope
from bbilang.compiler.contract import Parameter, did_you_mean
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.grammar import ast
from bbilang.grammar.comparisons import COMPARE, EQUAL

Column = tuple[str, str] | tuple[str, str, Node]  # ("column", name), with the node that has it where it is no file's


class ConditionReader:
    """Reads what a condition compares, and which column an argument names."""

    def __init__(self, scope: Scope):
        self.scope = scope

    def condition(self, value: ast.Expression, field: Node) -> tuple[Any, ...]:
        """Return `value > 0.1 and channel < 100` as nested tuples: ("and", (">", "value", 0.1), ...).

        Raises CheckError E213, E215, E263, E458.
        """
        if isinstance(value, ast.Binary) and value.operator in ("and", "or"):
            return (value.operator, self.condition(value.left, field), self.condition(value.right, field))
        if isinstance(value, ast.Unary) and value.operator == "not":
            return ("not", self.condition(value.operand, field))
        if isinstance(value, ast.Binary) and value.operator in COMPARE:
            left, right = self._operand(value.left, field), self._operand(value.right, field)
            texts = [side for side in (left, right) if isinstance(side, tuple) and side[0] == "text"]
            columns = [side for side in (left, right) if isinstance(side, tuple) and side[0] == "column"]
            if texts and not columns:
                help = 'as in `label == "zebra"`'
                raise at(value.span, "E213", "a text is compared with a column of the examples", help)
            self._holds(value, left, right, field)
            return (value.operator, left, right)
        if isinstance(value, ast.Path) and (column := self._column(value, field)) is not None:
            return ("==", column, 1.0)
        raise at(value.span, "E213", f"{describe(value)} is not a condition", "compare: `value > 0.1`, `channel < 100`")

    def _holds(self, value: ast.Binary, left: object, right: object, field: Node) -> None:
        """Check a word or number against the values that a column is known to have. Raises CheckError E263, E458."""
        known = known_columns(field, self.scope)
        for column, other, operand in ((left, right, value.right), (right, left, value.left)):
            values = known[column[1]].values if isinstance(column, tuple) and column[1] in known else None
            if values is None or not isinstance(column, tuple) or column[0] != "column":
                continue
            if isinstance(other, int | float):
                help = f'words stand in quotes, as in `{column[1]} == "{values[0] if values else "zebra"}"`'
                raise at(operand.span, "E458", f"`{column[1]}` holds words, and {other:g} is a number", help)
            if isinstance(other, tuple) and other[0] == "text" and other[1] not in values and value.operator in EQUAL:
                listing = f"it holds {', '.join(values[:8])}{', ...' if len(values) > 8 else ''}"
                near = did_you_mean(str(other[1]), values, listing if values else "it is empty")
                raise at(operand.span, "E263", f'no example has "{other[1]}" in the column `{column[1]}`', near)

    def _column(self, path: ast.Path, field: Node) -> Column | None:
        """Return the column of a name; of what a model says of the examples where that is not the field's own, with
        the node that has it. Raises CheckError E257, E421."""
        if not any(path.name == column for column, _ in field.type.columns):
            return None
        alias = self._model_of(path, field)
        if alias is None:
            return ("column", path.name)
        return ("column", f"{alias}:{path.name}", said_by(alias, field, self.scope, path.span))

    def _model_of(self, path: ast.Path, field: Node) -> str | None:
        """Return the model that a column is asked of, where the text has several and it is not the field's own."""
        if path.name not in SCORED:
            if path.model is not None:
                message = f"the column `{path.name}` is not what a model says: it is the same for every model"
                raise at(path.span, "E257", message, f"leave out `{path.model}:`")
            return None
        alias = self.scope.model.slot.alias if path.model is None else path.model
        if path.model is not None:
            self.scope.context(alias, path.span)
        own = field.type.model or (alias if len(self.scope.models) == 1 else "")
        if path.model is None and field.type.model:
            return None
        return None if alias == own else alias

    def _operand(self, value: ast.Expression, field: Node) -> float | str | Column | tuple[str, str | bool]:
        type = field.type
        axes = [axis for axis in type.axes if axis.name != "input" or axis.size > 1]
        numbers = [] if type.content == "dataset" else ["value", "magnitude"]
        words = [*numbers, *(c for axis in axes for c in axis.components), *(name for name, _ in type.columns)]
        if isinstance(value, ast.Number):
            return value.value
        if isinstance(value, ast.String) and type.columns:
            return ("text", value.value)
        if isinstance(value, ast.Constant) and isinstance(value.value, bool) and type.columns:
            return ("flag", value.value)
        if isinstance(value, ast.Call) and value.name == "column" and type.columns:
            return self._named_column(value, type)
        if isinstance(value, ast.Path) and (column := self._column(value, field)) is not None:
            return column
        if isinstance(value, ast.Path):
            if value.name in words:
                return value.name
            binding = self.scope.find(value.name)
            if binding is not None and isinstance(binding.value, int | float):
                return float(binding.value)
            help = did_you_mean(value.name, words, f"it can use {', '.join(words)}")
            raise at(value.span, "E215", f"a condition cannot use `{value.name}`", help)
        help = "as in `magnitude > 0.1` or `channel < 100`"
        raise at(value.span, "E213", f"a condition compares numbers, and {describe(value)} is none", help)

    def ranked_column(self, value: ast.Expression, parameter: Parameter, field: Node) -> Column | None:
        """Return the column that examples are ranked by; None where the ranking is by something else. Raises CheckError
        E215, E257, E458."""
        type, column = field.type, None
        if not type.columns:
            return None
        if isinstance(value, ast.Call) and value.name == "column":
            column = self._named_column(value, type)
        elif isinstance(value, ast.Path) and value.name not in parameter.choices:
            column = self._column(value, field)
            if column is None and type.content == "dataset":
                names = [name for name, _ in type.columns]
                help = did_you_mean(value.name, names, f"its columns are {', '.join(names)}")
                raise at(value.span, "E215", f"there is no column `{value.name}`", help)
        known = known_columns(field, self.scope)
        if column is not None and column[1] in known and known[column[1]].values is not None:
            message = f"`{column[1]}` holds words, and examples are ranked by numbers"
            raise at(value.span, "E458", message, f"keep some: `filter({column[1]} == ...)`")
        return column

    def column_name(self, value: ast.Expression, parameter: Parameter, field: Node) -> str | None:
        """Return the name of a column of the field's examples. Raises CheckError E213, E215."""
        if isinstance(value, ast.Constant) and value.value is None:
            return None
        if isinstance(value, ast.Call) and value.name == "column":
            return self._named_column(value, field.type)[1]
        if not isinstance(value, ast.Path):
            raise at(
                value.span, "E213", f"`{parameter.name}` is the name of a column", f"as in `{parameter.name}=label`"
            )
        if all(value.name != column for column, _ in field.type.columns):
            names = [name for name, _ in field.type.columns]
            help = did_you_mean(value.name, names, f"its columns are {', '.join(names)}") if names else None
            raise at(value.span, "E215", f"there is no column `{value.name}`", help)
        if value.model is not None and (alias := self._model_of(value, field)) is not None:
            message = f"`{parameter.name}=` groups by what the pipe's own model says, and `{alias}` is another one"
            raise at(value.span, "E257", message, f"keep examples with `filter({alias}:{value.name} == ...)`")
        self._compares(value, parameter, field)
        return value.name

    def _compares(self, value: ast.Path, parameter: Parameter, field: Node) -> None:
        """Check that a column has two values or more, where that is known. Raises CheckError E264."""
        known = known_columns(field, self.scope)
        if not known or value.name in SCORED or (value.name in known and known[value.name].values is None):
            return
        values = (known[value.name].values if value.name in known else None) or ()
        if len(values) < 2:
            has = f'only "{values[0]}"' if values else "nothing"
            help = "labels are the folders of the pictures, or a column of a table"
            message = f"the column `{value.name}` holds {has}, and groups are at least two"
            raise at(value.span, "E264", message, help if value.name == "label" else f"leave out `{parameter.name}=`")

    def _named_column(self, call: ast.Call, type: FieldType) -> Column:
        """Read `column("file name")`: a column whose name is no word. Raises CheckError E213, E215."""
        name = call.arguments[0].value if len(call.arguments) == 1 else None
        if not isinstance(name, ast.String):
            raise at(call.span, "E213", "`column` takes the name of one column", 'as in `column("file name")`')
        names = [name for name, _ in type.columns]
        if name.value not in names:
            help = did_you_mean(name.value, names, f"its columns are {', '.join(names)}")
            raise at(name.span, "E215", f"there is no column {name.value!r}", help)
        return ("column", name.value)
