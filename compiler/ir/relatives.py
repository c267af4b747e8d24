"""What forwards of related networks have in common: models of a page that differ in some layers only."""

from __future__ import annotations

from bbilang.grammar.frozen import frozen


@frozen
class Reach:
    """How far a forward runs. ``picture``: the baseline in place of the inputs, as of `Forward`. ``end``: the deepest
    layer, or `output`."""

    picture: str
    forward: int
    end: str


@frozen
class Relative:
    """An earlier model of the page that is the same network but for some layers. ``changed``: those whose results one
    of the two changes; ``rewritten``: those whose modules may hold other weights. ``forwards``: what it runs."""

    model: str
    changed: tuple[str, ...]
    rewritten: tuple[str, ...] = ()
    forwards: tuple[Reach, ...] = ()


@frozen
class Resumed:
    """What a forward takes from one of another model: everything that depends on none of the layers ``above``.

    ``spared``: the outermost layers whose modules need not run. ``values``: captured layers that are the other's.
    ``entered``: layers inside of modules that do run.
    """

    model: str
    forward: int
    above: tuple[str, ...]
    spared: tuple[str, ...]
    values: tuple[str, ...] = ()
    entered: tuple[str, ...] = ()


@frozen
class Lent:
    """What the forwards of a model leave for ``models``: the results of the outermost modules that contain none of the
    layers ``entered`` (``layers`` are those that are described), nor are one of ``rewritten``; and the ``values`` of
    layers inside them. ``changed``: as of `Relative`."""

    models: tuple[str, ...]
    entered: tuple[str, ...]
    changed: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
