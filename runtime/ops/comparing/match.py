"""`match(other, by=)`: which channels of another network correspond to these."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from bbilang.compiler.contract import Arguments, Fail, Make, Operation, Parameter, Registry, Run
from bbilang.compiler.ir.model_description import INPUT
from bbilang.compiler.ir.program import Node, PerExample
from bbilang.compiler.ir.types import PARTNER, Axis, FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.prose import PLURALS, prose
from bbilang.runtime.matching.assignment import NONE, best, next_best, one_to_one
from bbilang.runtime.ops.comparing.responses import RESPONSES, WEIGHTS, state_in, state_of

if TYPE_CHECKING:
    from bbilang.runtime.matching.weight_matching import Matched
    from bbilang.runtime.models.adapter import Adapter

NEXT = "next"  # stands beside the numbers: the largest with any channel but the partner
AS_ALIKE = 0.05  # a difference of two numbers below which neither channel is told from the other
CORRELATION, BY_WEIGHTS = "correlation", "weight_matching"
PAIRINGS = {"one_to_one": one_to_one, "best": best}


class Match(Operation):
    """Pairs each channel with the channel of another network, or of another layer, that corresponds to it; the number
    of a pair is how alike the two are.

    `correlation` compares what the channels do: their activations at all positions of the page's inputs, or their means
    over positions for each example of a dataset (`source=`). `weight_matching` compares what they are made of (git
    re-basin, Ainsworth et al. 2022), for the same layer of two networks of one architecture: all layers are permuted
    together so that the weights agree best, and the number is the cosine of the weights around the two channels. Which
    channels move together is read from the network's graph.

    One to one, no channel is taken twice, and the sum of all numbers is largest; `pairs=best` gives each its most alike
    by itself. The pairs are those of the whole layer, however few of its channels a pipe has left. Beside each number
    stands the largest one with any channel but the partner: where that is as large, nothing tells the two apart.
    """

    name = "match"
    of_channels = without_input = True
    crosses_models = True
    parameters = (
        Parameter("other", "atoms", "the channels to match with, as in `b:some_layer.channel`"),
        Parameter("by", "word", "what is compared", CORRELATION, choices=(CORRELATION, BY_WEIGHTS)),
        Parameter("source", "dataset", "the examples over which activations are correlated; without it, the page's "
                  "inputs", None),
        Parameter("pairs", "word", "whether a channel may be taken twice", "one_to_one", choices=tuple(PAIRINGS)),
    )  # fmt: skip
    example = (
        'dataset photos = "sample:shapes" | sample(64)\n'
        "block5b.expand.channel | match(block5c.expand.channel, source=photos) | top(8) | present(featvis)"
    )

    def phrase(self, node: Node, registry: Registry) -> str:
        return f"each with its partner by {str(node['by']).replace('_', ' ')}"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        other: FieldType = arguments["other"].type
        axis = _channels(field)
        if other.atom == "whole" and len(other.layers) == 1:
            help = f"as in `match({f'{other.model}:' if other.model else ''}{other.layers[0]}.channel)`"
            raise Fail("E268", "channels are matched with channels, and this is a whole layer", help, "other")
        if arguments["other"].op != "substrate" or other.atom != "channel" or len(other.layers) != 1:
            message = "channels are matched with all channels of one layer"
            raise Fail("E268", message, "as in `match(b:some_layer.channel)`", "other")
        if INPUT in other.layers:
            raise Fail("E268", "the channels of the input are colours", "name a layer", "other")
        weights = arguments["by"] == BY_WEIGHTS
        if weights:
            _check_weights(field, other, arguments)
        model = other.model if other.model != field.model else ""
        content = "cosine of the weights" if weights else "correlation"
        return replace(field, content=content, axes=(replace(axis, varies=()),), signed=True, unit="", scope="",
                       steps=(), spent=(), columns=(), partner=(model, other.layers[0]))  # fmt: skip

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        other: Node = arguments["other"]
        own = field
        while own.inputs:
            own = own.inputs[0]
        if own.op != "substrate" or own.type.atom != "channel":
            help = "start it with the layer: `some_layer.channel | ...`"
            help = "leave `across` out: `match(..., source=photos)`" if field.type.axis("example") else help
            raise Fail("E268", "channels of a layer are matched, and this pipe starts with others", help)

        def of(channels: Node) -> Node:
            if arguments["by"] == BY_WEIGHTS:
                return make(WEIGHTS, channels)
            source = arguments["source"]
            each = None if source is None else PerExample(make("activation", channels, reduce="mean"))
            return make(RESPONSES, channels, source=source, each=each)

        given = {**arguments, "other": PerExample(other), "theirs": of(other)}
        return given if arguments["by"] == BY_WEIGHTS else {**given, "own": of(own)}

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        how = _by_weights if node["by"] == BY_WEIGHTS else _by_correlation
        similarity, partners, others, chance, notes = how(node, run)
        channels = field.coords["channel"]
        if "input" in channels.dims:  # of a page with one input: the type rule refuses others
            channels = channels.take("input", Named((), np.array(0)))
        there = channels.data >= 0
        at = np.maximum(channels.data, 0)
        partner = np.where(there, partners[at], NONE)
        values = np.where(there & (partner >= 0), similarity[at], np.nan).astype(np.float32)
        coords = {"channel": channels, PARTNER: Named(channels.dims, partner)}
        beside = {
            "chance": Named((), np.array(chance, np.float32)),
            NEXT: Named(channels.dims, np.where(there, others[at], np.nan).astype(np.float32)),
        }
        return Field(node.type, Named(channels.dims, values), coords, notes=(*field.notes, *notes), beside=beside)


def _channels(field: FieldType) -> Axis:
    """Return the axis of a field's channels. Raises `Fail` E268."""
    axis = next((axis for axis in field.axes if axis.components == ("channel",)), None)
    if field.atom != "channel" or axis is None or len(field.layers) != 1 or INPUT in field.layers:
        message = f"channels of one layer are matched, and these are {PLURALS.get(field.atom, field.atom)}"
        if field.atom == "channel":
            message = "channels of one layer are matched, and these are of several, or of none"
        raise Fail("E268", message, "as in `a:some_layer.channel | match(b:some_layer.channel)`")
    several = next((a for a in field.axes if a.name == "input" and a.size > 1), None)
    varies = [name for name in axis.varies if name != "input" or several is not None]
    if varies:
        message = f"these channels differ along `{varies[0]}`, and a channel has one partner"
        help = "choose them for all inputs together: `top(..., joint=input)`" if varies == ["input"] else None
        raise Fail("E268", message, help or f"leave out `per={varies[0]}`")
    return axis


