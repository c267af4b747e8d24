"""Rank atoms: the types, scores and indices that `top`, `bottom`, `both` and `sort` share."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bbilang.compiler.check.arguments.binding import SOME_LAYER
from bbilang.compiler.contract import Arguments, Fail, Parameter, Run
from bbilang.compiler.ir.models import CHECKPOINT_AXIS
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import APART, Axis, FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.method_axis import comparable

BY = Parameter(
    "by",
    "ranking",
    "`value` (signed), `magnitude`, `difference` (first minus second of two), or a class",
    "value",
    choices=("value", "magnitude", "difference"),
)
ALONG = Parameter("along", "axis", "the axis to rank; by default, the atoms' own axes jointly", None)
PER = Parameter("per", "axis", "an axis along which each position is ranked separately, as inputs always are", None)
JOINT = Parameter("joint", "axis", "`input`: one ranking for all inputs together, by the largest value over them", None)


def ranked_axes(field: FieldType, arguments: Arguments) -> tuple[Axis, ...]:
    """Return the axes that are ranked jointly. Raises `Fail` where there is none."""
    if arguments["per"] is not None and arguments["per"] == arguments["along"]:
        raise Fail("E231", f"`{arguments['per']}` cannot be ranked and separated by `per=` at once", argument="per")
    if arguments["joint"] not in (None, "input"):
        message = f"`{arguments['joint']}` is ranked jointly already: only inputs are ranked apart without `per=`"
        raise Fail("E231", message, "one order for all inputs is `joint=input`", argument="joint")
    if arguments["joint"] is not None and arguments["joint"] == arguments["per"]:
        raise Fail("E231", "`input` cannot be ranked jointly and apart at once", argument="joint")
    if arguments["along"] is not None:
        axis = field.axis(arguments["along"])
        assert axis is not None
        if arguments["along"] == "input":
            raise Fail("E231", "inputs are not ranked against each other", argument="along")
        if arguments["along"] == CHECKPOINT_AXIS:
            help = "leave out `along=model`: atoms are chosen for all checkpoints together"
            raise Fail("E231", "checkpoints stay in the order of their names", help, argument="along")
        if len(set(axis.sizes)) > 1 and field.axis("layer") is not None and arguments["per"] != "layer":
            message = f"the layers differ in their `{axis.name}`, so its places have no common order"
            raise Fail("E231", message, "rank each layer apart: `per=layer`", argument="along")
        return (axis,)
    if field.axis("measure") is not None:
        message = "the attribution has measures beside it, which are not ranked with it"
        raise Fail("E231", message, "put what chooses atoms before `trust(...)`")
    axes = tuple(axis for axis in field.atom_axes if axis.name != arguments["per"])
    examples = field.axis("example")
    if examples in axes and all(axis.size == 1 for axis in axes if axis != examples):
        axes = tuple(axis for axis in axes if axis == examples)  # of one atom, its examples
    if not axes:
        help = (
            f"name the atoms: `{SOME_LAYER}.channel`"
            if field.atom == "whole"
            else "put the choice before what spends them"
        )
        if field.axis("class") is not None:
            help = "rank the classes: `along=class`"
        raise Fail("E230", "the field has no axis of atoms left to rank", help)
    return axes


def ranked_type(field: FieldType, arguments: Arguments, k: int | None, gap: int = 0) -> FieldType:
    """Replace the ranked axes by one of size k (None: all atoms)."""
    axes = ranked_axes(field, arguments)
    comparable(field, "a ranking", arguments["per"])
    ranked = {axis.name for axis in axes}
    by = arguments["by"]
    if by == "difference":
        _pair_axis(field, axes, arguments["per"])
    elif isinstance(by, Node):
        _class_axis(field, axes, by)
    clash = next((axis for axis in field.axes if axis not in axes and ranked & set(axis.varies)), None)
    if clash is not None:
        names = ", ".join(f"`{name}`" for name in ranked)
        message = f"the atoms along `{clash.name}` differ along {names}, which cannot be ranked apart from them"
        raise Fail("E231", message)
    own = next((axis.name for axis in axes if "input" in axis.varies), None)
    if arguments["joint"] is not None and own is not None:
        message = f"each input has atoms of its own along `{own}`, so they have no common order"
        raise Fail("E231", message, "put `joint=input` at the first choice of atoms", argument="joint")
    total = math.prod(axis.size for axis in axes)
    size = total if k is None else min(k, total)
    exact = all(axis.exact for axis in axes) and size <= fewest(axes)
    name = axes[0].name if len(axes) == 1 else field.atom
    components = tuple(c for axis in axes for c in axis.components)
    varies = {v for axis in axes for v in axis.varies} - ranked | ({arguments["per"]} - {None})
    varies |= by_input(field) if arguments["joint"] is None else set()
    varies |= set(kept_apart(field, axes)) & set(field.names)
    gap = gap if gap < size < total else 0
    new = Axis(name, size, components, exact, gap=gap, varies=tuple(sorted(varies)), whole=False)
    first = field.axes.index(axes[0])
    rest = [axis for axis in field.axes if axis not in axes]
    before = sum(axis in rest for axis in field.axes[:first])
    states = by.type.states if isinstance(by, Node) else ()
    return replace(field, axes=(*rest[:before], new, *rest[before:])).with_states(*states)


def kept_apart(field: FieldType, axes: tuple[Axis, ...]) -> tuple[str, ...]:
    """Return the axes along which classes are always ranked anew, as along inputs: each token predicts its own."""
    return APART.get(field.content, ()) if {axis.name for axis in axes} == {"class"} else ()


def fewest(axes: tuple[Axis, ...]) -> int:
    """Count the atoms along some axes that every layer has, where layers differ in size."""
    if any(axis.name == "to.layer" or (axis.name.startswith("to.") and axis.sizes) for axis in axes):
        return 0  # there are no links within a layer
    ragged = [axis for axis in axes if axis.sizes]
    even = math.prod(axis.size for axis in axes if not axis.sizes and axis.name != "layer")
    if not ragged:
        return math.prod(axis.size for axis in axes)
    counts = [even * math.prod(sizes) for sizes in zip(*(axis.sizes for axis in ragged), strict=True)]
    return sum(counts) if any(axis.name == "layer" for axis in axes) else min(counts)


def by_input(field: FieldType) -> set[str]:
    """Return {"input"} where there are several: atoms are chosen by value for each input separately."""
    return {axis.name for axis in field.axes if axis.name == "input" and axis.size > 1}


def _class_axis(field: FieldType, ranked: tuple[Axis, ...], by: Node) -> None:
    """Check that the field has an axis of classes to rank by. Raises `Fail`."""
    classes = field.axis("class")
    if classes is None or classes in ranked or classes.components != ("class",):
        help = "as in `attribute(output.class) | top(5, by=output[208])`"
        raise Fail("E230", "ranking by a class needs another axis, `class`, and the field has none", help, "by")
    if by.op != "output" or by.type.axis("class") is not None:
        raise Fail("E231", "atoms are ranked by one class", "as in `by=output` or `by=output[208]`", "by")


def _pair_axis(field: FieldType, ranked: tuple[Axis, ...], per: str | None) -> Axis:
    """Return the axis of size 2 that is subtracted: targets or methods first, atoms only where there is no other."""
    apart = (*ranked, *(axis for axis in field.axes if axis.name in ("input", "layer", per)))
    pairs = [axis for axis in field.axes if axis not in apart and axis.size == 2]
    pairs = [axis for axis in pairs if axis not in field.atom_axes] or pairs
    if len(pairs) != 1:
        raise Fail(
            "E231",
            f"`by=difference` needs one other axis of size 2, and the field has {len(pairs)}",
            "attribute to two targets: `attribute([output[a], output[b]])`",
            argument="by",
        )
    return pairs[0]


def score_of(field: Field, axes: tuple[Axis, ...], arguments: Arguments, run: Run) -> Named:
    """Score atoms for ranking: the maximum over all other axes; states, `per=` and, unless joint, inputs are kept."""
    values, per, by = field.values, arguments["per"], arguments["by"]
    apart = {per, None if arguments["joint"] else "input", *kept_apart(field.type, axes)}
    names = field.type.names
    ranked = {axis.name for axis in axes}
    if by == "magnitude":
        values = Named(values.dims, np.abs(values.data))
    elif by == "difference":
        pair = _pair_axis(field.type, axes, per).name
        first, second = (values.take(pair, Named((), np.array(i))) for i in (0, 1))
        values = Named(first.dims, first.data - second.ordered(first.dims).data)
    elif isinstance(by, Node):
        values = _of_class(field, run.value(by))
    others = [i for i, d in enumerate(values.dims) if d in names and d not in ranked and d not in apart]
    remaining = tuple(d for i, d in enumerate(values.dims) if i not in others)
    if not others:
        return values
    with np.errstate(all="ignore"):
        filled = np.where(np.isnan(values.data), -np.inf, values.data).max(tuple(others))
    return Named(remaining, np.where(np.isneginf(filled), np.nan, filled))


def without_ties(score: Named, axes: tuple[Axis, ...]) -> Named:
    """Return the scores, missing wherever those of all atoms are zero, since no atom is stronger than another there."""
    ranked = tuple(i for i, d in enumerate(score.dims) if d in {axis.name for axis in axes})
    tied = ((score.data == 0) | np.isnan(score.data)).all(ranked, keepdims=True)
    return Named(score.dims, np.where(tied, np.nan, score.data))


def _of_class(field: Field, target: Field) -> Named:
    index = field.positions("class", target.coords["class"], "class")
    if (index.data < 0).any():
        names = target.names["class"]
        missing = np.broadcast_to(names.spread(index.dims), index.data.shape)[index.data < 0]
        message = f"`{missing[0]}` is not among the classes that this field is attributed to"
        raise error("E506", message, help="attribute to all: `attribute(output.class)`")
    return field.values.take("class", index)


def pick_ranked(field: Field, type: FieldType, axes: tuple[Axis, ...], order: Named) -> Field:
    """Index the jointly ranked axes with ``order`` (..., rank), flat row-major indices over them."""
    new = axes[0].name if len(axes) == 1 else field.type.atom
    order = order.renamed({order.dims[-1]: new})
    result = field
    if len(axes) == 1:
        result = result.take(new, order)
        return result.with_values(result.values, type)
    sizes = [field.values.sizes.get(axis.name, axis.size) for axis in axes]
    indices = np.unravel_index(np.maximum(order.data, 0), sizes)
    for axis in axes:  # under temporary names: the new axis may have the name of an old one
        result = _renamed(result, {axis.name: f"{axis.name}*"})
    for axis, positions in zip(axes, indices, strict=True):
        index = Named(order.dims, np.where(order.data < 0, -1, positions))
        if f"{axis.name}*" in result.values.dims or any(f"{axis.name}*" in a.dims for a in result.coords.values()):
            result = result.take(f"{axis.name}*", index)
    return result.with_values(result.values, type)


def _renamed(field: Field, names: dict[str, str]) -> Field:
    return Field(
        field.type,
        field.values.renamed(names),
        {c: a.renamed(names) for c, a in field.coords.items()},
        {n: a.renamed(names) for n, a in field.names.items()},
        field.index.renamed(names) if field.index is not None else None,
        field.weight.renamed(names) if field.weight is not None else None,
        field.notes,
        tuple((words, share.renamed(names), note) for words, share, note in field.shares),
        field.trust,
        field.curves,
        field.columns,
        {name: a.renamed(names) for name, a in field.beside.items()},
    )


def ranks(
    score: Named, axes: tuple[Axis, ...], ascending: bool = False, most: int | None = None
) -> tuple[Named, np.ndarray]:
    """Return the flat indices from the strongest down, (..., rank), and the number of atoms in each row. Ties: the
    lower index first; missing atoms come last, as -1. ``most``: sort only this many."""
    names = [axis.name for axis in axes]
    apart = [d for d in score.dims if d not in names]
    ordered = score.ordered([*apart, *names]).data
    flat = ordered.reshape(*ordered.shape[: len(apart)], -1)
    key = flat if ascending else -flat
    missing = np.isnan(flat)
    if not missing.any():
        count = np.full(flat.shape[:-1], flat.shape[-1])
        return Named((*apart, "rank*"), _strongest(key, most)), count
    count = (~missing).sum(-1)
    order = np.argsort(key, axis=-1, kind="stable")  # NaN comes last
    order = np.where(np.arange(flat.shape[-1]) < count[..., None], order, -1)
    return Named((*apart, "rank*"), order), count


def _strongest(key: np.ndarray, most: int | None) -> np.ndarray:
    """Return the indices of the ``most`` lowest keys (None: of all) in order, ties by index."""
    if most is None or key.size != key.shape[-1] or most >= key.size:
        return np.argsort(key, axis=-1, kind="stable")
    row = key.reshape(-1)
    near = np.flatnonzero(row <= np.partition(row, most - 1)[most - 1])  # includes ties with the last
    return near[np.argsort(row[near], kind="stable")][:most].reshape(*key.shape[:-1], most)
