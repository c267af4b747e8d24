"""Encode sounds for a page, which carries them as data: FLAC where soundfile is installed, else WAV."""

from __future__ import annotations

import io
import wave

import numpy as np

LOUDNESS = 0.1  # root mean square of a normalized clip, of full scale: -20 dB
PEAK = 0.89  # the largest magnitude: -1 dB


def normalized(samples: np.ndarray) -> np.ndarray:
    """Return (channel, time) as loud as every other clip of a page, without clipping; silence stays silence."""
    root, peak = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))), float(np.abs(samples).max(initial=0.0))
    return samples if not peak else samples * min(LOUDNESS / root, PEAK / peak)


def sixteen_bits(samples: np.ndarray) -> np.ndarray:
    """Return (channel, time) in [-1, 1] as int16."""
    return np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def encoded(samples: np.ndarray, rate: int) -> tuple[bytes, str]:
    """Return (file, media type) of int16 (channel, time). Every browser plays both formats."""
    stream = io.BytesIO()
    try:
        import soundfile
    except (ImportError, OSError):
        with wave.open(stream, "wb") as file:
            file.setnchannels(len(samples))
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(np.ascontiguousarray(samples.T, "<i2").tobytes())
        return stream.getvalue(), "audio/wav"
    soundfile.write(stream, samples.T, rate, format="FLAC", subtype="PCM_16")
    return stream.getvalue(), "audio/flac"
