"""Digests of what results depend on besides the program: the model, its inputs and the device. Imports no torch.

A model of the registry is described by a record in the cache, written when it was first loaded: its key holds the hash
of the file of weights, the sources of this package and the preprocessing. A caller's module is known by its
fingerprint and by the files that define its classes; where something in it cannot be known (hooks, attributes that are
objects, classes written in a notebook), nothing is recalled for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.grammar.files import MOST_WEIGHTS, opened
from bbilang.grammar.frozen import frozen
from bbilang.runtime.cache.disk import Cache, canonical, key_of
from bbilang.runtime.cache.versions import code_digest, version_of
from bbilang.runtime.events import RunListener
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.samples.sounds import VERSION as SOUNDS_VERSION
from bbilang.runtime.sound import names as sounds

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from bbilang.runtime.inputs.load import Input

OURS = ("torch", "bbilang", "collections", "builtins")  # packages whose code is known by their versions


@frozen
class KnownModel:
    """A model as a page needs it where nothing runs. ``device``: torch's words for it, "cpu" or "cuda:0"; ``code``: a
    digest of what defines a caller's module, empty for models of the registry."""

    description: ModelDescription
    fingerprint: str
    weights: str
    random: bool
    preprocess: Preprocess
    device: str
    code: str = ""

    def prepare(self, picture: Image) -> tuple[None, np.ndarray]:
        """Prepare a PIL picture as `Adapter.prepare` does, without torch: no image for the network, only what is shown
        of it."""
        grey = len(self.preprocess.mean) == 1
        return None, self.preprocess.display(picture.convert("L") if grey else picture)

    def read(self, text: str) -> tuple[None, tuple[str, ...]]:
        """Return the words of a text as `TextAdapter.read` does, for a model of the registry; no numbers."""
        from bbilang.runtime.models.registry import entry_of

        _, words = entry_of(self.description.name).tokenizer.read(text)
        return None, (*words, *[""] * (self.description.input_size[1] - len(words)))


def model_key(
    name: str, weights: str | Path | None, seed: int, changes: Mapping[str, object], progress: RunListener | None = None
) -> str | None:
    """Return the key of the record about a model of the registry; None where its file of weights cannot be read. For
    the word `download` the file is fetched, as by `load`."""
    from bbilang.runtime.models.loading import weights_of
    from bbilang.runtime.models.registry import entry_of

    entry = entry_of(name)
    path, receipt = weights_of(entry, weights, progress)
    if path is None:
        made: list[Any] = ["random", seed, version_of("torch")]
    else:
        try:
            with opened(path, MOST_WEIGHTS) as file:
                made = [path.name, hashlib.file_digest(file, "sha256").hexdigest()]
        except (OSError, ValueError):  # a name with a null in it is no name
            return None
        made += [receipt.words] if receipt else [] if weights is not None else [version_of(entry.package)]
    return key_of({"what": "model", "name": entry.name, "weights": made, "changes": changes, "code": code_digest()})


def known(cache: Cache, key: str, description: ModelDescription, device: str) -> KnownModel | None:
    """Return the model of a record, with the description that the program was checked against."""
    record = cache.get(key)
    if record is None:
        return None
    try:
        data = json.loads(record[0])
        parts: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in data["preprocess"].items()}
        preprocess = Preprocess(**parts)
        words, random = str(data["weights"]), bool(data["random"])
        return KnownModel(description, str(data["fingerprint"]), words, random, preprocess, device)
    except (ValueError, KeyError, TypeError, AttributeError):
        cache.drop(key)
        return None


def learn(cache: Cache, key: str, adapter: Adapter) -> None:
    """Write the record about a model that was loaded."""
    data = {"fingerprint": adapter.fingerprint, "weights": adapter.weights, "random": adapter.random}
    cache.put(key, canonical({**data, "preprocess": asdict(adapter.preprocess)}), {"kind": "model"})


def known_model_of(adapter: Adapter, callers: bool) -> KnownModel | None:
    """Identify a loaded model; ``callers`` says that the caller passed it. None where what it computes cannot be
    known."""
    code = written(adapter) if callers else ""
    if code is None or not getattr(adapter, "knowable", True):
        return None
    return KnownModel(
        adapter.description, adapter.fingerprint, adapter.weights, adapter.random, adapter.preprocess,
        str(adapter.device), code,
    )  # fmt: skip


# --- a caller's module ----------------------------------------------------------------------------------------------


