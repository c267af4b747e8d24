"""Maps along a sound, which `heatmap` draws: numbers of frames over its waveform and spectrogram, or of a layer's
channels or rows by frames."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.contract import Drawn, Fail
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.view.drawing import Drawing, Index, Shape, rounded
from bbilang.runtime.view.input_below import input_of
from bbilang.runtime.view.model import Frame, OverTime, Panel
from bbilang.runtime.view.scales import MAX_CELLS, coarse, numbers_fit, scale_ends

FRAME = "frame"
ROWS = ("y", "channel")  # axes that may be drawn upwards, the first that is there
MANY = 24  # states from which on pictures are small


def is_along_sound(field: FieldType) -> bool:
    """Return whether a field's map has time on its horizontal axis."""
    return field.axis(FRAME) is not None and field.axis("x") is None


def spend(field: FieldType, style: str) -> Drawn:
    """Return the axes of a map along a sound. Raises `Fail` where the frames are a selection."""
    frame, rows = field.axis(FRAME), rows_of(field)
    assert frame is not None
    ranked = next((axis.name for axis in (frame, rows) if axis is not None and not axis.whole), None)
    if ranked is not None:
        raise Fail(
            "E304",
            f"`{style}` draws all frames in order, and `{ranked}` holds selected ones in another order",
            "draw `bars`, or leave the choice out",
        )
    return Drawn((*([rows.name] if rows else []), FRAME), cells=(rows.size if rows else 1, frame.size))


def rows_of(field: FieldType) -> Axis | None:
    return next((axis for name in ROWS if (axis := field.axis(name)) is not None and axis.whole), None)


def values_of(drawing: Drawing) -> np.ndarray:
    """Return numbers over (states, facet, row, frame), the first row at the top: the last of the axis."""
    rows = rows_of(drawing.field.type)
    values = drawing.grid(drawing.field.values, *([rows] if rows else []), drawing.axis(FRAME))
    return values[..., ::-1, :] if rows else values[..., None, :]


def panels(drawing: Drawing) -> tuple[Panel, ...]:
    """Return one panel for each facet. Over a sound, its picture can be played."""
    from bbilang.runtime.vega.along_sound import LESS_WIDE, WIDE

    values, signed = values_of(drawing), drawing.field.type.signed
    ends, alone = scale_ends(values, signed), values.shape[-2] == 1
    count = int(np.prod(values.shape[:-2], dtype=int))
    wide = WIDE if count < MANY else LESS_WIDE
    numbered = alone and values.shape[-1] <= MAX_CELLS and numbers_fit(values)

    def frame(index: Index) -> tuple[Frame, Shape]:
        cells = values[index]
        number = input_of(drawing, index)
        sound = drawing.results.pictures[number].sound if number is not None else None
        picture = _plain(drawing, cells, ends) if sound is None or not alone else None
        if picture is None:
            picture = _over_sound(drawing, cells[0], ends, number or 0, wide)
        atoms = drawing.cells(index, (1, cells.shape[1]), frames=True) if numbered else ()
        numbers = tuple((rounded(value),) for value in cells.ravel()) if numbered else ()
        return Frame(atoms, (picture,), numbers, coarse=() if numbered else coarse(cells)), cells.shape

    return drawing.map_panels(frame)


def _over_sound(drawing: Drawing, values: np.ndarray, ends: tuple[float, float], number: int, wide: int) -> int:
    from bbilang.runtime.vega.along_sound import along_sound
    from bbilang.runtime.view.image_bytes import webp
    from bbilang.runtime.view.media.sounds import playable

    it = drawing.results.pictures[number]
    assert it.sound is not None
    sheet = along_sound(values, ends, drawing.field.type.signed, it.sound.samples, it.sound.rate, wide)
    words = f"{drawing.field.type.content} over the waveform and the spectrogram of {it.name}"
    made = drawing.picture(webp(sheet), "image/webp", sheet.shape[1], sheet.shape[0], words)
    return drawing.heard(made, playable(it.sound.samples, it.sound.rate))


def _plain(drawing: Drawing, cells: np.ndarray, ends: tuple[float, float]) -> int:
    from bbilang.runtime.vega.colours import colour_map_png

    signed, (y, x) = drawing.field.type.signed, cells.shape
    words = f"{drawing.field.type.content} over frames"
    return drawing.picture(colour_map_png(cells, ends, signed), "image/png", x, y, words)


def over_time(drawing: Drawing) -> OverTime | None:
    """Return what the columns are, if there is a sound to say how long they are."""
    sounds = [picture.sound for picture in drawing.results.pictures if picture.sound is not None]
    rows = rows_of(drawing.field.type)
    return OverTime(sounds[0].seconds, rows.name if rows else "") if sounds else None


def notes(drawing: Drawing) -> tuple[str, ...]:
    """Return the legend's notes on how the map is drawn."""
    rows = rows_of(drawing.field.type)
    if rows is not None:
        return (f"time from left to right; {rows.name.replace('y', 'row')} 0 is at the bottom",)
    return (
        "waveform and spectrogram are grey where the number is near zero",
        "the band between them has the colours of the scale",
        "frequencies of the spectrogram from 50 Hz at the bottom, each octave as high as the next",
    )
