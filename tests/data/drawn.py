"""Small pictures on disk and in archives, for the tests of datasets."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def pixels(seed: int, height: int = 12, width: int = 16) -> np.ndarray:
    """Random blocks of colour, uint8 (y, x, rgb)."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST))


def encoded(seed: int, format: str = "PNG", size: tuple[int, int] = (16, 12), **options: object) -> bytes:
    """Bytes of a picture of ``size`` (width, height)."""
    file = io.BytesIO()
    Image.fromarray(pixels(seed, size[1], size[0])).save(file, format, **options)
    return file.getvalue()


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


CLASSES = {
    "cat/1.png": encoded(1),
    "cat/2.png": encoded(2),
    "dog/1.png": encoded(3, size=(20, 10)),
}
