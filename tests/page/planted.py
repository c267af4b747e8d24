"""Fields planted where a run would put them: views of the styles that draw positions, groups, links and numbers, made
by the styles themselves without a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image
from views import PROVENANCE, blob

from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Element, Interface, ModelSlot, Node, Program
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar.source import Source
from bbilang.registry import registry
from bbilang.runtime.execution.results import IconSet, Results
from bbilang.runtime.fields.field import Field, Linked, Named
from bbilang.runtime.inputs.network_input import NetworkInput
from bbilang.runtime.view.build import view
from bbilang.runtime.view.model import View

SIZES = {"early": (28, 28), "middle": (14, 14), "late": (14, 14), "last": (7, 7)}
LABELS = ("tiger cat", "tabby", "Egyptian cat", "lynx", "Persian cat")


@dataclass(frozen=True)
class Icon:
    picture: np.ndarray
    objective: float = 1.0
    dead: bool = False
    reason: str = ""
    check: None = None
    sound: None = None


def texture(seed: int, size: int = 32) -> np.ndarray:
    """A picture in the manner of an icon: a grating of its own direction and colour."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    wave = np.sin(random.uniform(4, 22) * (x * np.cos(seed) + y * np.sin(seed)) + random.uniform(0, 6))
    colour = random.uniform(0.15, 0.85, 3)
    return np.uint8(255 * np.clip(colour + wave[..., None] * random.normal(0, 0.25, 3), 0, 1))


class Planting:
    """Collects elements and what their fields are, and gives the view."""

    def __init__(self) -> None:
        photo = np.asarray(Image.fromarray(load_sample_image("china.jpg")).resize((224, 224)))
        self.elements: list[Element] = []
        self.program = Program((ModelSlot("", "planted"),), ("china.jpg",), (), source=Source("bbi 1\n", "planted.bbi"))
        self.photos = (NetworkInput("china.jpg", None, photo),)
        self.fields: dict[str, Field] = {}
        self.selections: dict[str, Field] = {}
        self.all_icons: list[Icon] = []
        self.icon_sets: dict[str, IconSet] = {}
        self.sizes: dict[str, Field] = {}

    def present(
        self, name: str, style: str, field: Field, *inputs: Node, over: str | None = None, **given: Any
    ) -> Node:
        parameters = dict.fromkeys(("over", "size", "color", "opacity", "facet", "title", "caption")) | given
        below = next((e.node for e in self.elements if e.id == over), None)
        parameters |= {"style": style, "over": below}
        parameters |= {p.name: given.get(p.name, p.default) for p in registry().styles[style].parameters}
        inner = inputs or (Node("planted", (), (("name", name),), field.type),)
        node = Node("present", inner, tuple(sorted(parameters.items())), field.type)
        title, caption = given.get("title") or "", given.get("caption") or ""
        self.elements.append(Element(name, node, title, caption, over))
        self.fields[name] = Field(**{**vars(field)}) if type(field) is Field else field
        return node

    def photo(self, name: str = "photo") -> Node:
        type = FieldType("picture", "pixel", ("input",), (Axis("y", 224), Axis("x", 224)), signed=False)
        return self.present(name, "image", Field(type, Named((), np.array(0.0))), title="The photo")

    def icons(self, name: str, index: Named, pictures: list[np.ndarray]) -> None:
        base = len(self.all_icons)
        self.all_icons += [Icon(picture) for picture in pictures]
        data = np.where(index.data >= 0, index.data + base, -1)
        self.icon_sets[name] = IconSet(Named(index.dims, data))

    def selection(self, kind: str, name: str, over: Node, coords: dict[str, np.ndarray], start: Any = "first") -> Node:
        size = len(next(iter(coords.values())))
        components = tuple(coords)
        type = FieldType("selection", over.type.atom, over.type.layers, (Axis(name, size, components),))
        node = Node(kind, (), (("components", components), ("id", name), ("over", over), ("start", start)), type)
        places = {c: Named((name,), np.asarray(v)) for c, v in coords.items()}
        self.selections[name] = Field(type, Named((name,), np.zeros(size, np.float32)), places)
        return node

    def view(self, title: str, layout: Any = None) -> View:
        below = [e.id for e in self.elements if e.over is None]
        layout = layout or ("column", tuple(below))
        interface = Interface(title, tuple(self.elements), layout)
        results = Results(
            replace(self.program, interfaces=(interface,)), self.fields, self.selections, self.all_icons,
            self.icon_sets, self.photos, self.sizes, labels=lambda index: LABELS[index],
            layers={n: LayerDescription(n, "", ("channel", "y", "x"), (64, *size)) for n, size in SIZES.items()},
        )  # fmt: skip
        return view(results, registry(), PROVENANCE, title)


