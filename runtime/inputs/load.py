"""Read inputs of every kind that a caller may give: names of files, PIL images, arrays, tensors, texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import numpy as np

from bbilang.compiler.ir.model_description import NOT_PICTURES
from bbilang.grammar.statement_words import is_free_name
from bbilang.runtime.errors import error
from bbilang.runtime.inputs.arguments import file_name, kind_of
from bbilang.runtime.inputs.images import MOST_PIXELS, MOST_SIDE, Picture
from bbilang.runtime.inputs.network_input import ImageReader, NetworkInput, TextReader
from bbilang.runtime.inputs.sounds import sound_of
from bbilang.runtime.sound.clip import Clip

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.compiler.ir.model_description import ModelDescription

UNNAMED = re.compile(r"picture \d+")  # the name of an image, array or tensor without a file
MOST_DEPTH = 4  # of lists in lists
Input = Any  # a file name, a PIL picture, a numpy array or a torch tensor; or a list of them


def is_tensor(value: object) -> TypeGuard[Tensor]:
    return type(value).__module__.split(".")[0] == "torch"


def is_values(value: object) -> bool:
    """Return whether a value is a tensor or an array."""
    return isinstance(value, np.ndarray) or (is_tensor(value) and hasattr(value, "dim"))


def rank_of(description: ModelDescription | None) -> int:
    """Return the number of axes of one input of a model."""
    if description is not None and description.reads == "audio":
        return 2  # (channel, time)
    return len(description.input.axes) if description is not None and description.reads != "text" else 3


def listed(argument: Input | None, rank: int = 3) -> list[Input] | None:
    """Split into single inputs; batches of tensors (input, 3, y, x) or arrays (input, y, x, 3) are unstacked, and of a
    dict the values are taken, one input each. ``rank``: the number of axes of one input. Raises BbiError E418 where
    there is no input, or one of another kind."""
    if argument is None:
        return None
    if isinstance(argument, Mapping):
        inputs = [_only(name, value, rank) for name, value in argument.items()]
    else:
        inputs = list(_unstacked(argument, rank))
    if not inputs:
        raise error(
            "E418", f"`input` is {kind_of(argument)} without an input in it", "leave it out, or give one or several"
        )
    return inputs


def called(argument: Input | None) -> dict[str, int]:
    """Return the names that a dict gives to inputs, as `input cat = "a.jpg"` does in a text: name -> number."""
    return {name: number for number, name in enumerate(argument)} if isinstance(argument, Mapping) else {}


def _only(name: object, value: Input, rank: int) -> object:
    if not isinstance(name, str) or not is_free_name(name):
        help = 'as in `input={"cat": "a.jpg", "dog": "b.jpg"}`'
        raise error("E418", f"`input` is a dict, and {name!r} is no name for an input of a text", help)
    inputs = list(_unstacked(value, rank))
    if len(inputs) != 1:
        raise error("E418", f"`input[{name!r}]` holds {len(inputs)} inputs", "a name is of one input")
    return inputs[0]


def _unstacked(argument: Input, rank: int, depth: int = 0) -> Iterator[object]:
    if isinstance(argument, str | PathLike):
        yield file_name("input", argument)
    elif isinstance(argument, list | tuple):
        if depth > MOST_DEPTH:
            raise error("E418", "`input` is a list of lists of lists", "give one input, or one list of them")
        if argument and all(isinstance(item, int | float) for item in argument):
            help = "numbers are given as a tensor: `torch.tensor([...])`"
            raise error("E418", f"`input` is {kind_of(argument)} of numbers", help)
        for one in argument:
            yield from _unstacked(one, rank, depth + 1)
    elif isinstance(argument, np.ndarray) and argument.dtype.kind not in "fiubc":
        help = "names of files are given as a list, numbers as floating point or uint8"
        raise error("E418", f"an array of {argument.dtype} is no input", help)
    elif is_values(argument):
        axes = argument.dim() if is_tensor(argument) else argument.ndim
        yield from argument if axes == rank + 1 else [argument]
    elif hasattr(argument, "getbands") or isinstance(argument, Clip):
        yield argument
    else:
        help = "give a file name, a picture, an array or a tensor"
        if hasattr(argument, "__iter__") and not isinstance(argument, type):
            help = "pass its contents: the pictures of `next(iter(...))`, as a tensor, an array or a list"
        raise error("E418", f"{kind_of(argument)} is no input", help)


def names_of(inputs: Sequence[Input] | None) -> tuple[str, ...] | None:
    """Return the names under which a program knows inputs: files by their own, others by number."""
    if inputs is None:
        return None
    return tuple(item if isinstance(item, str) else f"picture {number + 1}" for number, item in enumerate(inputs))


def expanded(name: str) -> list[str]:
    """Expand a name to files; `picture 3` stands for itself."""
    from bbilang.runtime.inputs import clips, texts
    from bbilang.runtime.inputs import images as pictures
    from bbilang.runtime.sound import files as sounds
    from bbilang.runtime.sound.names import is_sound

    if UNNAMED.fullmatch(name) or clips.frame_of(name):
        return [name]
    if is_sound(name):
        return sounds.expand(name)
    return texts.expand(name) if texts.is_text(name) else pictures.expand(name)


def framed(files: Sequence[str], name: str, every: int | None, most: int) -> Sequence[str]:
    """Replace a video by its frames (see `clips.frames`) where ``name`` is its own: in a folder, an animated picture is
    a picture like the others."""
    from bbilang.runtime.inputs import clips

    return clips.frames(files[0], every, most) if len(files) == 1 and clips.is_clip(name) else files


def pictures(
    argument: Input | None, named: Sequence[str], rank: int = 3, every: int | None = None, most: int = 120
) -> list[tuple[Input, str]]:
    """Return every input with its name: those passed, else those that a program names; globs, folders and videos
    expanded. ``rank``: see `listed`; ``every``, ``most``: see `clips.frames`."""
    named_inputs: list[tuple[Input, str]] = []
    inputs = listed(argument, rank) or list(named)
    for item, name in zip(inputs, names_of(inputs) or (), strict=True):
        files = framed(expanded(item), item, every, most) if isinstance(item, str) else [item]
        named_inputs += [(file, _name_of_file(file) if isinstance(file, str) else name) for file in files]
    return named_inputs


def _name_of_file(file: str) -> str:
    from bbilang.runtime.inputs.texts import PREFIX

    return file if file.startswith(PREFIX) else Path(file).name


def picture_of(
    source: object, name: str, model: ImageReader, channels: tuple[int, ...] | None = None, window: int | None = None
) -> NetworkInput:
    """Read one input: the values for the network, and the image to show. ``channels``: the channels of a tensor or an
    array that are drawn as red, green and blue, or one as grey. ``window``: samples of a column of a spectrogram."""
    from PIL import Image

    from bbilang.runtime.inputs.images import to_rgb
    from bbilang.runtime.inputs.texts import is_text

    reads = model.description.reads
    if reads == "text":
        return _text(source, model)
    if reads == "audio":
        return sound_of(source, name, model.description, window)
    if reads in NOT_PICTURES:
        return _values(source, name, model)
    if isinstance(source, str) and is_text(source):
        message = f"{model.description.name} takes pictures, and this is a text"
        raise error("E418", message, 'as in `input "sample:chelsea"`')
    if isinstance(source, str | Path):
        file, photo = _read(str(source)), lambda: np.asarray(_read(str(source)).image)
        image, shown = model.prepare(file.image)
        return NetworkInput(file.name, image, shown, size=file.image.size, photo=photo, seconds=file.seconds)
    if isinstance(source, Image.Image):
        if source.width * source.height > MOST_PIXELS or max(source.size) > MOST_SIDE or 0 in source.size:
            what = f"a picture of {source.width} x {source.height} pixels is no input"
            help = f"pictures have up to {MOST_PIXELS // 1_000_000} million, and {MOST_SIDE:,} a side"
            raise error("E414", what, help)
        try:
            picture = to_rgb(source)
        except (OSError, ValueError, SyntaxError) as e:
            raise error("E413", f"{name} cannot be decoded: {e}", "open the file again, or save it anew") from e
        image, shown = model.prepare(picture)
        return NetworkInput(name, image, shown, size=source.size, photo=lambda: np.asarray(picture))
    if isinstance(source, np.ndarray):
        return _array(source, name, model, channels)
    if is_tensor(source):
        return _tensor(source, name, model, channels)
    raise error("E418", f"{kind_of(source)} is no input", "give a file name, a picture, an array or a tensor")


def _read(name: str) -> Picture:
    """Read a picture or a frame by its name."""
    from bbilang.runtime.inputs import clips, images

    return clips.picture(name) if clips.frame_of(name) else images.read(name)


def _text(source: object, model: ImageReader) -> NetworkInput:
    """Read a text: the words after `text:`, or the name of a file."""
    from bbilang.runtime.inputs.texts import is_text, read

    if not (isinstance(source, str) and is_text(source)):
        message = f"{model.description.name} reads text, and this is a picture"
        raise error("E418", message, 'as in `input "text:The film was good."`, or the name of a .txt file')
    name, text = read(source)
    numbers, words = cast(TextReader, model).read(text)
    return NetworkInput(name, numbers, np.full((1, len(words), 3), 255, np.uint8), words)


def _array(array: np.ndarray, name: str, model: ImageReader, channels: tuple[int, ...] | None) -> NetworkInput:
    """Read an array: uint8 (y, x, 3) is a picture; floats (y, x, channel) in [0, 1] are an image for the network, as
    are (channel, y, x) where the number of channels fits."""
    from PIL import Image

    expected = model.description.input.shape
    if array.ndim != 3:
        raise error("E418", f"an array of shape {array.shape} is no input", "a picture has the shape (y, x, 3)")
    last, first = array.shape[2] == expected[0], tuple(array.shape) == tuple(expected)
    if array.dtype == np.uint8 and array.shape[2] == 3 and not (first and not last):
        return picture_of(Image.fromarray(array), name, model)
    if not (last or first):
        help = f"a picture has the shape (y, x, 3); the model takes ({expected[1]}, {expected[2]}, {expected[0]})"
        raise error("E418", f"an array of shape {array.shape} is no input of this model", help)
    if array.dtype.kind != "f" and array.dtype != np.uint8:
        help = "numbers in [0, 1] as floating point, or 0 to 255 as uint8"
        raise error("E418", f"an array of {array.dtype} is no input", help)
    import torch

    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return _tensor(tensor.permute(2, 0, 1) if last else tensor, name, model, channels)


def _numbers(tensor: Tensor, what: str) -> Tensor:
    """Convert a tensor to float32 on the CPU, detached; uint8 is divided by 255. Raises BbiError E418."""
    import torch

    if tensor.layout != torch.strided or tensor.is_meta:
        raise error("E418", f"a tensor without plain numbers is no {what}", "`tensor.to_dense()` makes one plain")
    if tensor.dtype == torch.uint8:
        return tensor.detach().to("cpu", torch.float32) / 255
    if tensor.is_quantized or not tensor.dtype.is_floating_point:
        help = "numbers in [0, 1] as floating point, or 0 to 255 as uint8"
        raise error("E418", f"a tensor of {str(tensor.dtype).removeprefix('torch.')} is no {what}", help)
    return tensor.detach().to("cpu", torch.float32)


def _tensor(tensor: Tensor, name: str, model: ImageReader, channels: tuple[int, ...] | None = None) -> NetworkInput:
    """Read a tensor (channel, y, x) in [0, 1], before normalization, of the network's input size."""

    expected = tuple(model.description.input.shape)
    image = _numbers(tensor, "image")
    if tuple(image.shape) != expected:
        shape = tuple(tensor.shape)
        help = f"give {expected} in [0, 1]" + (", or a picture, which is resized" if expected[0] in (1, 3) else "")
        if len(shape) == 3 and shape[0] != expected[0] and shape[1:] == expected[1:]:
            some = f"{expected[0]} channel" + "s" * (expected[0] > 1)
            what = f"a tensor of {shape[0]} channel{'s' * (shape[0] > 1)} is no input of a model that takes {some}"
            raise error("E418", what, help)
        raise error("E418", f"a tensor of shape {shape} is no input of this model", help)
    if not bool(image.isfinite().all()) or float(image.min()) < -1e-4 or float(image.max()) > 1 + 1e-4:
        raise error("E418", "an input tensor has values outside [0, 1]",
                     "images are RGB in [0, 1]; the normalization is the model's own")  # fmt: skip
    return NetworkInput(name, image, shown_of(image.numpy(), channels))


