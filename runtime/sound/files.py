"""Sounds by name: files, which soundfile decodes, and samples, which are synthesized."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from bbilang.grammar.files import is_pattern, matching, opened, path_of, short
from bbilang.runtime.errors import error
from bbilang.runtime.samples import sounds
from bbilang.runtime.sound.clip import MOST_SECONDS, Clip, checked
from bbilang.runtime.sound.names import PREFIX

if TYPE_CHECKING:
    from soundfile import SoundFile

MOST_BYTES = 1 << 30


def expand(spec: str, base_folder: str | Path = ".") -> list[str]:
    """Expand the name of an `input` to sounds, each as `read` takes it. Raises BbiError E411, E417."""
    if spec.startswith(PREFIX):
        return [spec]
    try:
        files = matching(spec, base_folder)
        path = Path(base_folder) / path_of(spec)
    except OSError as e:
        raise error("E411", f"{short(spec)} cannot be opened: {e.strerror or e}") from e
    if files or is_pattern(spec):
        return files or _none(spec, "E417")
    names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return _none(spec, "E411", difflib.get_close_matches(path.name, names, 1))


def _none(spec: str, code: str, near: Iterable[str] = ()) -> NoReturn:
    help = next((f"did you mean `{name}`?" for name in near), "`sample:melody` is a sound that comes with bbilang")
    raise error(code, f"there is no sound {short(spec)}", help)


def read(spec: str) -> Clip:
    """Read a file, or synthesize ``sample:NAME``.

    Raises BbiError E411 for a file that cannot be opened, E429 for one that cannot be decoded, E224 where soundfile is
    not installed, and what `checked` raises.
    """
    if spec.startswith(PREFIX):
        from bbilang.runtime.samples.synthesis import synthesized

        name = spec.removeprefix(PREFIX)
        return Clip(name, synthesized(sounds.CLIPS[name]), sounds.RATE)
    name = Path(spec).name
    with _decoding(spec) as sound:
        if sound.frames > MOST_SECONDS * sound.samplerate:  # before it fills the memory
            checked(Clip(name, np.zeros((1, sound.frames), np.int8), sound.samplerate))
        samples = sound.read(dtype="float32", always_2d=True)
        return checked(Clip(name, np.ascontiguousarray(samples.T), sound.samplerate))


def seconds_of(spec: str) -> float:
    """Return how long a sound lasts, from its header. Raises as `read` does."""
    if spec.startswith(PREFIX):
        return sounds.CLIPS[spec.removeprefix(PREFIX)].seconds
    with _decoding(spec) as sound:
        frames, rate = int(sound.frames), int(sound.samplerate)
    if frames < 1:
        raise error("E425", f"{Path(spec).name} has no samples", "give a sound that lasts longer than nothing")
    return frames / max(rate, 1)


@contextmanager
def _decoding(spec: str) -> Iterator[SoundFile]:
    """Open a file for soundfile. Raises BbiError E411, E429, E224."""
    library = soundfile()
    try:
        with opened(Path(spec), MOST_BYTES) as file, library.SoundFile(file) as sound:
            yield sound
    except library.LibsndfileError as e:
        what = f"{Path(spec).name} is not a sound that can be read: {e.error_string}"
        raise error("E429", what, "WAV, FLAC, OGG, MP3 and AIFF can be read") from e
    except OSError as e:
        raise error("E411", f"{short(spec)} cannot be opened: {e.strerror or e}") from e


def soundfile() -> ModuleType:
    """Import soundfile, of the extra `audio`. Raises BbiError E224."""
    try:
        import soundfile
    except (ImportError, OSError) as e:  # OSError: its libsndfile is missing
        raise error("E224", "sound files are read by soundfile, which is not installed",
                    "pip install 'bbilang[audio]'") from e  # fmt: skip
    return soundfile