def _check_weights(field: FieldType, other: FieldType, arguments: Arguments) -> None:
    """Raise `Fail` E269 or E277 where weights cannot be matched."""
    if other.model == field.model:
        help = "correlate what they do: leave out `by=weight_matching`"
        raise Fail("E269", "weights are matched between two networks, and this is one", help, "other")
    if other.layers != field.layers:
        message = f"weights are matched for the same layer of two networks: `{field.layers[0]}`"
        raise Fail("E269", f"{message}, and this is `{other.layers[0]}`", None, "other")
    if arguments["source"] is not None:
        raise Fail("E277", "weights are matched without any example", "leave out `source=`", "source")
    if arguments["pairs"] != "one_to_one":
        message = "matching weights permutes the channels of one network, so it is one to one"
        raise Fail("E277", message, "leave out `pairs=`", "pairs")


# (channel,): number of its pair, its partner, the largest number with another one; the mean number of pairs that do not
# belong together; notes
Found: TypeAlias = "tuple[np.ndarray, np.ndarray, np.ndarray, float, tuple[str, ...]]"


def _by_correlation(node: Node, run: Run) -> Found:
    from bbilang.runtime.matching.correlation import FEWEST, by_chance, correlations

    own, other, samples = _samples(run.value(node["own"]), run.value(node["theirs"]))
    if len(own) < FEWEST:
        help = "name a dataset: `match(..., source=photos)`"
        raise error("E573", f"a correlation needs samples, and there are {len(own)}", help)
    pairing = PAIRINGS[node["pairs"]]
    table = correlations(own, other)
    partners = pairing(table)
    rows = np.arange(len(table))
    similarity = np.where(partners >= 0, table[rows, np.maximum(partners, 0)], np.nan)
    chance = by_chance(own, other, pairing, int(run.program.setting("seed", 0)))
    paired, others = similarity[partners >= 0], next_best(table, partners)
    notes = [f"correlated over {samples}"]
    if len(paired) and chance == chance:
        notes.append(f"{_mean(paired)}, and {prose(chance)} where the samples of one side are shuffled first")
    notes += _left_out(int(np.isnan(table).all(1).sum()), int((partners < 0).sum()))
    return similarity, partners, others, chance, (*notes, *_as_alike(similarity, others))


