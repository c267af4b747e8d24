"""What all of the checker shares: its state, and how complaints are collected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bbilang.compiler.check.arguments import SOME_LAYER, At, Poisoned
from bbilang.compiler.check.options import Options
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Node
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.source import NOWHERE, Span


class Reporter:
    """Runs one statement after the other; what one complains of does not stop the next."""

    def __init__(self, file: ast.File, registry: Registry, options: Options, lost: Iterable[str] | None = None):
        self.file, self.registry, self.options, self.lost = file, registry, options, lost
        self.diagnostics: list[Diagnostic] = []
        self.settings: dict[str, Any] = {}
        self.set_at: dict[str, Span] = {}  # a setting -> where the text says its value
        self.output = ""
        self.names: dict[Node, str] = {}
        self.taken: set[str] = set()
        self.numbers: dict[str, int] = {}  # what comes behind a name that is taken
        self.bindings: list[tuple[str, Node]] = []
        self.defined: dict[str, Span] = {}
        self.resolver: Resolver | None = None

    def attempt(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run one statement; what it complains of is noted, and the next one goes on."""
        try:
            return work(*arguments)
        except At as error:
            self._report(error)
        except Poisoned:
            pass
        except BbiError as error:
            self.diagnostics += error.diagnostics
        finally:
            self._drain(self.resolver)
        return None

    def _drain(self, resolver: Resolver | None) -> None:
        """What the resolver noted without stopping."""
        if resolver is not None:
            for note in resolver.notes:
                self._report(note)
            resolver.notes.clear()

    def _report(self, error: At) -> None:
        span = error.span if error.span != NOWHERE else None
        related = tuple(error.related)
        help = error.fail.help
        if help and SOME_LAYER in help and self.resolver is not None and self.resolver.models:
            help = help.replace(SOME_LAYER, self.resolver.model.description.some_layer(error.layers))
        self.diagnostics.append(Diagnostic(error.fail.code, error.fail.message, span, help, related=related))

    def _warn(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, help, severity="warning"))
