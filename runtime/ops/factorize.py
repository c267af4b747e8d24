"""`factorize(method, n, of=, balance=, compatible=, align=, along=)`: new atoms, groups of channels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import (
    Activations,
    Arguments,
    Demand,
    Fail,
    Operation,
    Parameter,
    Registry,
    Run,
    Writer,
    Written,
)
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.factorization import matrix
from bbilang.runtime.fields.atoms import numpy_of
from bbilang.runtime.fields.field import ABSENT, Field, Named, combine
from bbilang.runtime.fields.groups import Groups, positions_of
from bbilang.runtime.fields.ranking import by_input
from bbilang.runtime.inputs.texts import differing_lengths


class Factorize(Operation):
    """Groups of channels by factorization of a layer's activations, flattened to positions x channels: spatial factors
    W and channel factors H. The part of group g is the outer product of W_g and H_g, its direction is H_g, and its
    value |W_g| |H_g| (Olah et al. 2018). `g.spatial` and `g.channel` are the factors. The legend gives the share of the
    squared norm that the groups leave out.

    nmf: additive parts (Lee and Seung 1999), for values that are never negative, such as those after a ReLU. pca:
    directions of largest variance about the mean. svd: the same about zero. ica: independent directions (Hyvärinen and
    Oja 2000). kmeans: every position belongs to one group. Groups are ordered from left to right in the picture, by the
    centroid of W_g squared; those of pca and svd by variance, with the sign that makes the largest entry of H positive.

    `of=` factorizes gradients or attributions instead. Several contents are divided by their norms, weighted by
    `balance`, and factorized with one common H; the groups are parts of the first. Values of both signs enter nmf as a
    positive and a negative part.

    `compatible=` makes groups that lead to given groups of a later layer: every activation is split among those groups
    in proportion to the magnitude of its attribution to each, and the copies are added up again in H (Olah et al.
    2018). `align=0` turns this off; `align=slider(0, 1)` puts a switch on the page.
    """

    name = "factorize"
    content = True
    decomposable = False
    factors = ("spatial", "channel")
    directs = True
    example = (
        "groups = block6a.expand | factorize(nmf, 6)\n"
        "groups | present(featvis)\n"
        "groups | attribute(output[top(5)]) | present(matrix)"
    )
    parameters = (
        Parameter("method", "word", "the factorization", choices=tuple(matrix.METHODS)),
        Parameter("n", "integer", "how many groups", minimum=1, maximum=512, slides=True, candidates=(6, 3)),
        Parameter(
            "of", "contents", "what is factorized: `activation`, `gradient(...)`, `attribute(...)`, or several", None
        ),
        Parameter("balance", "numbers*", "the weight of each of several contents", None),
        Parameter("compatible", "compatible", "groups of a later layer that these should lead to", None),
        Parameter(
            "align",
            "integer",
            "0: ignore `compatible=`; 1, the default: apply it",
            None,
            minimum=0,
            maximum=1,
            slides=True,
        ),
        Parameter("along", "axis", "`input`: one factorization for all inputs together", None),
    )

    def written(self, node: Node, writer: Writer) -> Written | None:
        n, of, compatible, balance, align = (node.get(name) for name in ("n", "of", "compatible", "balance", "align"))
        contents = [writer.stage_text(content) for content in _contents(of)]
        later = writer.field_text(compatible["to"]) if compatible is not None else ()
        if later is None or None in contents:
            return None
        words: list[str | Node] = [f"factorize({node['method']}, ", n if isinstance(n, Node) else str(n)]
        if contents:
            several = isinstance(of, tuple)
            listed = [word for i, content in enumerate(contents) for word in (", " if i else "", *(content or ()))]
            words += [", of=", *(["["] if several else []), *listed, *(["]"] if several else [])]
        if balance is not None:
            words += [f", balance=[{', '.join(f'{weight:g}' for weight in balance)}]"]
        if later:
            words += [", compatible=(", *later, ")"]
        if align is not None:
            words += [", align=", align if isinstance(align, Node) else str(align)]
        return (*words, ", along=input)" if node.get("along") else ")")

    def phrase(self, node: Node, registry: Registry) -> str:
        return f"in {node['n'] if isinstance(node['n'], int) else 'some'} groups by {node['method']}"

    def two_ended(self, node: Node) -> bool:
        return node["method"] in matrix.SIGNED

    def keeps_most(self, node: Node) -> bool:
        return node["method"] in matrix.LEAST_SQUARES

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        method, n, contents = arguments["method"], arguments["n"], _contents(arguments["of"])
        _is_layer(field)
        if method == "nmf" and field.signed and (not contents or contents[0].type.content == "activation"):
            raise Fail("E239", f"`nmf` needs values that are never negative, and {field.layers[0]} has both signs",
                       "choose a layer after its ReLU, or `pca`", argument="method")  # fmt: skip
        for content in contents:
            if content.type.axis("class") is not None:
                raise Fail("E231", "`factorize` takes the derivatives of one target, and this one is several classes",
                           "choose one, or hand it to the reader: `output[pick(output[top(5)])]`", "of")  # fmt: skip
        if arguments["along"] not in (None, "input"):
            raise Fail("E231", "`factorize` goes along `input` or not at all", argument="along")
        _check_balance(arguments["balance"], contents)
        sizes = tuple(map(int, n["values"])) if isinstance(n, Node) else (n,)
        compatible = arguments["compatible"]
        if compatible is not None and contents:
            raise Fail("E231", "`compatible=` is for groups of the activations, without `of=`", argument="compatible")
        varies = () if arguments["along"] else tuple(sorted(by_input(field)))
        align = arguments["align"]
        if align is not None and compatible is None:
            raise Fail("E231", "`align=` says whether groups are found for those of `compatible=`", argument="align")
        one = len(sizes) == 1
        group = Axis("group", max(sizes), exact=one, varies=varies, whole=one)
        axes = tuple(axis for axis in field.axes if axis.name == "input")
        kind = contents[0].type.content if contents else "activation"
        type = replace(field, content=kind, atom="group", axes=(*axes, group), signed=False, scope="", steps=(),
                       unit="|W| |H|, the L2 norm of the part", family=_family(arguments))  # fmt: skip
        for child in (*contents, *((compatible,) if compatible is not None else ())):
            type = type.with_states(*child.type.states)
        for number in (n, align):
            type = type.with_states(*(number.type.axes if isinstance(number, Node) else ()))
        return type

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return () if node["of"] is not None else (Activations(node.type.layers),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        from bbilang.runtime.factorization.layer import LayerFactorization, atoms_and_mean, norm_of, words_left_out

        if run.parts:
            raise differing_lengths("`factorize`")
        n, layer = node["n"], run.layer(node.type.layers[0])
        contents = [_cube(node, content, layer, run) for content in _contents(node["of"]) or (None,)]
        counts = run.value(n).coords["value"].data.round().astype(int) if isinstance(n, Node) else np.array([n])
        sliding = (n.type.axes[0].name,) if isinstance(n, Node) else ()
        joint = node["along"] == "input"
        states = tuple(axis.name for axis in node.type.states if any(axis.name in cube.dims for cube in contents))
        factorization = LayerFactorization(
            node["method"],
            node["balance"] or (1.0,) * len(contents),
            (*(() if joint else ("input",)), *states),
            positions_of(layer),
            run.program.setting("seed", 0),
            run.adapter.device,
            f"`{layer.name}`",
        )
        attribution = run.value(node["compatible"]).values if node["compatible"] is not None else None
        align = node["align"]
        flags = run.value(align).coords["value"].data.round() if isinstance(align, Node) else (align is None or align,)
        every = [factorization.all(contents, counts, sliding, attribution if flag else None) for flag in flags]
        aligned = (align.type.axes[0].name,) if isinstance(align, Node) else ()
        spatial, channel, rest, rest_at = (_stacked(arrays, aligned) for arrays in zip(*every, strict=True))
        value = (
            np.sqrt(np.nansum(np.square(spatial.data), tuple(range(-len(factorization.position_axes), 0))))
            if factorization.position_axes
            else (np.abs(spatial.data))
        )
        value = combine(np.multiply, Named(spatial.dims[: value.ndim], value), norm_of(channel))
        coords = {axis.name: Named((axis.name,), np.arange(axis.size)) for axis in node.type.axes}
        if sliding:
            numbers = np.arange(counts.max())
            coords["group"] = Named((*sliding, "group"), np.where(numbers < counts[:, None], numbers, ABSENT))
        notes = (words_left_out(rest, sliding, counts, node.type.content, node["method"]),)
        value = value.ordered(("input", *states, *aligned, *sliding, "group"))
        content = f"{atoms_and_mean(node['method'])} leave out {{}} of the {node.type.content}'s squared norm"
        own = ((content, rest, notes[0]),) if aligned else ()
        there = f"{atoms_and_mean(node['method'])} leave out {{}} of the squared norm of the vector there"
        return Groups(
            node.type,
            value,
            coords,
            notes=notes,
            shares=((there, rest_at, notes[0]), *own),
            spatial=spatial,
            channel=channel,
            left_out=rest,
        )


class Factor(Operation):
    """`g.spatial` (group, y, x) and `g.channel` (group, channel): the factors W and H of a factorization."""

    name = "factor"
    head = True

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        groups, joint = arguments["of"], arguments["of"]["along"] == "input"
        split = groups["method"] == "nmf" and groups.type.content != "activation" and arguments["which"] == "spatial"
        axes = [axis for axis in field.axes if axis.name != "input" or arguments["which"] == "spatial" or not joint]
        return replace(
            field,
            content="loading",
            atom=arguments["which"],
            axes=(*axes, *arguments["axes"]),
            unit="",
            signed=groups["method"] in matrix.SIGNED or split,
        )

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (groups,) = inputs
        values = getattr(groups, node["which"])
        coords = {axis.name: Named((axis.name,), np.arange(axis.size)) for axis in node.type.axes}
        coords["group"] = groups.coords["group"]
        shares = groups.shares if node["which"] == "spatial" else ()
        return Field(node.type, values, coords, notes=groups.notes, shares=shares)


def _cube(node: Node, content: Node | None, layer: LayerDescription, run: Run) -> Named:
    """Return the values to factorize, (*states, input, *layer axes)."""
    if content is None:
        return Named(("input", *layer.axes), numpy_of(run.activation(node, layer.name)))
    return run.value(content).values


def _stacked(arrays: Sequence[Named], axis: tuple[str, ...]) -> Named:
    """Stack the arrays of several states along a new axis; a single array is returned unchanged."""
    return Named((*axis, *arrays[0].dims), np.stack([a.data for a in arrays])) if axis else arrays[0]


def _contents(of: object) -> tuple[Node, ...]:
    return of if isinstance(of, tuple) else () if of is None else (of,)


def _is_layer(field: FieldType) -> None:
    layer = field.layers[0] if field.layers else "a layer"
    whole = field.atom == "neuron" and not field.states and not field.spent and all(axis.whole for axis in field.axes)
    if (field.atom != "whole" and not whole) or len(field.layers) != 1 or field.axis("layer") is not None:
        raise Fail("E238", f"`factorize` takes a layer apart, and these are its {field.atom} atoms"
                   if len(field.layers) == 1 else "`factorize` takes one layer apart, and these are several",
                   f"write the layer without an atom: `{layer} | factorize(...)`")  # fmt: skip


def _check_balance(balance: tuple[float, ...] | None, contents: tuple[Node, ...]) -> None:
    if balance is None:
        return
    if len(balance) != max(len(contents), 1):
        raise Fail("E231", f"`balance` has {len(balance)} weights for {max(len(contents), 1)} contents",
                   "one for each content of `of=`", argument="balance")  # fmt: skip
    if min(balance) < 0 or balance[0] == 0:
        raise Fail("E214", "`balance` holds weights that are positive, or 0 for a content that does not count",
                   "the groups are parts of the first content, so its weight is not 0", argument="balance")  # fmt: skip


def _family(arguments: Arguments) -> str:
    """Return a name for the groups, `nmf-6`, equal for equal groups of the layer."""
    n = arguments["n"]
    known = f"{arguments['method']}-{n['id'] if isinstance(n, Node) else n}"
    rest = [
        (name, arguments[name])
        for name in ("of", "balance", "compatible", "align", "along")
        if arguments[name] is not None
    ]
    if not rest:
        return known
    digest = hashlib.sha256(repr(Node("family", (), tuple(rest), FieldType("", "", (), ())).digest).encode())
    return f"{known}-{digest.hexdigest()[:6]}"


OPERATIONS = (Factorize(), Factor())
