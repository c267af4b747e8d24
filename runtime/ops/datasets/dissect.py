"""`dissect(dataset, quantile=, split=)`: what the channels of a layer detect (Network Dissection)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import (
    Arguments,
    Demand,
    ExamplesOf,
    Fail,
    Make,
    Operation,
    Parameter,
    Registry,
    Run,
    Scanned,
)
from bbilang.compiler.ir.program import Node, PerExample, source_dataset
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.datasets.examples import DATASET
from bbilang.runtime.ops.datasets.splits import Split, check_split, split_of, split_parameter
from bbilang.runtime.statistics.dissect import DETECTOR, QUANTILE, Overlaps, OverlapSearch, ThresholdSearch, rotation

if TYPE_CHECKING:
    from PIL.Image import Image

    from bbilang.runtime.data.dataset import Dataset

MOST_SEGMENTS = 1000
MOST_PIXELS = 112  # along the side of a mask: as many as the paper's
TRAIN = "train"


class Dissect(Operation):
    """How well each channel of a layer covers each kind of segment that is labelled in a dataset: the intersection over
    union of the pixels where its map, interpolated to the picture, is above a high quantile, with the segment's, summed
    over the pictures (Network Dissection, Bau et al. 2017).

    Quantiles are those of one half of the examples (the split `train` where there is one; with `split=`, one value
    of that column), overlaps those of the other.
    A channel whose quantile is its largest value, as at the ceiling of ReLU6, has no overlap. The legend compares how
    many channels reach 0.04 with how many do after a random rotation of the layer: as many would say that its
    directions mean as much as its channels.
    """

    name = "dissect"
    parameters = (
        DATASET,
        Parameter("quantile", "number", "of a channel's values at all positions, above which it is active", QUANTILE,
                  minimum=0.5, maximum=0.9999),
        split_parameter("a column with two values: quantiles are of the examples where it is `train`, or the first, "
                        "overlaps of the others", DATASET.name),
    )  # fmt: skip
    example = (
        'dataset shapes = "sample:shapes"\n'
        "block6a.expand.neuron | dissect(shapes) | max(segment) | top(8) | present(bars)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        layer = field.layers[0] if field.layers else "block6a.expand"
        maps = {"y", "x", "channel"} <= set(field.names) and all(axis.whole for axis in field.axes)
        if field.atom != "neuron" or field.content != "activation" or not maps or len(field.layers) != 1:
            raise Fail(
                "E238", "`dissect` takes the maps of a layer's channels", f"write `{layer}.neuron | dissect(...)`"
            )
        check_split(arguments["split"], (arguments["dataset"],))
        channel = field.axis("channel")
        assert channel is not None
        axes = (replace(channel), Axis("segment", MOST_SEGMENTS, exact=False))
        return replace(field, content="overlap", atom="channel", axes=axes, signed=False, steps=(),
                       unit="intersection over union")  # fmt: skip

    def fed(self, field: Node, arguments: Arguments, registry: Registry) -> tuple[Node, ...]:
        return ()

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        return {**arguments, "each": PerExample(field)}

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return (ExamplesOf(node["dataset"], (node["each"].node,)),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        dataset, maps = run.dataset(source_dataset(node["dataset"])), node["each"].node
        scanned = run.scanned(node["dataset"])
        if not dataset.segment_names:
            raise error("E465", f"no segments are labelled in {dataset.name}", "`sample:shapes` has some")
        wanted = run.value(node["dataset"]).coords["example"].data
        (layer,) = maps.type.layers
        split = split_of(node["split"], (node["dataset"],), run) if node["split"] else None
        halves = _halves(dataset, scanned, wanted, split)
        if not all(half.any() for half in halves):
            raise error("E465", f"{len(wanted)} examples of {dataset.name} give no two halves", "take more of them")
        turn = rotation(run.layer(layer).sizes["channel"], int(run.program.setting("seed", 0)))
        own, turned = _overlaps(maps, scanned, dataset, halves, node["quantile"], (None, turn))
        return _field(
            node, own, turned, dataset.segment_names, (*scanned.notes, *_words(halves, split, wanted, scanned))
        )


def _halves(
    dataset: Dataset, scanned: Scanned, wanted: np.ndarray, chosen: Split | None
) -> tuple[np.ndarray, np.ndarray]:
    """Split the scanned examples (example,) into those of the thresholds and those of the overlaps."""
    rows = np.asarray(scanned.rows)
    inside = np.isin(rows, wanted)
    if chosen is not None:
        sides = chosen.sides(dataset.columns[chosen.column][rows])
        return inside & (sides == 0), inside & (sides == 1)
    split = dataset.split
    if split is not None and len(set(split[rows[inside]].tolist())) > 1:
        first = split[rows] == TRAIN if TRAIN in split else split[rows] == split[rows[inside]][0]
    else:
        first = np.array([int(digest[:8], 16) % 2 == 0 for digest in scanned.digests()], bool)
    return inside & first, inside & ~first


def _words(
    halves: tuple[np.ndarray, np.ndarray], split: Split | None, wanted: np.ndarray, scanned: Scanned
) -> tuple[str, ...]:
    first, second = (int(half.sum()) for half in halves)
    words = f"quantiles of {first:,} examples, overlaps on {second:,} others"
    lost = int(np.isin(np.asarray(scanned.rows), wanted).sum()) - first - second
    return (words,) if split is None else (words, *split.notes("quantiles", "overlaps", lost))


def _maps(maps: Node, scanned: Scanned, wanted: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number of each scanned example that is wanted (example,) and its maps (channel, y, x). The maps of the
    others are not read."""
    numbers = iter(np.flatnonzero(wanted).tolist())
    for piece in scanned.stream(maps, ("channel", "y", "x"), wanted):
        yield from ((next(numbers), own) for own in piece)


