"""Files of weights at known addresses: where they lie here once they were fetched, and the hash they must have.

Nothing is fetched but by the word `download` (fetch.py). No hash of some files is published: that of the
first download is remembered beside the file, and every later one must equal it.
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

DOWNLOAD = "download"  # in place of the name of a file
MIRROR = "BBI_WEIGHTS_MIRROR"  # an address in front of the file's name, in place of the known one
LIMIT = 256 << 20


@dataclass(frozen=True)
class Remote:
    """A file at a known address. ``digits``: the first ones of its SHA-256, where they are published; ``limit``: the
    most bytes that are taken."""

    file: str
    known: str
    digits: str = ""
    limit: int = LIMIT

    @property
    def address(self) -> str:
        """Where it is fetched: the known address, or that of a mirror (BBI_WEIGHTS_MIRROR)."""
        mirror = os.environ.get(MIRROR)
        return f"{mirror.rstrip('/')}/{urllib.parse.quote(self.file)}" if mirror else self.known

    @property
    def path(self) -> Path:
        return folder() / self.file

    @property
    def _beside(self) -> Path:
        return folder() / f"{self.file}.json"

    def remembered(self) -> Receipt | None:
        """What the first download was."""
        try:
            data = json.loads(self._beside.read_text(encoding="utf-8"))
            receipt = Receipt(**{key: data[key] for key in Receipt.__dataclass_fields__})
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return receipt if isinstance(receipt.sha256, str) and len(receipt.sha256) == 64 else None

    def remember(self, receipt: Receipt) -> None:
        with replacing(self._beside, sync=False, private=True) as file:
            file.write(canonical(asdict(receipt)))

    def kept(self) -> Receipt | None:
        """The receipt of the file that lies here and is what was fetched; None where there is none, or another."""
        receipt = self.remembered()
        try:
            return receipt if receipt is not None and sha256_of(self.path) == receipt.sha256 else None
        except OSError:
            return None


@dataclass(frozen=True)
class Receipt:
    """A download. ``fetched``: the day."""

    sha256: str
    bytes: int
    address: str
    fetched: str

    @property
    def words(self) -> str:
        host = urllib.parse.urlsplit(self.address).hostname
        return f"fetched from {host} on {self.fetched}, SHA-256 {self.sha256}"


def folder() -> Path:
    """Beside the records of the cache: `bbi cache clear` leaves it alone."""
    return Cache().folder / "weights"


def sha256_of(path: Path) -> str:
    with opened(path, MOST_WEIGHTS) as file:
        return hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest()


def pinned(digits: str) -> str:
    """A SHA-256 as a reader gives it. Raises BbiError E440 where it is none."""
    found = digits.strip().lower().removeprefix("sha256:")
    if len(found) != 64 or set(found) - set("0123456789abcdef"):
        raise error("E440", f"`{digits[:80]}` is no SHA-256", help="it has 64 hexadecimal digits")
    return found


def require(path: Path, pin: str) -> None:
    """Raises BbiError E445 for a file with another hash, E403 for one that cannot be read."""
    try:
        found = sha256_of(path)
    except OSError as e:
        raise error("E403", f"{path} cannot be read: {e.strerror}") from e
    if found != pin:
        help = "the file is not the one that was meant; leave `--sha256` out if you trust it"
        raise error("E445", f"{path.name} has the SHA-256 {found}, not {pin}", help=help)
