"""Columns of nodes and the links between them: width by magnitude, what raises apart from what lowers; a clicked node
leaves its own."""

from __future__ import annotations

import math
from itertools import product

import altair as alt

from bbilang.runtime.charts.slots import ATOM, Corners, SlotChart
from bbilang.runtime.vega.colours import DIVERGING, VEIL
from bbilang.runtime.vega.element import Row, coloured, labelled, number_text
from bbilang.runtime.vega.geometry import Geometry, Quantity, least
from bbilang.runtime.vega.marks import Layer, MarkProperty, box, fading, text, x_of, y_of
from bbilang.runtime.vega.sankey_layout import height, scales_of, widths
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

NODE, HEAD, RULER = 20, 30, 46  # pixels: the width of a node; the columns' names; the rulers below
RAISES, LOWERS = DIVERGING[7], DIVERGING[1]
SIDE, ROOMY = 150, 560  # pixels: for the classes' names right of them, and the room from which they stand there
CHIP = 14  # pixels: a group's colour before its name
HALO = 4  # pixels: the paper around a name's letters, half of it outside

NOUNS = [f"indexof(datum.name, ', {noun} ')" for noun in ("group", "component", "channel")]  # after a layer's name


class SankeyChart(SlotChart):
    """A slot is a node; where it stands, and its links, are in the frame's ``flow`` (`vega.sankey_layout`).

    A node's left half is what comes in, its right half what goes out: above its middle what raises, below what lowers,
    and in ink the net of both.
    """

    def arrange(self, geometry: Geometry) -> Geometry:
        element = self.element
        frames = [frame for panel in element.panels for frame in panel.frames]
        self.columns = 1 + max((column for frame in frames for column in frame.columns), default=0)
        self.links = max((len(frame.links) for frame in frames), default=0)
        self.tall = height(element)
        self.chip, self.halos = CHIP if coloured(element) else 0, 0
        wide = least(1100, geometry.room)
        roomy = geometry.room.value >= ROOMY
        self.side = geometry.named(
            "side", Quantity(f"({geometry.room} >= {ROOMY} ? {SIDE} : 0)", float(SIDE if roomy else 0))
        )
        return geometry.flow(
            len(element.panels), wide, self.tall + HEAD + RULER, labelled(element), gutter=30
        )  # fmt: skip

    @property
    def pitch(self) -> str:
        """Pixels from column to column."""
        return f"(({self.geometry.width} - {NODE} - {self.side}) / {max(self.columns - 1, 1)})"

    @property
    def node(self) -> Corners:
        """Where a node lies, in pixels."""
        x, y = self.geometry.x, f"{self.geometry.y} + {HEAD}"
        at = [f"({y} + (datum.there ? datum.node[{k}] : 0) * {self.tall})" for k in (1, 2, 3)]
        return {
            "atom": ATOM,
            "node": "isValid(datum.frame.flow) ? datum.frame.flow.nodes[datum.slot] : null",
            "there": "datum.atom >= 0 && isValid(datum.node)",
            "left": f"({x} + (datum.there ? datum.node[0] : 0) * {self.pitch})",
            "right": f"datum.left + (datum.there ? {NODE} : 0)",
            "top": at[0],
            "bottom": at[1],
            "waist": at[2],
        }

    @property
    def known(self) -> Corners:
        """What the corners of a node's parts are calculated from."""
        return {key: self.node[key] for key in ("atom", "node", "there")}

    def layers(self) -> list[Layer]:
        return [self.link_bands(), *self.halves(), *self.chips(), *self.names(), *self.heads(), *self.rulers()]

    def halves(self) -> list[Layer]:
        """Draw each node: incoming links at the left and outgoing ones at the right, raising above the waist and
        lowering below it; then the nets and the waist."""
        data: list[Row] = [
            {**row, "half": half, "down": down, "colour": LOWERS if down else RAISES}
            for row, half, down in product(self.slot_rows(), (0, 1), (0, 1))
        ]
        part = {
            **self.known,
            "deep": f"(datum.there ? datum.node[4 + 2 * datum.half + datum.down] : 0) * {self.tall}",
            "left": f"{self.node['left']} + datum.half * {NODE / 2 + 0.5}",
            "right": f"datum.left + (datum.deep > 0 ? {NODE / 2 - 0.5} : 0)",
            "top": f"{self.node['waist']} - (datum.down ? 0 : datum.deep)",
            "bottom": "datum.top + datum.deep",
        }
        halves: list[Row] = [{**row, "half": half} for row, half in product(self.slot_rows(), (0, 1))]
        net = {
            **self.known,
            "net": "datum.there ? datum.node[8 + datum.half] : null",
            "up": "datum.there ? datum.node[4 + 2 * datum.half] - datum.node[5 + 2 * datum.half] : 0",
            "left": f"{self.node['left']} + datum.half * {NODE / 2 + 0.5} + 3",
            "right": f"datum.left + (isValid(datum.net) ? {NODE / 2 - 6.5} : 0)",
            "top": f"{self.node['waist']} - max(datum.up, 0) * {self.tall}",
            "bottom": f"{self.node['waist']} - min(datum.up, 0) * {self.tall}",
        }
        waist = {
            **self.known,
            "left": f"{self.node['left']} - 3",
            "right": f"datum.left + (datum.there ? {NODE + 6} : 0)",
            "top": f"{self.node['waist']} - 0.75",
            "bottom": "datum.top + (datum.there ? 1.5 : 0)",
        }
        return [
            box(self.layer(data, **part), fill="colour", **fading(self.element)),
            box(self.layer(halves, **net), color="currentColor"),
            box(self.layer(self.slot_rows(), **waist), color="currentColor"),
        ]

    @property
    def label_at(self) -> Corners:
        """Where a node's label begins (``x1``), and whether it stands right of the node (``beside``); else above."""
        scored = "datum.last" if self.element.options.get("scored") else "false"  # a part of the class's score
        return {
            **self.node,
            "last": f"isValid(datum.node) && datum.node[0] == {self.columns - 1} && {self.columns} > 1",
            "first": "isValid(datum.node) && datum.node[0] == 0",
            "beside": f"datum.last && {self.side} > 0",
            "name": f"datum.there ? atoms_{self.name}[datum.atom] : ''",
            "cut": f"max({', '.join(NOUNS)})",
            "short": "datum.cut >= 0 ? slice(datum.name, datum.cut + 2) : datum.name",
            "focus": self.focus,
            "whole": "datum.focus < 0 || datum.slot == datum.focus",
            "number": self.number,
            "shown": "isValid(datum.number)",
            "amount": f"datum.shown ? {number_text(self.element, 'datum.number')} : ''",
            "scored": f"datum.shown && datum.whole && {scored}",
            "of": "datum.scored ? ' of ' + format(datum.frame.values[datum.slot][0], '.2f') : ''",
            "words": "datum.short + (datum.shown ? '  ' + datum.amount + datum.of : '')",
        }

    @property
    def number(self) -> str:
        """The net of a node; where another is pointed at, the link with that one."""
        net = "isValid(datum.node[8]) ? datum.node[8] : datum.node[9]"
        return f"!datum.there ? null : datum.whole ? ({net}) : datum.frame.flow.between[datum.focus][datum.slot]"

    def names(self) -> list[Layer]:
        """Draw the nodes' names and numbers above them, aligned left, centred or right so that none leaves the picture;
        those of the last column in two lines, beside the nodes where there is room."""
        second, over = "datum.shown ? datum.amount + datum.of : ''", "datum.last && !datum.first && !datum.beside"
        centre = f"datum.left + {(NODE + self.chip) / 2}"
        above = (
            ("left", f"datum.left + {self.chip}", "datum.top - 5", "datum.first", "datum.words"),
            ("center", centre, "datum.top - 5", "!datum.first && !datum.last", "datum.words"),
            ("right", f"datum.left + {NODE}", "datum.top - 20", over, "datum.short"),
            ("right", f"datum.left + {NODE}", "datum.top - 5", over, second),
        )
        made = []
        for align, x1, y1, where, words in above:
            corners = {**self.label_at, "x1": x1, "y1": y1, "line": f"{where} ? ({words}) : ''"}
            base = self.layer(self.slot_rows(), **corners)
            made += self.words(base, "line", align=align, baseline="bottom")
        limit = alt.ExprRef(f"max({self.side} - 10, 20)")
        for shift, words, weight in ((-8, "datum.short", 600), (9, second, 400)):
            corners = {**self.label_at, "x1": "datum.right + 8", "y1": f"datum.waist + {shift}"}
            base = self.layer(self.slot_rows(), **corners, line=f"datum.beside ? ({words}) : ''")
            made += self.words(base, "line", baseline="middle", fontWeight=weight, limit=limit)
        return made

    def words(self, base: Layer, field: str, **mark: MarkProperty) -> list[Layer]:
        """Draw a text over an outline in the paper's colour, since links run under some texts."""
        halo: dict[str, MarkProperty] = {"stroke": VEIL, "strokeWidth": HALO, "strokeJoin": "round", "color": VEIL}
        under = text(base, field, **mark, **halo, **fading(self.element)).encode(x=x_of("x1"), y=y_of("y1"))
        over = text(base, field, **mark, **fading(self.element)).encode(x=x_of("x1"), y=y_of("y1"))
        self.halos += 1
        return [under.properties(name=f"veil_{self.halos}_{self.name}"), over]  # a dark page turns it dark (page.css)

    def chips(self) -> list[Layer]:
        """Draw a group's colour before its name; the width of centred names is estimated from their letters."""
        if not self.chip:
            return []
        at = self.label_at
        wide = "5.9 * length(datum.words)"
        square = {
            **{key: at[key] for key in at if key not in self.node or key in self.known},
            "own": "datum.there ? datum.frame.colours[datum.slot] : ''",
            "colour": "datum.own ? datum.own : 'transparent'",
            "top": f"{at['top']} - 16",
            "bottom": "datum.top + (datum.there ? 10 : 0)",
            "left": f"{at['left']} + (datum.first ? 0 : {NODE / 2 - CHIP / 2 - 2} - {wide} / 2)",
            "right": "datum.left + (datum.there ? 10 : 0)",
        }
        return [box(self.layer(self.slot_rows(), **square), fill="colour", cornerRadius=2, **fading(self.element))]

    def link_bands(self) -> Layer:
        """Draw each link as a bundle between four points, as wide as the part of it that the clicked or hovered node
        leaves."""
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
            "top": f"{y} + {HEAD} + (datum.there ? datum.link[datum.bend < 2 ? 2 : 3] : 0) * {self.tall}",
            "thick": f"datum.there ? max(0.6, datum.link[4] * {self.tall} * datum.share) : 0",
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
        """Draw the layers' names above the columns."""
        names = self.element.options.get("columns")
        if not isinstance(names, tuple | list):
            return []
        made, last = [], len(names) - 1
        for column, name in enumerate(names):
            data: list[Row] = [
                {"panel": panel, "own": panel, "words": str(name)} for panel in range(len(self.element.panels))
            ]
            own = "left" if column == 0 else "right" if column == last else "center"
            shift = {"left": 0, "center": NODE / 2, "right": NODE}[own]
            where = {"left": f"{self.geometry.x} + {column} * {self.pitch} + {shift}", "top": self.geometry.y}
            made.append(text(self.layer(data, **where), "words", fontWeight=600, align=own))
        return made

    def rulers(self) -> list[Layer]:
        """Draw the width of a link of a round number below the first pair of columns on each scale."""
        scales, units = scales_of(self.element), self.element.options.get("units")
        made: list[Layer] = []
        for scale, width in enumerate(widths(self.element)):
            if not width or not isinstance(units, tuple | list):
                continue
            value = round_below(30 / (width * self.tall))
            deep = value * width * self.tall
            data: list[Row] = [
                {"panel": panel, "own": panel, "words": f"= {amount(value, str(units[scale]))}"}
                for panel in range(len(self.element.panels))
            ]
            middle = f"{self.geometry.y} + {HEAD + self.tall + RULER / 2 + 4}"
            start = f"{self.geometry.x} + {scales.index(scale)} * {self.pitch} + {2 + 8 * bool(scales.index(scale))}"
            bar = {"left": start, "right": "datum.left + 6", "top": f"{middle} - {deep / 2:g}",
                   "bottom": f"{middle} + {deep / 2:g}"}  # fmt: skip
            name = {"left": f"{start} + 13", "top": middle}
            limit = alt.ExprRef(f"{self.pitch} + {self.side}")
            made += [
                box(self.layer(data, **bar), color="currentColor", opacity=0.45),
                text(self.layer(data, **name), "words", baseline="middle", limit=limit, opacity=0.8),
            ]
        return made

    def selection(self) -> list[Layer]:
        """Draw a ring close around a node, whose name takes the pointer too."""
        node, data = self.node, self.slot_rows()
        tight = {
            **node,
            "left": f"{node['left']} - 3",
            "right": f"datum.left + {NODE + 6}",
            "top": f"{node['top']} - 3",
            "bottom": f"{node['bottom']} + 3",
        }
        at = self.label_at
        around = {
            **{key: at[key] for key in (*self.known, "last", "first", "beside")},
            "reach": f"datum.first ? [5, {NODE + 90}] : datum.beside ? [5, {NODE + SIDE - 20}] "
            f": datum.last ? [80, {NODE + 5}] : [45, {NODE + 45}]",
            "left": f"{node['left']} - (datum.there ? datum.reach[0] : 0)",
            "right": f"{node['left']} + (datum.there ? datum.reach[1] : 0)",
            "top": f"datum.beside ? min({node['top']}, {node['waist']} - 18) : {node['top']} - (datum.there ? 18 : 0)",
            "bottom": f"datum.there ? max({node['bottom']}, {node['waist']} + (datum.beside ? 18 : 4)) : datum.top",
        }
        rings = self.rings(self.layer(data, **tight), present="datum.there")
        return [*rings, self.hit(self.layer(data, **around))]


def amount(value: float, unit: str) -> str:
    """Return a number with its unit: "0.5 logits", "1 logit"."""
    return f"{value:g} {unit.removesuffix('s') if value == 1 else unit}"


def round_below(number: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above the number."""
    power = 10.0 ** math.floor(math.log10(number))
    return power * max(digit for digit in (1, 2, 5) if digit * power <= number * (1 + 1e-9))


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return SankeyChart(element, theme).chart()
