"""`layout row(...)`: rows and columns of the elements of an interface."""

from __future__ import annotations

from collections.abc import Sequence

from bbilang.compiler.check.arguments.binding import Poisoned, at, describe
from bbilang.compiler.check.scope import Scope
from bbilang.compiler.contract import did_you_mean
from bbilang.compiler.ir.program import Element, Layout
from bbilang.grammar import ast
from bbilang.grammar.source import Source


class LayoutReader:
    """Reads the layout of one interface. An element that is drawn over another one is not laid out again."""

    def __init__(self, scope: Scope, elements: Sequence[Element]):
        self.scope, self.elements = scope, elements
        self.own = [e.id for e in elements if e.over is None]
        self.named = {name: binding.element for name, binding in scope.scopes[-1].items() if binding.element}
        self.laid_out: list[str] = []

    def read(self, statements: Sequence[ast.Layout]) -> Layout:
        """Read the layout as rows and columns of element ids; one column where the text has no layout.

        Raises CheckError E222, E223, E308.
        """
        if not statements:
            return ("column", tuple(self.own))
        if len(statements) > 1:
            raise at(statements[1].span, "E223", "an interface has one layout")
        return self._part(statements[0].value)

    def left_out(self) -> list[Element]:
        """Return the elements that the layout does not name."""
        return [e for e in self.elements if e.id in self.own and e.id not in self.laid_out]

    def in_words(self, elements: Sequence[Element], source: Source | None) -> str:
        """List elements by name, or by line where they have none."""
        words, names = [], {identity: name for name, identity in self.named.items()}
        for element in elements:
            start = self.scope.origins[element.node][-1].start
            line = f"the element of line {source.position(start)[0]}" if source else element.id
            words.append(f"`{names[element.id]}`" if element.id in names else line)
        return ", ".join(words)

    def _part(self, value: ast.Expression) -> Layout:
        if isinstance(value, ast.Call) and value.name in ("row", "column"):
            if not value.arguments:
                names = ", ".join(name for name, each in self.named.items() if each in self.own)
                help = f"as in `layout {value.name}({names or 'photo, blocks'})`"
                raise at(value.span, "E308", f"`{value.name}()` lays nothing out", help)
            return (value.name, tuple(self._part(argument.value) for argument in value.arguments))
        if isinstance(value, ast.Path):
            return self._named_element(value)
        help = "a layout has `row(...)`, `column(...)` and names of elements"
        raise at(value.span, "E308", f"{describe(value)} cannot be laid out", help)

    def _named_element(self, path: ast.Path) -> str:
        binding = self.scope.find(path.name)
        if binding is not None and binding.value is None:
            raise Poisoned
        identity = self.named.get(path.name)
        if identity in self.laid_out:
            raise at(path.span, "E308", f"`{path.name}` is laid out twice", "leave one of them out")
        if identity is not None and identity in self.own:
            self.laid_out.append(identity)
            return identity
        if identity is not None:
            over = next(e.over for e in self.elements if e.id == identity)
            under = next((name for name, each in self.named.items() if each == over), over)
            message = f"`{path.name}` is drawn over `{under}` already"
            raise at(path.span, "E308", message, "leave it out of the layout")
        if path.name in self.scope.later:
            raise at(path.span, "E222", f"`{path.name}` is used before it is bound")
        listing = ", ".join(f"`{name}`" for name, each in self.named.items() if each in self.own)
        help = did_you_mean(path.name, self.named, f"elements with a name here: {listing or 'none'}")
        raise at(path.span, "E308", f"`{path.name}` is not an element of this interface", help)
