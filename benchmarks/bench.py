"""Run the rows and store a line for each kind of processor in benchmarks/results/ROW.jsonl; docs/benchmarks.md is made
from those. Records measured beside other load are marked, and never replace an undisturbed one (`records`).

    make bench                            all rows
    make bench ROWS=linear,positions      some
    make bench QUICK=1                    few rounds, marked as such
    python -m benchmarks.bench --list     what there is

Ctrl-C ends it; finished rows stay.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import records, table
from benchmarks.harness import ROUNDS, ROUNDS_QUICK, ROWS, Row, alternate, peak_memory, processor_time, row_named
from benchmarks.surroundings import load, processor_seconds, surroundings

RESULTS = Path(__file__).parent / "results"


def measure(row: Row, rounds: int, tell: Callable[[str], None], memory: bool = True) -> dict[str, Any]:
    """Compare, time in turns and measure memory. Returns the record of a row."""
    started = surroundings()
    before, own = processor_seconds(), processor_time()
    expected, unequal, identical = None, {}, []
    equal: dict[str, float] = {}
    for way in sorted(row.ways, key=lambda way: way.kind != "ours"):
        tell(f"{way.name}: runs once, is compared")
        numbers = way.compared()
        expected = numbers if expected is None else expected
        error = equal[way.name] = row.difference(expected, numbers)
        if error <= row.tolerance:
            identical.append(way)
        else:
            unequal[way.name] = f"differs by {error:.1e} of the largest value, allowed is {row.tolerance:.1e}"
    timings = alternate(tuple(identical), min(rounds, row.rounds), tell)
    ways = {}
    for way in identical:
        tell(f"{way.name}: peak memory")
        peak = peak_memory(row.name, way.name) if memory else None
        ways[way.name] = {"kind": way.kind, **timings[way.name].to_json(way.share), "peak_bytes": peak}
    stolen, busy, spent = (now - then for now, then in zip(processor_seconds(), before, strict=True))
    own = processor_time() - own
    return {
        "row": row.name,
        "title": row.title,
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "rounds": rounds,
        **started,
        "load_after": load(),
        "stolen": round(stolen / max(spent, 1e-9), 3),
        "others": round(max(busy - own, 0.0) / max(spent, 1e-9), 3),
        "compared": row.compared,
        "tolerance": row.tolerance,
        "equal": equal,
        "unequal": unequal,
        "missing": dict(row.missing),
        "limits": [vars(limit) for limit in row.limits],
        "expected": dict(row.expected),
        "ways": ways,
        "notes": dict(row.notes()),
    }


def keep(record: dict[str, Any]) -> bool:
    """Return whether the record becomes the current one of its processor. Others stay as they are."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{record['row']}.jsonl"
    left = records.current([*table.records_of(record["row"]), record])
    path.write_text("".join(json.dumps(one) + "\n" for one in left), encoding="utf-8")
    return any(one is record for one in left)


def teller(name: str) -> Callable[[str], None]:
    """Return a function that reports progress on one terminal line; a no-op without a terminal."""
    began = time.perf_counter()

    def tell(words: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{name}  {time.perf_counter() - began:5.0f} s  {words}")
            sys.stderr.flush()

    return tell


def run(names: Sequence[str], quick: bool, memory: bool) -> int:
    """Run the rows. Returns the number of rows that failed or had a way of ours, or the minimum, that differs."""
    failed, done = 0, []
    try:
        for name in names:
            tell = teller(name)
            try:
                row = row_named(name)
                record = measure(row, ROUNDS_QUICK if quick else ROUNDS, tell, memory)
            except Exception:
                failed += 1
                tell("")
                print(f"\n{name} failed:", file=sys.stderr)
                traceback.print_exc()
                continue
            tell("")
            counts = keep(record)
            done.append(name)
            failed += any(way.name in record["unequal"] for way in row.ways if way.kind != "beside")
            print("\n".join(table.lines_of(record)), flush=True)
            if not counts:
                print("  not kept: there is a better record of this processor, quiet or of more rounds", flush=True)
    except KeyboardInterrupt:
        print(f"\nended; kept: {', '.join(done) or 'nothing'}", file=sys.stderr)
        failed += 1
    table.write()
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=os.environ.get("ROWS", ""), help=f"of {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")))
    parser.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    parser.add_argument("--list", action="store_true")
    chosen = parser.parse_args()
    names = [name for name in chosen.rows.replace(" ", ",").split(",") if name] or list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if chosen.list:
        print("\n".join(f"{name:12} {row_named(name).title}" for name in names))
        return 0
    if load() > 0.5:
        print(
            f"note: the load of this machine is {load()}; what is measured now is marked and replaces nothing quiet",
            file=sys.stderr,
        )
    return int(run(names, chosen.quick, not chosen.no_memory) > 0)


if __name__ == "__main__":
    sys.exit(main())
