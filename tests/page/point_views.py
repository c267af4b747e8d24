"""Views of point sets, packed as a run packs them, without running a model."""

from __future__ import annotations

from functools import cache

import numpy as np
from views import PROVENANCE

from bbilang.runtime.view.model import Atom, Element, Frame, Interface, Panel, PointSet, Selection, View
from bbilang.runtime.view.points.pack import Points, pack

KINDS = (
    "tabby",
    "tiger cat",
    "lynx",
    "goldfinch",
    "acorn",
    "teapot",
    "bridge",
    "<b>bold</b>",
    "canoe",
    "mask",
    "zebra",
    "yurt",
)


def cloud(count: int, seed: int = 7, side: int = 24) -> Points:
    """Twelve clusters; a number that grows to the right, with gaps; a condition; a thumbnail for each kind."""
    random = np.random.default_rng(seed)
    kind = random.choice(len(KINDS), count, p=np.arange(12, 0, -1) / 78)
    angle = 2 * np.pi * kind / len(KINDS)
    x, y = (3 * np.cos(angle) + random.normal(0, 0.5, count), 2 * np.sin(angle) + random.normal(0, 0.4, count))
    score = np.round(x + random.normal(0, 0.5, count), 4)
    score[::50] = np.nan
    labels = np.array(KINDS, dtype=object)[kind]
    labels[1::40] = ""
    tile = random.integers(0, 256, (len(KINDS), side, side, 3), np.uint8)
    return Points(
        x, y, {"label": labels, "score": score, "correct": random.random(count) < 0.7},
        [f"photo {i}.jpg" for i in range(count)], lambda i: tile[kind[i]], side, ("component 1", "component 2"), True,
        colour="label",
    )  # fmt: skip


def view_of(
    points: PointSet,
    atoms: tuple[Atom, ...] = (),
    selections: tuple[Selection, ...] = (),
    others: tuple[Element, ...] = (),
) -> View:
    selects = tuple(s.id for s in selections)
    element = Element(
        "map", "scatter", "A map of the pictures", "", f"A map of {points.count:,} pictures", atoms,
        (Panel("", (Frame(),)),), selects=selects, slot_axis="example", points=points,
    )  # fmt: skip
    layout = ("row", tuple(it.id for it in (element, *others)))
    return View(
        "Points",
        (Interface("Where pictures lie", layout, (element, *others)),),
        selections,
        (),
        (),
        PROVENANCE,
        "bbi 1\n",
    )


@cache
def hundreds() -> View:
    """600 points that are atoms, and bars that show the one pointed at."""
    atoms = tuple(Atom(f"photos example={i}", f"photo {i}") for i in range(600))
    hover = Selection("hover-1", "hover", "pointed at", atoms, None, leaves=True)
    frames = tuple(Frame((0,), values=((float(i),),)) for i in range(600))
    bars = Element(
        "bars",
        "bars",
        "Its number",
        "",
        "",
        (Atom("c channel=3", "channel 3"),),
        (Panel("", frames),),
        states=("hover-1",),
        slot_axis="channel",
    )
    return view_of(pack(cloud(600)), atoms, (hover,), (bars,))


@cache
def thousands() -> View:
    return view_of(pack(cloud(12_000)))