def _mean(paired: np.ndarray) -> str:
    return f"the mean of all {len(paired):,} pairs of the layer is {prose(float(paired.mean()))}"


def _as_alike(similarity: np.ndarray, others: np.ndarray) -> tuple[str, ...]:
    """Say of how many channels of the layer another one is as alike as the partner, (channel,) each."""
    paired, many = int((similarity == similarity).sum()), int(as_alike(similarity, others).sum())
    if not many:
        return ()
    words = f"for {many:,} of {paired:,} channels another one of the other layer is as alike as the partner, to within "
    return (f"{words}{AS_ALIKE}: which of them is the counterpart cannot be told",)


def _left_out(constant: int, alone: int) -> list[str]:
    notes = [f"{constant:,} {_channels_word(constant)} constant here and without a correlation"] if constant else []
    left = alone - constant
    return notes + ([f"{left:,} {_channels_word(left)} left over, since the other layer has fewer"] if left else [])


def _channels_word(count: int) -> str:
    return "channel is" if count == 1 else "channels are"


def _samples(own: Field, other: Field) -> tuple[np.ndarray, np.ndarray, str]:
    """Return what two layers answer to the same samples, (sample, channel) each, and the samples in words."""
    from bbilang.runtime.matching.correlation import on_one_grid

    if "example" in own.coords:
        numbers = (own.coords["example"].data, other.coords["example"].data)
        both, mine, theirs = np.intersect1d(*numbers, return_indices=True)
        return own.values.data[mine], other.values.data[theirs], f"{len(both):,} examples, each the mean over positions"
    first, second = own.values, other.values
    count = first.sizes["input"]
    inputs = f"{count:,} input{'s' if count > 1 else ''}"
    if {"y", "x"} <= {*first.dims} & {*second.dims}:
        order = ("input", "y", "x", "channel")
        maps = on_one_grid(first.ordered(order).data, second.ordered(order).data)
        y, x = maps[0].shape[1:3]
        flat = [one.reshape(-1, one.shape[-1]) for one in maps]
        return flat[0], flat[1], f"{len(flat[0]):,} samples: {y} x {x} positions of {inputs}"
    return _means(first), _means(second), inputs


def _means(values: Named) -> np.ndarray:
    """Return the mean over positions, (input, channel)."""
    data = values.ordered((*(dim for dim in values.dims if dim != "channel"), "channel")).data
    return np.nanmean(data.reshape(len(data), -1, data.shape[-1]), 1)


