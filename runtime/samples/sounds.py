"""Sounds of which everything is known: notes of four timbres, alone or one after the other. Standard library only: the
checker reads lengths."""

from __future__ import annotations

from dataclasses import dataclass

VERSION = 1  # of the sounds: raise it when one changes
RATE = 16_000  # samples per second


@dataclass(frozen=True)
class Note:
    """``pitch``: in semitones, A4 (440 Hz) is 69. ``start`` and ``seconds``: when it begins, and how long it sounds."""

    timbre: str
    pitch: float
    start: float
    seconds: float
    loud: float = 0.5

    @property
    def hertz(self) -> float:
        return 440.0 * 2 ** ((self.pitch - 69) / 12)


@dataclass(frozen=True)
class Sound:
    """One clip: the notes in it, and how long it is."""

    name: str
    notes: tuple[Note, ...]
    seconds: float


def _melody(name: str, timbre: str, pitches: tuple[float, ...], each: float) -> Sound:
    notes = tuple(Note(timbre, pitch, number * each, each) for number, pitch in enumerate(pitches))
    return Sound(name, notes, len(pitches) * each)


CLIPS: dict[str, Sound] = {
    sound.name: sound
    for sound in (
        _melody("note", "bowed", (69,), 1.0),
        _melody("melody", "flute", (60, 64, 67, 72), 0.4),
        _melody("plucked", "plucked", (69, 69 + 7, 69 - 5), 0.4),
        Sound("chord", tuple(Note("bell", pitch, 0.0, 1.2, 0.3) for pitch in (60, 64, 67)), 1.2),
    )
}  # of `input "sample:melody"`
