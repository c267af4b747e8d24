"""Read pictures from files, globs, folders and samples, as 8-bit RGB with EXIF orientation applied."""

from __future__ import annotations

import difflib
import glob
import importlib.util
import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.files import opened, regular, short
from bbilang.grammar.files import path_of as file_path
from bbilang.runtime.errors import error

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")  # no format whose reader starts another program
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".avif")
MOST_PIXELS = 100_000_000
MOST_BYTES = 1 << 30  # of a file: more than so many pixels of 16 bits in three colours take
MOST_SIDE = 65_535  # as in a JPEG; thin strips of more take gigabytes where rows are padded
PREFIX = "sample:"
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
SAMPLES = {
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "pan": ("skimage", "data/astronaut.png"),  # as an input the frames of a moving window, see `clips`
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "marked_disc": ("bbilang", "runtime/samples/marked_disc.png"),  # of `sample:marks`, for the network of that name
    "afloat": ("bbilang", "runtime/samples/afloat.png"),  # a scene of the network of `sample:harbour`, on water
    "parked": ("bbilang", "runtime/samples/parked.png"),  # the same on a road
}


@dataclass(frozen=True)
class Picture:
    """``name``: the file's own name, or the sample's. ``image``: PIL, mode RGB. ``seconds``: the time of a frame."""

    name: str
    image: Image
    seconds: float | None = None


def read(spec: str | Path) -> Picture:
    """Read a path or ``sample:NAME``: EXIF orientation applied, transparency on white, 16 bits scaled to 8, the first
    of several frames.

    Raises BbiError: E411 no such file, E412 not a picture or an empty file, E413 damaged or cut short, E414 over 100
    million pixels, E415 no such sample, E416 the sample's package is not installed.
    """
    text = str(spec)
    name = text.removeprefix(PREFIX) if text.startswith(PREFIX) else Path(text).name
    try:
        path = path_of(text)
        with opened(path, MOST_BYTES) as file:
            if os.fstat(file.fileno()).st_size == 0:
                _fail("E412", f"{name} is an empty file")
            return Picture(name, decode(file, name))
    except FileNotFoundError as e:
        raise error("E411", f"there is no picture {short(text)}") from e
    except OSError as e:
        raise error("E411", f"{short(text)} cannot be opened: {e.strerror or e}") from e


def path_of(spec: str) -> Path:
    """Return the file of a path or ``sample:NAME``. Raises BbiError E415, E416, and OSError for an impossible
    name."""
    return _sample(spec.removeprefix(PREFIX)) if spec.startswith(PREFIX) else file_path(spec)


def expand(spec: str, base_folder: str | Path = ".") -> list[str]:
    """Expand the name of an `input` or `dataset` to pictures, each as `read` takes it: a file, a glob (``**`` for any
    depth), a folder (its own pictures), sorted by name, or ``sample:NAME``. Relative names start at ``base_folder``.

    Raises BbiError E415 for a sample, E417 for a glob or folder without pictures, E411 where there is nothing.
    """
    if spec.startswith(PREFIX):
        _known(spec.removeprefix(PREFIX))
        return [spec]
    if ADDRESS.match(spec):
        _fail("E411", f"{spec} is an address, and pictures are files", "download it first, and name the file")
    try:
        return _on_disk(spec, Path(base_folder))
    except OSError as e:
        raise error("E411", f"{short(spec)} cannot be opened: {e.strerror or e}") from e


def _on_disk(spec: str, base: Path) -> list[str]:
    own = file_path(spec)
    path = base / own
    if path.is_dir():
        return _sorted(path.iterdir()) or _fail("E417", f"the folder {spec} has no pictures ({_endings()})")
    if path.exists():  # before the glob: a name may hold brackets
        regular(path)
        return [str(path)]
    if any(c in spec for c in "*?["):
        root = glob.escape(str(base))
        matches = _sorted(Path(p) for p in glob.iglob(os.path.join(root, own), recursive=True))
        return matches or _fail("E417", f"no picture matches {spec} ({_endings()})")
    folder = path.parent
    near = difflib.get_close_matches(path.name, [p.name for p in folder.iterdir()], 1) if folder.is_dir() else []
    return _fail("E411", f"there is no picture {spec}", f"did you mean `{near[0]}`?" if near else None)


def _sorted(paths: Iterable[Path]) -> list[str]:
    return sorted(str(p) for p in paths if p.suffix.lower() in SUFFIXES and p.is_file() and p.name[0] != ".")


def _endings() -> str:
    return ", ".join(SUFFIXES)


def _known(name: str) -> tuple[str, str]:
    if name in SAMPLES:
        return SAMPLES[name]
    close = difflib.get_close_matches(name.lower(), SAMPLES, 1, 0.5)
    guess = f"did you mean `{PREFIX}{close[0]}`? " if close else ""
    return _fail("E415", f"there is no sample `{name}`", f"{guess}the samples are {', '.join(SAMPLES)}")


def _sample(name: str) -> Path:
    """Locate the file inside the installed package without importing it."""
    package, inside = _known(name)
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / inside).is_file():
            return path
    message = f"the sample `{name}` comes with {package}, which is not installed"
    return _fail("E416", message, "pip install 'bbilang[demo]'")


def decode(file: BinaryIO, name: str) -> Image:
    """Decode a picture as `read` does. Raises BbiError E412, E413, E414."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.init()
    formats = [f for f in FORMATS if f in Image.OPEN]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings about sizes and metadata; ours are errors
        try:
            picture = Image.open(file, formats=formats)
            if picture.width * picture.height > MOST_PIXELS:
                _too_large(name)
            if max(picture.size) > MOST_SIDE:
                what = f"{name} has {picture.width:,} x {picture.height:,} pixels, and a side has at most {MOST_SIDE:,}"
                _fail("E414", what, "cut out the part that matters")
            picture.load()
            ImageOps.exif_transpose(picture, in_place=True)
            return to_rgb(picture)
        except BbiError:
            raise
        except Image.DecompressionBombError:
            _too_large(name)
        except UnidentifiedImageError as e:
            kinds = ", ".join(formats)
            raise error("E412", f"{name} is not a picture that can be read ({kinds})") from e
        except MemoryError as e:
            raise error("E414", f"{name} does not fit in memory") from e
        except Exception as e:  # decoders raise anything
            raise error("E413", f"{name} is damaged or cut short") from e


def to_rgb(picture: Image) -> Image:
    """Convert any PIL mode to a new 8-bit RGB image; transparency on white, high-depth greys scaled to 0..255."""
    from PIL import Image

    if picture.mode.startswith("I") or picture.mode == "F":
        return _narrow(picture).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        if picture.mode == "La":  # premultiplied; PIL goes through its plain form
            picture = picture.convert("LA")
        clear = picture.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    return picture.convert("RGB") if picture.mode != "RGB" else picture.copy()


def _narrow(picture: Image) -> Image:
    """Convert 16-bit or floating-point grey to 8 bits: white is 65,535, or 1.0 where no value is above it."""
    import numpy as np
    from PIL import Image

    values = np.asarray(picture).astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 65535:
        _fail("E412", "grey values outside 0 to 65535 have no fixed white", "save the picture with 8 or 16 bits")
    unit = picture.mode == "F"
    white = 1.0 if unit and values.max() <= 1 else 255.0 if unit and values.max() <= 255 else 65535.0
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))


def _too_large(name: str) -> NoReturn:
    _fail("E414", f"{name} has over {MOST_PIXELS // 1_000_000} million pixels", "make it smaller first")


def _fail(code: str, message: str, help: str | None = None) -> NoReturn:
    raise error(code, message, help=help)