def axis_coords(**axes: int) -> dict[str, Named]:
    return {name: Named((name,), np.arange(size)) for name, size in axes.items()}


# --- positions --------------------------------------------------------------------------------------------------------


def padded(maps: list[np.ndarray]) -> np.ndarray:
    """Maps of several sizes over (layer, y, x), NaN beyond a smaller layer."""
    largest = tuple(np.max([m.shape for m in maps], axis=0))
    stacked = np.full((len(maps), *largest), np.nan, np.float32)
    for i, one in enumerate(maps):
        stacked[(i, *map(slice, one.shape))] = one
    return stacked


def positions(layers: tuple[str, ...], *more: Axis, **changes: Any) -> FieldType:
    deep, wide = zip(*(SIZES[name] for name in layers), strict=True)
    axes = (Axis("layer", len(layers)), Axis("y", max(deep), sizes=deep), Axis("x", max(wide), sizes=wide), *more)
    plain = {"content": "activation", "signed": False, "unit": "L2 norm"}
    return FieldType(**{"atom": "spatial", "layers": layers, "axes": axes, **plain, **changes})


@cache
def few_grids() -> View:
    return grids(("middle", "last"))


@cache
def grids(layers: tuple[str, ...] = tuple(SIZES)) -> View:
    """Layers of icons at every position, and over them a map for each position that the reader points at."""
    plant, sizes = Planting(), [SIZES[name] for name in layers]
    norms = [0.2 + blob(i, size[0]) for i, size in enumerate(sizes)]
    most = max(deep for deep, _ in sizes)
    coords = axis_coords(layer=len(layers), y=most, x=most)
    field = Field(positions(layers), Named(("layer", "y", "x"), padded(norms)), coords)
    node = plant.present("grids", "featvis", field, size="norm", facet="layer", title="What each layer sees where")
    plant.sizes["grids"] = field
    there = np.argwhere(np.isfinite(field.values.data))
    index = np.full(field.values.data.shape, -1)
    index[tuple(there.T)] = np.arange(len(there))
    plant.icons("grids", Named(("layer", "y", "x"), index), [texture(i) for i in range(len(there))])
    cell = plant.selection("hover", "cell", node, dict(zip(("layer", "y", "x"), there.T, strict=True)))
    u, v = (there[:, 1:] + 0.5).T / np.array([SIZES[layers[i]] for i in there[:, 0]]).T
    influence = np.full((len(there), len(layers), most, most), np.nan, np.float32)
    for i, (deep, wide) in enumerate(sizes):
        y, x = (np.mgrid[:deep, :wide] + 0.5) / np.array([deep, wide]).reshape(2, 1, 1)
        distance = (y - u[:, None, None]) ** 2 + (x - v[:, None, None]) ** 2
        influence[:, i, :deep, :wide] = np.exp(-distance / 0.02) * (1 + 0.3 * np.sin(9 * y + 7 * x))
    type = positions(layers, content="attribution").with_states(Axis("cell", len(there), ("layer", "y", "x")))
    linked = Field(type, Named(("cell", "layer", "y", "x"), influence), coords)
    at = Node("at", (Node("planted", (), (), type),), (("selection", cell),), type)
    plant.present("influence", "heatmap", linked, at, over="grids", facet="layer")
    return plant.view("Positions of four layers")


@cache
def quiet_grids() -> View:
    """Two grids whose text has no selection, the second of vectors that `attribute` made signed."""
    plant = Planting()
    for name, layers in (("first", ("middle", "last")), ("second", ("late",))):
        maps = [blob(3 + i, SIZES[layer][0]) for i, layer in enumerate(layers)]
        field = Field(
            positions(layers), Named(("layer", "y", "x"), padded(maps)), axis_coords(layer=len(layers), y=14, x=14)
        )
        if len(layers) == 1:
            axes = (Axis("y", 14), Axis("x", 14))
            field = Field(
                FieldType("activation", "spatial", layers, axes), Named(("y", "x"), maps[0]), axis_coords(y=14, x=14)
            )
        given = {"facet": "layer"} if len(layers) > 1 else {}
        caption = "The [roof](position 2 9) is in the late layer." if name == "second" else None
        plant.present(name, "grid", field, size="value", title=f"Grid {name}", caption=caption, **given)
        data = field.values.data
        there = np.argwhere(np.isfinite(data))
        index = np.full(data.shape, -1)
        index[tuple(there.T)] = np.arange(len(there))
        plant.icons(name, Named(field.values.dims, index), [texture(i) for i in range(len(there))])
    return plant.view("Two grids", ("row", ("first", "second")))


