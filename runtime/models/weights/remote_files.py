"""Files of weights at known addresses: their place in the cache, and the hash that they must have.

Only the word `download` fetches them (fetch.py). Some files have no published hash: that of the first download is
recorded beside the file, and every later one must equal it.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.parse
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import cast

from bbilang.grammar.files import MOST_WEIGHTS, opened
from bbilang.runtime.cache.disk import Cache, canonical
from bbilang.runtime.errors import error
from bbilang.runtime.files import replacing

DOWNLOAD = "download"  # instead of a file name
MIRROR = "BBI_WEIGHTS_MIRROR"  # an address to prefix to the file's name, instead of the known one
LIMIT = 256 << 20


@dataclass(frozen=True)
class Remote:
    """A file at a known address. ``digits``: the published first digits of its SHA-256, if any; ``limit``: its largest
    size in bytes."""

    file: str
    known: str
    digits: str = ""
    limit: int = LIMIT

    @property
    def address(self) -> str:
        """The address to fetch: the known one, or that of a mirror (BBI_WEIGHTS_MIRROR)."""
        mirror = os.environ.get(MIRROR)
        return f"{mirror.rstrip('/')}/{urllib.parse.quote(self.file)}" if mirror else self.known

    @property
    def path(self) -> Path:
        return folder() / self.file

    @property
    def _beside(self) -> Path:
        return folder() / f"{self.file}.json"

    def remembered(self) -> Receipt | None:
        """Return the receipt of the first download; None if there was none."""
        try:
            data = json.loads(self._beside.read_text(encoding="utf-8"))
            receipt = Receipt(**{key: data[key] for key in Receipt.__dataclass_fields__})
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return receipt if isinstance(receipt.sha256, str) and len(receipt.sha256) == 64 else None

    def remember(self, receipt: Receipt) -> None:
        with replacing(self._beside, sync=False, private=True) as file:
            file.write(canonical(asdict(receipt)))

    def valid_receipt(self) -> Receipt | None:
        """Return the receipt of the local file, if it is the downloaded one; else None."""
        receipt = self.remembered()
        try:
            return receipt if receipt is not None and sha256_of(self.path) == receipt.sha256 else None
        except OSError:
            return None


@dataclass(frozen=True)
class Receipt:
    """The record of a download. ``fetched``: the day."""

    sha256: str
    bytes: int
    address: str
    fetched: str

    @property
    def words(self) -> str:
        host = urllib.parse.urlsplit(self.address).hostname
        return f"fetched from {host} on {self.fetched}, SHA-256 {self.sha256}"


def folder() -> Path:
    """Return the folder of weights, beside the records of the cache: `bbi cache clear` keeps it."""
    return Cache().folder / "weights"


def sha256_of(path: Path) -> str:
    with opened(path, MOST_WEIGHTS) as file:
        return hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest()


def pinned(digits: str) -> str:
    """Parse a SHA-256 given by the user. Raises BbiError E440 for anything else."""
    digest = digits.strip().lower().removeprefix("sha256:")
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise error("E440", f"`{digits[:80]}` is no SHA-256", help="it has 64 hexadecimal digits")
    return digest


def require(path: Path, pin: str) -> None:
    """Check the hash of a file. Raises BbiError E445 for another hash, E403 for a file that cannot be read."""
    try:
        digest = sha256_of(path)
    except OSError as e:
        raise error("E403", f"{path} cannot be read: {e.strerror}") from e
    if digest != pin:
        help = "the file is not the one that was meant; leave `--sha256` out if you trust it"
        raise error("E445", f"{path.name} has the SHA-256 {digest}, not {pin}", help=help)
