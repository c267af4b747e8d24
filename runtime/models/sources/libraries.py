"""Import an installed library of models, and let it download without hanging where there is no network."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error

OFFLINE = "connect to the internet once (weights are cached), or pass `--weights FILE` or `--weights random`"


def version_of(package: str) -> str:
    """Return the version of an installed library without importing it. Raises BbiError E410 where it is missing."""
    try:
        if importlib.util.find_spec(package) is not None:
            return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # on the path, but not installed
        return "unknown"
    message = f"{package} is not installed, and the model is one of its"
    raise error("E410", message, f"pip install 'bbilang[models]', or {package} alone")


def imported(package: str) -> ModuleType:
    """Import a library. Raises BbiError E410 where it is missing or cannot be imported."""
    version_of(package)
    try:
        return importlib.import_module(package)
    except Exception as e:  # a torchvision built for another torch raises anything
        lines = str(e).strip().splitlines()
        message = f"{package} is installed and cannot be imported: {lines[0] if lines else type(e).__name__}"
        raise error("E410", message, "install versions of torch, torchvision and timm that belong together") from e


@contextmanager
def reachable() -> Iterator[None]:
    """Set huggingface_hub to offline mode where there is no network: it would retry for half a minute."""
    try:
        from huggingface_hub import constants
        from huggingface_hub.utils import logging
    except ImportError:  # a dependency of timm and transformers, not of torchvision
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
    """Return whether a host name can be resolved, or a proxy resolves it."""
    if urllib.request.getproxies():
        return True
    try:
        return bool(socket.getaddrinfo(urllib.parse.urlsplit(address).hostname, 443))
    except OSError:
        return False


@contextmanager
def downloading(name: str) -> Iterator[None]:
    """Turn any error of a library that fetches weights into E419."""
    try:
        with reachable():
            yield
    except BbiError:
        raise
    except Exception as e:  # libraries and networks raise anything
        lines = str(e).strip().splitlines()
        reason = lines[0].rstrip(".")[:160] if lines else type(e).__name__
        raise error("E419", f"the weights of {name} could not be fetched: {reason}", OFFLINE) from e
