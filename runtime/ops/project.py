"""`project(method, n, along=, fit=)`: reduce the number of dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bbilang.compiler.contract import (
    Activations,
    Arguments,
    Demand,
    ExamplesOf,
    Fail,
    Make,
    Operation,
    Parameter,
    Registry,
    Run,
)
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.factorization import matrix
from bbilang.runtime.fields.atoms import axes_of_atoms, gather
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.datasets import positions
from bbilang.runtime.ops.datasets.columns import dataset_of, looked_up

VECTORS = ("spatial", "pixel", "token", "frame", "example")
PART = "part*"  # the axis of an atom's vector


@dataclass
class Projected(Field):
    """A field over (..., component). ``loadings``: what each component is made of, over (*apart, component, ``along``),
    for pca and nmf along an axis. ``vectors``: what was projected, of a map of a dataset's examples or positions."""

    loadings: Named | None = None
    vectors: positions.Vectors | None = None


class Project(Operation):
    """Reduces the dimension of each atom's part (the vector at a position) or, with `along=`, of an axis of the field,
    separately for each input and state.

    After `across`, `along=channel` makes one point of each example: `across(photos) | project(umap, 2, along=channel) |
    present(scatter)`; without `along=`, of `.spatial` atoms, it makes a point of each of `positions=` positions of
    every example, drawn at random. The result has an axis `component`. `fit=` names the field, or the member of this
    field's `layer` axis, on which the projection is fitted; the others are transformed by it. tsne (van der Maaten and
    Hinton 2008) and umap (McInnes, Healy and Melville 2018) have no `fit=`.

    Along an axis, layers are projected together after each is divided by its mean magnitude, so that
    `attribute(output.class) | relu | project(nmf, 2, along=class, fit=...)` is the map of all classes at once of Olah
    et al. 2018. Parts are projected separately for each layer. Components of pca have unit length, and their largest
    entry is positive.
    """

    name = "project"
    example = "photo = input | present(image)\nblock6a.expand.spatial | project(pca, 3) | present(rgb, over=photo)"
    parameters = (
        Parameter("method", "word", "the projection", choices=("pca", "nmf", "tsne", "umap")),
        Parameter("n", "integer", "number of components", minimum=1, maximum=64, candidates=(2, 3)),
        Parameter("along", "axis", "the axis whose dimension is reduced; by default, the atoms' parts", None),
        Parameter("fit", "fit", "a field, or a layer of this field, on which the projection is fitted", None),
        Parameter("positions", "integer", f"of a map of a dataset's positions, how many of each example; "
                  f"{positions.DEFAULT} by default", None, minimum=1, maximum=4096),
    )  # fmt: skip

    def phrase(self, node: Node, registry: Registry) -> str:
        return f"in {node['n']} components by {node['method']}"

    def keeps_most(self, node: Node) -> bool:
        return node["method"] in matrix.LEAST_SQUARES

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        fit, method, n, along = (arguments[name] for name in ("fit", "method", "n", "along"))
        from bbilang.runtime.factorization.reduction import LINEAR

        if fit is not None and method not in LINEAR:
            raise Fail(
                "E231", f"`{method}` cannot be fitted on one field and applied to another", "use `pca` or `nmf`", "fit"
            )
        if isinstance(fit, str) and fit not in field.layers:
            raise Fail(
                "E235", f"`{fit}` is not one of this field's layers", f"they are {', '.join(field.layers)}", "fit"
            )
        if isinstance(fit, Node) and {a.name for a in fit.type.states} - {a.name for a in field.states}:
            raise Fail("E231", "the field to fit on changes with a selection that this field does not know",
                       argument="fit")  # fmt: skip
        if arguments["positions"] is not None and not positions.of_positions(field, along):
            raise Fail("E231", "`positions=` is for a map of the positions of a dataset",
                       "as in `block6a.expand.spatial | across(photos) | project(umap, 2)`", "positions")  # fmt: skip
        if positions.of_positions(field, along):
            point = positions.points_axis(field, arguments["positions"], fit)
            axes: tuple[Axis, ...] = (point, Axis("component", n))
            spent = field.spent
        elif along is not None:
            _check_along(field, along, n, method, fit)
            axes = tuple(Axis("component", n) if a.name == along else a for a in field.axes)
            spent = (*field.spent, *(c for a in field.axes if a.name == along for c in a.components))
        else:
            if field.atom not in VECTORS or field.family:
                message = f"`project` lowers vectors, and a {'group' if field.family else field.atom} is none"
                raise Fail("E238", message, "use `.spatial` atoms, or say `along=`")
            lost = next((c for c in ("y", "x", "token", "frame") if c in field.spent), None)
            if lost is not None:
                raise Fail("E238", f"`project` needs to know the `{lost}`, which arithmetic spent", "put it before")
            axes, spent = (*field.axes, Axis("component", n)), field.spent
        if [axis.name for axis in axes].count("component") > 1:
            raise Fail("E231", "these are components already, and a field has one axis of them", "project once")
        several = along == "class" and field.content in ("attribution", "gradient")
        words = f"{field.content} to each class" if several else field.content if along else "activation vectors"
        steps = (words, *field.steps, f"{method}, {n} component{'s' if n > 1 else ''}")
        type = replace(field, content="loading", axes=axes, signed=method != "nmf", steps=steps, spent=spent,
                       unit="")  # fmt: skip
        return type

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        if not positions.of_positions(field.type, arguments["along"]):
            return arguments
        return positions.expanded(field, arguments, make)

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        if node.get("vectors") is not None:
            return (positions.demanded(node),)
        dataset = dataset_of(node.inputs[0]) if node.inputs and node.type.axis("example") is not None else None
        if dataset is not None:  # what the network predicts can colour a map of examples
            return (ExamplesOf(dataset, scores=True),)
        if node["along"] is not None:
            return ()
        fit = node["fit"]
        others = fit.type.layers if isinstance(fit, Node) else ()
        return (Activations(tuple(dict.fromkeys((*node.type.layers, *others)))),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        from bbilang.runtime.factorization.layer import percent
        from bbilang.runtime.factorization.reduction import LINEAR, reduce_layers

        (field,) = inputs
        if node.get("vectors") is not None:
            return _of_positions(node, field, run)
        along, fit, method, n = (node[name] for name in ("along", "fit", "method", "n"))
        feature = along or PART
        table = field.values if along else _vectors(node, field, run)
        base = None
        if isinstance(fit, Node):
            base = run.value(fit).values if along else _vectors(node, run.value(fit), run)
        atoms = [a.name for a in field.type.atom_axes if a.name != along and a.name in table.dims]
        apart = [d for d in table.dims if d not in (*atoms, feature)]
        data = table.ordered((*apart, *atoms, feature)).data
        outer, inner, deep = data.shape[: len(apart)], data.shape[len(apart) : -1], data.shape[-1]
        owner = field.coords.get("layer", Named((), np.array(0)))
        values = np.full((*outer, *inner, n), np.nan, np.float32)
        loadings = np.full((*outer, n, deep), np.nan, np.float32)
        shares: list[float] = []
        seed, what = run.program.setting("seed", 0), " and ".join(f"`{name}`" for name in node.type.layers)
        for at in np.ndindex(*outer):
            here = dict(zip(apart, at, strict=True))
            layers = np.broadcast_to(_at(owner, here).spread(atoms), inner).ravel()
            rows = data[at].reshape(-1, deep).astype(np.float64)
            fitted_on: int | np.ndarray | None = node.type.layers.index(fit) if isinstance(fit, str) else None
            if base is not None:
                fitted_on = _rows(_at(base, here), feature)
            scores, made, left_out = reduce_layers(rows, layers, fitted_on, method, n, along is not None, seed, what)
            values[at] = scores.reshape(*inner, n)
            shares += left_out
            if made is not None and made.shape[1] == deep:
                loadings[at] = made
        result = _without(field, along)
        result.coords["component"] = Named(("component",), np.arange(n))
        loadings_field = Named((*apart, "component", feature), loadings) if along and method in LINEAR else None
        if loadings_field is not None and along in field.names:
            result.names["component"] = strongest(loadings_field, field.names[along], along)
        who = "the components and the mean" if method == "pca" else "the components"
        note = f"{who} leave out {percent(min(shares), max(shares))} of the squared norm" if shares else ""
        if shares and max(shares) > 1:
            note += "; of more than 100 %, the vectors lie far from those that the components were made for"
        notes = (*field.notes, *([note] if note else []))
        numbers = Named((*apart, *atoms, "component"), values)
        whole = not apart and along == "channel" and atoms == ["example"]
        vectors = positions.Vectors(data.reshape(-1, deep), field) if whole else None
        columns = field.columns
        if (dataset := dataset_of(node.inputs[0])) is not None and columns:
            columns = looked_up(["predicted", "correct"], field, dataset, run)
        return Projected(node.type, numbers, result.coords, result.names, notes=notes, columns=columns,
                         loadings=loadings_field, vectors=vectors)  # fmt: skip


def _of_positions(node: Node, field: Field, run: Run) -> Projected:
    """Project the vectors at random positions of a dataset's examples."""
    from bbilang.runtime.factorization.layer import percent
    from bbilang.runtime.factorization.reduction import reduce_rows

    vectors, n = positions.drawn(node, field, run), node["n"]
    own, seed = vectors.carried, int(run.program.setting("seed", 0))
    reduced = reduce_rows(vectors.rows.astype(np.float64), None, node["method"], n, seed, f"`{node.type.layers[0]}`")
    notes = own.notes
    if reduced.left_out is not None:
        notes = (*notes, f"the components leave out {percent(reduced.left_out, reduced.left_out)} of the squared norm")
    coords = {name: array for name, array in own.coords.items() if array.dims == ("example",)}
    coords["component"] = Named(("component",), np.arange(n))
    dataset = dataset_of(node.inputs[0])
    assert dataset is not None, "the type rule asks for the axis `example`"
    columns = looked_up(["predicted", "correct"], own, dataset, run)
    if own.values.dims == ("example",):
        columns = columns | {own.type.content: Named(("example",), own.values.data.astype(np.float64))}
    values = Named(("example", "component"), reduced.values.astype(np.float32))
    names = {"example": own.names["example"]} if "example" in own.names else {}
    return Projected(node.type, values, coords, names, notes=notes, columns=columns, vectors=vectors)


def _check_along(field: FieldType, along: str, n: int, method: str, fit: str | Node | None) -> None:
    axis = field.axis(along)
    assert axis is not None
    if along in ("input", "layer"):
        raise Fail("E231", f"`project` does not lower `{along}`: each is projected by itself", argument="along")
    if axis.size < n:
        raise Fail("E214", f"`n` is {n}, and `{axis.name}` has {axis.size} places", argument="n")
    varying = field.varying(along)
    if varying is not None or axis.varies or axis.sizes:
        other = varying or axis
        raise Fail("E231", f"the places along `{other.name}` differ, so there is no common space", argument="along")
    if method == "nmf" and field.signed:
        raise Fail("E239", "`nmf` needs values that are never negative, and these have both signs",
                   "keep what is positive: `... | relu | project(nmf, ...)`, or use `pca`", "method")  # fmt: skip
    if isinstance(fit, Node):
        theirs = fit.type.axis(along)
        if theirs is None or theirs.size != axis.size:
            raise Fail("E235", f"the field to fit on has {'no' if theirs is None else 'another'} axis `{along}`",
                       argument="fit")  # fmt: skip


def _vectors(node: Node, field: Field, run: Run) -> Named:
    """Return each atom's vector of channels: the field's axes and `PART`, NaN beyond the channels of a smaller
    layer."""
    layers = {name: run.layer(name) for name in field.type.layers}
    maps = {}
    for name, layer in layers.items():
        keep = axes_of_atoms(field.type.atom, layer)
        order = ("channel", "input", *keep)
        cube = Named(("input", *axes_of_atoms("neuron", layer)), run.reduced(node, name, "neuron", "sum"))
        maps[name] = cube.ordered(order).data
    vectors = gather(field, maps, layers, (PART, "input"))
    if np.isnan(field.values.data).any():  # missing atoms have no vector
        dims = tuple(d for d in field.values.dims if d in vectors.dims)
        missing = np.isnan(field.values.data).all(tuple(i for i, d in enumerate(field.values.dims) if d not in dims))
        vectors = Named(vectors.dims, np.where(Named(dims, missing).spread(vectors.dims), np.nan, vectors.data))
    return vectors


def _at(array: Named, position: Mapping[str, int]) -> Named:
    """Index some axes at one position."""
    for name, index in position.items():
        if name in array.dims:
            array = array.take(name, Named((), np.array(index)))
    return array


def _rows(array: Named, feature: str) -> np.ndarray:
    """Flatten to (row, feature), without missing rows."""
    rows = array.ordered((*(d for d in array.dims if d != feature), feature)).data.astype(np.float64)
    rows = rows.reshape(-1, rows.shape[-1])
    return rows[~np.isnan(rows).any(1)]


def _without(field: Field, along: str | None) -> Field:
    """Copy a field without the coordinates and names of an axis."""
    coords = {c: a for c, a in field.coords.items() if along is None or along not in a.dims}
    names = {c: a for c, a in field.names.items() if along is None or along not in a.dims}
    return Field(field.type, field.values, coords, names)


def strongest(loadings: Named, names: Named, along: str, count: int = 3) -> Named:
    """Name each component by the labels along the axis with the largest loadings."""
    dims = loadings.dims[:-1]
    words = np.empty(loadings.data.shape[:-1], dtype=object)
    for at in np.ndindex(words.shape):
        order = np.argsort(-np.abs(loadings.data[at]), kind="stable")[:count]
        own = _at(names, dict(zip(dims, at, strict=True))).data
        words[at] = " + ".join(str(own[i]) for i in order)
    return Named(dims, words)


OPERATIONS = (Project(),)