@cache
def components() -> View:
    """Three components over the photo, and two over a grid of icons."""
    plant = Planting()
    plant.photo()
    three = np.stack([blob(i, 14) - 0.4 for i in (5, 6, 7)], axis=-1)
    axes = (Axis("y", 14), Axis("x", 14), Axis("component", 3))
    type = FieldType("activation", "spatial", ("late",), axes, steps=("pca, 3 components",))
    field = Field(type, Named(("y", "x", "component"), three), axis_coords(y=14, x=14))
    plant.present("overview", "rgb", field, over="photo", title="Principal components")
    plant.present("alone", "rgb", field, title="The components alone")
    maps = [blob(20 + i, SIZES[layer][0]) for i, layer in enumerate(("middle", "last"))]
    grid = Field(
        positions(("middle", "last")), Named(("layer", "y", "x"), padded(maps)), axis_coords(layer=2, y=14, x=14)
    )
    plant.present("grid", "grid", grid, size="norm", facet="layer", title="Two directions")
    there = np.argwhere(np.isfinite(grid.values.data))
    index = np.full(grid.values.data.shape, -1)
    index[tuple(there.T)] = np.arange(len(there))
    plant.icons("grid", Named(grid.values.dims, index), [texture(i) for i in range(len(there))])
    pair = np.stack([padded([blob(30 + 2 * i + k, m.shape[0]) for i, m in enumerate(maps)]) for k in (0, 1)], axis=-1)
    type = positions(("middle", "last"), Axis("component", 2), content="attribution", unit="logits")
    two = Field(type, Named(("layer", "y", "x", "component"), pair), axis_coords(layer=2, y=14, x=14))
    plant.present("two", "rgb", two, over="grid", facet="layer")
    return plant.view("Components as colours", ("column", (("row", ("photo", "alone")), "grid")))


# --- groups -----------------------------------------------------------------------------------------------------------


def factorized(n: Any = 6, layer: str = "late") -> Node:
    type = FieldType("activation", "group", (layer,), (Axis("group", n if isinstance(n, int) else 8),), signed=False)
    whole = Node("substrate", (), (("layer", layer),), FieldType("substrate", "neuron", (layer,), ()))
    return Node("factorize", (whole,), (("method", "nmf"), ("n", n)), type)


def factors(n: int, size: int = 14) -> np.ndarray:
    """W over (y, x, group)."""
    y, x = np.mgrid[:size, :size] / (size - 1)
    parts = [np.exp(-((x - (g + 0.5) / n) ** 2 + (y - 0.3 - 0.4 * (g % 2)) ** 2) / 0.025) for g in range(n)]
    return np.stack(parts, axis=-1).astype(np.float32)


@cache
def neuron_groups() -> View:
    """The photo under masks of groups, their icons, and their effect on classes; how many is the reader's choice."""
    plant = Planting()
    plant.photo()
    counts = np.array([2, 4, 6, 8])
    number = FieldType("selection", "number", (), (Axis("n", 4, ("value",)),))
    slider = Node("slider", (), (("from", 2), ("id", "n"), ("start", 6), ("step", 2), ("to", 8)), number)
    plant.selections["n"] = Field(number, Named(("n",), counts.astype(np.float32)), {"value": Named(("n",), counts)})
    source = factorized(slider)
    state = Axis("n", 4, ("value",))
    group = Axis("group", 8, exact=False)
    spatial = np.full((4, 8, 14, 14), np.nan, np.float32)
    for i, n in enumerate(counts):
        spatial[i, :n] = np.moveaxis(factors(int(n)), -1, 0)
    type = FieldType("loading", "spatial", ("late",), (group, Axis("y", 14), Axis("x", 14)), (state,), signed=False)
    coords = axis_coords(group=8, y=14, x=14)
    where = Node("factor", (source,), (("which", "spatial"),), type)
    masks = Field(type, Named(("n", "group", "y", "x"), spatial), coords)
    plant.present(
        "where",
        "masks",
        masks,
        where,
        over="photo",
        title="Groups",
        caption="The [left](group 0) and the [sky](position 1 7).",
    )
    values = np.where(np.isnan(spatial).all((2, 3)), np.nan, 3.0 - np.arange(8) / 4).astype(np.float32)
    type = FieldType("activation", "group", ("late",), (group,), (state,), signed=False, unit="|W| |H|")
    plant.present(
        "groups", "featvis", Field(type, Named(("n", "group"), values), axis_coords(group=8)), source, title="What"
    )
    index = np.where(np.isnan(values), -1, np.arange(32).reshape(4, 8))
    plant.icons("groups", Named(("n", "group"), index), [texture(40 + i, 64) for i in range(32)])
    random = np.random.default_rng(2)
    effect = np.where(np.isnan(values)[..., None], np.nan, random.normal(0, 1, (4, 8, 5))).astype(np.float32)
    type = FieldType("attribution", "group", ("late",), (group, Axis("class", 5)), (state,), unit="logits")
    names = {"class": Named(("class",), np.array(LABELS, object))}
    coords = axis_coords(group=8) | {"class": Named(("class",), np.arange(5))}
    matrix = Field(type, Named(("n", "group", "class"), effect), coords, names)
    to = Node(
        "output",
        (),
        (("score", "logit"), ("which", ("top", 5))),
        FieldType("score", "class", ("output",), (Axis("class", 5),)),
    )
    plant.present(
        "effect", "matrix", matrix, Node("attribute", (source,), (("to", to),), type), title="Effect on classes"
    )
    return plant.view("Neuron groups", ("row", ("photo", ("column", ("groups", "effect")))))