def _overlaps(
    maps: Node,
    scanned: Scanned,
    dataset: Dataset,
    halves: tuple[np.ndarray, np.ndarray],
    quantile: float,
    turns: Sequence[np.ndarray | None],
) -> list[tuple[Overlaps, np.ndarray]]:
    """Return the overlaps, and which channels are saturated, for the layer and each rotation of it. The maps of an
    example, which are the larger part of the shards, are read once: for the thresholds of all, or for the overlaps."""
    first, second = halves
    rows = np.asarray(scanned.rows)
    searches: list[ThresholdSearch] = []
    for _, own in _maps(maps, scanned, first):
        total = int(first.sum()) * own[0].size
        searches = searches or [ThresholdSearch(len(own), total, quantile) for _ in turns]
        for search, turn in zip(searches, turns, strict=True):
            search.add(_turned(own, turn)[None])
    thresholds = [search.result() for search in searches]
    overlaps = [OverlapSearch(each, len(dataset.segment_names)) for each in thresholds]
    for at, own in _maps(maps, scanned, second):
        labelled = masks(dataset.segments(int(rows[at])), scanned.shown)
        for overlap, turn in zip(overlaps, turns, strict=True):
            overlap.add(_turned(own, turn), labelled)
    return [(overlap.result(), each.saturated) for overlap, each in zip(overlaps, thresholds, strict=True)]


def _turned(maps: np.ndarray, turn: np.ndarray | None) -> np.ndarray:
    return maps if turn is None else np.tensordot(turn, maps, 1)


def masks(segments: np.ndarray, shown: Callable[[Image], np.ndarray]) -> np.ndarray:
    """Resize and crop segments (segment, y, x) as ``shown`` does pictures, to at most 112 pixels a side."""
    from PIL import Image

    known: dict[bytes, np.ndarray] = {}
    made: dict[int, np.ndarray] = {}
    for number in np.flatnonzero(segments.any((1, 2))).tolist():
        key = np.packbits(segments[number]).tobytes()
        if key not in known:
            known[key] = _shrunk(shown(Image.fromarray(segments[number].astype(np.uint8) * 255))[..., 0])
        made[number] = known[key]
    nothing = _shrunk(shown(Image.new("L", segments.shape[:0:-1]))[..., 0])
    return np.stack([made.get(number, nothing) for number in range(len(segments))])


def _shrunk(picture: np.ndarray) -> np.ndarray:
    """Return which pixels are on in at least half of each block."""
    step = max(1, -(-max(picture.shape) // MOST_PIXELS))
    y, x = (size // step for size in picture.shape)
    blocks = picture[: y * step, : x * step].reshape(y, step, x, step)
    return blocks.mean((1, 3)) >= 127.5


def _field(
    node: Node,
    own: tuple[Overlaps, np.ndarray],
    turned: tuple[Overlaps, np.ndarray],
    names: tuple[str, ...],
    notes: tuple[str, ...],
) -> Field:
    values = Named(("channel", "segment"), own[0].iou.astype(np.float32))
    counts = [int((overlaps.detectors() >= 0).sum()) for overlaps, _ in (own, turned)]
    notes = (*notes, f"{counts[0]:,} of {len(own[0].iou):,} channels reach {DETECTOR:g}, and {counts[1]:,} directions "
                     "after a random rotation of the layer")  # fmt: skip
    if own[1].any():
        count = int(own[1].sum())
        which = "1 channel has no overlap" if count == 1 else f"{count:,} channels have no overlap"
        notes = (*notes, f"{which}: nothing is above the quantile, which is the largest value")
    coords = {name: Named((name,), np.arange(size)) for name, size in values.sizes.items()}
    return Field(node.type, values, coords, {"segment": Named(("segment",), np.array(names, object))},
                 notes=tuple(dict.fromkeys(notes)))  # fmt: skip


OPERATIONS = (Dissect(),)
