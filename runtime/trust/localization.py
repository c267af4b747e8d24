"""`pointing_game` and `localization`: compare a map with annotated boxes of the class."""

from __future__ import annotations

from typing import NoReturn, TypeAlias

import numpy as np

from bbilang.compiler.check.arguments.bounding_boxes import listed
from bbilang.runtime.errors import error
from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.measure import Finding, Measure
from bbilang.runtime.trust.numbers import over

TOLERANCE = 15.0  # pixels of the network's input
THRESHOLD = 0.2  # of the map's maximum
OVERLAP = 0.5
NONE = "undefined: no box of the class lies in what the network sees"

# For each input and target: (box, 4) of left, top, right, bottom in pixels of the network's input.
Boxes: TypeAlias = "list[list[np.ndarray]]"


class PointingGame(Measure):
    """Whether the maximum of the map lies in a box of the class, or no more than 15 pixels beside one."""

    name = "pointing_game"
    title = "pointing game"
    source = "Zhang et al. 2018"
    formula = "share of maps whose maximum is at most 15 pixels from a box of the class"
    means = (
        "a hit: the strongest position lies on what somebody marked as the class; a network may rightly look outside "
        "of the box, and large boxes are easy to hit"
    )
    boxed = True

    def find(self, case: Case) -> Finding:
        boxes, cropped = boxes_of(case)
        y, x = case.run.images.shape[-2:]
        hits, peaks = np.full(case.attributions.shape[:2], np.nan), np.zeros((*case.attributions.shape[:2], 2))
        for i, t in np.ndindex(*hits.shape):
            peaks[i, t] = peak = np.array(np.unravel_index(np.argmax(image_of(case, i, t)), (y, x)))
            if len(boxes[i][t]):
                hits[i, t] = distances(peak + 0.5, boxes[i][t]).min() <= TOLERANCE
        played = int((~np.isnan(hits)).sum())
        hit = int(np.nansum(hits))
        words = f"the maximum lies in a box of the class, or at most 15 pixels beside one, in {hit} of {played} maps"
        words = words if played else NONE
        warning = ""
        if played and not hit:
            warning = (
                "This attribution fails the pointing game: its strongest position lies over 15 pixels outside of every "
                "box of the class."
            )
        return Finding(_with(words, cropped), warning, values={"hits": hits, "peaks": peaks})


class Localization(Measure):
    """How well the box around the strongest part of the map fits a box of the class."""

    name = "localization"
    title = "weak localization"
    source = "Zhou et al. 2016; Cao et al. 2015"
    formula = (
        "share of maps of which the box around the largest part that is at least .2 of the maximum has an intersection "
        "over union of .5 or more with a box of the class"
    )
    means = (
        "a fit: the strong part of the map covers the whole of what somebody marked; a map may rightly name one part "
        "of it, such as the face"
    )
    boxed = True

    def find(self, case: Case) -> Finding:
        boxes, cropped = boxes_of(case)
        overlaps = np.full(case.attributions.shape[:2], np.nan)
        for i, t in np.ndindex(*overlaps.shape):
            if len(boxes[i][t]):
                own = box_of(image_of(case, i, t))
                overlaps[i, t] = 0.0 if own is None else overlaps_with(own, boxes[i][t]).max()
        known = overlaps[~np.isnan(overlaps)]
        words = NONE
        if known.size:
            words = (
                f"the box around the largest part of the map above {THRESHOLD:g} of its maximum has an intersection "
                f"over union of {over(overlaps)} with the box of the class that fits best; "
                f"{int((known >= OVERLAP).sum())} of {known.size} maps reach {OVERLAP:g}"
            )
        return Finding(_with(words, cropped), values={"overlaps": overlaps})


def _with(words: str, cropped: int) -> str:
    return (
        words
        if not cropped
        else f"{words}; {cropped} {'box was' if cropped == 1 else 'boxes were'} wholly cropped away"
    )


def image_of(case: Case, i: int, t: int) -> np.ndarray:
    """Resize the map of one input and target to the size of the network's input, (y, x), bilinearly."""
    import torch

    own = torch.from_numpy(case.attributions[i, t].reshape(case.sizes))
    size = tuple(case.run.images.shape[-2:])
    if own.shape == size:
        return own.numpy()
    return torch.nn.functional.interpolate(own[None, None], size, mode="bilinear", align_corners=False)[0, 0].numpy()


def distances(point: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the distance from a point (y, x) to each box (box, 4); 0 inside."""
    beside = np.maximum(np.maximum(boxes[:, 0] - point[1], point[1] - boxes[:, 2]), 0)
    above = np.maximum(np.maximum(boxes[:, 1] - point[0], point[0] - boxes[:, 3]), 0)
    return np.hypot(beside, above)


def box_of(image: np.ndarray) -> np.ndarray | None:
    """Return the box around the largest connected region of at least .2 of the maximum; None where nothing is
    positive."""
    from scipy.ndimage import label

    if image.max() <= 0:
        return None
    parts, _ = label(image >= THRESHOLD * image.max())
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    y, x = np.nonzero(parts == largest)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], float)


def overlaps_with(own: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the intersection over union of a box with each of (box, 4)."""
    width = np.minimum(own[2], boxes[:, 2]) - np.maximum(own[0], boxes[:, 0])
    height = np.minimum(own[3], boxes[:, 3]) - np.maximum(own[1], boxes[:, 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return shared / ((own[2] - own[0]) * (own[3] - own[1]) + area - shared)


def boxes_of(case: Case) -> tuple[Boxes, int]:
    """Return the boxes of each input's targets in the network's input, and the number of boxes that were cropped away.
    Raises BbiError E516 where no target has one, or the file is of a picture of another size."""
    rows = case.node["boxes"] or ()
    if not case.single:
        _fail("a sum or a difference of classes has no box", "attribute to classes: `attribute(output)`")
    y, x = case.run.images.shape[-2:]
    boxes: Boxes = []
    cropped = matched = 0
    for i in range(case.inputs):
        size = case.run.originals[i]
        boxes.append([])
        for t in range(case.index.shape[1]):
            label = _label(case, int(case.index[i, t, 0]))
            names = {name.strip().casefold() for name in (label, *label.split(","))}
            own = []
            for number, category, width, height, *box in rows:
                if number != i or category.strip().casefold() not in names:
                    continue
                if width and (width, height) != size:
                    text = f"{width} x {height} pixels in the file of boxes, and {size[0]} x {size[1]} here"
                    _fail(f"a picture has {text}", "boxes are in the pixels of the picture that was annotated")
                matched += 1
                left, top, right, bottom = np.clip(case.run.adapter.preprocess.boxed(box, size), 0, (x, y, x, y))
                if right > left and bottom > top:
                    own.append((left, top, right, bottom))
                else:
                    cropped += 1
            boxes[-1].append(np.array(own, float).reshape(-1, 4))
    if not matched:
        labels = listed([_label(case, int(k)) for k in case.index[..., 0].ravel()])
        there = listed(sorted({row[1] for row in rows}))
        _fail(f"no box is of what is attributed to, {labels}", f"the boxes of the page's pictures are of {there}")
    return boxes, cropped


def _label(case: Case, index: int) -> str:
    """Return the full name of a class, with its synonyms."""
    labels = case.run.adapter.description.labels
    return labels[index] if labels else case.run.label(index)


def _fail(message: str, help: str) -> NoReturn:
    raise error("E516", message, help=help)


MEASURES = (PointingGame(), Localization())
