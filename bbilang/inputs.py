"""What a caller may hand over as model and input: names, files, pictures, arrays, tensors, modules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bbilang.grammar.diagnostic import BbiError, Diagnostic

UNNAMED = re.compile(r"picture \d+")  # what a picture, an array or a tensor is called
Input = Any  # a file name, a PIL picture, a numpy array or a torch tensor; or a list of them


def _error(code: str, message: str, help: str) -> BbiError:
    return BbiError(Diagnostic(code, message, help=help))


def is_tensor(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "torch"


def listed(given: Input | None) -> list[Any] | None:
    """One input each; a batch of tensors (input, 3, y, x) or arrays (input, y, x, 3) comes apart."""
    if given is None:
        return None
    if isinstance(given, str | Path):
        return [str(given)]
    if is_tensor(given):
        return list(given) if given.dim() == 4 else [given]
    if isinstance(given, np.ndarray):
        return list(given) if given.ndim == 4 else [given]
    if isinstance(given, Sequence):
        return [item for one in given for item in listed(one) or ()]
    return [given]


def names_of(inputs: list[Any] | None) -> tuple[str, ...] | None:
    """The names under which a program knows them: files by their own, the rest by number."""
    if inputs is None:
        return None
    return tuple(item if isinstance(item, str) else f"picture {number + 1}" for number, item in enumerate(inputs))


def expanded(name: str) -> list[str]:
    """The files that a name stands for; `picture 3` stands for itself."""
    from bbilang.runtime import pictures, texts

    if UNNAMED.fullmatch(name):
        return [name]
    return texts.expand(name) if texts.is_text(name) else pictures.expand(name)


def pictures(given: Input | None, named: Sequence[str]) -> list[tuple[Any, str]]:
    """Every input with its name: those handed over, else those that a program names; globs and folders expanded."""
    found: list[tuple[Any, str]] = []
    inputs = listed(given) or list(named)
    for item, name in zip(inputs, names_of(inputs) or (), strict=True):
        files = expanded(item) if isinstance(item, str) else [item]
        found += [(file, _called(file) if isinstance(file, str) else name) for file in files]
    return found


def _called(file: str) -> str:
    from bbilang.runtime.texts import PREFIX

    return file if file.startswith(PREFIX) else Path(file).name


def picture_of(given: Any, name: str, adapter: Any) -> Any:
    """A runtime.execute.Picture: the image as the network takes it, and as it is shown."""
    from PIL import Image

    from bbilang.runtime.execute import Picture
    from bbilang.runtime.pictures import read, to_rgb
    from bbilang.runtime.texts import is_text

    if adapter.description.reads == "text":
        return _text(given, adapter)
    if isinstance(given, str) and is_text(given):
        message = f"{adapter.description.name} looks at pictures, and this is a text"
        raise _error("E418", message, 'as in `input "sample:chelsea"`')
    if isinstance(given, str | Path):
        picture = read(given)
        image, shown = adapter.prepare(picture.image)
        return Picture(picture.name, image, shown, size=picture.image.size)
    if isinstance(given, Image.Image):
        image, shown = adapter.prepare(to_rgb(given))
        return Picture(name, image, shown, size=given.size)
    if isinstance(given, np.ndarray):
        return _array(given, name, adapter)
    if is_tensor(given):
        return _tensor(given, name, adapter)
    raise _error("E418", f"a {type(given).__name__} is no input", "give a file name, a picture, an array or a tensor")


def _text(given: Any, adapter: Any) -> Any:
    """A text: the words themselves after `text:`, or the name of a file."""
    from bbilang.runtime.execute import Picture
    from bbilang.runtime.texts import is_text, read

    if not (isinstance(given, str) and is_text(given)):
        message = f"{adapter.description.name} reads text, and this is a picture"
        raise _error("E418", message, 'as in `input "text:The film was good."`, or the name of a .txt file')
    name, text = read(given)
    numbers, words = adapter.read(text)
    return Picture(name, numbers, np.full((1, len(words), 3), 255, np.uint8), words)


def _array(given: np.ndarray, name: str, adapter: Any) -> Any:
    """uint8 (y, x, 3) is a picture; floats (y, x, 3) in [0, 1] are an image ready for the network."""
    from PIL import Image

    if given.ndim != 3 or given.shape[2] != 3:
        raise _error("E418", f"an array of shape {given.shape} is no input", "a picture has the shape (y, x, 3)")
    if given.dtype == np.uint8:
        return picture_of(Image.fromarray(given), name, adapter)
    import torch

    return _tensor(torch.from_numpy(np.ascontiguousarray(given)).permute(2, 0, 1), name, adapter)


def _tensor(given: Any, name: str, adapter: Any) -> Any:
    """(3, y, x) in [0, 1], before normalization, of the size that the network takes."""
    import torch

    from bbilang.runtime.execute import Picture

    size = adapter.description.input_size
    image = given.detach().to("cpu", torch.float32)
    if image.dim() != 3 or image.shape[0] not in (1, 3) or tuple(image.shape[1:]) != tuple(size):
        raise _error("E418", f"a tensor of shape {tuple(given.shape)} is no input of this model",
                     f"give (3, {size[0]}, {size[1]}) in [0, 1], or a picture, which is resized")  # fmt: skip
    if not bool(torch.isfinite(image).all()) or float(image.min()) < -1e-4 or float(image.max()) > 1 + 1e-4:
        raise _error("E418", "an input tensor has values outside [0, 1]",
                     "images are RGB in [0, 1]; the normalization is the model's own")  # fmt: skip
    shown = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Picture(name, image, np.repeat(shown, 3, 2) if shown.shape[2] == 1 else shown)
