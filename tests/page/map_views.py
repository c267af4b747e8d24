"""Views of maps on a photo of one colour, so that a test can say what colour each place must have."""

from __future__ import annotations

import numpy as np
from views import PROVENANCE, Album

from bbilang.runtime.view.image_bytes import png
from bbilang.runtime.view.model import Element, Frame, Interface, Legend, Panel, Selection, View
from bbilang.runtime.view.scales import coarse

ORANGE = (214, 120, 48)
STEP = np.array([[1.0, 1.0, 0.0, 0.0]] * 4)  # full on the left, nothing on the right
SIGNS = np.array([[1.0, 1.0, 0.0, 0.0, -1.0, -1.0]] * 6)


def photo(album: Album) -> int:
    return album.add(png(np.full((64, 64, 3), ORANGE, np.uint8)), "image/png", 64, 64, "an orange square")


def over_photo(name: str, album: Album, values: np.ndarray, signed: bool, **given: object) -> Element:
    """A map of these values to lay over the photo."""
    picture = album.map(np.repeat(np.repeat(values, 4, 0), 4, 1), (-1.0 if signed else 0.0, 1.0), signed, over=True)
    numbers = tuple((float(value),) for value in values.ravel())
    panel = Panel("", (Frame(pictures=(picture,), values=numbers),), values.shape)
    legend = Legend("evidence", "logits", "", (-1.0 if signed else 0.0, 1.0), signed)
    return Element(name, "heatmap", name.capitalize(), "", "a map", (), (panel,), legend, **given)


def page_of(album: Album, *elements: Element, selections: tuple[Selection, ...] = ()) -> View:
    layout = ("column", tuple(element.id for element in elements))
    return View(
        "Maps",
        (Interface("Maps", layout, elements),),
        selections,
        tuple(album.pictures),
        (),
        PROVENANCE,
        "bbi 1",
    )


def on_photo(*overlays: Element, album: Album, **given: object) -> Element:
    frame = Frame(pictures=(photo(album),))
    return Element("photo", "image", "The photo", "", "a photo", (), (Panel("", (frame,)),), overlays=overlays, **given)


def spotlight() -> View:
    """A magnitude over the photo."""
    album = Album()
    return page_of(album, on_photo(over_photo("where", album, STEP, False), album=album))


def tint() -> View:
    """Signed values over the photo."""
    album = Album()
    return page_of(album, on_photo(over_photo("evidence", album, SIGNS, True), album=album))


def alone() -> View:
    """Signed values by themselves, over the faint photo."""
    album = Album()
    picture = album.map(SIGNS, (-1.0, 1.0), True)
    frame = Frame(pictures=(picture, photo(album)), values=tuple((float(value),) for value in SIGNS.ravel()))
    legend = Legend("evidence", "logits", "", (-1.0, 1.0), True)
    panel = Panel("", (frame,), SIGNS.shape)
    return page_of(album, Element("map", "heatmap", "A map", "", "a map", (), (panel,), legend))


def pixels() -> View:
    """A map of 56 x 56 pixels that carries means only: 0.5 in the last column of blocks."""
    album, values = Album(), np.zeros((56, 56))
    values[:, 52:] = 0.5
    return _picture(album, Frame(pictures=(album.map(values, (-1.0, 1.0), True),), coarse=coarse(values)))


def picture_only() -> View:
    """A map whose page has no number of it."""
    album = Album()
    return _picture(album, Frame(pictures=(album.map(np.zeros((56, 56)), (-1.0, 1.0), True),)))


def _picture(album: Album, frame: Frame) -> View:
    legend = Legend("evidence", "logits", "", (-1.0, 1.0), True)
    return page_of(album, Element("map", "heatmap", "A map", "", "a map", (), (Panel("", (frame,), (56, 56)),), legend))
