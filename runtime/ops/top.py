"""`top`, `bottom`, `both`: keep the strongest atoms."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.contract import Arguments, Demand, Make, Operation, Parameter, Registry, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import DIFFERENCE, FieldType
from bbilang.runtime.fields.field import Field, Named, combine
from bbilang.runtime.fields.ranking import (
    ALONG,
    BY,
    JOINT,
    PER,
    pick_ranked,
    ranked_axes,
    ranked_type,
    ranks,
    score_of,
    without_ties,
)
from bbilang.runtime.ops.datasets import by_column

K = Parameter("k", "integer", "how many to keep", minimum=1, maximum=100_000, candidates=(8, 3, 20))


class Keep(Operation):
    """Ranks atoms and keeps one or both ends of the order."""

    of_datasets = True
    adds_up = True
    selects = idempotent = True
    keeps_least = "k"

    parameters = (K, ALONG, BY, PER, JOINT)
    ascending = False
    one_end = True  # only the first of the order are selected

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return self.ranked(field, arguments, arguments["k"])

    def ranked(self, field: FieldType, arguments: Arguments, k: int, gap: int = 0) -> FieldType:
        """Replace the ranked axes by one of size k. Raises `Fail`."""
        by_column.check(self.name, field, arguments, ranked_axes(field, arguments))
        return ranked_type(field, arguments, k, gap)

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        return by_column.with_column(self.name, field, arguments)

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return by_column.demands(node)

    def follows(self, field: FieldType, arguments: Arguments) -> bool:
        others = [axis for axis in field.axes if axis.name != "input"]
        plain = arguments["by"] in ("value", "magnitude") and arguments["per"] is arguments["joint"] is None
        return self.one_end and plain and len(others) == 1 and field.axis("example") is None

    def ranks(self, node: Node) -> tuple[int, bool, bool] | None:
        return (node["k"], self.ascending, node["by"] == "magnitude") if self.one_end else None

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        arguments: Arguments = dict(node.parameters)
        axes = ranked_axes(field.type, arguments)
        most, scored = node["k"] if self.one_end else None, field
        if by_column.is_column(node["by"]):
            field, scored, arguments = by_column.known_by(node, field, run)
        score = score_of(scored, axes, arguments, run)
        if node["by"] == "difference" or any(step.startswith(DIFFERENCE) for step in field.type.steps):
            score = without_ties(score, axes)  # of a class and itself: the first atoms would look like an answer
        order, count = ranks(score, axes, self.ascending, most)
        order = by_column.without_unknown(order, count) if scored is not field else order
        selected = pick_ranked(field, node.type, axes, self.chosen(order, count, node["k"]))
        if field.type.content == "activation" and field.type.atom == "neuron":
            if [axis.components for axis in axes] == [("channel",)] and not field.type.axis("class"):
                selected.shares = (*selected.shares, share_shown(field, selected, axes[0].name, node.type))
        return selected

    def phrase(self, node: Node, registry: Registry) -> str:
        ends = ["highest"] * (not self.ascending) + ["lowest"] * (self.ascending or not self.one_end)
        return " and ".join(f"the {node['k']} {end}" for end in ends)

    def chosen(self, order: Named, count: np.ndarray, k: int) -> Named:
        return Named(order.dims, order.data[..., :k])


def share_shown(field: Field, selected: Field, axis: str, type: FieldType) -> tuple[str, Named, str]:
    """Return the share of the squared norm of each vector of channels (along ``axis``) in the selected neurons."""

    def energy(values: Named, along: str) -> Named:
        axis_index = values.dims.index(along)
        dims = values.dims[:axis_index] + values.dims[axis_index + 1 :]
        return Named(dims, np.nansum(np.square(values.data, dtype=np.float64), axis=axis_index))

    new = next(a.name for a in type.axes if a.components == ("channel",))
    part, whole = energy(selected.values, new), energy(field.values, axis)
    share = combine(
        lambda a, b: np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b > 0), part, whole
    )
    return "the neurons shown hold {} of the squared norm of the whole vector", share, ""


class Top(Keep):
    """The k strongest atoms, strongest first, ranked by the maximum over all other axes, separately in each state and
    for each input.

    With `joint=input` all inputs have the same atoms, those with the largest value over the inputs, and
    `present(matrix)` has a number in every cell. Of a dataset it keeps the examples with the largest numbers in a
    column: `photos | top(20, by=loss)`.
    """

    name = "top"
    example = "block6a.expand.channel | attribute(output) | top(8) | present(featvis)"


class Bottom(Keep):
    """The k weakest atoms, weakest first: by signed value, those with the strongest evidence against.

    Ranked like `top`, by the maximum over all other axes: with several classes, it keeps the atoms that are evidence
    for none of them. For the strongest evidence against one class, use `by=` that class, or a separate pipe.
    """

    name = "bottom"
    ascending = True
    example = "block6a.expand.channel | attribute(output) | bottom(8) | present(featvis)"


class Both(Keep):
    """The k strongest and the k weakest atoms, with a gap between them, strongest first; all atoms if there are fewer
    than 2k.

    Ranked like `top`, by the maximum over all other axes: with several classes, the weakest atoms are those that are
    evidence for none of them. `by=difference`, or `by=` a class, ranks by a single number.
    """

    name = "both"
    one_end = False
    example = (
        'block6a.expand.channel | attribute([output["tabby"], output["tiger cat"]])\n'
        "    | both(3, by=difference) | present(featvis)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        k = arguments["k"]
        return self.ranked(field, arguments, 2 * k, k)

    def chosen(self, order: Named, count: np.ndarray, k: int) -> Named:
        """Keep the first ``k`` and the last ``k`` atoms of an order, all where there are at most 2 k; missing ones are
        -1."""
        data = order.data
        if data.shape[-1] <= 2 * k:
            return order
        # The last k atoms are just before the missing ones.
        last = np.maximum(count[..., None] - k, k) + np.arange(k)
        tail = np.take_along_axis(data, np.minimum(last, data.shape[-1] - 1), -1)
        tail = np.where(last < count[..., None], tail, -1)
        return Named(order.dims, np.concatenate([data[..., :k], tail], -1))


OPERATIONS = (Top(), Bottom(), Both())
