"""From the syntax tree to the typed program: every name resolved, every field typed, every axis spent. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bbilang.compiler.check import imports as uses
from bbilang.compiler.check.arguments import At, Poisoned, at, describe
from bbilang.compiler.check.bounding_boxes import Place
from bbilang.compiler.check.definitions import Macro, check_definition
from bbilang.compiler.check.options import Options
from bbilang.compiler.check.preamble import DEFAULT_MODEL, Preamble
from bbilang.compiler.check.reachability import unreachable
from bbilang.compiler.check.resolve import Binding, Layers, Resolver
from bbilang.compiler.check.selections import SELECTIONS
from bbilang.compiler.contract import Registry, did_you_mean
from bbilang.compiler.ir.program import Element, Interface, Node, Program
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.compiler.optimize.lower import with_passes
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.source import NOWHERE, Source, Span

__all__ = ["DEFAULT_MODEL", "Options", "check", "check_recovering"]

MOST_EXAMPLES = 10_000_000


NONE = Options()  # nothing is said besides the text


def check(file: ast.File, registry: Registry, options: Options = NONE) -> Program:
    """The typed program of a file. Raises `BbiError` with everything that is wrong, warnings among it.

    registry: operations, styles, methods and models by name. options: model, inputs and settings from outside the text.
    """
    program, diagnostics = check_recovering(file, registry, options)
    if program is None:
        raise BbiError(diagnostics, file.source)
    return program


def check_recovering(
    file: ast.File, registry: Registry, options: Options = NONE, lost: Iterable[str] | None = None
) -> tuple[Program | None, tuple[Diagnostic, ...]]:
    """The program, or None where there are errors; and all diagnostics in the order of the text.

    lost: for a text with lines that could not be parsed, the names that they bind (`grammar.parse.lost_names`). Uses of
    them are no errors, and nothing is said of what only the missing lines would show or use.
    """
    checker = Checker(file, registry, options, lost)
    program = checker.run()
    found = tuple(sorted(checker.diagnostics, key=lambda d: d.span.start if d.span else -1))
    if program is None or any(d.severity == "error" for d in found):
        return None, found
    return replace(program, warnings=found), found


class Checker(Preamble):
    """Walks the statements once: models, inputs and settings first, since types need them; then the rest in order."""

    def run(self) -> Program | None:
        found = self.read()
        if found is None or not self.complete(found[1]):
            return None
        assert self.resolver is not None
        inputs, interfaces = found
        models = self.resolver.models
        program = Program(
            tuple(context.slot for context in models.values()),
            inputs,
            interfaces,
            tuple(self.bindings),
            tuple(sorted(self.settings.items())),
            output=self.output,
            origins={node: tuple(spans) for node, spans in self.resolver.origins.items()},
            source=self.file.source,
            description=next(iter(models.values())).description,
        )
        scored = next(iter(models.values())).description.classes > 0
        return with_passes(program, self.registry, scored)

    def read(self) -> tuple[tuple[str, ...], tuple[Interface, ...]] | None:
        """Inputs and interfaces, statement by statement; None where there is no model to read them with."""
        statements = self.file.statements
        for statement in statements:
            if isinstance(statement, ast.Set):
                self.attempt(self._set, statement)
        self.attempt(self._overrides)
        models = self.attempt(self._models, [s for s in statements if isinstance(s, ast.Model)])
        inputs = self.attempt(self._inputs, [s for s in statements if isinstance(s, ast.Input)])
        if models is None:
            return None
        self.resolver = Resolver(self.registry, models, len(inputs or ()) or 1, self.settings)
        self.resolver.element_names = self.names
        self.resolver.files = Place(self._folder(), self.options.root, inputs or ())
        self.resolver.scopes[0].update((name, Binding(None, NOWHERE)) for name in self.lost or ())
        loose: list[Element] = []
        loose_layout: list[ast.Layout] = []
        interfaces: list[Interface] = []
        self._look_ahead(statements)
        for statement in statements:
            if isinstance(statement, ast.Interface):
                interfaces += [i for i in [self.attempt(self._interface, statement)] if i is not None]
            elif isinstance(statement, ast.Layout):
                loose_layout.append(statement)
            else:
                self.attempt(self._statement, statement, loose)
        if loose:
            layout = self.attempt(self._layout, loose_layout, loose)
            interfaces.insert(0, Interface("", tuple(loose), layout))
        elif loose_layout and not any(d.severity == "error" for d in self.diagnostics):
            self._report(at(loose_layout[0].span, "E308", "this layout has no elements to lay out"))
        self._unused(self.resolver.scopes[0])
        for name, span in self.defined.items():
            if name not in self.resolver.used_macros:
                self._warn("W202", f"`{name}` is never used", span, "call it, or leave it out")
        return tuple(inputs or ()), tuple(interfaces)

    def complete(self, interfaces: Sequence[Interface]) -> bool:
        """Whether nothing is wrong; says what only shows in the whole: selections out of reach, nothing to show."""
        if self.lost is not None or any(d.severity == "error" for d in self.diagnostics):
            return False
        shown = [element for interface in interfaces for element in interface.elements]
        wrong = list(self.unreachable(shown))
        for error in wrong:
            self._report(error)
        if wrong:
            return False
        if not shown:
            help = "for a start: `input | present(image)`"
            self._report(at(NOWHERE, "E301", "nothing to show: no pipe ends in `present`", help))
        return bool(shown)

    def unreachable(self, shown: Sequence[Element]) -> Iterable[At]:
        """Selections that nobody could use."""
        return unreachable(shown, self.registry, self.resolver)

    # --- statements ------------------------------------------------------------------------------------------------

    def _look_ahead(self, statements: Sequence[ast.Statement]) -> None:
        self.resolver.later |= {s.name.text: s.name.span for s in statements if isinstance(s, ast.Bind)}

    def _statement(self, statement: ast.Statement, elements: list[Element]) -> None:
        match statement:
            case ast.Bind():
                self._bind(statement, elements)
            case ast.Show():
                value = self.resolver.value(statement.value)
                if not (isinstance(value, Node) and value.op == "present"):
                    raise at(
                        statement.span,
                        "E302",
                        "this line shows nothing",
                        "end the pipe with `| present(...)`, or give it a name: `name = ...`",
                    )
                self._element(value, f"element-{len(self.taken) + 1}", elements)
            case ast.Use():
                self._use(
                    statement, self._folder(), (Path(self.file.source.name).resolve(),) if self.file.source else ()
                )
            case ast.Define():
                self._define(statement, None)
            case ast.Dataset():
                self._dataset(statement)
            case _:
                pass

    def _dataset(self, statement: ast.Dataset) -> None:
        """A name for a folder of pictures; how many there are is known when it is read."""
        type = FieldType("dataset", "example", (), (Axis("example", MOST_EXAMPLES, exact=False),))
        node = self.resolver.make("dataset", (), {"path": statement.path.value}, type, statement.span)
        self.resolver.scopes[-1][statement.name.text] = Binding(node, statement.name.span)
        self.resolver.unavailable(statement.span, "`dataset`")

    def _define(self, statement: ast.Define, source: Source | None) -> None:
        name, resolver = statement.name.text, self.resolver
        if name in resolver.macros or any(name in scope for scope in resolver.scopes):
            raise at(
                statement.name.span, "E221", f"`{name}` is bound twice", "a name stands for one thing; choose another"
            )
        if resolver.registry.find("operations", name) is not None or name in SELECTIONS:
            raise at(statement.name.span, "E221", f"`{name}` is an operation of the language", "choose another name")
        macro = Macro(statement, source)
        resolver.macros[name] = None
        check_definition(macro, resolver)
        resolver.macros[name] = macro
        if source is None:
            self.defined[name] = statement.name.span

    def _use(self, statement: ast.Use, folder: Path, open_files: tuple[Path, ...]) -> None:
        """Bindings and definitions of another file, as if they stood here; what it shows and sets stays its own."""
        resolver, before = self.resolver, self.resolver.open
        resolver.open = True  # until all of it is known, anything may come from it
        outer = resolver.foreign
        path, file = uses.read(statement, folder, self.options.root, open_files)
        resolver.foreign = outer or statement.span
        try:
            for inner in file.statements:
                try:
                    if isinstance(inner, ast.Use):
                        self._use(inner, path.parent, (*open_files, path))
                    elif isinstance(inner, ast.Define):
                        self._define(inner, file.source)
                    elif isinstance(inner, ast.Bind):
                        self._bring(inner)
                except At as error:
                    line, column = file.source.position(error.span.start) if file.source else (1, 1)
                    message = f'"{statement.path.value}" has an error at {line}:{column}: {error.fail.message}'
                    raise at(statement.path.span, "E243", message, error.fail.help) from error
        finally:
            resolver.foreign = outer
        resolver.open = before

    def _bring(self, statement: ast.Bind) -> None:
        name, scope = statement.name.text, self.resolver.scopes[0]
        if name in scope or name in self.resolver.macros:
            raise at(
                statement.name.span, "E221", f"`{name}` is bound twice", "a name stands for one thing; choose another"
            )
        named = isinstance(statement.value, ast.Call) and statement.value.name in SELECTIONS
        self.resolver.name = name if named else None
        try:
            value = self.resolver.value(statement.value)
        finally:
            self.resolver.name = None
        scope[name] = Binding(value, self.resolver.foreign or statement.name.span, used=True)

    def _hides(self, name: str, span: Span) -> None:
        """W203 for a name that an operation or a selection has too."""
        if name in self.registry.operations or name in SELECTIONS:
            what = "a selection" if name in SELECTIONS else "an operation"
            self._warn("W203", f"`{name}` is also {what} of the language", span, "choose another name")

    def _bind(self, statement: ast.Bind, elements: list[Element]) -> None:
        name = statement.name.text
        scope = self.resolver.scopes[-1]
        if (name in scope and scope[name].span != statement.name.span) or name in self.resolver.macros:
            raise at(
                statement.name.span, "E221", f"`{name}` is bound twice", "a name stands for one thing; choose another"
            )
        self.resolver.later.setdefault(name, statement.name.span)
        self.resolver.binding = name
        if self.resolver.model.layer(name) is not None and name != "input":
            self._warn(
                "W201",
                f"`{name}` is also a layer of the model, which this binding hides",
                statement.name.span,
                "choose another name",
            )
        self._hides(name, statement.name.span)
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
        outside = self.resolver.later, self.resolver.drawn
        self.resolver.later, self.resolver.drawn = dict(self.resolver.later), []
        with self.resolver.scope() as scope:
            self._look_ahead(statement.statements)
            for inner in statement.statements:
                if isinstance(inner, ast.Layout):
                    layouts.append(inner)
                elif isinstance(inner, ast.Bind | ast.Show):
                    self.attempt(self._statement, inner, elements)
                elif isinstance(
                    inner,
                    ast.Set | ast.Model | ast.Input | ast.Output | ast.Dataset | ast.Use | ast.Define | ast.Version,
                ):
                    word = type(inner).__name__.lower()
                    self._report(
                        at(
                            inner.span,
                            "E223",
                            f"`{word}` stands outside of `interface`",
                            "move the line to the top of the file",
                        )
                    )
            layout = self.attempt(self._layout, layouts, elements)
            self._unused(scope)
            title = f'"{statement.title.value}"' if statement.title and statement.title.value else "without a title"
            self.resolver.elsewhere |= {name: (title, bool(binding.element)) for name, binding in scope.items()}
        self.resolver.later, self.resolver.drawn = outside
        title = statement.title.value if statement.title else ""
        errors = any(d.severity == "error" for d in self.diagnostics)
        if not elements and not errors and self.lost is None:
            span = statement.title.span if statement.title else Span(statement.span.start, statement.span.start + 9)
            raise at(span, "E301", "this interface shows nothing", "end a pipe with `| present(...)`")
        return Interface(title, tuple(elements), layout)

    def _layout(self, statements: list[ast.Layout], elements: list[Element]) -> Any:
        """Rows and columns of element ids. What is drawn over another element is not laid out again."""
        own = [e.id for e in elements if e.over is None]
        if not statements:
            return ("column", tuple(own))
        if len(statements) > 1:
            raise at(statements[1].span, "E223", "an interface has one layout")
        placed: list[str] = []
        named = {name: binding.element for name, binding in self.resolver.scopes[-1].items() if binding.element}

        def place(value: ast.Expression) -> Any:
            if isinstance(value, ast.Call) and value.name in ("row", "column"):
                if not value.arguments:
                    listing = ", ".join(n for n, each in named.items() if each in own)
                    help = f"as in `layout {value.name}({listing or 'photo, blocks'})`"
                    raise at(value.span, "E308", f"`{value.name}()` lays nothing out", help)
                return (value.name, tuple(place(argument.value) for argument in value.arguments))
            if isinstance(value, ast.Path):
                binding = self.resolver.find(value.name)
                if binding is not None and binding.value is None:
                    raise Poisoned
                identity = named.get(value.name)
                if identity in placed:
                    raise at(value.span, "E308", f"`{value.name}` is laid out twice", "leave one of them out")
                if identity in own:
                    placed.append(identity)
                    return identity
                if identity is not None:
                    over = next(e.over for e in elements if e.id == identity)
                    under = next((name for name, each in named.items() if each == over), over)
                    message = f"`{value.name}` is drawn over `{under}` already"
                    raise at(value.span, "E308", message, "leave it out of the layout")
                if value.name in self.resolver.later:
                    raise at(value.span, "E222", f"`{value.name}` is used before it is bound")
                listing = ", ".join(f"`{n}`" for n, each in named.items() if each in own)
                help = did_you_mean(value.name, named, f"elements with a name here: {listing or 'none'}")
                raise at(value.span, "E308", f"`{value.name}` is not an element of this interface", help)
            raise at(
                value.span,
                "E308",
                f"{describe(value)} cannot be laid out",
                "a layout has `row(...)`, `column(...)` and names of elements",
            )

        layout = place(statements[0].value)
        left = [name for name in own if name not in placed]
        if left:
            names = self._names_of([e for e in elements if e.id in left], named)
            self._warn("W308", f"the layout leaves out {names}", statements[0].span, "they follow below it")
            layout = ("column", (layout, *left))
        return layout

    def _names_of(self, elements: list[Element], named: Mapping[str, str]) -> str:
        """Elements in words: by name, or by line where they have none."""
        words, names = [], {identity: name for name, identity in named.items()}
        for element in elements:
            start = self.resolver.origins[element.node][-1].start
            line = f"the element of line {self.file.source.position(start)[0]}" if self.file.source else element.id
            words.append(f"`{names[element.id]}`" if element.id in names else line)
        return ", ".join(words)

    def _unused(self, scope: dict[str, Binding]) -> None:
        if self.lost is not None:
            return
        for name, binding in scope.items():
            if (
                not binding.used
                and not binding.element
                and binding.value is not None
                and not isinstance(binding.value, Layers)
            ):
                self._warn(
                    "W202", f"`{name}` is never used", binding.span, "end it with `| present(...)`, or leave it out"
                )
            elif not binding.used and isinstance(binding.value, Layers):
                self._warn("W202", f"`{name}` is never used", binding.span)
