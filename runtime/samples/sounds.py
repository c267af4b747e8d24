"""Sounds of which everything is known: notes of five timbres, alone or one after the other. Standard library only: the
checker reads lengths and columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

VERSION = 1  # of the sounds: raise it when one changes
RATE = 16_000  # samples per second
TIMBRES = ("bowed", "plucked", "flute", "bell", "noise")
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
LOWEST, HIGHEST = 43, 84  # of the notes of `sample:notes`, in semitones where A4 is 69: G2 to C6
CHIRPS = 75


@dataclass(frozen=True)
class Note:
    """``pitch``: in semitones, A4 (440 Hz) is 69. ``start`` and ``seconds``: when it begins, and how long it sounds.
    ``seed``: of its noise."""

    timbre: str
    pitch: float
    start: float
    seconds: float
    loud: float = 0.5
    seed: int = 0

    @property
    def hertz(self) -> float:
        return 440.0 * 2 ** ((self.pitch - 69) / 12)

    @property
    def called(self) -> str:
        """The name of the nearest note: "A4"."""
        nearest = round(self.pitch)
        return f"{NAMES[nearest % 12]}{nearest // 12 - 1}"


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


@cache
def chirps() -> tuple[Sound, ...]:
    """List the sounds of the dataset `sample:notes`: half a second each, with one note of a random pitch somewhere in
    it; those called noise have none."""
    made = []
    for number in range(CHIRPS):
        random, timbre = Random(f"notes {VERSION} {number}"), TIMBRES[number % len(TIMBRES)]
        pitch, start = random.uniform(LOWEST, HIGHEST), random.uniform(0.0, 0.15)
        note = Note(timbre, pitch, start, random.uniform(0.25, 0.35), random.uniform(0.2, 0.7), number)
        called = "noise" if timbre == "noise" else f"{timbre} {note.called}"
        made.append(Sound(f"{number + 1:02d} {called}.wav", (note,), 0.5))
    return tuple(made)


def names() -> list[str]:
    return [sound.name for sound in chirps()]


def columns() -> dict[str, list[str] | list[float]]:
    """Return what is known of each sound of `sample:notes`, as a table's columns."""
    notes = [sound.notes[0] for sound in chirps()]
    return {
        "label": [note.timbre for note in notes],
        "note": ["" if note.timbre == "noise" else note.called for note in notes],
        "hertz": [0.0 if note.timbre == "noise" else round(note.hertz, 1) for note in notes],
    }
