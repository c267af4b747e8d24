"""Videos and animated pictures as frames: which of them a page takes, and one at a time.

A frame has a name, `clip.mp4#frame=12`, so that it is an input like any other. Frames are decoded in order, and once:
the file stays open between two that follow each other.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from bbilang.grammar.files import opened
from bbilang.runtime.errors import error
from bbilang.runtime.inputs.images import MOST_PIXELS, MOST_SIDE, PREFIX, Picture, path_of, to_rgb

if TYPE_CHECKING:
    from av.container import InputContainer
    from PIL.Image import Image

# Suffix -> FFmpeg's name of the container: a stranger's file never chooses the reader (a playlist would open others).
VIDEOS = {
    ".mp4": "mov", ".m4v": "mov", ".mov": "mov", ".webm": "matroska", ".mkv": "matroska", ".avi": "avi", ".ogv": "ogg",
}  # fmt: skip
ANIMATED = (".gif", ".webp")
MOST_BYTES = 4 << 30
PAN, PAN_FRAMES, PAN_SECONDS = f"{PREFIX}pan", 24, 0.125  # a window that moves over a photograph
FRAME = re.compile(r"(?P<file>.+)#frame=(?P<number>\d{1,9})", re.DOTALL)
Timed = tuple["Image", float]


def frame_of(name: str) -> tuple[str, int] | None:
    """Split the name of a frame into its file and its number; None for any other name."""
    match = FRAME.fullmatch(name)
    return (match["file"], int(match["number"])) if match and is_clip(match["file"]) else None


def file_of(name: str) -> str:
    """Return the file that an input is read from."""
    frame = frame_of(name)
    return frame[0] if frame else name


def is_clip(name: str) -> bool:
    """Return whether a file may have frames, by its name."""
    return name == PAN or Path(name).suffix.lower() in (*VIDEOS, *ANIMATED)


def frames(name: str, every: int | None, most: int) -> list[str]:
    """Return the names of the frames of a file that a page takes; of any other file its own name.

    ``every``: each frame whose number is a multiple of it; by default as many, evenly, as ``most`` allows.

    Raises BbiError E437 where PyAV is missing, E438 for a file that cannot be decoded, E439 for too many frames.
    """
    if not is_clip(name):
        return [name]
    count = _count(name)
    if count == 1 and Path(name).suffix.lower() in ANIMATED:
        return [name]  # a picture
    step = every or math.ceil(count / most)
    taken = range(0, count, step)
    if len(taken) > most:
        message = f"{called(name)} has {count:,} frames, and every {step} of them are {len(taken):,}"
        raise error("E439", message, f"`set video(every={math.ceil(count / most)})`, or a larger `most`, now {most}")
    return [f"{name}#frame={number}" for number in taken]


def picture(name: str) -> Picture:
    """Read a frame by its name. Raises BbiError E437, E438, E411."""
    file, number = frame_of(name) or (name, 0)
    image, seconds = read(file, number)
    return Picture(f"{called(file)}, {seconds:.2f} s", image, seconds)


def read(name: str, number: int) -> Timed:
    """Decode one frame: (RGB, its time in seconds). Raises BbiError E437, E438, E411."""
    global _open
    with _LOCK:
        if _open is None or not _open.leads_to(name, number):
            _close()
            _open = _Decoder(name)
        try:
            return _open.frame(number)
        except BaseException:
            _close()
            raise


def close() -> None:
    """Close the file that is open between frames."""
    with _LOCK:
        _close()


class _Decoder:
    """Decodes a file's frames in order, and keeps the last one for whoever asks again."""

    def __init__(self, name: str) -> None:
        self.name, self.signature = name, signature(name)
        self.frames = _decoded(name)
        self.at = -1
        self.last: Timed | None = None

    def leads_to(self, name: str, number: int) -> bool:
        return name == self.name and number >= self.at and self.signature == signature(name)

    def frame(self, number: int) -> Timed:
        with _reported(self.name):
            while self.at < number or self.last is None:
                self.last = next(self.frames, None)
                if self.last is None:
                    _fail(f"{called(self.name)} ends before frame {number}")
                self.at += 1
        return self.last


