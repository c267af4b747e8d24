"""Synthesis of the sounds of `runtime/samples/sounds.py`: partials with envelopes."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.samples.sounds import RATE, Note, Sound

# partial -> amplitude, of each timbre
PARTIALS: dict[str, dict[float, float]] = {
    "bowed": {k: 1 / k for k in range(1, 13)},
    "plucked": {k: 1 / k**1.5 for k in range(1, 9)},
    "flute": {1: 1.0, 2: 0.25, 3: 0.1},
    "bell": {1: 1.0, 2: 0.6, 2.76: 0.4, 5.4: 0.25},
}
DECAYING = {"plucked": 5.0, "bell": 3.0}  # 1 / seconds


def synthesized(sound: Sound) -> np.ndarray:
    """Return float32 (channel=1, time) at `sounds.RATE`; the same numbers on every machine but for rounding."""
    whole = np.zeros(round(sound.seconds * RATE))
    for note in sound.notes:
        own, start = _note(note), round(note.start * RATE)
        end = min(len(whole), start + len(own))
        whole[start:end] += own[: end - start]
    return (0.9 * whole / max(1.0, float(np.abs(whole).max()))).astype(np.float32)[None]


def _note(note: Note) -> np.ndarray:
    time = np.arange(round(note.seconds * RATE)) / RATE
    vibrato = 0.004 * np.sin(2 * np.pi * 5.5 * time) * (note.timbre == "bowed")
    phase = 2 * np.pi * note.hertz * np.cumsum(1 + vibrato) / RATE
    partials = {k: a for k, a in PARTIALS[note.timbre].items() if k * note.hertz < 0.45 * RATE}
    values = np.sum([a * np.sin(k * phase) for k, a in partials.items()], 0) / sum(partials.values())
    rise, fall = np.clip(time / 0.02, 0, 1), np.clip((note.seconds - time) / 0.03, 0, 1)
    return note.loud * values * rise * fall * np.exp(-DECAYING.get(note.timbre, 0.0) * time)
