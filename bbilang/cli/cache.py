"""`bbi cache`: show, limit, clear, export and import the cache on disk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bbilang.cli.console import plural, result, result_json, size, tell
from bbilang.cli.errors import FINE, WRONG, fail, misuse
from bbilang.cli.files import is_folder, writable
from bbilang.cli.request import command_line, reported
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.files import path_of, short
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.write_errors import unwritten

AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?")
STEPS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
WORDS = {
    "icon": "icons",
    "numbers": "numbers of elements",
    "page": "finished pages",
    "model": "what models are called",
    "description": "descriptions of models",
    "device": "devices",
    "pointer": "imported records",
    "shard": "shards of scanned datasets",
    "batch": "batch sizes of scans",
    "dataset": "indices, hashes, sizes and fingerprints of datasets",
}


def show(json: bool = False) -> int:
    """Print where the records are, how many of each kind there are, and how much space they take."""
    cache = Cache()
    stats, kinds = cache.stats(), cache.kinds()
    if json:
        chosen: dict[str, Any] = {key: stats[key] for key in ("folder", "records", "bytes", "limit")}
        result_json({**chosen, "kinds": {kind: {"records": n, "bytes": b} for kind, (n, b) in kinds.items()}})
        return FINE
    result(f"{stats['folder']}: {plural(stats['records'], 'entry', 'entries')}, {size(stats['bytes'])} of at most "
           f"{size(stats['limit'])}")  # fmt: skip
    for kind, (number, room) in sorted(kinds.items(), key=lambda item: -item[1][1]):
        result(f"  {number:7} {WORDS.get(kind, kind)}, {size(room)}")
    return FINE


def limit(words: str) -> int:
    """Set the size limit, such as `2GB`, for all later commands and apply it at once. Raises BbiError E440."""
    match = AMOUNT.fullmatch(words.strip())
    if match is None:
        misuse(f"`{words}` is no amount of room", "as in `bbi cache --limit 2GB`, or 500MB")
    amount = int(float(match[1]) * (1024 if match[3] else 1000) ** STEPS[match[2]])
    cache = Cache()
    removed = cache.set_limit(amount)
    more = f"; {plural(removed, 'entry', 'entries')} removed" if removed else ""
    result(f"{cache.folder}: at most {size(amount)}{more}")
    return FINE


def clear() -> int:
    """Remove every entry of the cache, and print how many bytes that freed."""
    cache = Cache()
    freed = cache.stats()["bytes"]
    result(f"{cache.folder}: {plural(cache.clear(), 'entry', 'entries')} removed, {size(freed)}")
    return FINE


def export(target: str, texts: Sequence[str], parents: bool = False, **options: Any) -> int:
    """Export all icons and numbers, or those that these texts need, to one file."""
    from bbilang.runtime.recall.archive import export as write

    if is_folder(target):
        misuse(f"{target} is a folder", "name a file: `bbi cache export icons.bbicache`")
    path = writable(target, parents)
    if path.suffix == ".bbi":
        misuse(f"{target} is a text, and would be written over", "first the file to write, then the texts")
    cache = Cache()
    keys: set[str] | None = None
    if texts:
        keys, lacking = set(), 0
        for name in texts:
            present, missing = _needed(name, **options)
            keys |= present
            lacking += missing
        if lacking:
            tell(f"{plural(lacking, 'record')} of these texts {'is' if lacking == 1 else 'are'} not there: "
                 "`bbi run` makes them first")  # fmt: skip
    try:
        count = write(cache, path, keys, parents)
        room = f", {size(path.stat().st_size)}" if path.is_file() else ""  # a pipe has none
    except OSError as error:
        raise unwritten(path, error) from error
    icons, numbers = count["icon"], count["numbers"]
    result(f"{path}  {plural(icons, 'icon')}, numbers of {plural(numbers, 'result')}{room}")
    return FINE


def _needed(name: str, **options: Any) -> tuple[frozenset[str], int]:
    """Return (keys of the records that the page of a text needs, how many of them the cache lacks)."""
    from bbilang.runtime.recall.incremental import needed

    line = command_line(name, **options)
    pipeline = line.pipeline()
    reported(pipeline, line.source)
    return needed(pipeline.job)


def take(source: str) -> int:
    """Import records from a file that `bbi cache export` wrote, perhaps elsewhere. Raises BbiError E441, E443."""
    from bbilang.runtime.recall.archive import take as read

    cache = Cache()
    try:
        taken = read(cache, path_of(source))
    except FileNotFoundError:
        fail("E441", f"there is no file {short(source)}")
    except IsADirectoryError:
        fail("E441", f"{source} is a folder")
    except ValueError as error:
        help = "`bbi cache export FILE` makes one"
        raise BbiError(Diagnostic("E443", f"{source} holds no records of the cache: {error}", help=help)) from error
    except OSError as error:
        message = f"{short(source)} cannot be read: {error.strerror or error}"
        raise BbiError(Diagnostic("E441", message)) from error
    for reason, number in sorted(taken.refused.items()):
        tell(f"{plural(number, 'entry', 'entries')} refused: {reason}")
    words = f"{plural(taken.new['icon'], 'icon')}, numbers of {plural(taken.new['numbers'], 'result')} taken"
    words += f", {taken.there} there already" if taken.there else ""
    words += f", {taken.unwritten} not written" if taken.unwritten else ""
    result(f"{cache.folder}: {words}")
    return WRONG if taken.refused or taken.unwritten else FINE