_LOCK = Lock()
_open: _Decoder | None = None


def _close() -> None:
    global _open
    if _open is not None:
        _open.frames.close()
    _open = None


def signature(name: str) -> tuple[int, int]:
    """Return what tells a file from the one that replaces it."""
    try:
        status = path_of(name).stat()
    except OSError:
        return (0, 0)
    return status.st_mtime_ns, status.st_size


def _decoded(name: str) -> Generator[Timed]:
    if name == PAN:
        yield from _pan()
        return
    suffix = Path(name).suffix.lower()
    with opened(path_of(name), MOST_BYTES) as file:
        yield from _video(file, VIDEOS[suffix]) if suffix in VIDEOS else _animated(file)


def _count(name: str) -> int:
    """Return the number of frames. Where a container does not say, its packets are counted."""
    if name == PAN:
        return PAN_FRAMES
    suffix = Path(name).suffix.lower()
    with _reported(name), opened(path_of(name), MOST_BYTES) as file:
        if suffix in ANIMATED:
            from PIL import Image

            with Image.open(file, formats=["GIF", "WEBP"]) as picture:
                return int(getattr(picture, "n_frames", 1))
        with _container(file, VIDEOS[suffix]) as container:
            stream = container.streams.video[0]
            count = stream.frames or sum(packet.size > 0 for packet in container.demux(stream))
    return int(count) or _fail(f"{called(name)} has no frame")


def _animated(file: BinaryIO) -> Iterator[Timed]:
    from PIL import Image, ImageSequence

    with Image.open(file, formats=["GIF", "WEBP"]) as picture:
        _bounded(*picture.size)
        seconds = 0.0
        for frame in ImageSequence.Iterator(picture):
            yield to_rgb(frame), seconds
            seconds += max(int(frame.info.get("duration") or 100), 20) / 1000  # browsers, too, take 0 for 100 ms


def _video(file: BinaryIO, format: str) -> Iterator[Timed]:
    with _container(file, format) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"  # the result must not depend on threads
        _bounded(stream.codec_context.width, stream.codec_context.height)
        first: float | None = None
        for number, frame in enumerate(container.decode(stream)):
            rate = float(stream.average_rate or 25)
            seconds = number / rate if frame.time is None else float(frame.time)
            first = seconds if first is None else first
            yield frame.to_image(), seconds - first


def _container(file: BinaryIO, format: str) -> InputContainer:
    try:
        import av
    except ImportError as e:
        raise error("E437", "videos are read by PyAV, which is not installed", "pip install 'bbilang[video]'") from e
    container = av.open(file, "r", format=format)
    if not container.streams.video:
        container.close()
        _fail("the file has no pictures, only sound")
    return container


def _pan() -> Iterator[Timed]:
    from PIL import Image

    with Image.open(path_of(PAN)) as opened_picture:
        whole = opened_picture.convert("RGB")
    side = whole.width // 2
    for number in range(PAN_FRAMES):
        share = number / (PAN_FRAMES - 1)
        left, top = int(side * share), int(side * math.sin(math.pi * share) / 2)
        yield whole.crop((left, top, left + side, top + side)), number * PAN_SECONDS


def _bounded(width: int, height: int) -> None:
    if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
        raise error("E414", f"frames of {width:,} x {height:,} pixels are too large", "make the video smaller first")


@contextlib.contextmanager
def _reported(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into E438."""
    from bbilang.grammar.diagnostic import BbiError

    try:
        yield
    except (BbiError, KeyboardInterrupt, GeneratorExit):
        raise
    except FileNotFoundError as e:
        raise error("E411", f"there is no file {called(name)}") from e
    except MemoryError as e:
        raise error("E414", f"a frame of {called(name)} does not fit in memory") from e
    except Exception as e:  # decoders raise anything
        raise error("E438", f"{called(name)} cannot be decoded: it is damaged, cut short, or something else") from e


def called(name: str) -> str:
    """Return a file's name without its folder."""
    return name if name == PAN else Path(name).name


def _fail(message: str) -> NoReturn:
    raise error("E438", message)
