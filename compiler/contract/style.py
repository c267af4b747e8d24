"""The contract of a style: which axes of a field it draws, with how many marks, and how."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from bbilang.compiler.contract.demands import Demand
from bbilang.compiler.contract.parameters import Parameter
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar.frozen import frozen

if TYPE_CHECKING:  # what draws may import numpy and Altair; what checks a text must not
    from bbilang.compiler.complete.grid import Grid
    from bbilang.compiler.contract.run import Run
    from bbilang.runtime.fields.field import Field, Named
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown
    from bbilang.runtime.view.drawing import Drawing
    from bbilang.runtime.view.model import Answer, Detail, Element, Frame, OverTime, Panel, PointSet, Selection, Verdict

# None; opaque colours; colours that let the ground through where there is nothing to say, which a dark page turns; a
# photo that is in full where values are large and faded where they are not.
ColourScale: TypeAlias = Literal["", "full", "map", "spotlight"]
# How numbers are read, from the most accurate to the least (Cleveland and McGill 1984); digits are read one by one.
Encoding: TypeAlias = Literal["position", "length", "area", "colour", "digits"]
ENCODINGS: tuple[Encoding, ...] = ("position", "length", "area", "colour", "digits")
Redraw: TypeAlias = Literal["", "values", "counts", "rows", "nearest"]


@frozen
class Drawn:
    """What a style makes of a field's axes: one axis along the slots, one as series, the rest are facets or states."""

    spent: tuple[str, ...]
    slots: Axis | None = None
    series: Axis | None = None
    cells: tuple[int, int] | None = None  # (y, x) of a map
    named: bool = False  # each number says what it is of, so that series may differ from slot to slot
    joined: bool = False  # slots whose atoms differ along the series are joined by their atoms into common rows


