"""Pictures given from Python: PIL pictures, names of files, arrays, tensors. Torch is never imported."""

from __future__ import annotations

from os import PathLike

import numpy as np
from PIL import Image, ImageOps

from bbilang.grammar.files import read_bytes
from bbilang.runtime.data.pictures import Unreadable, picture_of, stripped
from bbilang.runtime.inputs.arguments import kind_of
from bbilang.runtime.inputs.images import MOST_BYTES, MOST_PIXELS, MOST_SIDE, to_rgb

EXPECTED = "give PIL pictures, arrays (y, x, 3), or tensors (3, y, x) in [0, 1] before normalization"
SLACK = 1e-4  # below 0 and above 1, of floating point


def picture_from(item: object, name: str) -> Image.Image:
    """Return a picture in RGB of any kind that an item may be. Raises Unreadable."""
    if isinstance(item, str | PathLike):
        try:
            return picture_of(read_bytes(item, MOST_BYTES), name)
        except OSError as failure:
            raise Unreadable(name, failure.strerror or str(failure)) from failure
    if isinstance(item, Image.Image):
        return _from_pil(item, name)
    values = _array(item)
    if values is None:
        raise Unreadable(name, f"{kind_of(item)} is not a picture")
    return Image.fromarray(_rgb(values, name, first=not isinstance(item, np.ndarray)))


def _from_pil(picture: Image.Image, name: str) -> Image.Image:
    if picture.width * picture.height > MOST_PIXELS or max(picture.size) > MOST_SIDE or 0 in picture.size:
        raise Unreadable(name, f"{picture.width:,} x {picture.height:,} pixels")
    try:
        return stripped(to_rgb(ImageOps.exif_transpose(picture)))
    except Exception as failure:  # a lazy picture is decoded here, and decoders raise anything
        raise Unreadable(name, f"it cannot be decoded: {failure}") from failure


def _array(value: object) -> np.ndarray | None:
    """Return a numpy array, or a torch tensor's values, which is recognized without importing torch."""
    if isinstance(value, np.ndarray):
        return value
    if type(value).__module__.split(".")[0] == "torch" and hasattr(value, "detach"):
        tensor = value.detach().cpu()
        return np.asarray((tensor.float() if tensor.is_floating_point() else tensor).numpy())
    return None


def _rgb(values: np.ndarray, name: str, first: bool) -> np.ndarray:
    """Return uint8 (y, x, rgb). ``first``: of two readings, channels come first, as in tensors."""
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or 0 in values.shape:
        raise Unreadable(name, f"an array of shape {values.shape} is not a picture")
    leading, trailing = values.shape[0] in (1, 3), values.shape[2] in (1, 3)
    if not (leading or trailing):
        raise Unreadable(name, f"an array of shape {values.shape} has no axis of 1 or 3 channels")
    if leading and (first or not trailing):
        values = values.transpose(1, 2, 0)
    if values.shape[0] * values.shape[1] > MOST_PIXELS:
        raise Unreadable(name, f"{values.shape[1]:,} x {values.shape[0]:,} pixels")
    if values.dtype.kind == "f":
        if not (values.min() >= -SLACK and values.max() <= 1 + SLACK):  # NaN too
            raise Unreadable(name, "values outside of [0, 1]: give pictures before normalization")
        values = np.rint(values.astype(np.float64).clip(0, 1) * 255).astype(np.uint8)
    elif values.dtype == np.bool_:
        values = values.astype(np.uint8) * 255
    elif values.dtype != np.uint8:
        raise Unreadable(name, f"an array of {values.dtype}: give uint8, or floating point in [0, 1]")
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))
