"""Check a syntax tree and return the typed program: every name resolved, every field typed, every axis spent. No
torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast
from weakref import proxy

from bbilang.compiler.check import imports
from bbilang.compiler.check.arguments.binding import CheckError, at
from bbilang.compiler.check.arguments.bounding_boxes import FileContext
from bbilang.compiler.check.holes.statements import HoleStatements
from bbilang.compiler.check.layout import LayoutReader
from bbilang.compiler.check.options import Options
from bbilang.compiler.check.paths import of_themselves, without_paths
from bbilang.compiler.check.preamble import DEFAULT_MODEL, starts_without_input
from bbilang.compiler.check.reachability import unreachable
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.scope import Binding, Layers, Macro
from bbilang.compiler.check.selections import SELECTIONS
from bbilang.compiler.check.statements.bindings import bound_twice
from bbilang.compiler.check.statements.changes import ChangeReader
from bbilang.compiler.check.statements.claims import CLAIMS, ClaimReader
from bbilang.compiler.check.statements.models import unused_models
from bbilang.compiler.check.statements.places import options_of, with_nodes, with_places
from bbilang.compiler.check.statements.reports import reports
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Element, Interface, Layout, Node, Program
from bbilang.compiler.optimize.parts import NoOrder, with_parts
from bbilang.grammar import ast, verification
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.holes import has_hole
from bbilang.grammar.parse import parse
from bbilang.grammar.source import NOWHERE, Source, Span

__all__ = ["DEFAULT_MODEL", "Options", "check", "check_names", "check_recovering"]

NO_OPTIONS = Options()


def check(file: ast.File, registry: Registry, options: Options = NO_OPTIONS) -> Program:
    """Check a file. Returns its typed program, or raises `BbiError` with all diagnostics, warnings included.

    registry: operations, styles, methods and models by name. options: model, inputs and settings that win over it.
    """
    program, diagnostics = check_recovering(file, registry, options)
    if program is None:
        raise BbiError(diagnostics, file.source)
    return program


def check_recovering(
    file: ast.File, registry: Registry, options: Options = NO_OPTIONS, lost: Iterable[str] | None = None
) -> tuple[Program | None, tuple[Diagnostic, ...]]:
    """Check a file. Returns its program, or None where there are errors, and all diagnostics in the order of the text.

    lost: for a text with lines that could not be parsed, the names that they bind (`grammar.parse.lost_names`). Uses of
    these names are no errors, and nothing is reported that only the missing lines could decide.
    """
    checker = Checker(file, registry, options, lost)
    program = checker.run()
    diagnostics = tuple(sorted(checker.diagnostics, key=lambda d: d.span.start if d.span else -1))
    if program is None or any(d.severity == "error" for d in diagnostics):
        return None, diagnostics
    program = replace(program, warnings=diagnostics)
    if verification.enabled():
        from bbilang.compiler.ir.verify import verify_program

        verify_program(program, registry)
    return program, diagnostics


def check_names(file: ast.File, registry: Registry, options: Options = NO_OPTIONS) -> dict[str, Node]:
    """Check a file that shows nothing. Returns the fields that it names. Raises `BbiError` with all errors."""
    checker = Checker(file, registry, options)
    contents = checker.read()
    errors = tuple(d for d in checker.diagnostics if d.severity == "error")
    if contents is None or errors:
        raise BbiError(errors, file.source)
    return dict(checker.bindings)


class Checker(HoleStatements):
    """Walks the statements once: models, inputs and settings first, since types need them; then the rest in order."""

    def run(self) -> Program | None:
        """Check the text, and return the typed program; None where that is not possible."""
        contents = self.read()
        if contents is None or not self.complete(contents[1]):
            return None
        inputs, interfaces = contents
        program = Program(
            tuple(context.slot for context in self.models.values()),
            inputs,
            interfaces,
            tuple(self.bindings),
            tuple(sorted(self.settings.items())),
            output=self.output,
            origins={node: tuple(spans) for node, spans in self.resolver.origins.items()},
            source=self.file.source,
            names=self.atom_names.all,
            called=tuple(self.input_names.items()),
            description=next(iter(self.models.values())).description,
        )
        try:
            made = with_parts(program, {name: it.description for name, it in self.models.items()}, self.registry)
        except NoOrder as fail:
            self._report(CheckError(fail, self.resolver.origins[fail.node][0]))
            return None
        for part in made.parts or (made,):
            if not inputs and self.lacks_input(part):
                return None
            self.diagnostics += without_paths(part, self.models, self.resolver.origins, self.registry)
        self.diagnostics += unused_models(made, program.models, self.file, self.registry)
        return made

    def read(self) -> tuple[tuple[str, ...], tuple[Interface, ...]] | None:
        """Check statement by statement. Returns inputs and interfaces, or None without a model to check them with."""
        statements = self.file.statements
        self.with_holes = has_hole(self.file)
        for statement in statements:
            if isinstance(statement, ast.Set):
                self.attempt(self._set, statement)
        self.attempt(self._overrides)
        models = self.attempt(self._models, [s for s in statements if isinstance(s, ast.Model)])
        inputs = self.attempt(self._inputs, [s for s in statements if isinstance(s, ast.Input)])
        if models is None:
            return None
        self.models = models
        self.resolver = Resolver(self.registry, models, len(inputs or ()) or 1, self.settings)
        self.resolver.element_names = self.names
        if not self.options.placed:  # by a weak reference: a circle would keep the network
            self.resolver.check_other = partial(Checker._check_other, cast("Checker", proxy(self)))
        self.resolver.files = FileContext(
            self._folder(),
            self.options.root,
            inputs or (),
            self.options.expand,
            self.options.peek,
            tuple(self.input_names.items()),
        )
        self.resolver.scopes[0].update((name, Binding(None, NOWHERE)) for name in self.lost or ())
        self.attempt(self._given_datasets, statements)
        self.claims = ClaimReader(self.resolver, self.resolver.fields, self.file.source)
        loose: list[Element] = []
        loose_layout: list[ast.Layout] = []
        interfaces: list[Interface] = []
        self._look_ahead(statements)
        for statement in statements:
            if isinstance(statement, ast.Interface):
                if (interface := self.attempt(self._interface, statement)) is not None:
                    interfaces.append(interface)
            elif isinstance(statement, ast.Layout):
                loose_layout.append(statement)
            else:
                self.attempt(self._statement, statement, loose)
        self.attempt(self._claims, loose)
        if loose:
            layout = self.attempt(self._layout, loose_layout, loose)
            interfaces.insert(0, Interface("", tuple(loose), layout or ("column", ())))
        elif loose_layout and not self.has_errors:
            self._report(at(loose_layout[0].span, "E308", "this layout has no elements to lay out"))
        if not self.has_errors and not self.with_holes:
            interfaces = self.attempt(self._places, interfaces) or interfaces
        self._unused(self.resolver.scopes[0])
        for name, span in self.defined.items():
            if name not in self.resolver.used_macros:
                self._warn("W202", f"`{name}` is never used", span, "call it, or leave it out")
        return tuple(inputs or ()), tuple(interfaces)

    def complete(self, interfaces: Sequence[Interface]) -> bool:
        """Return whether the text has no error. Reports what only the whole shows: selections out of reach, no
        element."""
        if self.lost is not None or self.has_errors or self.with_holes:
            return False
        shown = [element for interface in interfaces for element in interface.elements]
        errors = [*self.unreachable(shown), *of_themselves(shown, self.registry, self.resolver.origins)]
        for error in errors:
            self._report(error)
        if errors:
            return False
        if not shown:
            help = "for a start: `input | present(image)`"
            self._report(at(NOWHERE, "E301", "nothing to show: no pipe ends in `present`", help))
        return bool(shown)

    def unreachable(self, shown: Sequence[Element]) -> Iterable[CheckError]:
        """Return errors for selections that no reader could use."""
        return unreachable(shown, self.registry, self.resolver)

    # --- statements ------------------------------------------------------------------------------------------------

    def _look_ahead(self, statements: Sequence[ast.Statement]) -> None:
        self.resolver.later |= {s.name.text: s.name.span for s in statements if isinstance(s, ast.Bind)}

    def _statement(self, statement: ast.Statement, elements: list[Element]) -> None:
        match statement:
            case ast.Bind() | ast.Show() if self.with_holes and has_hole(statement):
                self._holes(statement)
            case ast.Bind():
                self._bind(statement, elements)
            case ast.Show():
                value = self.resolver.value(statement.value)
                if not (isinstance(value, Node) and value.op == "present"):
                    help = "end the pipe with `| present(...)`, or give it a name: `name = ...`"
                    raise at(statement.span, "E302", "this line shows nothing", help)
                self._element(value, f"element-{len(self.taken) + 1}", elements)
            case ast.Use():
                own = (Path(self.file.source.name).resolve(),) if self.file.source else ()
                self._use(statement, self._folder(), own)
            case ast.Define():
                self._define(statement, None)
            case ast.Dataset():
                self._dataset(statement)
            case ast.AtomName():
                self.atom_names.add(statement, self.resolver)
            case ast.Claim():
                self.claims.add(statement)
            case ast.Model(items=items):
                ChangeReader(self.resolver).read(items, self.models)
            case _:
                pass

    def _claims(self, elements: list[Element]) -> None:
        """Add the element that says which claims hold."""
        node = None if self.has_errors else self.claims.node(self.resolver.inputs)
        if node is not None:
            span = self.claims.span
            table = ast.Call("present", (ast.Argument(ast.Path(self.claims.style, span=span), span=span),), span=span)
            self.added.add(self._element(self.resolver.presenter.present(node, table, span), CLAIMS, elements))
            elements.insert(0, elements.pop())  # what the page states comes first
        for alias, shown in () if self.has_errors else reports(self.resolver, self.models, self.file):
            self.added.add(self._element(shown, f"{alias}_report", elements))
            elements.insert(0, elements.pop())

    def _places(self, interfaces: list[Interface]) -> list[Interface]:
        """Return the interfaces with what `present(space)` draws. Raises CheckError E301."""
        known = with_places(interfaces, self.resolver, self.options)
        self.bindings = [(name, known.get(node, node)) for name, node in self.bindings]
        self.names |= {known[node]: name for node, name in self.names.items() if node in known}
        return [with_nodes(interface, known) for interface in interfaces] if known else interfaces

    def _check_other(self, source: Source) -> Program | None:
        """Check a text that `present(space)` places; None for this text itself. Raises BbiError."""
        if self.file.source is not None and Path(self.file.source.name).resolve() == Path(source.name):
            return None
        file = parse(source)
        named = any(isinstance(s, ast.Input | ast.Dataset) for s in file.statements)
        named = named or starts_without_input(file, self.registry)
        return check(file, self.registry, options_of(self.options, named))

    def _define(self, statement: ast.Define, source: Source | None) -> None:
        name, resolver = statement.name.text, self.resolver
        if name in resolver.macros or any(name in scope for scope in resolver.scopes):
            raise bound_twice(statement.name)
        if resolver.registry.find("operations", name) is not None or name in SELECTIONS:
            raise at(statement.name.span, "E221", f"`{name}` is an operation of the language", "choose another name")
        macro = Macro(statement, source)
        resolver.macros[name] = None
        resolver.definitions.check(macro)
        resolver.macros[name] = macro
        if source is None:
            self.defined[name] = statement.name.span

    def _use(self, statement: ast.Use, folder: Path, open_files: tuple[Path, ...]) -> None:
        """Bring in the bindings, definitions and names of another file. What that file shows and sets is ignored."""
        resolver, before = self.resolver, self.resolver.open
        resolver.open = True  # until the file has been read to its end, it may define any name
        outer = resolver.use_span
        path, file = imports.read(statement, folder, self.options.root, open_files)
        resolver.use_span = outer or statement.span
        try:
            for inner in file.statements:
                try:
                    if isinstance(inner, ast.Use):
                        self._use(inner, path.parent, (*open_files, path))
                    elif isinstance(inner, ast.Define):
                        self._define(inner, file.source)
                    elif isinstance(inner, ast.Bind):
                        self._bring(inner)
                    elif isinstance(inner, ast.AtomName):
                        self.atom_names.add(inner, resolver, str(path))
                except CheckError as error:
                    line, column = file.source.position(error.span.start) if file.source else (1, 1)
                    message = f'"{statement.path.value}" has an error at {line}:{column}: {error.fail.message}'
                    raise at(statement.path.span, "E243", message, error.fail.help) from error
        finally:
            resolver.use_span = outer
        resolver.open = before

    def _bring(self, statement: ast.Bind) -> None:
        name, scope = statement.name.text, self.resolver.scopes[0]
        if name in scope or name in self.resolver.macros:
            raise bound_twice(statement.name)
        named = isinstance(statement.value, ast.Call) and statement.value.name in SELECTIONS
        self.resolver.name = name if named else None
        try:
            value = self.resolver.value(statement.value)
        finally:
            self.resolver.name = None
        scope[name] = Binding(value, self.resolver.use_span or statement.name.span, used=True)

    def _bind(self, statement: ast.Bind, elements: list[Element]) -> None:
        name = statement.name.text
        scope = self.resolver.scopes[-1]
        if (name in scope and scope[name].span != statement.name.span) or name in self.resolver.macros:
            raise bound_twice(statement.name)
        self.resolver.later.setdefault(name, statement.name.span)
        self.resolver.binding = name
        if self.resolver.model.layer(name) is not None and name != "input":
            self._warn(
                "W201",
                f"`{name}` is also a layer of the model, which this binding hides",
                statement.name.span,
                "choose another name",
            )
        self._warn_of_hiding(name, statement.name.span)
        named = isinstance(statement.value, ast.Call) and statement.value.name in SELECTIONS
        self.resolver.name = name if named else None
        value = None
        try:
            value = self.resolver.value(statement.value)
        finally:
            self.resolver.name, self.resolver.binding = None, ""
            self.resolver.later.pop(name, None)
            scope[name] = Binding(value, statement.name.span)
        if isinstance(value, Node):
            self.bindings.append((name, value))
            if value.op == "present":
                scope[name].element = self._element(value, name, elements)

    def _element(self, node: Node, name: str, elements: list[Element]) -> str:
        identity, number = name, self.numbers.get(name, 2)
        while identity in self.taken:
            identity, number = f"{name}-{number}", number + 1
        self.taken.add(identity)
        self.numbers[name] = number
        over = node["over"]
        self.names.setdefault(node, identity)
        known = next((e.id for e in elements if e.node == over), None) if over is not None else None
        elements.append(Element(identity, node, node["title"] or "", node["caption"] or "", known))
        self.resolver.drawn.append(node)
        return identity

    def _interface(self, statement: ast.Interface) -> Interface:
        elements: list[Element] = []
        layouts: list[ast.Layout] = []
        resolver = self.resolver
        outside = resolver.later, resolver.drawn
        resolver.later, resolver.drawn = dict(resolver.later), []
        with resolver.scope() as scope:
            self._look_ahead(statement.statements)
            for inner in statement.statements:
                if isinstance(inner, ast.Layout):
                    layouts.append(inner)
                elif isinstance(inner, ast.Bind | ast.Show):
                    self.attempt(self._statement, inner, elements)
                elif not isinstance(inner, ast.Interface):
                    word = "name" if isinstance(inner, ast.AtomName) else type(inner).__name__.lower()
                    message = f"`{word}` is not allowed inside an `interface`"
                    self._report(at(inner.span, "E223", message, "move the line to the top of the file"))
            layout = self.attempt(self._layout, layouts, elements)
            self._unused(scope)
            title = f'"{statement.title.value}"' if statement.title and statement.title.value else "without a title"
            resolver.elsewhere |= {name: (title, bool(binding.element)) for name, binding in scope.items()}
        resolver.later, resolver.drawn = outside
        if not elements and not self.has_errors and self.lost is None and not self.with_holes:
            span = statement.title.span if statement.title else Span(statement.span.start, statement.span.start + 9)
            raise at(span, "E301", "this interface shows nothing", "end a pipe with `| present(...)`")
        title = statement.title.value if statement.title else ""
        return Interface(title, tuple(elements), layout or ("column", ()))

    def _layout(self, statements: list[ast.Layout], elements: list[Element]) -> Layout:
        reader = LayoutReader(self.resolver, elements)
        layout = reader.read(statements)
        if statements and (left := reader.left_out()) and all(element.id in self.added for element in left):
            return ("column", (*(element.id for element in left), layout))
        if statements and left:
            names = reader.in_words(left, self.file.source)
            self._warn("W308", f"the layout leaves out {names}", statements[0].span, "they follow below it")
            layout = ("column", (layout, *(element.id for element in left)))
        return layout

    def _unused(self, scope: dict[str, Binding]) -> None:
        """Warn W202 of names that nothing uses."""
        if self.lost is not None:
            return
        for name, binding in scope.items():
            if binding.used or binding.element or binding.value is None:
                continue
            if binding.span == NOWHERE:
                self._warn("W202", f"`data` gives `{name}`, and the text does not use it", NOWHERE)
                continue
            help = None if isinstance(binding.value, Layers) else "end it with `| present(...)`, or leave it out"
            self._warn("W202", f"`{name}` is never used", binding.span, help)
