"""Read the cells of .csv, .tsv, .jsonl and .parquet files, by column. Standard library only, but for Parquet, which
pyarrow reads (the extra `tables`)."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bbilang.grammar.files import opened, short
from bbilang.runtime.data.columns import Cell
from bbilang.runtime.data.resolve import fail
from bbilang.runtime.errors import error

MOST_BYTES = 1 << 30  # of a table
MOST_COLUMNS = 1000
DELIMITERS = ",;\t|"
SNIFFED = 20  # lines that tell the delimiter
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
UTF8 = "save it as UTF-8 (in a spreadsheet: `CSV UTF-8`)"


@dataclass(frozen=True)
class Rows:
    """Column -> cells. ``words``: the cells are text, in which numbers are recognized. ``part``: the part of the file
    that was read, 1 for all of it."""

    columns: dict[str, Sequence[Cell]]
    words: bool
    part: float = 1.0


def read_rows(path: Path, most: int = MOST_BYTES) -> Rows:
    """Read a table, or the rows in its first ``most`` bytes.

    Raises BbiError E453 for a table that cannot be read, with its line, E459 for Parquet without pyarrow."""
    try:
        if path.suffix.lower() == ".parquet":
            return _parquet(path)
        with opened(path, MOST_BYTES) as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(most)
    except OSError as failure:
        raise error("E453", f"{path.name} cannot be read: {failure.strerror or failure}") from failure
    whole = len(data) >= size
    text = _text(data, path.name, whole)
    columns = _lines_of_json(text, path.name) if path.suffix.lower() == ".jsonl" else _csv(text, path.name, whole)
    return Rows(columns, path.suffix.lower() != ".jsonl", 1.0 if whole else len(data) / size)


def _text(data: bytes, name: str, whole: bool) -> str:
    """Decode, without the line that the end cuts."""
    encoding = next((encoding for mark, encoding in BOMS if data.startswith(mark)), "utf-8")
    if not whole and encoding != "utf-16":
        data = data[: data.rfind(b"\n") + 1]
    try:
        text = data.decode(encoding, "strict" if whole or encoding != "utf-16" else "ignore")
    except UnicodeDecodeError as failure:
        line = data.count(b"\n", 0, failure.start) + 1
        raise error("E453", f"{name} is not text in UTF-8: line {line}", UTF8) from failure
    if "\0" in text:
        fail("E453", f"{name} is not a text: it holds NUL characters", UTF8)
    return text if whole or encoding != "utf-16" else text[: text.rfind("\n") + 1]


def delimiter_of(text: str) -> str:
    """Return the delimiter that parts the first lines into the same number of cells, at least two; else the comma. Of
    several, the one of most cells."""
    best, most = ",", 1
    for candidate in DELIMITERS:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=candidate)
        lengths = set()
        try:
            for row, _ in zip(rows, range(SNIFFED), strict=False):
                lengths.add(len(row) or 1)
        except csv.Error:
            continue
        if len(lengths) == 1 and (cells := lengths.pop()) > most:
            best, most = candidate, cells
    if most == 1:  # ragged: the header decides, and the row is named that differs
        header = text.partition("\n")[0]
        best = max(DELIMITERS, key=header.count)
    return best


def _csv(text: str, name: str, whole: bool) -> dict[str, Sequence[Cell]]:
    head = "".join(text.splitlines(keepends=True)[: SNIFFED * 2]) if len(text) < 1 << 20 else text[: 1 << 20]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(head), strict=True)
    header: list[str] | None = None
    cells: list[list[str]] = []
    try:
        for row in rows:
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            if header is None:
                header = _header([word.strip() for word in row], name)
            elif len(row) != len(header):
                message = f"{name}: line {rows.line_num} has {len(row)} cells, and the first line {len(header)}"
                fail("E453", message, 'a cell with the delimiter in it stands in quotes: "a, b"')
            else:
                cells.append(row)
    except csv.Error as failure:
        if whole:
            message = f"{name}: line {rows.line_num} cannot be read: {failure}"
            raise error("E453", message, "a quote inside of a cell is written twice") from failure
    if header is None:
        fail("E453", f"{name} is empty", "its first line names the columns: file,label")
    return dict(zip(header, map(list, zip(*cells, strict=True)), strict=True)) if cells else {c: [] for c in header}


def _header(names: list[str], table: str) -> list[str]:
    """Return the names of the columns: one that has none (the index that pandas writes) is called by its number."""
    named = [name or f"column {number + 1}" for number, name in enumerate(names)]
    if len(named) > MOST_COLUMNS:
        fail("E453", f"{table} has {len(named):,} columns", f"at most {MOST_COLUMNS} are read")
    twice = next((name for number, name in enumerate(named) if name in named[:number]), None)
    if twice is not None:
        fail("E453", f"{table} has two columns `{short(twice)}`", "rename one of them")
    return named


def _lines_of_json(text: str, name: str) -> dict[str, Sequence[Cell]]:
    objects: list[dict[str, Cell]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as failure:
            raise error("E453", f"{name}: line {number} is not JSON", '{"file": "a.jpg", "label": "cat"}') from failure
        if not isinstance(value, dict):
            fail("E453", f"{name}: line {number} is not an object", 'as in {"file": "a.jpg", "label": "cat"}')
        objects.append(value)
    header = _header(list(dict.fromkeys(key for row in objects for key in row)), name)
    if not objects:
        fail("E453", f"{name} is empty", 'each line is an object: {"file": "a.jpg", "label": "cat"}')
    return {column: [row.get(column) for row in objects] for column in header}


def _parquet(path: Path) -> Rows:
    """Read every column but those of bytes. Nothing in such a file is unpickled: pyarrow's old extension type, which
    was, is gone since version 14.0.1."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as failure:
        message = f"{path.name} is a table in Parquet, and pyarrow is not installed"
        raise error("E459", message, "pip install 'bbilang[tables]'; .csv and .jsonl are read without it") from failure
    with opened(path, MOST_BYTES) as file:
        try:
            table = parquet.ParquetFile(file)
            groups = (table.metadata.row_group(number) for number in range(table.metadata.num_row_groups))
            if sum(group.total_byte_size for group in groups) > 4 * MOST_BYTES:
                fail("E453", f"{path.name} unpacks to over {4 * MOST_BYTES >> 30} GB", "leave columns out")
            names = _header(list(table.schema_arrow.names), path.name)
            kept = [name for name in names if not _is_bytes(str(table.schema_arrow.field(name).type))]
            columns = table.read(columns=kept, use_threads=False)
            cells = {name: [_cell(value) for value in columns.column(name).to_pylist()] for name in kept}
        except (arrow.ArrowException, OSError, KeyError) as failure:
            raise error("E453", f"{path.name} is not a table in Parquet: {_first_line(failure)}") from failure
    return Rows(dict(cells), words=False)


def _is_bytes(kind: str) -> bool:
    return "binary" in kind


def _cell(value: object) -> Cell:
    """Return a value of Parquet as JSON has it: decimals as numbers, dates as words."""
    if value is None or isinstance(value, str | float | int | bool | list | dict):
        return value
    return float(value) if type(value).__name__ == "Decimal" else str(value)  # type: ignore[arg-type]


def _first_line(failure: Exception) -> str:
    return next(iter(_nonempty(str(failure))), type(failure).__name__)


def _nonempty(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
