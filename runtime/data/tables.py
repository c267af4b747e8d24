"""Tables of pictures: one row an example, with its file, its label and further columns. Standard library only."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from bbilang.grammar.files import Unusable, inside, path_of, short
from bbilang.runtime.data.columns import as_word, of_values, of_words
from bbilang.runtime.data.listing import Column, Listing, Options, columns_of_names, not_empty
from bbilang.runtime.data.resolve import fail
from bbilang.runtime.data.rows import MOST_BYTES, Rows, read_rows
from bbilang.runtime.errors import error
from bbilang.runtime.inputs.images import SUFFIXES

FILES = ("file", "file_name", "filename", "path", "file_path", "filepath", "image", "image_path", "picture")
LABELS = ("label", "class", "category", "target", "class_name", "name")
SHOWN = 3  # files that a message names
PLAIN = re.compile(r"\w[\w .,()+-]*(?:/\w[\w .,()+-]*)*")  # a name that needs no look at its parts
TRIED = 20  # rows that tell which column holds names of files


def list_table(path: Path, root: Path | None, options: Options, most: int = MOST_BYTES) -> Listing:
    """List the examples of a table, or those in its first ``most`` bytes; names of files start in its folder, and may
    lack the ending.

    Raises BbiError E451 without a row, E453 for a table that cannot be read or has no column of files, E454 for files
    that are missing, E455 for one outside of the folder, E457 for a column that it does not have, E459."""
    rows = read_rows(path, most)
    own: dict[str, Column] = {name: of_words([str(cell) for cell in cells]) if rows.words else of_values(cells)
                              for name, cells in rows.columns.items()}  # fmt: skip
    count = len(next(iter(rows.columns.values()), ()))
    exact = rows.part == 1.0
    if count == 0:
        return not_empty(Listing("table", path, path.parent, (), (), ()), f"the table {short(path.name)}")
    files = _Files(path, root)
    column = _column_of_files(rows, options.file, files)
    names, sizes, stamps = files.found([as_word(cell) for cell in rows.columns[column]])
    columns = _columns(rows, own, column, names, options, path.name)
    return Listing("table", path, path.parent, names, sizes, stamps, columns,
                   count=count if exact else round(count / rows.part), exact=exact)  # fmt: skip


def _columns(
    rows: Rows, own: dict[str, Column], file: str, names: Sequence[str], options: Options, table: str
) -> dict[str, Column]:
    """Return the label (the table's, else the folder), always words, the split, and the further columns in the table's
    order."""
    label = options.label or _named(LABELS, (name for name in own if name != file))
    split = options.split or ("split" if "split" in own else None)
    columns: dict[str, Column] = {}
    for name, chosen in (("label", label), ("split", split)):
        if chosen is not None:
            columns[name] = [as_word(cell).strip() for cell in rows.columns[known(chosen, own, table)]]
    if label is None:
        columns = {**columns_of_names(names, strip=True), **columns}
    for name, values in own.items():
        if name not in columns and not (name == file and name.lower() in FILES) and name != "file":
            columns[name] = values
    return columns


def known(column: str, columns: Iterable[str], table: str) -> str:
    """Return the column's name. Raises BbiError E457, with the nearest name, where there is none."""
    names = list(columns)
    if column in names:
        return column
    from bbilang.compiler.contract import did_you_mean

    listed = ", ".join(f"`{short(name)}`" for name in names[:20])
    fail("E457", f"{table} has no column `{short(column)}`", did_you_mean(column, names, f"it has {listed}"))


def _named(usual: Sequence[str], names: Iterable[str]) -> str | None:
    """Return the first of the usual names that a column has, in upper or lower case."""
    by_lower = {name.lower(): name for name in reversed(list(names))}
    return next((by_lower[name] for name in usual if name in by_lower), None)


def _column_of_files(rows: Rows, wanted: str | None, files: _Files) -> str:
    """Return the column of the files: the one wanted, or of a usual name, or the first whose words are all files."""
    if wanted is not None:
        return known(wanted, rows.columns, files.table.name)
    if (usual := _named(FILES, rows.columns)) is not None:
        return usual
    for name, cells in rows.columns.items():
        if cells and all(files.exists(as_word(cell)) for cell in cells[:TRIED]):
            return name
    listed = ", ".join(short(name) for name in list(rows.columns)[:20])
    help = f"call the column of the files `file`; the first line names the columns, and has {listed}"
    fail("E453", f"{files.table.name} has no column with names of pictures", help)


class _Files:
    """The files that a table names."""

    def __init__(self, table: Path, root: Path | None):
        self.table, self.root = table, root
        self.folder = str(table.parent)
        self.endings = ["", *SUFFIXES]
        self.folders: dict[str, bool] = {}  # folder -> whether it lies in the root

    def exists(self, name: str) -> bool:
        try:
            return bool(name) and self._status(self._inside(name, 0)) is not None
        except (OSError, ValueError):
            return False

    def found(self, words: Sequence[str]) -> tuple[list[str], list[int], list[int]]:
        """Return (names, bytes, times of the last change). Raises BbiError E453, E454, E455."""
        names, sizes, stamps = [], [], []
        missing: list[str] = []
        for row, word in enumerate(words, 1):
            if not word:
                fail("E453", f"{self.table.name}: example {row} has no file", "every row names one")
            try:
                found = self._status(self._inside(word, row))
            except OSError as failure:
                message = f"{self.table.name}: example {row}: {failure.strerror or failure}"
                raise error("E453", message) from failure
            if found is None:
                missing.append(word)
            else:
                name, status = found
                names.append(name)
                sizes.append(status.st_size)
                stamps.append(status.st_mtime_ns)
        if missing:
            self._missing(list(dict.fromkeys(missing)), len(set(words)))
        return names, sizes, stamps

    def _missing(self, missing: list[str], of: int) -> None:
        shown = ", ".join(short(name) for name in missing[:SHOWN])
        more = f" and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else ""
        which = f"{len(missing):,} of the {of:,} files" if of > 1 else "the file"
        message = f"{which} that {self.table.name} names {'are' if of > 1 else 'is'} missing: {shown}{more}"
        fail("E454", message, "names start in the folder of the table; add the files, or remove their rows")

    def _inside(self, word: str, row: int) -> str:
        """Return the name relative to the table's folder. Raises BbiError E455 for one that leaves it; OSError."""
        if PLAIN.fullmatch(word) and ".." not in word:
            return word
        path = os.path.normpath(os.path.join(self.folder, str(path_of(word.replace("\\", "/")))))
        if not path.startswith(self.folder.rstrip(os.sep) + os.sep):
            if row == 0:
                raise Unusable(0, "it leaves the folder")
            message = f"{self.table.name}: example {row}, {short(word)}, lies outside of the table's folder"
            fail("E455", message, "move the table above its files")
        return os.path.relpath(path, self.folder).replace(os.sep, "/")

    def _status(self, name: str) -> tuple[str, os.stat_result] | None:
        """Return the file's name, with the ending that the table may leave out, and its status. Raises BbiError E455
        for a link that leaves ``root``."""
        for ending in [""] if name.lower().endswith(SUFFIXES) else list(self.endings):
            path = os.path.join(self.folder, name + ending)
            try:
                status = os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if stat.S_ISDIR(status.st_mode):
                continue
            if self.root is not None and not self._stays(path):
                message = f"{short(name)} lies outside of the folder given with `--root`"
                fail("E455", message, "move it into that folder")
            if ending != self.endings[0] and ending:  # the next file will have it too
                self.endings.remove(ending)
                self.endings.insert(0, ending)
            return name + ending, status
        return None

    def _stays(self, path: str) -> bool:
        """Return whether a file lies in ``root``, links followed; each folder is looked at once."""
        folder = os.path.dirname(path)
        if folder not in self.folders:
            self.folders[folder] = inside(Path(folder), self.root)
        return self.folders[folder] and (not os.path.islink(path) or inside(Path(path), self.root))
