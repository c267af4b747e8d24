"""The state of the checker, and how it collects diagnostics statement by statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from bbilang.compiler.check.arguments.binding import SOME_LAYER, CheckError, Poisoned, at
from bbilang.compiler.check.options import Options
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.statements.atom_names import AtomNames
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Node
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.files import inside, path_of, short
from bbilang.grammar.source import NOWHERE, Span

P = ParamSpec("P")
T = TypeVar("T")


class Reporter:
    """Checks one statement after the other: an error in one does not stop the next."""

    def __init__(self, file: ast.File, registry: Registry, options: Options, lost: Iterable[str] | None = None):
        self.file, self.registry, self.options, self.lost = file, registry, options, lost
        self.diagnostics: list[Diagnostic] = []
        self.settings: dict[str, Any] = {}
        self.set_at: dict[str, Span] = {}  # a setting -> the span of its value in the text
        self.output = ""
        self.names: dict[Node, str] = {}
        self.taken: set[str] = set()  # ids of elements
        self.added: set[str] = set()  # ids of those that no line of the text shows
        self.numbers: dict[str, int] = {}  # a name -> the number that makes the next id of it unique
        self.bindings: list[tuple[str, Node]] = []
        self.defined: dict[str, Span] = {}
        self.atom_names = AtomNames()
        self.has_resolver = False

    @property
    def resolver(self) -> Resolver:
        """The resolver of the text; available only if ``has_resolver``, since it needs a model."""
        return self._resolver

    @resolver.setter
    def resolver(self, resolver: Resolver) -> None:
        self._resolver, self.has_resolver = resolver, True

    @property
    def has_errors(self) -> bool:
        return any(diagnostic.severity == "error" for diagnostic in self.diagnostics)

    def attempt(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | None:
        """Run one step of the check. Its errors become diagnostics; the result is None then."""
        try:
            return work(*arguments, **named)
        except CheckError as error:
            self._report(error)
        except Poisoned:
            pass
        except BbiError as error:
            self.diagnostics += error.diagnostics
        finally:
            if self.has_resolver:
                self._drain(self.resolver)
        return None

    def _drain(self, resolver: Resolver) -> None:
        """Report the errors that the resolver recorded without stopping."""
        for note in resolver.notes:
            self._report(note)
        resolver.notes.clear()

    def _report(self, error: CheckError) -> None:
        span = error.span if error.span != NOWHERE else None
        related = tuple(error.related)
        help = error.fail.help
        if help and SOME_LAYER in help and self.has_resolver and self.resolver.models:
            help = help.replace(SOME_LAYER, self.resolver.model.description.some_layer(error.layers))
        self.diagnostics.append(Diagnostic(error.fail.code, error.fail.message, span, help, related=related))

    def _warn(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        shown = span if span != NOWHERE else None
        self.diagnostics.append(Diagnostic(code, message, shown, help, severity="warning"))

    def _stays(self, name: str, span: Span) -> None:
        """Raise CheckError E244 for a file that a text names outside of the folder that its files may not leave."""
        try:
            stays = inside(path_of(name), self.options.root)
        except OSError:  # reported when it is opened
            return
        if not stays:
            message = f"{short(name)} lies outside of the folder given with `--root`"
            raise at(span, "E244", message, "a text from elsewhere may use only what is in that folder")

    def _folder(self) -> Path:
        """Return the folder of the text, which file names in it are relative to."""
        return self.file.source.folder if self.file.source else Path()
