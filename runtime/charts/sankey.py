"""Columns of nodes and the links between them: width by magnitude, colour by sign; a clicked node leaves its own."""

from __future__ import annotations

from itertools import product

import altair as alt

from bbilang.runtime.charts.slots import ATOM, Corners, SlotChart
from bbilang.runtime.vega.colours import DIVERGING
from bbilang.runtime.vega.element import Row, labelled
from bbilang.runtime.vega.geometry import Geometry, least, most
from bbilang.runtime.vega.marks import Layer, MarkProperty, box, fading, text, x_of, y_of
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

HIGH, NODE, HEAD = 420, 14, 26  # pixels: the height of the columns; the width of a node; the columns' names
RAISES, LOWERS = DIVERGING[7], DIVERGING[1]
BESIDE = 96  # pixels for names right of the last column


class SankeyChart(SlotChart):
    """A slot is a node; where it stands, and its links, are in the frame's ``flow`` (`vega.sankey_layout`)."""

    def arrange(self, geometry: Geometry) -> Geometry:
        element = self.element
        frames = [frame for panel in element.panels for frame in panel.frames]
        self.columns = 1 + max((column for frame in frames for column in frame.columns), default=0)
        self.links = max((len(frame.links) for frame in frames), default=0)
        wide = least(900, geometry.room)
        geometry.named("side", most(60, least(BESIDE + 60, wide * 0.2)))
        return geometry.flow(len(element.panels), wide, HIGH + HEAD + 8, labelled(element), gutter=30)

    @property
    def pitch(self) -> str:
        """Pixels from column to column."""
        return f"({self.geometry.width} - {NODE} - side_{self.name}) / {max(self.columns - 1, 1)}"

    @property
    def node(self) -> Corners:
        x, y = self.geometry.x, self.geometry.y
        return {
            "atom": ATOM,
            "node": "isValid(datum.frame.flow) ? datum.frame.flow.nodes[datum.slot] : null",
            "there": "datum.atom >= 0 && isValid(datum.node)",
            "left": f"({x} + (datum.there ? datum.node[0] : 0) * {self.pitch})",
            "right": f"datum.left + (datum.there ? {NODE} : 0)",
            "top": f"({y} + {HEAD} + (datum.there ? datum.node[1] : 0) * {HIGH})",
            "bottom": f"({y} + {HEAD} + (datum.there ? datum.node[2] : 0) * {HIGH})",
        }

    def layers(self) -> list[Layer]:
        colour = "datum.frame.colours[datum.slot] ? datum.frame.colours[datum.slot] : '#8a93a3'"
        nodes = self.layer(self.slot_rows(), **self.node, colour=colour)
        return [
            self.link_bands(),
            box(nodes, fill="colour", **fading(self.element)),
            self.names(),
            *self.heads(),
        ]

    def names(self) -> Layer:
        """The nodes' names beside them, without the layer that their column names."""
        columns = self.columns
        label = {
            **self.node,
            "end": f"isValid(datum.node) && datum.node[0] == {columns - 1} && {columns} > 1",
            "x1": "datum.right + 6",
            "y1": "(datum.top + datum.bottom) / 2",
            "name": f"datum.there ? atoms_{self.name}[datum.atom] : ''",
            "cut": "max(indexof(datum.name, ', group '), indexof(datum.name, ', component '))",
            "words": "datum.cut >= 0 ? slice(datum.name, datum.cut + 2) : datum.name",
        }
        limit = alt.ExprRef(f"datum.end ? side_{self.name} - 8 : {self.pitch} - {NODE + 16}")
        base = self.layer(self.slot_rows(), **label)
        made = text(base, "words", baseline="middle", limit=limit, **fading(self.element))
        return made.encode(x=x_of("x1"), y=y_of("y1"))

    def link_bands(self) -> Layer:
        """Four points a link, drawn as a bundle; what the clicked or pointed node leaves of it is its width."""
        x, y = self.geometry.x, self.geometry.y
        data: list[Row] = [
            {"panel": panel, "own": panel, "slot": link, "bend": bend}
            for panel, link, bend in product(range(len(self.element.panels)), range(self.links), range(4))
        ]
        point = {
            "link": "isValid(datum.frame.flow) ? datum.frame.flow.links[datum.slot] : null",
            "there": "isArray(datum.link)",
            "focus": self.focus,
            "share": "datum.there && datum.focus >= 0 ? datum.frame.flow.through[datum.focus][datum.slot] : 1",
            "x1": f"{x} + (datum.there ? datum.frame.flow.nodes[datum.link[0]][0] : 0) * {self.pitch} + {NODE}",
            "run": f"{self.pitch} - {NODE}",
            "left": "datum.x1 + datum.run * [0, 0.45, 0.55, 1][datum.bend]",
            "top": f"{y} + {HEAD} + (datum.there ? datum.link[datum.bend < 2 ? 2 : 3] : 0) * {HIGH}",
            "thick": f"datum.there ? max(0.6, datum.link[4] * {HIGH} * datum.share) : 0",
            "colour": f"datum.there && datum.link[5] < 0 ? '{LOWERS}' : '{RAISES}'",
            "faint": "datum.there ? (datum.share < 0.05 ? 0.12 : 0.55) : 0",
            "trace": "datum.panel + ' ' + datum.slot",
        }
        # as properties of the mark: as encodings they would be part of what tells one link from another
        expressions = {"strokeWidth": "datum.thick", "stroke": "datum.colour", "strokeOpacity": "datum.faint"}
        properties: dict[str, MarkProperty] = {name: alt.ExprRef(value) for name, value in expressions.items()}
        line = self.layer(data, **point).mark_line(interpolate="bundle", tension=1, strokeCap="butt", **properties)
        return line.encode(x_of(), y_of(), detail="trace:N", order="bend:Q")

    @property
    def focus(self) -> str:
        """The node pointed at, else the node clicked: selections in their order."""
        focus = "-1"
        for k in reversed(range(len(self.element.selects))):
            chosen = f"selected_{self.name}[{k}]"
            focus = f"{chosen} >= 0 ? indexof(datum.frame.atoms, {chosen}) : ({focus})"
        return focus

    def heads(self) -> list[Layer]:
        """The layers' names above the columns."""
        names = self.element.options.get("columns")
        if not isinstance(names, tuple | list):
            return []
        data: list[Row] = [
            {"panel": panel, "own": panel, "column": column, "words": str(name)}
            for panel in range(len(self.element.panels))
            for column, name in enumerate(names)
        ]
        where = {"left": f"{self.geometry.x} + datum.column * {self.pitch}", "top": self.geometry.y}
        limit = f"datum.column == {self.columns - 1} ? side_{self.name} + {NODE} : {self.pitch} - 8"
        base = self.layer(data, **where)
        return [text(base, "words", fontWeight=600, limit=alt.ExprRef(limit))]

    def selection(self) -> list[Layer]:
        """A ring close around a node; the pointer is taken over its name too."""
        node, data = self.node, self.slot_rows()
        tight = {
            **node,
            "left": f"{node['left']} - 3",
            "right": f"datum.left + {NODE + 6}",
            "top": f"{node['top']} - 3",
            "bottom": f"{node['bottom']} + 3",
        }
        around = {
            **{key: node[key] for key in ("atom", "node", "there")},
            "middle": f"({node['top']} + {node['bottom']}) / 2",
            "left": f"{node['left']} - 5",
            "right": f"datum.left + (datum.there ? {NODE} + {self.pitch} * 0.34 : 0)",
            "top": f"datum.there ? min({node['top']}, datum.middle - 12) : datum.middle",
            "bottom": f"datum.there ? max({node['bottom']}, datum.middle + 12) : datum.middle",
        }
        rings = self.rings(self.layer(data, **tight), present="datum.there")
        return [*rings, self.hit(self.layer(data, **around))]


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return SankeyChart(element, theme).chart()
