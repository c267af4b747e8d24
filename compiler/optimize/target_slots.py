"""Static properties of a target: its layer, and the number of classes or atoms it consists of."""

from __future__ import annotations

from typing import Any, TypeAlias

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import OUTPUT, DerivativeRequest, Node, walk
from bbilang.compiler.ir.types import LAYER_AXES, MADE, Axis
from bbilang.compiler.optimize.cost import layer_of

CHAIN = "chain "  # begins the name of the target layer where a chain's score is
Key: TypeAlias = tuple[Any, ...]  # a class, atom or combined score, as far as it is known
ATOM_AXES = {
    "neuron": LAYER_AXES,
    "spatial": ("y", "x"),
    "pixel": ("y", "x"),
    "channel": ("channel",),
    "token": ("token",),
    "frame": ("frame",),
    "head": ("head",),
    "whole": (),
}


def parts_by_layer(
    target: Node, layers: tuple[str, ...], description: ModelDescription | None
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the target layers of a target, the output or the later layers of its atoms, each with those of ``layers``
    below it."""
    if target.type.content == "score":
        return ((target_layer_of(target), layers),)
    parts = []
    for target_layer in target.type.layers:
        below = layers
        if description is not None:
            below = tuple(x for x in layers if _order(description, x) < _order(description, target_layer))
        if below:
            parts.append((target_layer, below))
    return tuple(parts)


def target_layer_of(target: Node) -> str:
    """Return where the derivatives of scores start: the output, or an attribution between layers that is the score."""
    chain = next((node for node in walk(target) if node.op == "chain"), None)
    return OUTPUT if chain is None else f"{CHAIN}{chain.digest}"


def captured_at(target: Node, target_layer: str) -> tuple[str, ...]:
    """Return the layers, besides those requested, that a forward captures for derivatives from a target layer."""
    if target_layer.startswith(CHAIN):
        chain = next(node for node in walk(target) if node.op == "chain")
        layers: tuple[str, ...] = chain.inputs[0].type.layers
        return layers
    return () if target_layer == OUTPUT else (target_layer,)


def _order(description: ModelDescription, name: str) -> int:
    """Return the layer's number in forward order; the input comes first."""
    layer = description.by_name.get(name)
    return description.layers.index(layer) if layer else -1


def target_keys(target: Node, target_layer: str, description: ModelDescription) -> set[Key]:
    """Return the classes or atoms that a target can consist of. The same one under two descriptions counts twice: the
    number is a bound."""
    if target_layer == OUTPUT or target_layer.startswith(CHAIN):
        return target_classes(target, description.classes)
    count, atom = atom_count(target, target_layer, description), target.type.atom
    if atom in MADE and target.type.layers == (target_layer,) and all(axis.exact for axis in target.type.axes):
        return {(atom, target.digest, i) for i in range(count)}
    number = _number(target, target_layer, description) if target.op == "pick_atom" else None
    if number is not None:
        return {("atom", atom, number)}
    among = any("layer" in axis.components for axis in _own_axes(target))  # how many are of this layer is not known
    whole = count == atoms_of(target, target_layer, description) and atom not in MADE and not among
    return {("atom", atom, i) if whole else ("some", target.digest, i) for i in range(count)}


def score_keys(target: Node, target_layer: str, description: ModelDescription) -> set[Key]:
    """Return the scores that a target consists of: like `target_keys`, but a sum or difference of classes is one."""
    if target_layer != OUTPUT or target.op == "output":
        return target_keys(target, target_layer, description)
    if target.op != "combine":
        return {key for child in target.inputs for key in score_keys(child, target_layer, description)}
    classes, states = target.type.axis("class"), target.type.state_count
    count = (classes.size if classes else 1) * states
    return {("combined" if states == 1 else "state", target.digest, i) for i in range(count)}


def request_keys(request: DerivativeRequest, target_layer: str, description: ModelDescription) -> set[Key]:
    """Return the classes, scores or atoms that the target of a request can consist of, as the request follows them."""
    return (score_keys if request.combined else target_keys)(request.target, target_layer, description)


def _number(target: Node, target_layer: str, description: ModelDescription) -> int | None:
    """Return the number of a picked atom among those of a layer; None if the layer has none."""
    layer, number = layer_of(description, target_layer), 0
    axes = [axis for axis in LAYER_AXES if axis in ATOM_AXES.get(target.type.atom, ())]
    axes = [axis for axis in axes if axis in layer.axes]
    if len(axes) != len(target["index"]):
        return None
    for axis, index in zip(axes, target["index"], strict=True):
        if not 0 <= index < layer.sizes[axis]:
            return None
        number = number * layer.sizes[axis] + index
    return number


def target_classes(target: Node, total: int) -> set[Key]:
    """Return the classes that a target can consist of, by what is known before the network runs: a rank among the
    scores, an index, or an atom of a selection."""
    if target.op == "chain":
        return {("chain", target.digest, key) for key in target_classes(target.inputs[1], total)}
    if target.op != "output":
        return {key for child in target.inputs for key in target_classes(child, total)}
    kind, *rest = target["which"]
    if kind == "of":  # classes that another model chooses
        return {("of", rest[0].type.model, *key) for key in target_classes(rest[0], total)}
    score = () if target["score"] == "logit" else ("probability",)
    match kind:
        case "predicted":
            return {("rank", 0, *score)}
        case "top":
            return {("rank", i, *score) for i in range(rest[0])}
        case "classes":
            return {("index", i, *score) for i in rest[0]}
        case "all":
            return {("index", i, *score) for i in range(total)}
    over = rest[0]["over"]
    if over.op == "output" and rest[0].type.axes[0].exact:  # several inputs may share the union of their own classes
        return {(*key, *score) for key in target_classes(over, total)}
    return {("state", rest[0].digest, i, *score) for i in range(rest[0].type.axes[0].size)}


def known_apart(keys: set[Key]) -> bool:
    """Return whether different keys are certainly different classes, so that their number is exact."""
    kinds = {key[0] for key in keys}
    return len(kinds) <= 1 and not kinds & {"state", "some"}


def atom_count(node: Node, layer: str, description: ModelDescription, likely: bool = False) -> int:
    """Return the largest number of atoms that a field has at one layer: all atoms of the layer, or fewer if its axes
    say so.

    likely: of atoms that were chosen from several layers, an even share.
    """
    total = atoms_of(node, layer, description)
    axes = _own_axes(node)
    if not axes:
        return total
    count = 1
    for axis in axes:
        share = len(node.type.layers) if likely and "layer" in axis.components else 1
        count *= -(-axis.size // share)
    return min(total, count)


def _own_axes(node: Node) -> list[Axis]:
    own = {*LAYER_AXES, "group", "concept"}
    return [axis for axis in (*node.type.axes, *node.type.states) if own & set(axis.components)]


def atoms_of(node: Node, layer: str, description: ModelDescription) -> int:
    """Return the number of atoms of this kind in a layer."""
    if node.type.atom in MADE:
        axis = node.type.axis("group") or node.type.axis("concept")
        return axis.size if axis is not None else 1
    count = 1
    described = layer_of(description, layer)
    if node.type.atom == "spatial":
        described = described.as_map
    for name, size in zip(described.axes, described.shape, strict=True):
        if name in ATOM_AXES.get(node.type.atom, ()):
            count *= size
    return count


def sets_together(change: Node) -> int:
    """Return the largest number of sets of atoms that an intervention changes together, for each input: one in each
    state of the choice of atoms, and for each axis that is not spent."""
    frame, count = change.inputs[0], 1
    for axis in (*frame.type.states, *change.type.axes):
        count *= 1 if axis.name in ("input", "layer") else axis.size
    return count
