"""`ablate(value=)` and `isolate(value=)`: replace each atom's part of a layer, or everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbilang.compiler.contract import (
    ATOMS,
    Arguments,
    Demand,
    ExamplesOf,
    Fail,
    Make,
    Parameter,
    Registry,
    Writer,
    Written,
)
from bbilang.compiler.ir.program import STAND_IN, Node, PerExample
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.interventions import replacements, stand_ins
from bbilang.runtime.interventions.distance import FEWEST, distances, natural_distance, over_examples, too_few
from bbilang.runtime.interventions.of_networks import NetworkIntervention
from bbilang.runtime.interventions.sets import Sets
from bbilang.runtime.ops.activation import require_layer

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.execution.context import Run as ProgramRun
    from bbilang.runtime.interventions.layer import ChangedLayer


class Replacing(NetworkIntervention):
    """Replaces parts of a layer by other values."""

    scans: ClassVar[tuple[str, ...]] = ("mean",)  # the values that need each channel's mean over a dataset

    def phrase(self, node: Node, registry: Registry) -> str:
        return f"each replaced by {str(node['value']).replace('_', ' ')}"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        require_layer(field, self.name)
        replacements.check_source(self.name, arguments)
        return self.changed(field, arguments)

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        needed = arguments["value"] in self.scans
        return {**arguments, "each": replacements.position_means(field) if needed else ()}

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return () if node["source"] is None else self._demanded(node)

    def _demanded(self, node: Node) -> tuple[Demand, ...]:
        summaries = tuple(each.node for each in node["each"])
        own = (ExamplesOf(node["source"], summaries=summaries),) if summaries else ()
        return (*own, *replacements.demanded(node))

    def demands_outside(self, node: Node) -> tuple[Demand, ...]:
        return self._demanded(node)

    def outside(self, node: Node, layer: str, run: ProgramRun) -> tuple[str, Callable[[], Tensor]]:
        return replacements.outside(node, layer, run)

    def repeats(self, node: Node) -> int:
        held = node.get(STAND_IN)
        source = held.node["source"] if isinstance(held, PerExample) else node["source"]
        most = self.repeats_for(dict(node.parameters))
        return most if source is None else min(most, source.type.axes[0].size)

    def repeats_for(self, arguments: Arguments) -> int:
        return replacements.VALUES[arguments["value"]].draws

    def difference(self, node: Node, layer: ChangedLayer) -> Tensor:
        return replacements.VALUES[node["value"]].values(node, layer) - layer.activation

    def words(self, arguments: Arguments, its: str) -> str:
        return replacements.said(arguments, its)

    def written(self, node: Node, writer: Writer) -> Written | None:
        return None if node["source"] is not None else (f"{self.name}({node['value']})",)


class Ablate(Replacing):
    """Replaces each atom's part of the layer, one atom at a time or all of the field `together`. `effect(to)` says what
    that does to a target.

    The part of a channel is its map, that of a position its vector, and that of a direction the component along it, at
    every position; of several directions together, the component in their span. `zero` sets it to zero;
    `position_mean` to each channel's mean over the positions of the same input; `mean` to each channel's mean over all
    positions of a dataset; `noise` to normal noise with the mean and the standard deviation over positions; `resample`
    to what other examples of a dataset have there. Of `noise` and `resample` the effect is the mean over eight draws.
    """

    name = "ablate"
    parameters = (
        Parameter("value", "word", "what replaces the part", "zero", choices=tuple(replacements.VALUES)),
        replacements.SOURCE,
        Parameter("together", "flag", "change all atoms of the field at once, not one at a time", False),
    )
    model_parameters = (ATOMS, parameters[0], replacements.SOURCE)
    example = "block6a.expand.channel | attribute(output) | top(8) | ablate(zero) | effect(output) | present(bars)"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        value = arguments["value"]
        if field.atom == "group" and not replacements.VALUES[value].of_groups:
            help = "`zero` or `position_mean`; or take the channels that the groups are made of"
            raise Fail("E272", f"the part of a group cannot be replaced by `{value}`", help, "value")
        if field.atom == "direction" and not replacements.VALUES[value].of_directions:
            what = f"`{value}` has the mean and the standard deviation of each channel, and a direction has others"
            raise Fail("E272", what, "`zero`, `position_mean`, `mean` or `resample`", "value")
        return super().type(field, arguments)

    def evens_out(self, node: Node) -> bool:
        return bool(node["value"] == "position_mean")

    def of_groups(self, node: Node, layer: ChangedLayer) -> Tensor:
        parts = layer.parts
        if node["value"] == "zero":
            return -parts
        dims = tuple(1 + n for n in layer.spread_positions(node["value"]))
        return parts.mean(dims, keepdim=True) - parts


class Isolate(Replacing):
    """Replaces everything of the layer but the atoms of the field, which stay together: are they enough?

    What stands instead is what other examples of a dataset have there (`resample`, the mean effect of eight), or each
    channel's `mean` over the dataset: a layer that is zero elsewhere is a state that the network never sees. The legend
    says how far the state lies from those of the examples.
    """

    name = "isolate"
    keeps = True
    scans = ("mean", "resample")
    parameters = (
        Parameter("value", "word", "what replaces the rest", "resample", choices=("resample", "mean")),
        replacements.SOURCE,
    )
    model_parameters = (
        ATOMS,
        Parameter("value", "word", "what replaces the rest", "mean", choices=("mean",)),
        replacements.SOURCE,
    )
    example = (
        'dataset photos = "sample:shapes" | sample(64)\n'
        "block6a.expand.channel | attribute(output) | top(32) | isolate(source=photos) | effect(output)"
        " | present(number)"
    )

    def together(self, arguments: Arguments) -> bool:
        return True

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        if field.atom in ("group", "whole"):
            what = "groups leave a part of the layer unexplained" if field.atom == "group" else "nothing else is left"
            help = "isolate channels or positions of the layer"
            raise Fail("E272", f"`isolate` keeps some atoms of a layer and replaces the rest: {what}", help)
        return super().type(field, arguments)

    def remarks(self, node: Node, layer: ChangedLayer, sets: Sets) -> tuple[str, ...]:
        return () if node["source"] is None else natural_distance(node, layer, sets)

    def natural(self, node: Node, layer: str, run: ProgramRun) -> np.ndarray | None:
        means = replacements.natural_means(node, run, layer)
        return None if len(means) < FEWEST else means

    def distances(self, layer: ChangedLayer, sets: Sets) -> np.ndarray | None:
        known = stand_ins.of_layer(layer)
        return None if known is None or known.natural is None else distances(layer, sets, known.natural)

    def said_of_examples(self, node: Node, distances: np.ndarray | None, run: ProgramRun) -> tuple[str, ...]:
        count = len(replacements.natural_means(node, run, node.type.layers[0]))
        return (too_few(count) if distances is None else over_examples(distances, count),)


OPERATIONS = (Ablate(), Isolate())
