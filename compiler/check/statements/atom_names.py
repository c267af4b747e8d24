"""`name block5c.expand.channel[447] "stripes"`: what the text calls atoms of the network, and groups and directions."""

from __future__ import annotations

from bbilang.compiler.check.arguments.binding import SOME_LAYER, at
from bbilang.compiler.check.scope import INPUT_LAYER, Scope
from bbilang.compiler.ir.program import AtomName, Node
from bbilang.compiler.ir.types import MADE
from bbilang.grammar import ast
from bbilang.grammar.source import Span

MOST_LETTERS = 40  # of a name: it stands in labels of charts


class AtomNames:
    """The names of one text, in its order. ``given``: by the atoms, whatever the text calls them."""

    def __init__(self) -> None:
        self.given: dict[tuple[object, ...], AtomName] = {}

    def add(self, statement: ast.AtomName, scope: Scope, file: str = "") -> None:
        """Check a statement and keep its name. ``file``: that states it, where it is not the text itself. Raises
        CheckError E251, E252, E253, E296, E297."""
        node = _atom(scope.value(statement.atom), statement.atom.span, scope)
        type, numbers = node.type, tuple(map(int, node["index"]))
        components = tuple(zip(type.axes[-1].components, numbers, strict=True))
        maker, called = (node.inputs[0], _written(statement.atom)) if type.atom in MADE else (None, "")
        words = _checked(statement.name)
        name = AtomName(type.model, type.layers[0], type.atom, components, words, file, called, maker)
        known = self.given.setdefault(
            (name.called and name.family, type.model, type.layers, type.atom, components), name
        )
        if known.name != words:
            message = f'`{known.key}` is already named "{known.name}"'
            raise at(statement.name.span, "E253", message, "an atom has one name: keep one of the two")

    @property
    def all(self) -> tuple[AtomName, ...]:
        return tuple(self.given.values())


def _written(atom: ast.Index) -> str:
    """Return what the text calls that from which an atom is picked: `groups`."""
    assert isinstance(atom.value, ast.Path), "the grammar allows nothing else"
    return f"{atom.value.model}:{atom.value.name}" if atom.value.model else atom.value.name


def _atom(value: object, span: Span, scope: Scope) -> Node:
    """Return the one atom that a value is. Raises CheckError E251, E296, E297."""
    node = value if isinstance(value, Node) else None
    help = f'as in `name {SOME_LAYER}.channel[7] "stripes"`'
    if node is None or node.op != "pick_atom":
        raise at(span, "E251", "a name is given to an atom of a layer, picked by its number", help)
    type = node.type
    if len(type.layers) != 1:
        message = f"a name is given to one {type.atom}, and this is one of {len(type.layers)} layers"
        raise at(span, "E251", message, help)
    if type.layers == (INPUT_LAYER,):
        raise at(span, "E251", f"a name is given to an atom of a layer, and this is a {type.atom} of the input", help)
    if type.atom in MADE and type.states:
        message = f"this {type.atom} has no name: it is another one with each choice of the reader"
        raise at(span, "E297", message, "name one that does not depend on a choice")
    if type.atom in MADE and "input" in type.axes[-1].varies:
        message = f"this {type.atom} has no name: each input has another one"
        raise at(span, "E297", message, "`factorize(..., along=input)` makes the same groups for all of them")
    if "token" in type.axes[-1].components:
        layer = scope.context(type.model, span).known_layer(type.layers[0])
        if type.atom != "token" or int(node["index"][0]) >= layer.prefix:  # those before the patches are learned
            raise at(span, "E296", f"{_a(type.atom)} of a text or picture has no name: each input has another there",
                     "channels, neurons and heads are the same for every input")  # fmt: skip
    if type.atom == "spatial":
        message = "a position has no name: each picture has something else there"
        help = "channels, neurons and heads are the same for every input; a `caption=` can refer to a position"
        raise at(span, "E296", message, help)
    return node


def _a(atom: str) -> str:
    return "a neuron of a token" if atom == "neuron" else f"a {atom}"


def _checked(name: ast.String) -> str:
    """Return a name that can stand in a label as it is. Raises CheckError E252."""
    words = name.value
    if not words.strip():
        raise at(name.span, "E252", "a name has at least one letter")
    if len(words) > MOST_LETTERS:
        help = "a label has little room: what else there is to say goes into a `caption=`"
        raise at(name.span, "E252", f"a name has at most {MOST_LETTERS} letters, and this one has {len(words)}", help)
    if words != words.strip():
        raise at(name.span, "E252", "a name does not begin or end with a space", f'write `"{words.strip()}"`')
    if '"' in words or not words.isprintable():  # also marks that turn the direction of writing, and line breaks
        message = "a name has no quotes, line breaks or invisible characters"
        raise at(name.span, "E252", message, "write plain words")
    return words
