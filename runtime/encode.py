"""Pictures as bytes for a page."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def webp(pixels: np.ndarray, quality: int = 88) -> bytes:
    """uint8 (y, x, rgb) as WebP. The same pixels give the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def jpeg(pixels: np.ndarray, quality: int = 90) -> bytes:
    """uint8 (y, x, rgb) as JPEG, for photographs."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, optimize=True, subsampling=0)
    return buffer.getvalue()


def png(pixels: np.ndarray) -> bytes:
    """uint8 (y, x, rgb or rgba) as PNG, for small maps whose every pixel is a number."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