class Style:
    """One way to draw a field. Adding one is adding a file with a subclass and a tuple ``STYLES``.

    The type rule (`spend`, `marks`, `demands`) is applied when a text is checked; `panels`, `quantity`, `options`,
    `notes`, `title`, `answer` and `alternative` when a view is built from numbers; the rest when a page, a picture or a
    specification is made of the view. Only `chart` may import Altair, and only inside itself, so that checking a text
    does not.
    """

    name: ClassVar[str] = ""
    spends: ClassVar[str] = ""  # in words, for messages: "one axis of atoms"
    drawn_as: ClassVar[str] = ""  # for a sentence about a pipe: "bars"; its name where empty
    encoding: ClassVar[Encoding] = "colour"
    takes: ClassVar[tuple[str, ...]] = ()  # axes that may be spent besides, where they are there
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    draws_lists: ClassVar[bool] = False  # a linked list of fields; no other field
    overlays: ClassVar[bool] = False  # may be drawn `over=` another element
    carries: ClassVar[bool] = False  # other elements may be drawn into it
    portrays: ClassVar[bool] = False  # draws one atom by itself, of a model that reads pictures
    states_one: ClassVar[bool] = False  # says the number of one atom by itself, of any model
    tabulates: ClassVar[bool] = False  # says one atom's numbers for each of several groups or classes
    draws_controls: ClassVar[bool] = False  # what random sets do, beside the effect of an intervention
    clips: ClassVar[bool] = False  # numbers stand beside its colours, which may stay at an end of the scale
    coloured: ClassVar[bool] = False  # `color=` says what the colour of its bars shows
    shows_examples: ClassVar[bool] = False  # draws examples of a dataset as small pictures
    shows_input: ClassVar[bool] = False  # draws the input itself, and so has the positions of every layer
    gathers: ClassVar[bool] = False  # its marks are bins, each of which stands for several atoms of the field
    zero_centred: ClassVar[bool] = False  # zero stays in the middle of a signed scale though all values have one sign
    selects_marks: ClassVar[bool] = False  # every mark can be pointed at without a selection in the text
    selects_positions: ClassVar[bool] = False  # so can every position of its maps
    enlarges_cells: ClassVar[bool] = False  # of its maps, the cell at the position pointed at is shown enlarged
    fades_groups: ClassVar[bool] = False  # at a position pointed at, groups fade that are not there, in every element
    follows_links: ClassVar[bool] = False  # a click on a node leaves what flows through it; classes have a menu
    lists_claims: ClassVar[bool] = False  # draws the claims of a page
    places_pages: ClassVar[bool] = False  # draws where pages lie in the space of interfaces; nothing stands before it
    example: ClassVar[str] = ""
    example_needs: ClassVar[str] = ""  # what its model has and no network that ships does; empty where it checks

    # ---- checking: from the type of a field ------------------------------------------------------------------------

    def spend(self, field: FieldType) -> Drawn:
        """Return the axes that are drawn. Raises `Fail` if the field cannot be drawn like this."""
        raise NotImplementedError

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        """Bound an element's size: (the most marks that a panel shows at once, the numbers that the page carries for
        them in each state). A map counts as one picture, whatever its cells."""
        if drawn.cells is not None:
            return 0, 0
        sizes = [axis.size for axis in (drawn.slots, drawn.series) if axis is not None]
        return math.prod(sizes), math.prod(sizes)

    def encloses(self, node: Node) -> bool:
        """Return whether an element of this style draws the examples of a dataset as points, around which a reader can
        draw a lasso."""
        return False

    def redraws(self, field: FieldType) -> Redraw:
        """Return how the page draws a field again for the examples that a lasso encloses: their numbers reduced anew,
        counted in bins, the examples themselves in a row, or the icon of the bin nearest to their mean; empty where it
        cannot."""
        return ""

    def demands(self, node: Node) -> tuple[Demand, ...]:
        """Return what drawing needs of the model besides the field's numbers."""
        return ()

    def icon_bound(self, node: Node) -> int | None:
        """Bound how many icons an element needs, where that is not the number of its atoms. Raises `Fail` where its
        arguments do not go together."""
        return None

    # ---- execution: what is kept of an element ----------------------------------------------------------------------

    def prepared(self, node: Node, field: Field, run: Run) -> Field:
        """Return what is kept of the field to draw it: the field itself, or what is computed from it once."""
        return field

    def examples_of(self, field: Field) -> Field | None:
        """Return the field whose coordinates are those of the examples that are shown as small pictures; None for
        none."""
        return field if self.shows_examples and "example" in field.coords else None

    # ---- view: from numbers ----------------------------------------------------------------------------------------

    def objectives(self, node: Node, field: Field, run: Run) -> tuple[Named, list[Any]]:
        """Return (index of each atom's objective, the objectives that icons maximize), for styles that demand icons."""
        raise NotImplementedError

    def drawn(self, field: Field) -> Field:
        """Return the part of a field that is drawn: itself, or a field that it carries along."""
        return field

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        """Return the panels of the view, from a field's numbers."""
        raise NotImplementedError

    def chosen_from(self, drawing: Drawing) -> Frame:
        """Return the frame among whose slots a page chooses the nearest, for a style that redraws it."""
        raise NotImplementedError

    def selections(self, drawing: Drawing) -> tuple[Selection, ...]:
        """Return what a reader chooses in this element alone: states of its field that are no selections of the
        text."""
        return ()

    def details(self, drawing: Drawing) -> tuple[Detail, ...]:
        """Return what a page says below the picture of the mark that is pointed at, for each of the element's atoms in
        their order; () for nothing. Asked after the panels, which number the atoms."""
        return ()

    def over_time(self, drawing: Drawing) -> OverTime | None:
        """Return what the columns of a map are, where they are parts of a sound."""
        return None

    def verdicts(self, drawing: Drawing) -> tuple[Verdict, ...]:
        """Return the claims that a page lists in place of a picture; () for a picture."""
        return ()

    def grids(self, drawing: Drawing) -> tuple[Grid, ...]:
        """Return the grids that a page shows in place of a picture, of a style that places pages; () for a picture."""
        return ()

    def points(self, drawing: Drawing) -> PointSet | None:
        """Return what the page's points layer draws in place of marks; None for marks. The panels are empty then."""
        return None

    def scale(self, drawing: Drawing) -> tuple[tuple[float, float], str] | None:
        """Return the ends of the scale and their unit, if the ends are not the extremes of the numbers."""
        return None

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        """Return the legend's notes on this style, besides quantity, unit and scale."""
        return ()

    def has_legend(self, drawing: Drawing) -> bool:
        """Return whether numbers are drawn, which a legend explains."""
        return True

    def quantity(self, drawing: Drawing) -> str:
        """Return what the legend calls the quantity, if that is not a number; empty for the name and unit of the
        numbers."""
        return ""

    def options(self, drawing: Drawing) -> dict[str, object]:
        """Return what `chart` needs besides the panels: `Element.options`."""
        return {}

    def title(self, drawing: Drawing) -> str:
        """Return the title of an element without one; empty for one made from its atoms and layers."""
        return ""

    def answer(self, shown: Shown) -> Answer | None:
        """Describe in one or two sentences, from its numbers, what the element shows in one state: the sentence at the
        top of a page, the text alternative, and what a screen reader reads. None for the sentence by content, which
        `runtime.view.answers` writes; () for none."""
        return None

    def alternative(self, drawing: Drawing) -> str:
        """Return the text alternative of the element; empty for its marks in words."""
        return ""

    # ---- page, pictures, specifications: from the view -------------------------------------------------------------

    def chart(self, element: Element, theme: Theme) -> Chart:
        """Return the element as an Altair chart or a Vega-Lite specification."""
        raise NotImplementedError

    def colour_scale(self, element: Element, over: bool) -> ColourScale:
        """Return the scale on which colours show the element's numbers, for its legend. ``over``: it is an overlay."""
        return ""

    def preferred_width(self, element: Element) -> int | None:
        """Return the width in pixels that the element prefers; None for the default of maps or of marks."""
        return None