@cache
def flows() -> View:
    """Groups of two layers and classes: what leads to what."""
    plant, random = Planting(), np.random.default_rng(4)
    early, late = factorized(8, "middle"), factorized(6, "late")
    type = FieldType("attribution", "list", ("middle", "late"), (), unit="of the later atom's score")
    classes = FieldType("score", "class", ("output",), (Axis("class", 5),))
    output = Node("output", (), (("score", "logit"), ("which", ("top", 5))), classes)
    fields = Node("fields", (early, late, output), (), type)
    nodes = [Field(n.type, Named(("group",), random.uniform(1, 9, s).astype(np.float32)), axis_coords(group=s))
             for n, s in ((early, 8), (late, 6))]  # fmt: skip
    names = {"class": Named(("class",), np.array(LABELS, object))}
    nodes.append(
        Field(classes, Named(("class",), random.uniform(4, 9, 5)), {"class": Named(("class",), np.arange(5))}, names)
    )
    first = Field(type, Named(("group", "to.group"), random.normal(0.6, 1.0, (8, 6))))
    second = Field(type, Named(("group", "class"), random.normal(0.3, 1.0, (6, 5))))
    linked = Linked(type, Named((), np.array(0.0)), nodes=tuple(nodes), pairs=(first, second))
    plant.present("flow", "sankey", linked, Node("link", (fields,), (("to", None),), type), title="What leads to what")
    return plant.view("Groups across layers")


# --- numbers ----------------------------------------------------------------------------------------------------------


@cache
def numbers() -> View:
    """A table, a curve, points and a matrix of pairs."""
    plant, random = Planting(), np.random.default_rng(9)
    channels, values = np.array([447, 12, 205, 338, 91, 460]), random.normal(0, 1.5, (6, 3)).astype(np.float32)
    names = {"class": Named(("class",), np.array(LABELS[:3], object))}
    coords = {"channel": Named(("channel",), channels), "class": Named(("class",), np.arange(3))}
    type = FieldType("attribution", "channel", ("late",), (Axis("channel", 6), Axis("class", 3)), unit="logits")
    plant.present("table", "table", Field(type, Named(("channel", "class"), values), coords, names), title="A table")
    norms = random.uniform(2, 9, 4).astype(np.float32)
    type = FieldType("activation", "whole", tuple(SIZES), (Axis("layer", 4),), signed=False, unit="L2 norm")
    plant.present("curve", "curve", Field(type, Named(("layer",), norms), axis_coords(layer=4)), title="Layer by layer")
    points = random.normal(0, 1, (40, 2)).astype(np.float32)
    pair = {"class": Named(("class",), np.array(LABELS[:2], object))}
    coords = {"channel": Named(("channel",), np.arange(40)), "class": Named(("class",), np.arange(2))}
    type = FieldType("attribution", "channel", ("late",), (Axis("channel", 40), Axis("class", 2)), unit="logits")
    plant.present(
        "points",
        "scatter",
        Field(type, Named(("channel", "class"), points), coords, pair),
        title="Two classes",
        icons=True,
    )
    plant.icons("points", Named(("channel",), np.arange(40)), [texture(80 + i, 48) for i in range(40)])
    axis = Axis("channel", 5, ("channel", "to.channel"))
    coords = {
        c: Named((axis.name,), np.array(v)) for c, v in (("channel", [3, 3, 8, 1, 8]), ("to.channel", [7, 2, 7, 2, 9]))
    }
    type = FieldType("weight", "channel", ("middle",), (axis,), linked=("late",))
    plant.present(
        "weights",
        "matrix",
        Field(type, Named((axis.name,), np.float32([1, -0.5, 0.25, -2, 0.75])), coords),
        title="Weights",
    )
    type = FieldType("score", "class", ("output",), (), unit="logits")
    coords, names = {"class": Named((), np.array(0))}, {"class": Named((), np.array(LABELS[0], object))}
    plant.present("score", "number", Field(type, Named((), np.float32(9.1666)), coords, names), title="The score")
    return plant.view("Numbers", ("column", (("row", ("table", "curve")), ("row", ("points", "weights")), "score")))
