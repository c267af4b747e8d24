"""What a caller may hand over as model and input: names, files, pictures, arrays, tensors, modules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bbilang.compiler.ir.model_description import NOT_PICTURES
from bbilang.runtime.errors import error
from bbilang.runtime.inputs.arguments import file_name, kind_of
from bbilang.runtime.inputs.images import MOST_PIXELS, MOST_SIDE

if TYPE_CHECKING:
    from bbilang.compiler.ir.model_description import ModelDescription

UNNAMED = re.compile(r"picture \d+")  # what a picture, an array or a tensor is called
MOST_DEPTH = 4  # of lists in lists
Input = Any  # a file name, a PIL picture, a numpy array or a torch tensor; or a list of them


def is_tensor(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "torch"


def is_values(value: Any) -> bool:
    """Numbers that a network could be given: a tensor or an array."""
    return isinstance(value, np.ndarray) or (is_tensor(value) and hasattr(value, "dim"))


def rank_of(description: ModelDescription | None) -> int:
    """How many axes one input of a model has."""
    return len(description.input.axes) if description is not None and description.reads != "text" else 3


def listed(given: Input | None, rank: int = 3) -> list[Any] | None:
    """One input each; a batch of tensors (input, 3, y, x) or arrays (input, y, x, 3) comes apart. ``rank``: the axes of
    one input. Raises BbiError E418 where there is none, or what is given is of another kind."""
    if given is None:
        return None
    found = list(_apart(given, rank))
    if not found:
        raise error(
            "E418", f"`input` is {kind_of(given)} without an input in it", "leave it out, or give one or several"
        )
    return found


def _apart(given: Any, rank: int, depth: int = 0) -> Iterator[Any]:
    if isinstance(given, str | PathLike):
        yield file_name("input", given)
    elif isinstance(given, list | tuple):
        if depth > MOST_DEPTH:
            raise error("E418", "`input` is a list of lists of lists", "give one input, or one list of them")
        if given and all(isinstance(item, int | float) for item in given):
            help = "numbers are given as a tensor: `torch.tensor([...])`"
            raise error("E418", f"`input` is {kind_of(given)} of numbers", help)
        for one in given:
            yield from _apart(one, rank, depth + 1)
    elif isinstance(given, np.ndarray) and given.dtype.kind not in "fiubc":
        help = "names of files are given as a list, numbers as floating point or uint8"
        raise error("E418", f"an array of {given.dtype} is no input", help)
    elif is_values(given):
        axes = given.dim() if is_tensor(given) else given.ndim
        yield from given if axes == rank + 1 else [given]
    elif hasattr(given, "getbands"):
        yield given
    else:
        help = "give a file name, a picture, an array or a tensor"
        if hasattr(given, "__iter__") and not isinstance(given, type):
            help = "take what is in it: `next(iter(...))`, of which the pictures; then a tensor, an array or a list"
        raise error("E418", f"{kind_of(given)} is no input", help)


def names_of(inputs: list[Any] | None) -> tuple[str, ...] | None:
    """The names under which a program knows them: files by their own, the rest by number."""
    if inputs is None:
        return None
    return tuple(item if isinstance(item, str) else f"picture {number + 1}" for number, item in enumerate(inputs))


def expanded(name: str) -> list[str]:
    """The files that a name stands for; `picture 3` stands for itself."""
    from bbilang.runtime.inputs import images as pictures
    from bbilang.runtime.inputs import texts

    if UNNAMED.fullmatch(name):
        return [name]
    return texts.expand(name) if texts.is_text(name) else pictures.expand(name)


def pictures(given: Input | None, named: Sequence[str], rank: int = 3) -> list[tuple[Any, str]]:
    """Every input with its name: those handed over, else those that a program names; globs and folders expanded.
    ``rank``: see `listed`."""
    found: list[tuple[Any, str]] = []
    inputs = listed(given, rank) or list(named)
    for item, name in zip(inputs, names_of(inputs) or (), strict=True):
        files = expanded(item) if isinstance(item, str) else [item]
        found += [(file, _called(file) if isinstance(file, str) else name) for file in files]
    return found


def _called(file: str) -> str:
    from bbilang.runtime.inputs.texts import PREFIX

    return file if file.startswith(PREFIX) else Path(file).name


def picture_of(given: Any, name: str, adapter: Any, channels: tuple[int, ...] | None = None) -> Any:
    """The image as the network takes it, and as it is shown. ``channels``: of a tensor or
    an array, those that are drawn as red, green and blue, or one as grey."""
    from PIL import Image

    from bbilang.runtime.inputs.images import read, to_rgb
    from bbilang.runtime.inputs.network_input import NetworkInput
    from bbilang.runtime.inputs.texts import is_text

    reads = adapter.description.reads
    if reads == "text":
        return _text(given, adapter)
    if reads in NOT_PICTURES:
        return _values(given, name, adapter)
    if isinstance(given, str) and is_text(given):
        message = f"{adapter.description.name} takes pictures, and this is a text"
        raise error("E418", message, 'as in `input "sample:chelsea"`')
    if isinstance(given, str | Path):
        picture = read(given)
        image, shown = adapter.prepare(picture.image)
        return NetworkInput(picture.name, image, shown, size=picture.image.size)
    if isinstance(given, Image.Image):
        if given.width * given.height > MOST_PIXELS or max(given.size) > MOST_SIDE or 0 in given.size:
            what = f"a picture of {given.width} x {given.height} pixels is no input"
            help = f"pictures have up to {MOST_PIXELS // 1_000_000} million, and {MOST_SIDE:,} a side"
            raise error("E414", what, help)
        try:
            picture = to_rgb(given)
        except (OSError, ValueError, SyntaxError) as e:
            raise error("E413", f"{name} cannot be decoded: {e}", "open the file again, or save it anew") from e
        image, shown = adapter.prepare(picture)
        return NetworkInput(name, image, shown, size=given.size)
    if isinstance(given, np.ndarray):
        return _array(given, name, adapter, channels)
    if is_tensor(given):
        return _tensor(given, name, adapter, channels)
    raise error("E418", f"{kind_of(given)} is no input", "give a file name, a picture, an array or a tensor")


def _text(given: Any, adapter: Any) -> Any:
    """A text: the words themselves after `text:`, or the name of a file."""
    from bbilang.runtime.inputs.network_input import NetworkInput
    from bbilang.runtime.inputs.texts import is_text, read

    if not (isinstance(given, str) and is_text(given)):
        message = f"{adapter.description.name} reads text, and this is a picture"
        raise error("E418", message, 'as in `input "text:The film was good."`, or the name of a .txt file')
    name, text = read(given)
    numbers, words = adapter.read(text)
    return NetworkInput(name, numbers, np.full((1, len(words), 3), 255, np.uint8), words)


def _array(given: np.ndarray, name: str, adapter: Any, channels: tuple[int, ...] | None) -> Any:
    """uint8 (y, x, 3) is a picture; floats (y, x, channel) in [0, 1] are an image ready for the network, and so are
    (channel, y, x) where it has so many channels."""
    from PIL import Image

    wanted = adapter.description.input.shape
    if given.ndim != 3:
        raise error("E418", f"an array of shape {given.shape} is no input", "a picture has the shape (y, x, 3)")
    last, first = given.shape[2] == wanted[0], tuple(given.shape) == tuple(wanted)
    if given.dtype == np.uint8 and given.shape[2] == 3 and not (first and not last):
        return picture_of(Image.fromarray(given), name, adapter)
    if not (last or first):
        help = f"a picture has the shape (y, x, 3); the model takes ({wanted[1]}, {wanted[2]}, {wanted[0]})"
        raise error("E418", f"an array of shape {given.shape} is no input of this model", help)
    if given.dtype.kind != "f" and given.dtype != np.uint8:
        help = "numbers in [0, 1] as floating point, or 0 to 255 as uint8"
        raise error("E418", f"an array of {given.dtype} is no input", help)
    import torch

    if given.dtype.kind == "f":
        given = given.astype(np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(given))
    return _tensor(tensor.permute(2, 0, 1) if last else tensor, name, adapter, channels)


def _numbers(given: Any, what: str) -> Any:
    """A tensor on the CPU in float32, without its graph; uint8 as shares of 255. Raises BbiError E418."""
    import torch

    if given.layout != torch.strided or given.is_meta:
        raise error("E418", f"a tensor without plain numbers is no {what}", "`tensor.to_dense()` makes one plain")
    if given.dtype == torch.uint8:
        return given.detach().to("cpu", torch.float32) / 255
    if given.is_quantized or not given.dtype.is_floating_point:
        help = "numbers in [0, 1] as floating point, or 0 to 255 as uint8"
        raise error("E418", f"a tensor of {str(given.dtype).removeprefix('torch.')} is no {what}", help)
    return given.detach().to("cpu", torch.float32)


def _tensor(given: Any, name: str, adapter: Any, channels: tuple[int, ...] | None = None) -> Any:
    """(channel, y, x) in [0, 1], before normalization, of the size that the network takes."""
    from bbilang.runtime.inputs.network_input import NetworkInput

    wanted = tuple(adapter.description.input.shape)
    image = _numbers(given, "image")
    if tuple(image.shape) != wanted:
        shape = tuple(given.shape)
        help = f"give {wanted} in [0, 1]" + (", or a picture, which is resized" if wanted[0] in (1, 3) else "")
        if len(shape) == 3 and shape[0] != wanted[0] and shape[1:] == wanted[1:]:
            some = f"{wanted[0]} channel" + "s" * (wanted[0] > 1)
            what = f"a tensor of {shape[0]} channel{'s' * (shape[0] > 1)} is no input of a model that takes {some}"
            raise error("E418", what, help)
        raise error("E418", f"a tensor of shape {shape} is no input of this model", help)
    if not bool(image.isfinite().all()) or float(image.min()) < -1e-4 or float(image.max()) > 1 + 1e-4:
        raise error("E418", "an input tensor has values outside [0, 1]",
                     "images are RGB in [0, 1]; the normalization is the model's own")  # fmt: skip
    return NetworkInput(name, image, shown_of(image.numpy(), channels))


def shown_of(image: np.ndarray, channels: tuple[int, ...] | None = None) -> np.ndarray:
    """(channel, y, x) in [0, 1] -> uint8 (y, x, rgb): the three ``channels`` or the one as grey; unless said the first
    three, and of fewer the first."""
    chosen = channels or ((0, 1, 2) if len(image) >= 3 else (0,))
    pixels = np.rint(image[list(chosen)].clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _values(given: Any, name: str, adapter: Any) -> Any:
    """Numbers that are no picture, as they are: a signal (channel, x), a sequence (x, channel), a vector (channel,)."""
    import torch

    from bbilang.runtime.inputs.network_input import NetworkInput

    description = adapter.description
    axes, wanted = ", ".join(description.input.axes), tuple(description.input.shape)
    help = f"give a tensor {wanted}: ({axes}{',' * (len(wanted) == 1)})"
    if isinstance(given, np.ndarray) and given.dtype.kind in "fiub":
        given = torch.from_numpy(np.ascontiguousarray(given.astype(np.float32)))
    if not is_values(given) or isinstance(given, np.ndarray):
        raise error("E418", f"{kind_of(given)} is no {description.reads}", help)
    if tuple(given.shape) != wanted:
        raise error("E418", f"a tensor of shape {tuple(given.shape)} is no input of this model", help)
    plain = given.layout == torch.strided and not (given.is_meta or given.is_quantized or given.is_complex())
    values = given.detach().to("cpu", torch.float32) if plain else None
    if values is None or not bool(values.isfinite().all()):
        raise error("E418", "an input tensor has values that are no finite numbers", "look for NaN and infinity")
    return NetworkInput(name, values, np.full((1, description.input_size[1], 3), 255, np.uint8))
