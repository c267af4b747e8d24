"""`def name(parameters) = pipe`: operations that a text defines, expanded where they are called.

A call substitutes its arguments for the parameters in the body, so an argument may be any expression allowed
there: a layer, a number, a word. In a stage of a pipe, the value that comes through the pipe is the first argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from bbilang.compiler.check.arguments.binding import CheckError, Poisoned, at, bind
from bbilang.compiler.check.limits import ExpansionSize
from bbilang.compiler.check.scope import Binding, Macro, Scope
from bbilang.compiler.check.selections import SELECTIONS
from bbilang.compiler.contract import Fail, did_you_mean
from bbilang.compiler.ir.program import Node
from bbilang.grammar import ast

DEEPEST = 32  # calls of definitions inside each other
PIPED = "|"  # the name of the value that comes through the pipe; no text can spell it


def unknown_operation(call: ast.Call, scope: Scope) -> CheckError:
    """Return the error for a stage that is not an operation."""
    if call.name in SELECTIONS:
        message, help = f"`{call.name}` is a selection, not an operation", f"write `at({call.name}(...))`"
        return at(call.name_span, "E210", message, help)
    names = [*scope.macros, *(n for n, o in scope.registry.operations.items() if not o.head)]
    return at(call.name_span, "E210", f"`{call.name}` is not an operation", did_you_mean(call.name, names))


class Expander:
    """Checks definitions and expands their calls."""

    def __init__(self, scope: Scope):
        self.scope = scope
        self.depth = 0  # of calls being expanded
        self.size = ExpansionSize()

    def check(self, macro: Macro) -> None:
        """Check what does not depend on a call: every stage is an operation, and none is the definition itself.

        Raises CheckError E210, E221, E241.
        """
        scope = self.scope
        for call in _stages(macro.definition.value):
            if call.name == macro.name:
                help = "a definition is expanded, so it has no end"
                raise at(call.name_span, "E241", f"`{macro.name}` calls itself", help)
            operation = scope.registry.find("operations", call.name)
            if call.name not in scope.macros and (operation is None or operation.head) and not scope.open:
                raise unknown_operation(call, scope)
        seen: set[str] = set()
        for parameter in macro.definition.parameters:
            if parameter.name in seen:
                raise at(parameter.span, "E221", f"`{parameter.name}` is a parameter twice", "choose another name")
            seen.add(parameter.name)

    def expand(self, call: ast.Call, piped: Node | None) -> Any:
        """Evaluate a call. Errors in the body are reported at the call, with their own span as a related one."""
        scope, macro = self.scope, self.scope.macros[call.name]
        if macro is None:
            raise Poisoned
        scope.used_macros.add(call.name)
        arguments = call.arguments
        if piped is not None:
            arguments = (ast.Argument(ast.Path(PIPED, span=call.span), span=call.span), *arguments)
        bindings, _ = bind(macro.name, call.span, arguments, macro.parameters(), lambda value, parameter: value)
        if self.depth >= DEEPEST:
            help = "definitions are expanded, so this has no end"
            raise at(call.span, "E241", f"`{macro.name}` calls itself by way of others", help)
        body = substitute(macro.definition.value, bindings)
        self.depth += 1
        notes_before = len(scope.notes)
        try:
            with self.size.counting(body, call.span):
                if piped is None:
                    return scope.value(body)
                with scope.scope() as names:
                    names[PIPED] = Binding(piped, call.span, used=True)
                    return scope.value(body)
        except CheckError as error:
            raise _at_call(error, macro, call, arguments) from error
        finally:
            self.depth -= 1
            scope.notes[notes_before:] = [_at_call(note, macro, call, arguments) for note in scope.notes[notes_before:]]


def _at_call(error: CheckError, macro: Macro, call: ast.Call, arguments: tuple[ast.Argument, ...]) -> CheckError:
    """Move an error in the body to the call; an error in an argument keeps its span."""
    if (
        any(a.span.start <= error.span.start and error.span.end <= a.span.end for a in arguments)
        and macro.source is None
    ):
        return error
    if macro.source is None:
        related = (*error.related, (error.span, f"here, in the definition of `{macro.name}`"))
        return CheckError(error.fail, call.span, related)
    line, column = macro.source.position(error.span.start)
    message = f"{error.fail.message} (in `{macro.name}`, {macro.source.name}:{line}:{column})"
    return CheckError(Fail(error.fail.code, message, error.fail.help), call.span)


def substitute(node: Any, bindings: Mapping[str, ast.Expression]) -> Any:
    """Replace parameters in an expression; `layer.channel` of a parameter is an atom of its argument."""
    if isinstance(node, ast.Path):
        head, dot, atom = node.name.rpartition(".")
        if node.model is None and node.name in bindings:
            return bindings[node.name]
        if node.model is None and dot and head in bindings:
            return ast.Attribute(bindings[head], atom, span=node.span)
        return node
    if isinstance(node, tuple):
        return tuple(substitute(item, bindings) for item in node)
    if isinstance(node, ast.Node):
        changed = {f.name: substitute(getattr(node, f.name), bindings) for f in fields(node) if f.init}
        return replace(node, **changed)
    return node


def _stages(node: Any) -> list[ast.Call]:
    """Return all stages of the pipes in an expression."""
    if isinstance(node, ast.Pipe):
        return [*_stages(node.head), *node.stages, *(c for s in node.stages for c in _stages(s.arguments))]
    if isinstance(node, tuple):
        return [call for item in node for call in _stages(item)]
    if isinstance(node, ast.Node):
        return [call for f in fields(node) for call in _stages(getattr(node, f.name))]
    return []