def written(adapter: Adapter) -> str | None:
    """Digest what defines a module besides its tensors: the loaded code, the files of its classes, its plain
    attributes. Both code and files, because a file may have been edited after the code was loaded."""
    from bbilang.runtime.passes.module.digest import code_of

    if type(adapter) is not Adapter or (loaded := code_of(adapter.module)) is None:
        return None
    it = adapter.description
    digest = hashlib.sha256(repr((it.name, it.output, it.part, it.scores, loaded)).encode())
    files: set[str] = set()
    for path, module in adapter.module.named_modules():
        for kind in type(module).__mro__:
            if kind.__module__.split(".")[0] not in OURS:
                file = getattr(sys.modules.get(kind.__module__), "__file__", None)
                if file is None or "<locals>" in kind.__qualname__:
                    return None
                files.add(file)
        for name, value in sorted(vars(module).items()):
            said = _said(name, value)
            if said is None:
                return None
            digest.update(f"{path}.{name}={said}\n".encode())
    for file in sorted(files):
        try:
            digest.update(Path(file).read_bytes())
        except OSError:
            return None
    return digest.hexdigest()


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
HELD = ("_parameters", "_modules", "training", "_state_dict_hooks", "_state_dict_pre_hooks", "_is_full_backward_hook",
        "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks", "_forward_hooks_with_kwargs",
        "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs")  # fmt: skip


def _said(name: str, value: object) -> str | None:
    if name in HELD:
        return ""
    if name in HOOKS:
        return None if value else ""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return repr(value)
    if isinstance(value, list | tuple | set | frozenset):
        items = [_said("", item) for item in (value if isinstance(value, list | tuple) else sorted(value, key=repr))]
        return None if None in items else f"{type(value).__name__}{items}"
    if isinstance(value, dict):
        pairs = [(repr(key), _said("", item)) for key, item in value.items()]
        return None if any(item is None for _, item in pairs) else repr(pairs)
    if type(value).__module__ == "torch" and hasattr(value, "detach"):
        from bbilang.runtime.passes.module.tensor_bytes import content

        pieces = content(value)
        return None if pieces is None else hashlib.sha256(b"".join(pieces)).hexdigest()
    if type(value).__module__ == "torch":  # a dtype, a device, a size
        return repr(value)
    whence = getattr(value, "__module__", None)
    if callable(value) and isinstance(whence, str) and whence.split(".")[0] in OURS and hasattr(value, "__qualname__"):
        return f"{whence}.{value.__qualname__}"
    return None


# --- inputs and devices ---------------------------------------------------------------------------------------------


def input_identity(item: Input) -> str | None:
    """Return a hash of an input as handed over: the bytes of its file, else its numbers. None where it cannot be
    read."""
    from bbilang.runtime.inputs import clips
    from bbilang.runtime.inputs.images import MOST_BYTES
    from bbilang.runtime.inputs.images import path_of as picture_path

    digest = hashlib.sha256()
    if isinstance(item, str) and item.startswith(sounds.PREFIX) and sounds.is_sound(item):
        return hashlib.sha256(f"sound {item} {SOUNDS_VERSION}".encode()).hexdigest()
    if isinstance(item, str | Path):
        try:
            if frame := clips.frame_of(str(item)):
                return f"{_video_digest(frame[0], clips.signature(frame[0]))}, frame {frame[1]}"
            with opened(picture_path(str(item)), MOST_BYTES) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None
    if hasattr(item, "samples") and hasattr(item, "rate"):
        head, data = f"clip {item.samples.shape} {item.rate}", item.samples.tobytes()
    elif hasattr(item, "tobytes") and hasattr(item, "dtype"):
        head, data = f"array {item.shape} {item.dtype}", item.tobytes()
    elif hasattr(item, "getbands"):
        from bbilang.runtime.inputs.images import to_rgb

        head, data = f"picture {item.size}", to_rgb(item).tobytes()
    elif hasattr(item, "detach"):
        plain = item.detach().cpu().double().contiguous()
        head, data = f"tensor {tuple(plain.shape)}", plain.numpy().tobytes()
    else:
        return None
    digest.update(head.encode())
    digest.update(data)
    return digest.hexdigest()


@lru_cache(maxsize=8)
def _video_digest(file: str, signature: tuple[int, int]) -> str:
    """Return the digest of a video, which all of its frames share. ``signature``: what tells the file from another of
    its name. Raises OSError."""
    from bbilang.runtime.inputs import clips
    from bbilang.runtime.inputs.images import path_of as picture_path

    with opened(picture_path(file), clips.MOST_BYTES) as opened_file:
        return hashlib.file_digest(opened_file, "sha256").hexdigest()


def expected_device(name: str, cache: Cache) -> str | None:
    """Return torch's name of the device without asking torch: remembered from the last run on the same hardware."""
    if name == "cpu":
        return name
    record = cache.get(_device_key(name))
    return None if record is None else record[0].decode("ascii", "replace")


def remember_device(name: str, device: str, cache: Cache) -> None:
    if name != "cpu" and expected_device(name, cache) != device:
        cache.put(_device_key(name), device.encode(), {"kind": "device"})


def _device_key(name: str) -> str:
    try:
        cards = sorted(entry for entry in os.listdir("/dev") if entry.startswith(("nvidia", "kfd")))
    except OSError:
        cards = []
    visible = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")}
    here = {"torch": version_of("torch"), "platform": sys.platform, "cards": cards, "visible": visible}
    return key_of({"what": "device", "asked": name, **here})
