"""A network from top to bottom: layers as boxes with their shapes and numbers, data flow as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt

from bbilang.runtime.charts.level_colours import LevelColours
from bbilang.runtime.charts.slots import ATOM, Corners, SlotChart
from bbilang.runtime.vega.colours import stops
from bbilang.runtime.vega.element import Row, is_signed, labelled, number_text, rows
from bbilang.runtime.vega.geometry import Geometry, least, quantity
from bbilang.runtime.vega.marks import Layer, MarkProperty, box, colour_of, text, x_of, y_of
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

HIGH, PITCH, BETWEEN, NARROW = 40, 62, 12, 130  # pixels: a box; row to row; box to box; a box without its number
LANE, MAX_LANES = 13, 5  # pixels between lines that go round, and how many of them have room
EDGE = "#8a93a3"


class Position(NamedTuple):
    """Where a layer's box stands: its row, and which of how many boxes of that row it is."""

    row: int
    number: int
    boxes: int

    @property
    def aside(self) -> float:
        """Boxes from the middle of the row."""
        return self.number - (self.boxes - 1) / 2


class GraphChart(SlotChart):
    """A slot is a layer."""

    def arrange(self, geometry: Geometry) -> Geometry:
        options: dict[str, Any] = self.element.options
        self.positions = [Position(*position) for position in options["places"]]
        self.edges: list[tuple[int, int]] = [(start, end) for start, end in options["edges"]]
        self.shapes: Sequence[str] = options["shapes"]
        self.lanes = lanes_of(self.edges, self.positions)
        deep = 1 + max((position.row for position in self.positions), default=0)
        across = max((position.boxes for position in self.positions), default=1)
        side = LANE * (min(max(self.lanes.values(), default=-1), MAX_LANES - 1) + 2) if self.lanes else 0
        wide = least(geometry.room, 300 + side if across == 1 else 190 * across + side)
        high = quantity(deep * PITCH - PITCH + HIGH + 2)
        geometry.flow(len(self.element.panels), wide, high, labelled(self.element), gutter=30)
        self.side, self.wide = side, geometry.named("box", least(280, (geometry.width - side) / across - BETWEEN))
        return geometry

    def box_left(self, aside: str) -> str:
        """Return the left end of a box that stands ``aside`` boxes from the middle of its row."""
        x, width, wide = self.geometry.x, self.geometry.width, self.wide
        return f"{x} + ({width} - {self.side}) / 2 + ({aside}) * ({wide} + {BETWEEN}) - {wide} / 2"

    def box_rows(self) -> list[Row]:
        """Return one row of data per box, with its row in the drawing and how far aside it stands."""
        made = []
        for row in rows(self.element, len(self.positions)):
            position = self.positions[row["slot"]]
            made.append({**row, "row": position.row, "aside": position.aside, "shape": self.shapes[row["slot"]]})
        return made

    @property
    def node(self) -> Corners:
        """Where a box lies, in pixels, and the colours of its value and of its words."""
        signed = is_signed(self.element)
        colours = LevelColours(stops(signed), self.share("datum.value"))
        return {
            "atom": ATOM,
            "value": "datum.frame.values[datum.slot][0]",
            "left": self.box_left("datum.aside"),
            "right": f"datum.left + {self.wide}",
            "top": f"{self.geometry.y} + datum.row * {PITCH} + 1",
            "bottom": f"datum.top + {HIGH}",
            "colour": f"isValid(datum.value) ? {colours.colour} : '#e8eaee'",
            "ink": f"isValid(datum.value) ? {colours.ink} : '#111'",
        }

    def layers(self) -> list[Layer]:
        node, data = self.node, self.box_rows()
        narrow = f"{self.wide} < {NARROW}"  # the last part of a name is the one that tells it from its neighbours
        head = {
            **node,
            "full": self.label,
            "words": f"{narrow} ? slice(datum.full, lastindexof(datum.full, '.') + 1) : datum.full",
        }
        number = f"isValid(datum.value) && !({narrow}) ? {number_text(self.element, 'datum.value')} : ''"
        shape, digits = {**node, "words": "datum.shape"}, {**node, "words": number}
        return [
            *self.edge_lines(),
            box(self.layer(data, **node), fill="colour", cornerRadius=4, stroke=EDGE, strokeWidth=0.5).properties(
                name=f"scale_boxes_{self.name}"  # boxes and their words turn dark with the page (page.css)
            ),
            self.box_text("name", head, "datum.left", 13, 1, fontWeight=600),
            self.box_text("shape", shape, "datum.left", 29, f"({narrow} ? 1 : 0.68)"),
            self.box_text("number", digits, "datum.right - 18", 29, 0.32, align="right"),
        ]

    def box_text(
        self, kind: str, node: Corners, x: str, y: int, share: float | str, **properties: MarkProperty
    ) -> Layer:
        """Draw the ``words`` of each box at (x + 9, top + y), cut off at their share of its width."""
        limit = alt.ExprRef(f"{self.wide} * {share} - 14")
        base = self.layer(self.box_rows(), **node, x1=f"{x} + 9", y1=f"datum.top + {y}")
        made = text(base, "words", limit=limit, **{"baseline": "middle", **properties})
        made = made.encode(x=x_of("x1"), y=y_of("y1"), color=colour_of("ink"))
        return made.properties(name=f"letters_{kind}_{self.name}")

    def edge_lines(self) -> list[Layer]:
        """Draw straight lines to the next row; edges over several rows leave and enter boxes at the right side."""
        data = [
            {"panel": panel, "own": panel, "slot": number, "bend": i, **bend}
            for panel in range(len(self.element.panels))
            for number, edge in enumerate(self.edges)
            for i, bend in enumerate(self.bends(edge))
        ]
        if not data:
            return []
        beside = f"{self.geometry.x} + {self.geometry.width} - {self.side} + datum.off"
        on_box = f"{self.box_left('datum.aside')} + datum.share * {self.wide}"
        point = {
            "left": f"isValid(datum.aside) ? {on_box} : {beside}",
            "top": f"{self.geometry.y} + datum.down + 1",
            "trace": "datum.panel + ' ' + datum.slot",
        }
        line = self.layer(data, **point).mark_line(color=EDGE, strokeWidth=1.4, strokeJoin="round")
        return [line.encode(x_of(), y_of(), detail="trace:N", order="bend:Q")]

    def bends(self, edge: tuple[int, int]) -> list[Row]:
        """Return the points of a line: ``aside`` (None beside all boxes), ``share`` of the box's width from its left
        end, ``off`` pixels from the side, ``down`` pixels from the top."""
        start, end = (self.positions[layer] for layer in edge)
        lane = self.lanes.get(edge)
        points: list[tuple[float | None, float, int, float]]
        if lane is None:
            points = [(start.aside, 0.5, 0, HIGH + start.row * PITCH), (end.aside, 0.5, 0, end.row * PITCH)]
        else:
            leaves, enters = start.row * PITCH + HIGH * 0.72, end.row * PITCH + HIGH * 0.28
            out = LANE * (min(lane, MAX_LANES - 1) + 1)
            points = [
                (start.aside, 1, 0, leaves),
                (None, 1, out, leaves),
                (None, 1, out, enters),
                (end.aside, 1, 0, enters),
            ]
        return [{"aside": aside, "share": share, "off": off, "down": down} for aside, share, off, down in points]

    def selection(self) -> list[Layer]:
        base = self.layer(self.box_rows(), **self.node)
        return [*self.rings(base, dashed=True, present=""), self.hit(base)]


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return GraphChart(element, theme).chart()


def lanes_of(edges: Sequence[tuple[int, int]], positions: Sequence[Position]) -> dict[tuple[int, int], int]:
    """Return edge -> the lane at the side in which it passes the rows between; edges without a common row share a
    lane."""
    taken: list[list[tuple[int, int]]] = []
    lanes = {}
    for a, b in sorted(edges, key=lambda edge: positions[edge[1]].row - positions[edge[0]].row):
        first, last = positions[a].row, positions[b].row
        if last - first < 2:
            continue
        lane = next((i for i, spans in enumerate(taken) if all(last <= s or e <= first for s, e in spans)), len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((first, last))
        lanes[a, b] = lane
    return lanes
