"""Icons as pictures of a page: several icons of one atom as one tile, and the area that `size=` gives each."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.ir.types import Axis
from bbilang.runtime.featvis.dream_options import guide_name, guide_of
from bbilang.runtime.featvis.element_objectives import pictures_per_atom
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.media.sounds import played


def icon_areas(drawing: Drawing, axis: Axis) -> np.ndarray | None:
    """Return the area of each icon as a share of the largest, over (states, facet, slot); None without `size=`."""
    if drawing.node["size"] is None:
        return None
    field = drawing.results.sizes.get(drawing.element.id)
    values = np.abs(drawing.grid(field.values, axis)) if field is not None else np.abs(drawing.values(axis)).max(-1)
    values = np.nan_to_num(values)
    return values / max(float(values.max(initial=0)), 1e-12)


def icon_picture(drawing: Drawing, number: int) -> int:
    """Return the index of an icon in the page's pictures, -1 for none; several icons of one atom share a tile.

    WebP takes a third of a PNG's bytes at no visible loss.
    """
    if number < 0:
        return -1
    from bbilang.runtime.view.image_bytes import webp

    icon = drawing.results.icons[number]
    if icon.sound is not None:
        rate, samples = icon.sound
        sound = played(samples, rate)
        y, x = icon.picture.shape[:2]
        made = drawing.picture(webp(icon.picture), "image/webp", x, y, f"a sound that excites it: {sound.words}")
        return drawing.heard(made, sound)
    count = pictures_per_atom(drawing.node, drawing.results.program)
    pixels = tile([icon.picture for icon in drawing.results.icons[number : number + count]])
    y, x = pixels.shape[:2]
    return drawing.picture(webp(pixels), "image/webp", x, y, "a picture that the network responds to")


def guide_picture(drawing: Drawing) -> int:
    """Return the index, in the page's pictures, of the picture that guides the element's dreams; -1 for none."""
    from bbilang.runtime.view.image_bytes import jpeg

    model = drawing.results.adapter
    shown = guide_of(drawing.node, drawing.results.program, model) if model is not None else None
    if shown is None:
        return -1
    y, x = shown.shape[:2]
    return drawing.picture(jpeg(shown), "image/jpeg", x, y, f"the guide {guide_name(drawing.node)}")


def tile(pictures: list[np.ndarray]) -> np.ndarray:
    """Arrange pictures (y, x, rgb or rgba) of one size in a square, with a gap between them; the gap and cells that are
    left over are transparent."""
    if len(pictures) == 1:
        return pictures[0]
    wide = int(np.ceil(len(pictures) ** 0.5))
    deep, (y, x) = -(-len(pictures) // wide), pictures[0].shape[:2]
    gap = max(x // 32, 1)
    sheet = np.zeros((deep * (y + gap) - gap, wide * (x + gap) - gap, 4), np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // wide * (y + gap), number % wide * (x + gap)
        sheet[top : top + y, left : left + x] = with_alpha(picture)
    return sheet


def with_alpha(picture: np.ndarray) -> np.ndarray:
    """Return the picture as (y, x, rgba), opaque if it has no alpha."""
    if picture.shape[-1] == 4:
        return picture
    return np.concatenate([picture, np.full((*picture.shape[:2], 1), 255, np.uint8)], axis=-1)
