"""Decoded pictures and sizes from headers: EXIF, formats, and files that cannot be read."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from drawn import CLASSES, encoded, pixels, write
from PIL import Image

from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.data.pictures import Unreadable, picture_of, size_of
from bbilang.runtime.data.thumbnails import sprites


def exif(orientation: int) -> bytes:
    own = Image.Exif()
    own[0x0112] = orientation
    own[0x010F] = "a camera of mine"
    return own.tobytes()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM"])
@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 8])
def test_sizes_of_headers_are_those_of_pictures(format, orientation):
    options = {"exif": exif(orientation)} if format in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    data = encoded(1, format, (20, 12), **options)
    picture = picture_of(data, "a")
    turned = bool(options) and orientation > 4
    assert picture.size == ((12, 20) if turned else (20, 12)) == size_of(io.BytesIO(data))


def test_exif_after_the_pixels_of_a_png():
    """Where the header does not say it: Pillow would decode to find out."""
    data = encoded(1, "PNG", (20, 12))
    body = exif(6).removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
    late = data[:-12] + chunk + data[-12:]
    assert picture_of(late, "a").size == size_of(io.BytesIO(late)) == (12, 20)


def test_sizes_are_read_without_decoding(monkeypatch):
    data = encoded(1, "PNG", exif=exif(6))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("it is decoded"))
    assert size_of(io.BytesIO(data)) == (12, 16)


def test_orientation_is_applied_and_metadata_gone():
    data = encoded(1, "JPEG", quality=100, subsampling=0, exif=exif(6), comment=b"secret place")
    picture = picture_of(data, "a")
    assert picture.info == {} and not picture.getexif()
    difference = np.asarray(picture).astype(int) - np.rot90(pixels(1), -1)
    assert np.abs(difference).mean() < 6
    for format in ("JPEG", "PNG", "WEBP"):
        file = io.BytesIO()
        picture.save(file, format)
        assert b"camera" not in file.getvalue() and b"secret" not in file.getvalue()
    [(sprite, _, _)] = sprites([picture], 8)
    assert b"camera" not in sprite and b"EXIF" not in sprite and b"ICCP" not in sprite


def test_what_cannot_be_read_is_named_with_its_reason(tmp_path):
    good = encoded(1, size=(64, 64), format="JPEG")
    huge = bytearray(encoded(1))
    huge[16:24] = struct.pack(">II", 60_000, 60_000)
    huge[29:33] = struct.pack(">I", zlib.crc32(huge[12:29]))
    write(tmp_path, {
        "cut.jpg": good[: len(good) * 9 // 10], "empty.png": b"", "text.png": b"no picture", "huge.png": bytes(huge),
        "gone.png": good, "good.jpg": good, "pickle.png": b"cos\nsystem\n(S'true'\ntR.",
    })  # fmt: skip
    os.mkfifo(tmp_path / "pipe.png")
    os.symlink(tmp_path / "nothing", tmp_path / "broken.png")
    data = open_dataset(".", tmp_path)
    (tmp_path / "gone.png").unlink()
    reasons = {}
    for row in range(len(data)):
        try:
            data.picture(row)
        except Unreadable as failure:
            reasons[failure.name] = failure.reason
    words = {"cut.jpg": "cut short", "empty.png": "empty file", "text.png": "not a picture", "huge.png": "million pix",
             "gone.png": "not there any more", "pickle.png": "not a picture", "pipe.png": "a pipe",
             "broken.png": "not there"}  # fmt: skip
    assert set(reasons) == set(words) and len(data) == 9
    assert all(word in reasons[name] for name, word in words.items()), reasons
    widths = dict(zip(data.files, data.columns["width"].tolist(), strict=True))
    assert widths["good.jpg"] == widths["cut.jpg"] == 64, "what the header says"
    assert all(
        np.isnan(widths[name]) for name in ("huge.png", "empty.png", "text.png", "gone.png", "pipe.png", "broken.png")
    )


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    data = open_dataset(".", write(tmp_path, CLASSES))
    real = os.open

    def closed(path, *given, **options):
        if str(path).endswith("1.png"):
            raise PermissionError(13, "Permission denied")
        return real(path, *given, **options)

    monkeypatch.setattr(os, "open", closed)
    with pytest.raises(Unreadable, match=r"cat/1\.png: Permission denied"):
        data.picture(0)
    assert data.picture(1)


def test_names_that_are_no_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.png"
    with open(path, "wb") as file:
        file.write(encoded(1))
    data = open_dataset(".", tmp_path)
    assert data.files.tolist() == ["?.png"] and data.picture(0) and data.digest(0)
