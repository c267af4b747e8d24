"""`name block5c.expand.channel[447] "stripes"`: what the text calls atoms of the network."""

from __future__ import annotations

from bbilang.compiler.check.arguments.binding import SOME_LAYER, at
from bbilang.compiler.check.scope import INPUT_LAYER, Scope
from bbilang.compiler.ir.program import AtomName, Node
from bbilang.grammar import ast
from bbilang.grammar.source import Span

MOST_LETTERS = 40  # of a name: it stands in labels of charts


class AtomNames:
    """The names of one text, in its order. ``given``: by the atom's model, layer and channel."""

    def __init__(self) -> None:
        self.given: dict[tuple[str, str, int], tuple[AtomName, Span]] = {}

    def add(self, statement: ast.AtomName, scope: Scope, file: str = "") -> None:
        """Check a statement and keep its name. ``file``: that states it, where it is not the text itself. Raises
        CheckError E251, E252, E253."""
        model, layer, channel = _atom(scope.value(statement.atom), statement.atom.span)
        words = _checked(statement.name)
        key, span = (model, layer, channel), scope.use_span or statement.name.span
        if key in self.given and (other := self.given[key][0].name) != words:
            message = f'channel {channel} of {layer} is already named "{other}"'
            raise at(statement.name.span, "E253", message, "an atom has one name: keep one of the two")
        self.given.setdefault(key, (AtomName(model, layer, channel, words, file), span))

    @property
    def all(self) -> tuple[AtomName, ...]:
        return tuple(name for name, _ in self.given.values())


def _atom(value: object, span: Span) -> tuple[str, str, int]:
    """Return the model, the layer and the number of the one channel that a value is. Raises CheckError E251."""
    node = value if isinstance(value, Node) else None
    help = f'as in `name {SOME_LAYER}.channel[7] "stripes"`'
    if node is None or node.op != "pick_atom" or node.type.atom != "channel":
        kind = node.type.atom if node is not None and node.op == "pick_atom" else ""
        message = f"a name is given to a channel, and this is a {kind} atom" if kind else "only a channel has a name"
        raise at(span, "E251", message, help)
    if len(node.type.layers) != 1:
        raise at(
            span, "E251", f"a name is given to one channel, and this is one of {len(node.type.layers)} layers", help
        )
    if node.type.layers == (INPUT_LAYER,):
        raise at(span, "E251", "a name is given to a channel of a layer, and this is one of the input", help)
    return node.type.model, node.type.layers[0], int(node["index"][0])


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
