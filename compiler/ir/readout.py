"""How a network reads its scores from its tokens: the last layer that others are added up in, and what is above it."""

from __future__ import annotations

from bbilang.compiler.ir.model_description import INPUT, ModelDescription
from bbilang.grammar.frozen import frozen


@frozen
class Readout:
    """``stream``: the last layer that is made of several others, as the sum at the end of the last block. ``above``:
    the layers from it to the scores, each made of the one before: a final norm and the unembedding, or a head of
    classes."""

    stream: str
    above: tuple[str, ...]


def readout_of(description: ModelDescription) -> Readout | str:
    """Find how a network reads its scores from its tokens; where it does not, return why, in words."""
    if not description.classes:
        return f"{description.name} has no scores"
    ends = [name for name in description.ends if name != INPUT]
    if len(ends) != 1:
        return "its scores are made of several layers" if ends else "what its scores are made of is not known"
    known, name, passed = description.by_name, ends[0], list[str]()
    while True:
        layer = known[name]
        sources = [source for source in layer.inputs if source != INPUT]
        if len(sources) != 1 or len(layer.inputs) != 1 or layer.is_heads:
            break
        passed.append(name)
        (name,) = sources
    if layer.axes != ("token", "channel") or not passed or len(sources) < 2:
        return f"its scores are read from `{name}`, which is no sum of blocks with tokens"
    paths = {known[other].module for other in (*passed, name)}
    parts = [own for own in reversed(passed) if not _contains(known[own].module, paths)]
    return Readout(name, tuple(parts)) if parts else f"nothing is between `{name}` and its scores"


def _contains(path: str, others: set[str]) -> bool:
    """Return whether a module contains another of them: what it does is then done by those."""
    return any(other.startswith(f"{path}.") for other in others)