def _by_weights(node: Node, run: Run) -> Found:
    from bbilang.runtime.matching.groups import Symmetries
    from bbilang.runtime.matching.trace import channels_of
    from bbilang.runtime.matching.weight_matching import match
    from bbilang.runtime.passes.fallback import NotTraceable

    adapter, (layer,) = cast("Adapter", run.adapter), node.type.layers
    other = node["other"].node.type.model
    first, second = state_of(adapter.module), state_in(run.value(node["theirs"]))
    _check_alike(first, second, other)
    try:
        known = channels_of(adapter)
        axis = known.of_layer(layer)
    except NotTraceable as problem:
        raise error("E572", f"the graph of the network cannot be read: {problem}", CORRELATE) from problem
    symmetries = Symmetries.of(known)
    moved = np.concatenate([*symmetries.groups, np.zeros(0, int)])
    if axis is None or not np.isin(axis.channels, moved).any():
        message = f"the channels of `{layer}` have a fixed order, as far as the network's graph shows"
        raise error("E572", message, CORRELATE)
    memo = _memo(run)
    key = f"matched {node['theirs'].digest}"
    found = memo.get(key) or memo.setdefault(key, match(symmetries, first, second))
    place = {channel: number for number, channel in enumerate(axis.channels.tolist()) if channel >= 0}
    partners = np.array([place.get(found.partner[c], NONE) if c >= 0 else NONE for c in axis.channels.tolist()])
    similarity = np.where(axis.channels >= 0, found.cosine[axis.channels], np.nan)
    wrong = found.others[axis.channels[axis.channels >= 0]]
    chance = float(wrong[wrong == wrong].mean()) if (wrong == wrong).any() else float("nan")
    dead, twins = found.dead[axis.channels], found.twins[axis.channels]
    paired = similarity[similarity == similarity]
    others = np.where(axis.channels >= 0, found.next[axis.channels], np.nan)
    notes = [
        f"weights of {len(symmetries.groups)} groups of channels that move together, read from the network's graph",
        f"{_mean(paired)}, and {prose(chance)} where each gets its neighbour's partner" if len(paired) else "",
        f"{dead.sum():,} {_channels_word(dead.sum())} dead: no weight reaches, or none reads" if dead.any() else "",
        f"{twins.sum():,} channels have a twin with the same weights, and which of the two is meant is arbitrary"
        if twins.any() else "",
    ]  # fmt: skip
    return similarity, partners, others, chance, (*(note for note in notes if note), *_as_alike(similarity, others))


CORRELATE = "correlate what the channels do: leave out `by=weight_matching`"


def _memo(run: Run) -> dict[str, Matched]:
    """Return what matchings of one network share."""
    from bbilang.runtime.passes.module.memo import memo_of

    memo: dict[str, Matched] = memo_of(cast("Adapter", run.adapter).module).setdefault("matched weights", {})
    return memo


def _check_alike(first: dict[str, np.ndarray], second: dict[str, np.ndarray], other: str) -> None:
    """Raise BbiError E571 where two networks are not of one architecture."""
    shapes = [{name: array.shape for name, array in state.items()} for state in (first, second)]
    if shapes[0] == shapes[1]:
        return
    odd = next((name for name in {**shapes[0], **shapes[1]} if shapes[0].get(name) != shapes[1].get(name)), "")
    has = " and ".join("none" if odd not in one else " x ".join(map(str, one[odd])) or "one number" for one in shapes)
    raise error("E571", f"`{other}` is of another architecture: `{odd}` has the sizes {has}", CORRELATE)


def as_alike(similarity: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return where another channel is about as alike as the partner, or more."""
    return np.asarray(similarity - others < AS_ALIKE)


def partner_node(node: Node) -> Node:
    """Return a node with the type of the channels that others were matched with."""
    model, layer = node.type.partner
    type = replace(node.type, model=model or node.type.model, layers=(layer,), partner=())
    return Node(node.op, node.inputs, node.parameters, type)


def partner_field(field: Field, type: FieldType) -> Field:
    """Return the field of the channels that others were matched with."""
    coords = {name: array for name, array in field.coords.items() if name != PARTNER}
    return replace(field, type=type, coords={**coords, "channel": field.coords[PARTNER]})


class Partners(Operation):
    """The channels that those of a pipe were matched with, as atoms of their own network."""

    name = "partners"
    head = True

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        model, layer = field.partner
        return replace(field, model=model or field.model, layers=(layer,), partner=())

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        return partner_field(field, node.type)


OPERATIONS = (Match(), Partners())