def shown_of(image: np.ndarray, channels: tuple[int, ...] | None = None) -> np.ndarray:
    """Convert (channel, y, x) in [0, 1] to uint8 (y, x, rgb): three ``channels``, or one as grey; by default the first
    three, or the first where there are fewer."""
    chosen = channels or ((0, 1, 2) if len(image) >= 3 else (0,))
    pixels = np.rint(image[list(chosen)].clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _values(value: Input, name: str, model: ImageReader) -> NetworkInput:
    """Read values that are no picture: a signal (channel, x), a sequence (x, channel), a vector (channel,)."""
    import torch

    description = model.description
    axes, expected = ", ".join(description.input.axes), tuple(description.input.shape)
    help = f"give a tensor {expected}: ({axes}{',' * (len(expected) == 1)})"
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        value = torch.from_numpy(np.ascontiguousarray(value.astype(np.float32)))
    if not is_values(value) or isinstance(value, np.ndarray):
        raise error("E418", f"{kind_of(value)} is no {description.reads}", help)
    if tuple(value.shape) != expected:
        raise error("E418", f"a tensor of shape {tuple(value.shape)} is no input of this model", help)
    plain = value.layout == torch.strided and not (value.is_meta or value.is_quantized or value.is_complex())
    values = value.detach().to("cpu", torch.float32) if plain else None
    if values is None or not bool(values.isfinite().all()):
        raise error("E418", "an input tensor has values that are no finite numbers", "look for NaN and infinity")
    return NetworkInput(name, values, np.full((1, description.input_size[1], 3), 255, np.uint8))
