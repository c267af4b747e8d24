"""`output`: the scores of classes, as targets and as fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bbilang.compiler.contract import Demand, Operation, Registry, Run, Scores
from bbilang.compiler.ir.program import Node
from bbilang.runtime.fields.field import TERM, Field, Named, combine, union_of


class Output(Operation):
    """Scores of the predicted class, of named ones, of the highest k, of all, or of a selected one."""

    name = "output"
    head = True

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return (Scores(),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        scores = run.scores  # (input, class)
        kind, *rest = node["which"]
        match kind:
            case "predicted":
                index = Named(("input",), scores.argmax(1))
            case "top":
                index = Named(("input", "class"), np.argsort(-scores, axis=1, kind="stable")[:, : rest[0]])
            case "all":
                index = Named(("class",), np.arange(scores.shape[1]))
            case "classes":
                index = Named(("class",), np.array(rest[0])) if len(rest[0]) > 1 else Named((), np.array(rest[0][0]))
            case "of":
                index = _classes(run.value(rest[0]))
            case "selected":
                index = run.value(rest[0]).coords["class"]
        terms = Named((*index.dims, TERM), index.data[..., None])
        weight = Named((*index.dims, TERM), np.ones((*index.data.shape, 1), np.float32))
        return target_field(node, terms, weight, run)


class Stack(Operation):
    """`[t, u]`: several targets side by side on the axis `class`."""

    name = "stack"
    head = True

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        index, weight = _aligned(inputs)
        dims = tuple(d for d in index[0].dims if d != TERM)
        stacked_index, stacked_weight = (
            Named((*dims, "class", TERM), np.stack([a.data for a in arrays], axis=-2)) for arrays in (index, weight)
        )
        return target_field(node, stacked_index, stacked_weight, run)


class Combine(Operation):
    """`t - u`, `t + u`: one score out of two."""

    name = "combine"
    head = True

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        index, weight = _aligned(inputs)
        signed = [weight[0].data, weight[1].data * node["sign"]]
        joined = Named(index[0].dims, np.concatenate([a.data for a in index], axis=-1))
        return target_field(node, joined, Named(index[0].dims, np.concatenate(signed, axis=-1)), run)


def _aligned(targets: Sequence[Field]) -> tuple[list[Named], list[Named]]:
    """Return classes and weights of some targets, with the same axes and number of terms; a missing term has weight
    0."""
    indices = [target.index for target in targets if target.index is not None]
    weights = [target.weight for target in targets if target.weight is not None]
    dims = tuple(d for d in union_of(indices) if d != TERM)
    sizes = {d: s for a in indices for d, s in a.sizes.items()}
    terms = max(a.sizes[TERM] for a in indices)

    def padded(array: Named, mode: Literal["constant", "edge"]) -> Named:
        data = np.broadcast_to(array.spread((*dims, TERM)), [*(sizes[d] for d in dims), array.sizes[TERM]])
        pad = [(0, 0)] * len(dims) + [(0, terms - data.shape[-1])]
        return Named((*dims, TERM), np.pad(data, pad, mode=mode))

    # A missing term repeats an existing class: another class would cost a pass.
    return [padded(a, "edge") for a in indices], [padded(a, "constant") for a in weights]


def _classes(target: Field) -> Named:
    """Return the classes of a target that are single ones."""
    assert target.index is not None
    return target.index.take(TERM, Named((), np.array(0)))


def target_field(node: Node, index: Named, weight: Named, run: Run) -> Field:
    """Make a field of scores. index, weight: (..., term), the classes and coefficients of each score."""
    scores = run.scores
    if node.type.unit == "probability":
        scores = run.probabilities
    table = Named(("input", "class*"), scores)
    picked = table.take("class*", index)
    values = combine(np.multiply, picked, weight).summed(TERM, np.float32)
    plain = tuple(d for d in index.dims if d != TERM)
    single = index.data.shape[-1] == 1 and bool((weight.data == 1).all())
    coords = {"input": Named(("input",), np.arange(len(scores)))}
    if single:
        coords["class"] = Named(plain, index.data[..., 0])
    elif "class" in plain:
        coords["target"] = Named(("class",), np.arange(index.sizes["class"]))
    names = np.empty(index.data.shape[:-1], dtype=object)
    for position in np.ndindex(names.shape):
        names[position] = target_words(index.data[position], weight.data[position], run)
    return Field(node.type, values, coords, {"class": Named(plain, names)}, index, weight)


def target_words(classes: np.ndarray, weights: np.ndarray, run: Run) -> str:
    """Name a target: "tabby − tiger cat"."""
    words = ""
    for number, weight in zip(classes, weights, strict=True):
        if weight == 0:
            continue
        sign = "−" if weight < 0 else "+"
        label = run.label(int(number))
        words += (f" {sign} " if words else "" if weight > 0 else "−") + label
    return words


OPERATIONS = (Output(), Stack(), Combine())
