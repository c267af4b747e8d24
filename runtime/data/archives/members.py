"""Which members of an archive are examples, and which archives are refused. Standard library only."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from pathlib import Path

from bbilang.grammar.files import short
from bbilang.runtime.data.folders import is_hidden
from bbilang.runtime.data.listing import Listing, columns_of_names, not_empty
from bbilang.runtime.data.resolve import Kind, fail
from bbilang.runtime.inputs.images import SUFFIXES

MOST_PICTURE = 256 << 20  # bytes of a picture in an archive
MOST_MEMBERS = 20_000_000
MOST_RATIO = 200  # unpacked over packed bytes, of more than ``RATIO_FROM`` bytes: pictures hardly shrink
RATIO_FROM = 64 << 20


@dataclass
class Members:
    """The pictures in an archive, added in its order; a later member replaces an earlier one of the same name, as
    unpacking would. ``reads``: (offset of the data or of its header, bytes)."""

    archive: Path
    reads: dict[str, tuple[int, int]] = field(default_factory=dict)
    seen: int = 0

    def add(self, name: str, size: int, offset: int) -> None:
        """Add a regular file. Raises BbiError E455 for a name that leaves the archive, E456 for one too large."""
        self.seen += 1
        if self.seen > MOST_MEMBERS:
            self.refuse(f"has over {MOST_MEMBERS:,} members")
        path = self.checked(name)
        if not path.lower().endswith(SUFFIXES) or any(map(is_hidden, path.split("/"))):
            return
        if size > MOST_PICTURE:
            self.refuse(f"holds {short(path)}, which unpacks to {size >> 20:,} MB", f"{MOST_PICTURE >> 20} MB at most")
        self.reads.pop(path, None)
        self.reads[path] = offset, size

    def checked(self, name: str) -> str:
        """Return a member's name in its plain form. Raises BbiError E455 where it leads out of the archive."""
        path = name.replace("\\", "/")
        drive = len(path) > 1 and path[1] == ":"
        if path.startswith("/") or drive or ".." in path.split("/") or "\0" in path:
            message = f"{short(self.archive.name)} holds {short(name)!r}, which leads out of the archive"
            fail("E455", message, "nothing of it is read: such names are made to overwrite files")
        return posixpath.normpath(path)

    def refuse_link(self, name: str, kind: str) -> None:
        self.refuse(f"holds {short(name)}, which is {kind}", "pack the files themselves: `tar --dereference`, `zip`")

    def refuse(self, what: str, help: str | None = None) -> None:
        """Raise BbiError E456."""
        fail("E456", f"{short(self.archive.name)} {what}", help)

    def listing(self, kind: Kind, count: int = -1, exact: bool = True) -> Listing:
        """Return the listing. Raises BbiError E451 without a picture."""
        names = list(self.reads)
        listing = Listing(kind, self.archive, self.archive, names, [size for _, size in self.reads.values()],
                          [offset for offset, _ in self.reads.values()], columns_of_names(names, strip=True), (),
                          count, exact)  # fmt: skip
        return not_empty(listing, f"the archive {short(self.archive.name)}")
