"""Fill all holes of a text: every way that type-checks, equal ways once.

The statements with holes are filled in order, each by `check.holes.search` with the names that are bound above it; what
uses a name that a hole leaves open is checked for each way. Where nothing else of the text depends on what a statement
shows, the text is checked as a whole for one way, and holds for all (`_Alike`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from bbilang.compiler.check.arguments.binding import CheckError, at
from bbilang.compiler.check.check import Checker, check_recovering
from bbilang.compiler.check.holes.search import Filled as FilledStatement
from bbilang.compiler.check.holes.search import Search
from bbilang.compiler.check.holes.written import written
from bbilang.compiler.check.options import Options
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Element, Node, Program
from bbilang.compiler.optimize.normal_form import Form, NormalForms
from bbilang.grammar import ast, verification
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.format import format_file
from bbilang.grammar.frozen import frozen
from bbilang.grammar.holes import has_hole, holes
from bbilang.grammar.source import NOWHERE
from bbilang.grammar.walk import walk

MOST = 20_000  # ways to fill the holes of a text


@frozen
class Way:
    """A statement with holes, and one way to fill them."""

    statement: ast.Bind | ast.Show
    value: ast.Expression

    @property
    def filled(self) -> ast.Bind | ast.Show:
        return replace(self.statement, value=self.value)


@frozen
class Filled:
    """A text without holes. ``checked``: its typed program, or that of another way of the same text, which differs in
    one element alone. ``elements``: its own. ``open``: the text with its holes."""

    checked: Program
    elements: tuple[Element, ...]
    open: ast.File
    ways: tuple[Way, ...]

    @cached_property
    def program(self) -> Program:
        """The typed program, without passes where it was not checked itself."""
        if self.elements is self.checked.elements:
            return self.checked
        own = {element.id: element for element in self.elements}
        interfaces = tuple(
            replace(each, elements=tuple(own[element.id] for element in each.elements))
            for each in self.checked.interfaces
        )
        return replace(
            self.checked, interfaces=interfaces, bindings=(), forwards=(), backwards=(), tangents=(), reruns=(),
            icons=(), scans=(),
        )  # fmt: skip

    @cached_property
    def file(self) -> ast.File:
        """The text with its holes filled."""
        file = self.open
        for way in self.ways:
            file = _with(file, way.statement, way.filled)
        return file

    @cached_property
    def fillings(self) -> tuple[str, ...]:
        """What stands for each hole, in their order."""
        return tuple(written(hole, way.statement, way.filled) for way in self.ways for hole in holes(way.statement))

    @cached_property
    def pipes(self) -> tuple[str, ...]:
        """The statements that had holes, as text."""
        return tuple(format_file(ast.File((way.filled,))).strip() for way in self.ways)


def too_many() -> CheckError:
    """Return the error for a text with too many ways."""
    return at(NOWHERE, "E339", f"there are more than {MOST:,} ways to fill the holes", "write out one of the holes")


class _FoundAll(Exception):
    """Ends a check at the first statement with holes, when all ways to fill them are known."""


class _Filler(Checker):
    """Checks a text up to its first statement with holes, and fills that."""

    statement: ast.Bind | ast.Show | None = None
    ways: tuple[FilledStatement, ...] = ()
    forms: NormalForms | None = None

    def fill(self, statement: ast.Bind | ast.Show) -> None:
        self.statement = statement
        found = []
        for number, filled in enumerate(Search(self.resolver, forms=self.forms).filled(statement)):
            if number >= MOST:
                raise too_many()
            found.append(filled)
        self.ways = tuple(found)
        raise _FoundAll


def fill(file: ast.File, registry: Registry, options: Options) -> Iterator[Filled]:
    """Iterate over the ways to fill the holes of a text, equal ones once. Raises BbiError of a text with errors."""
    _, diagnostics = check_recovering(file, registry, options)
    if any(diagnostic.severity == "error" for diagnostic in diagnostics):
        raise BbiError(diagnostics, file.source)
    forms, seen = NormalForms(registry), set[tuple[Form, ...]]()
    for number, filled in enumerate(_Filling(file, registry, options, forms).ways(file, ())):
        if number >= MOST:
            fail = too_many().fail
            raise BbiError([Diagnostic(fail.code, fail.message, None, fail.help)], file.source)
        key = tuple([forms.of(element.node) for element in filled.elements])
        if key not in seen:
            seen.add(key)
            yield filled


@frozen
class _Filling:
    """Fills the statements of a text one after the other. ``open``: the text with all of its holes."""

    open: ast.File
    registry: Registry
    options: Options
    forms: NormalForms

    def ways(self, file: ast.File, before: tuple[Way, ...]) -> Iterator[Filled]:
        """Iterate over the texts without holes. ``file``: with the holes that are left, ``before``: what was filled."""
        if not has_hole(file):
            program, _ = check_recovering(file, self.registry, self.options)
            if program is not None:
                yield Filled(program, program.elements, self.open, before)
            return
        joined = _joined(file, self.registry)
        filler = _Filler(file if joined is None else joined.file, self.registry, self.options)
        filler.forms = self.forms
        try:
            filler.read()
        except _FoundAll:
            pass
        else:  # a statement before it failed for this way to fill an earlier one, or all that could fill this
            if any(diagnostic.code == "E339" for diagnostic in filler.diagnostics):
                raise BbiError(filler.diagnostics, file.source)
            return
        statement = filler.statement
        assert statement is not None
        if joined is not None and statement is not joined.both:
            joined = None
        alike: _Alike | None = None
        for each in filler.ways:
            own = (Way(statement, each.value),) if joined is None else joined.apart(each.value)
            if alike is not None and (elements := alike.elements(each.result)) is not None:
                yield Filled(alike.base, elements, self.open, (*before, *own))
                continue
            whole = file
            for way in own:
                whole = _with(whole, way.statement, way.filled)
            if has_hole(whole):
                yield from self.ways(whole, (*before, *own))
                continue
            program, _ = check_recovering(whole, self.registry, self.options)
            if program is not None:
                alike = alike or _Alike.of(file, own[-1].statement, program, each.result, self.registry)
                yield Filled(program, program.elements, self.open, (*before, *own))


@frozen
class _Joined:
    """A name for a pipe with holes and the line below, which alone uses it, at its start: one pipe, ``both``."""

    file: ast.File
    named: ast.Bind
    user: ast.Bind | ast.Show
    both: ast.Bind | ast.Show

    def apart(self, value: ast.Expression) -> tuple[Way, Way]:
        """Return what a value of the one pipe is of the two statements."""
        user = self.user.value
        assert isinstance(value, ast.Pipe) and isinstance(user, ast.Pipe)
        return Way(self.named, value.head), Way(self.user, replace(value, head=user.head, span=user.span))


def _joined(file: ast.File, registry: Registry) -> _Joined | None:
    """Join the first statement with holes and the next one, if that begins with its name and no other uses it. What
    could stand in the holes of the second must not depend on the name."""
    for number, named in enumerate(file.statements[:-1]):
        if not isinstance(named, ast.Bind) or not has_hole(named):
            continue
        user = file.statements[number + 1]
        if not isinstance(user, ast.Bind | ast.Show) or not isinstance(named.value, ast.Pipe):
            return None
        value, name = user.value, named.name.text
        if not (isinstance(value, ast.Pipe) and isinstance(value.head, ast.Path) and value.head.name == name):
            return None
        others = [each for each in file.statements if each is not user]
        if any(isinstance(each, ast.Layout) or _uses(each, named) for each in others):
            return None
        styles = [call.arguments[:1] for call in value.stages if _draws(call, registry)]
        open = [argument.value.span for (argument,) in styles if has_hole(argument)]
        uses = [node for node in walk(user) if isinstance(node, ast.Path | ast.Call) and _named(node, name)]
        if len(uses) != 1 or [hole.span for hole in holes(user)] != open:
            return None
        both = replace(user, value=replace(value, head=named.value))
        rest = (*file.statements[:number], both, *file.statements[number + 2 :])
        return _Joined(replace(file, statements=rest), named, user, both)
    return None


def _draws(call: ast.Call, registry: Registry) -> bool:
    operation = registry.find("operations", call.name)
    return operation is not None and operation.draws and bool(call.arguments)


@frozen
class _Alike:
    """A text in which nothing depends on what one statement shows, with one way to fill it. ``element``: of that."""

    base: Program
    element: Element
    registry: Registry

    @classmethod
    def of(
        cls, file: ast.File, statement: ast.Bind | ast.Show, program: Program, shown: object, registry: Registry
    ) -> _Alike | None:
        """Return it, or None where another line may depend on the statement: it uses its name, or selects among its
        atoms; or where models and inputs decide whether a page can be made of it."""
        own = [element for element in program.elements if isinstance(shown, Node) and element.node == shown]
        if len(own) != 1 or not program.inputs or len(program.models) != 1:
            return None
        if any(slot.changes for slot in program.models[0].lineage) or _selects(program, registry):
            return None
        if isinstance(statement, ast.Bind) and any(_uses(each, statement) for each in file.statements):
            return None
        return cls(program, own[0], registry)

    def elements(self, shown: object) -> tuple[Element, ...] | None:
        """Return the elements of another way; None where it has to be checked."""
        if not isinstance(shown, Node) or not self.registry.operations[shown.op].draws or shown.type.states:
            return None
        node, over, every = shown, shown.get("over"), self.base.elements
        known = next((each.id for each in every if each.node == over), None) if over is not None else None
        element = Element(self.element.id, node, node["title"] or "", node["caption"] or "", known)
        return tuple([element if each is self.element else each for each in every])


def _selects(program: Program, registry: Registry) -> bool:
    """Return whether a reader of the page chooses anything."""
    nodes = [*(element.node for element in program.elements), *(node for _, node in program.bindings)]
    return any(node.type.states or node.type.content == "selection" for node in nodes)


def _uses(other: ast.Node, statement: ast.Bind) -> bool:
    """Return whether another statement uses the name that one binds, but for a layout, to which elements are equal."""
    return any(_named(node, statement.name.text) for node in _outside(other, statement))


def _named(node: ast.Node, name: str) -> bool:
    """Return whether a node of a text is a name, or begins with it."""
    if isinstance(node, ast.Path):
        return node.name == name or node.name.startswith(f"{name}.")
    return isinstance(node, ast.Call) and node.name == name


def _outside(root: ast.Node, statement: ast.Statement) -> Iterator[ast.Node]:
    """Iterate over the nodes of a statement that are in no layout, and not of that statement itself."""
    if root is statement or isinstance(root, ast.Layout):
        return
    if isinstance(root, ast.Interface):
        for inner in root.statements:
            yield from _outside(inner, statement)
        return
    yield from walk(root)


def _with(file: ast.File, old: ast.Statement, new: ast.Statement) -> ast.File:
    """Return the file with one statement in place of another."""

    def changed(statement: ast.Statement) -> ast.Statement:
        if statement is old:
            return new
        if isinstance(statement, ast.Interface):
            return replace(statement, statements=tuple(map(changed, statement.statements)))
        return statement

    return replace(file, statements=tuple(map(changed, file.statements)))


def verify(filled: Sequence[Filled], registry: Registry, options: Options) -> None:
    """Require that every text, checked as a whole, is the program that was made of it."""
    for each in filled if verification.enabled() else ():
        program, _ = check_recovering(each.file, registry, options)
        same = program is not None and program.interfaces == each.program.interfaces
        verification.require(same, f"{each.pipes} is not what it was filled as")
