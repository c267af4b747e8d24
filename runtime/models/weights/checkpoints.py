"""Read checkpoints: the tables of tensors in a file of weights, without running any code."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.files import MOST_WEIGHTS, opened, path_of, short
from bbilang.runtime.errors import error

DEPTH = 4  # tables inside tables, at most
SAVE = "save it with safetensors, or torch.save(model.state_dict(), file)"
DOWNLOAD = "download the file itself: on a page that shows it, the link is often called `raw` or `download`"
OPTIMIZER = re.compile(
    r"optim|sched|scaler|grad", re.IGNORECASE
)  # keys of tables that have the names of weights and hold none


@dataclass(frozen=True)
class Table:
    """Names and tensors under keys of a file: ("state_dict_ema",), or () for the file itself. ``others``: names of
    other entries, which are no tensors."""

    where: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """The tables of a file, outer ones first; never empty."""

    name: str
    tables: tuple[Table, ...]


def read_state(path: Path) -> Checkpoint:
    """Read the tables of a file to the CPU. Raises BbiError E403 for one that is missing, damaged or something else."""
    try:
        path = path_of(path)
        with opened(path, MOST_WEIGHTS):
            pass
    except FileNotFoundError as e:
        raise _unreadable(f"there is no weights file {short(path)}", None) from e
    except OSError as e:
        raise _unreadable(f"the weights file {short(path)} cannot be read: {e.strerror or e}", None) from e
    try:
        _recognized(path)
        data = _safetensors(path) if _is_safetensors(path) else _pickled(path)
    except BbiError:
        raise
    except Exception as e:  # readers of damaged files raise anything
        raise _unreadable(f"{path.name} cannot be read as weights: it is damaged, cut short, or not such a file") from e
    if not isinstance(data, Mapping) or not data:
        raise _unreadable(f"{path.name} holds no table of names and tensors", "save model.state_dict()")
    tables = tuple(_tables(data, ()))
    if not tables:
        raise _unreadable(f"{path.name} holds `{next(iter(data))}`, which is not a tensor", "save model.state_dict()")
    for table in tables:
        for name, value in table.tensors.items():
            if value.layout != torch.strided or value.is_meta or value.is_quantized:
                kind = "without values" if value.is_meta else "quantized" if value.is_quantized else "sparse"
                raise _unreadable(f"{path.name} holds `{name}`, a tensor that is {kind}", "save plain tensors")
    return Checkpoint(path.name, tables)


def _tables(data: Mapping[object, object], where: tuple[str, ...]) -> Iterator[Table]:
    named = {name: value for name, value in data.items() if isinstance(name, str)}
    tensors = {name: value for name, value in named.items() if isinstance(value, Tensor)}
    if tensors:
        inner = (name for name, value in data.items() if not isinstance(value, Tensor | Mapping))
        yield Table(where, tensors, tuple(map(str, inner)))
    if len(where) < DEPTH:
        for name, value in named.items():
            if isinstance(value, Mapping) and not OPTIMIZER.match(name):
                yield from _tables(value, (*where, name))


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path, device="cpu")


def _is_safetensors(path: Path) -> bool:
    """Recognize the format by its content: eight bytes of length, then a table in JSON."""
    with path.open("rb") as file:
        head = file.read(9)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size


def _pickled(path: Path) -> object:
    try:
        # A Namespace (the arguments of a training script) holds values and runs no code.
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")  # about pickle protocols; unreadable files are errors
            with path.open("rb") as file:  # torch.load of a path depends on its suffix
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as e:
        if "Unsupported" in str(e):  # a class, function or instruction outside torch's list for tensors
            kind = re.search(r"Unsupported global: GLOBAL ([\w.]+)", str(e))
            which = f" (`{kind[1]}`)" if kind else ""
            message = f"{path.name} holds Python objects besides tensors{which}, which are not loaded since that can " \
                      "run code"  # fmt: skip
            raise _unreadable(message, "save model.state_dict() alone, or use safetensors") from e
        raise


# --- other files -----------------------------------------------------------------------------------------------------

POINTER = re.compile(rb"version https://git-lfs|version https://hawser|/annex/objects/|\.\./.*annex/objects/")
STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "HDF5 (Keras)", SAVE),
    (b"GGUF", "GGUF (llama.cpp)", SAVE),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"BZh", "compressed with bzip2", "unpack it first"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it first"),
    (b"7z\xbc\xaf", "an archive of 7-Zip", "unpack it first"),
    (b"Rar!", "an archive of RAR", "unpack it first"),
    (b"\x93NUMPY", "an array of numpy", SAVE),
    (b"\x89PNG", "a picture", SAVE),
    (b"\xff\xd8\xff", "a picture", SAVE),
    (b"%PDF", "a PDF document", SAVE),
)
ARCHIVES: tuple[tuple[str, str, str], ...] = (  # a file in a zip archive -> what that is
    (r"serialized_exported_program\.json|models/.*\.json|archive_format", "a program of torch.export",
     "it is a model, not weights for one: `--model FILE.pt2 --allow-code`"),
    (r"(.*/)?code/.*|(.*/)?constants\.pkl", "a program of TorchScript",
     "in Python, save the weights alone: torch.save(torch.jit.load(FILE).state_dict(), ...)"),
    (r".*\.npy", "arrays of numpy", SAVE),
    (r"model\.weights\.h5|.*keras.*", "a model of Keras", SAVE),
)  # fmt: skip


def _recognized(path: Path) -> None:
    """Raise E403 with a specific message for files that are often mistaken for weights."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise _unreadable(f"{path.name} is empty", "was it copied or downloaded to the end?")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"<":
        what = "an HTML page" if re.match(rb"<(!doctype html|html|head|body)", text, re.IGNORECASE) else "HTML or XML"
        raise _unreadable(f"{path.name} is {what}, saved in place of the weights", DOWNLOAD)
    if POINTER.match(text):
        help = "fetch what it points to, with `git lfs pull`, or download the file itself"
        raise _unreadable(f"{path.name} is a pointer of git-lfs or git-annex to the weights, not the weights", help)
    for start, what, help in STARTS:
        if head.startswith(start):
            raise _unreadable(f"{path.name} is {what}, not weights of PyTorch", help)
    if text[:1] in (b"{", b"["):
        index = b'"weight_map"' in text
        what = "the index of weights in several files" if index else "a text in JSON"
        help = "join them: save one file with safetensors" if index else DOWNLOAD
        raise _unreadable(f"{path.name} is {what}, not the weights", help)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        for pattern, what, help in ARCHIVES:
            if any(re.fullmatch(pattern, name.partition("/")[2] or name) for name in names):
                raise _unreadable(f"{path.name} is {what}, not a table of weights", help)
        if not any(name.endswith("data.pkl") for name in names):
            inside = next((Path(name).name for name in names if not name.endswith("/")), "nothing")
            raise _unreadable(
                f"{path.name} is a zip archive with `{inside}` in it", "unpack it, and give the file inside"
            )


def _unreadable(message: str, help: str | None = SAVE) -> BbiError:
    return error("E403", message, help)
