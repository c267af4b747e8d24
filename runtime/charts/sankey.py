"""Columns of nodes and the links between them: width by magnitude, colour by sign; a clicked node leaves its own."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.vega.colours import DIVERGING
from bbilang.runtime.vega.geometry import Geometry, least, most
from bbilang.runtime.vega.marks import (
    Theme,
    box,
    coloured,
    fading,
    hit,
    labelled,
    panel_labels,
    ring,
    rows,
    slots,
    words,
)
from bbilang.runtime.vega.marks import (
    chart as layer,
)
from bbilang.runtime.view.model import Element

HIGH, NODE, HEAD = 420, 14, 26  # pixels: the height of the columns; the width of a node; the columns' names
RAISES, LOWERS = DIVERGING[7], DIVERGING[1]
BESIDE = 96  # pixels for names right of the last column


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    count = max(slots(element), 1)
    columns = 1 + max((c for p in element.panels for f in p.frames for c in f.columns), default=0)
    geometry = _place(element, theme, columns)
    name = geometry.name
    pitch = f"({geometry.width} - {NODE} - side_{name}) / {max(columns - 1, 1)}"
    node = {
        "atom": "datum.frame.atoms[datum.slot]",
        "node": "isValid(datum.frame.flow) ? datum.frame.flow.nodes[datum.slot] : null",
        "there": "datum.atom >= 0 && isValid(datum.node)",
        "left": f"({geometry.x} + (datum.there ? datum.node[0] : 0) * {pitch})",
        "right": f"datum.left + (datum.there ? {NODE} : 0)",
        "top": f"({geometry.y} + {HEAD} + (datum.there ? datum.node[1] : 0) * {HIGH})",
        "bottom": f"({geometry.y} + {HEAD} + (datum.there ? datum.node[2] : 0) * {HIGH})",
    }
    colour = "datum.frame.colours[datum.slot] ? datum.frame.colours[datum.slot] : '#8a93a3'"
    lines = rows(element, count)
    last = f"isValid(datum.node) && datum.node[0] == {columns - 1} && {columns} > 1"
    label = {
        **node,
        "end": last,
        "x1": "datum.right + 6",
        "y1": "(datum.top + datum.bottom) / 2",
        "name": f"datum.there ? atoms_{name}[datum.atom] : ''",  # the column says which layer a group is of
        "cut": "max(indexof(datum.name, ', group '), indexof(datum.name, ', component '))",
        "words": "datum.cut >= 0 ? slice(datum.name, datum.cut + 2) : datum.name",
    }
    text = words(
        layer(element, lines, **label),
        "words",
        baseline="middle",
        fontSize=12,
        limit=alt.ExprRef(f"datum.end ? side_{name} - 8 : {pitch} - {NODE + 16}"),
        **(fading(element) if coloured(element) else {}),
    ).encode(x=alt.X("x1:Q", scale=None, axis=None), y=alt.Y("y1:Q", scale=None, axis=None))
    layers = [
        *panel_labels(element, geometry),
        _links(element, geometry, pitch),
        box(layer(element, lines, **node, colour=colour), fill="colour", **fading(element)),
        text,
        *_heads(element, geometry, columns, pitch),
    ]
    if element.selects:
        around = {
            **{key: node[key] for key in ("atom", "node", "there")},
            "middle": f"({node['top']} + {node['bottom']}) / 2",
            "left": f"{node['left']} - 5",
            "right": f"datum.left + (datum.there ? {NODE} + {pitch} * 0.34 : 0)",
            "top": f"datum.there ? min({node['top']}, datum.middle - 12) : datum.middle",
            "bottom": f"datum.there ? max({node['bottom']}, datum.middle + 12) : datum.middle",
        }
        tight = {**node, "left": f"{node['left']} - 3", "right": f"datum.left + {NODE + 6}",
                 "top": f"{node['top']} - 3", "bottom": f"{node['bottom']} + 3"}  # fmt: skip
        base = layer(element, lines, **tight)
        layers.append(ring(base, f"datum.there && indexof(selected_{name}, datum.atom) >= 0"))
        layers.append(ring(base, f"datum.there && cursor_{name} == datum.atom", stroke="currentColor"))
        layers.append(hit(element, layer(element, lines, **around)))
    return alt.layer(*layers)


def _links(element: Element, geometry: Geometry, pitch: str) -> alt.Chart:
    """Four points a link, drawn as a bundle; what the clicked or pointed node leaves of it is its width."""
    name = geometry.name
    most_links = max((len(f.links) for p in element.panels for f in p.frames), default=0)
    data = [
        {"panel": p, "own": p, "slot": link, "bend": bend}
        for p in range(len(element.panels))
        for link in range(most_links)
        for bend in range(4)
    ]
    focus = "-1"  # the node pointed at, else the node clicked: selections in their order
    for k in reversed(range(len(element.selects))):
        focus = f"selected_{name}[{k}] >= 0 ? indexof(datum.frame.atoms, selected_{name}[{k}]) : ({focus})"
    place = {
        "link": "isValid(datum.frame.flow) ? datum.frame.flow.links[datum.slot] : null",
        "there": "isArray(datum.link)",
        "focus": focus,
        "share": "datum.there && datum.focus >= 0 ? datum.frame.flow.through[datum.focus][datum.slot] : 1",
        "x1": f"{geometry.x} + (datum.there ? datum.frame.flow.nodes[datum.link[0]][0] : 0) * {pitch} + {NODE}",
        "run": f"{pitch} - {NODE}",
        "left": "datum.x1 + datum.run * [0, 0.45, 0.55, 1][datum.bend]",
        "top": f"{geometry.y} + {HEAD} + (datum.there ? datum.link[datum.bend < 2 ? 2 : 3] : 0) * {HIGH}",
        "thick": f"datum.there ? max(0.6, datum.link[4] * {HIGH} * datum.share) : 0",
        "colour": f"datum.there && datum.link[5] < 0 ? '{LOWERS}' : '{RAISES}'",
        "faint": "datum.there ? (datum.share < 0.05 ? 0.12 : 0.55) : 0",
        "trace": "datum.panel + ' ' + datum.slot",
    }
    # as properties of the mark: as encodings they would be part of what tells one link from another
    looks = {"strokeWidth": "datum.thick", "stroke": "datum.colour", "strokeOpacity": "datum.faint"}
    looks = {name: alt.ExprRef(value) for name, value in looks.items()}
    line = layer(element, data, **place).mark_line(interpolate="bundle", tension=1, strokeCap="butt", **looks)
    return line.encode(
        alt.X("left:Q", scale=None, axis=None),
        alt.Y("top:Q", scale=None, axis=None),
        detail="trace:N",
        order="bend:Q",
    )


def _heads(element: Element, geometry: Geometry, columns: int, pitch: str) -> list[alt.Chart]:
    """The layers' names above the columns."""
    names = element.options.get("columns")
    if not isinstance(names, tuple | list):
        return []
    data = [{"panel": p, "own": p, "column": c, "words": str(n)} for p in range(len(element.panels)) for c, n in enumerate(names)]  # fmt: skip  # noqa: E501
    place = {"left": f"{geometry.x} + datum.column * {pitch}", "top": geometry.y}
    limit = alt.ExprRef(f"datum.column == {columns - 1} ? side_{geometry.name} + {NODE} : {pitch} - 8")
    return [words(layer(element, data, **place), "words", fontWeight=600, fontSize=12.5, limit=limit)]


def _place(element: Element, theme: Theme, columns: int) -> Geometry:
    geometry = theme.geometry(element)
    wide = least(900, geometry.room)
    geometry.named("side", most(60, least(BESIDE + 60, wide * 0.2)))
    return geometry.flow(len(element.panels), wide, HIGH + HEAD + 8, labelled(element), gutter=30)
