"""Which names of inputs are sounds. Standard library only: the checker asks."""

from __future__ import annotations

from bbilang.runtime.samples import sounds

PREFIX = "sample:"
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif")


def is_sound(spec: str) -> bool:
    """Return whether an `input` is a sound: a sample, a file, or a pattern of such files."""
    if spec.startswith(PREFIX):
        return spec.removeprefix(PREFIX) in sounds.CLIPS
    return spec.lower().endswith(SUFFIXES)
