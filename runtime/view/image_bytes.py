"""Encode images for a page: WebP, JPEG and PNG."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def webp(pixels: np.ndarray, quality: int = 78) -> bytes:
    """Encode uint8 (y, x, rgb) as WebP. The same pixels give the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=quality, method=6)
    return buffer.getvalue()


def jpeg(pixels: np.ndarray, quality: int = 90) -> bytes:
    """Encode uint8 (y, x, rgb) as JPEG, for photographs."""
    options = {"quality": quality, "subsampling": 0}
    buffer = io.BytesIO()
    try:
        Image.fromarray(pixels).save(buffer, "JPEG", optimize=True, **options)
    except OSError:  # noise does not fit into the buffer that Pillow optimizes in
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def png(pixels: np.ndarray) -> bytes:
    """Encode uint8 (y, x, rgb or rgba) as PNG, for small maps in which every pixel stands for a number."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def palette_png(index: np.ndarray, palette: bytes, opacity: bytes = b"", level: int = 6) -> bytes:
    """Encode uint8 indices (y, x) into a palette (3 bytes per colour; ``opacity``: a byte for each of the first
    colours) as PNG.

    Thousands of small maps are made for a page: a tenth of the time that Pillow takes.
    """
    deep, wide = index.shape
    rows = np.zeros((deep, wide + 1), np.uint8)  # each row begins with its filter: none, the best for palettes
    rows[:, 1:] = index
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", wide, deep, 8, 3, 0, 0, 0)), (b"PLTE", palette)]
    chunks += [(b"tRNS", opacity)] if opacity else []
    chunks += [(b"IDAT", zlib.compress(rows.tobytes(), level)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def palette_of(data: bytes) -> tuple[np.ndarray, bytes, bytes] | None:
    """Decode the result of `palette_png`: (index, palette, opacity); None for any other picture."""
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        chunks[kind] = chunks.get(kind, b"") + data[at + 8 : at + 8 + size]
        at += 12 + size
    header = chunks.get(b"IHDR", b"")
    if (
        len(header) != 13
        or header[8:] != bytes([8, 3, 0, 0, 0])
        or set(chunks) - {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
    ):
        return None
    wide, deep = struct.unpack_from(">II", header)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(deep, wide + 1)
    return None if rows[:, 0].any() else (rows[:, 1:], chunks[b"PLTE"], chunks.get(b"tRNS", b""))
