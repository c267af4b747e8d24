"""Read sounds as inputs of a network: files, samples, clips, arrays and tensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.errors import error
from bbilang.runtime.inputs.arguments import kind_of
from bbilang.runtime.inputs.network_input import NetworkInput
from bbilang.runtime.sound.clip import Clip, as_heard, checked, framed
from bbilang.runtime.sound.names import is_sound
from bbilang.runtime.sound.spectrogram import spectrogram

if TYPE_CHECKING:
    from bbilang.compiler.ir.model_description import ModelDescription


def sound_of(source: object, name: str, description: ModelDescription, window: int | None = None) -> NetworkInput:
    """Read one sound for a network that takes (channel, y, frame): resampled, its end cut off or filled with silence.

    Arrays and tensors are (channel, time) or (time,), of the network's own rate. Raises BbiError E411 to E418, and
    E425 to E429."""
    import torch

    clip = as_heard(_clip(source, name, description), description.rate, description.channels)
    hop, frames = description.input_size
    values = framed(clip.samples, hop, frames)
    heard = Clip(clip.name, values.transpose(0, 2, 1).reshape(len(values), -1), clip.rate)
    shown = spectrogram(heard.samples, heard.rate, window=window)
    return NetworkInput(clip.name, torch.from_numpy(values), shown, sound=heard)


def _clip(source: object, name: str, description: ModelDescription) -> Clip:
    if isinstance(source, str | Path):
        from bbilang.runtime.sound.files import read

        if not is_sound(str(source)):
            what = f"{description.name} takes sounds, and {Path(str(source)).name} is none by its name"
            raise error("E418", what, 'as in `input "violin.wav"`')
        return read(str(source))
    if isinstance(source, Clip):
        return checked(source)
    values = source.detach().cpu().numpy() if hasattr(source, "detach") else source
    if not isinstance(values, np.ndarray) or values.ndim not in (1, 2):
        help = f"give a file, or numbers (channel, time) at {description.rate:,} samples per second"
        shape = f"of shape {values.shape}" if isinstance(values, np.ndarray) else ""
        raise error("E418", f"{kind_of(source)} {shape} is no sound".replace("  ", " "), help)
    if values.dtype.kind == "i" and values.dtype.itemsize <= 4:
        values = values / float(np.iinfo(values.dtype).max)
    if values.dtype.kind != "f":
        raise error("E418", f"an array of {values.dtype} is no sound", "floating point in [-1, 1], or int16")
    return checked(Clip(name, np.atleast_2d(values).astype(np.float32), description.rate))
