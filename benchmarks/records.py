"""Choose the current records of a row: one for each kind of processor, undisturbed ones first.

A record measured beside other load is marked so on the page, and never replaces an undisturbed one of the same
processor. Among equals a full one is worth more than a quick one, and a later one than an earlier.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.harness import ROOT, ROUNDS

Record = dict[str, Any]
STOLEN = 0.02  # of the processors' time, taken by other machines
OTHERS = 0.05  # of the processors' time, taken by other processes of this machine
OWN = 0.5  # by how much the load may lie above our own threads


def append(name: str, record: Record) -> str:
    """Add a record to benchmarks/results/NAME.jsonl, and return it as the line of JSON that was written."""
    line, folder = json.dumps(record), ROOT / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    return line


def kind_of(record: Record) -> tuple[str, str]:
    """Return (processor with the vector instructions that torch used, device)."""
    return record["machine"]["cpu"], record["machine"]["device"]


def processor_name(record: Record) -> str:
    """Return a short name of the processor: "Intel Xeon, AVX512"."""
    name, device = kind_of(record)
    for mark in ("(R)", "(TM)", "Processor"):
        name = name.replace(mark, " ")
    name = " ".join(name.split()).replace(" ,", ",")
    return name if device == "cpu" else f"{name}, {device}"


def disturbances(record: Record) -> tuple[str, ...]:
    """Return what else was running, in words; empty for an undisturbed record. The load counts where other processes
    were not measured: rows follow each other, so load up to our own number of threads is ours."""
    reasons = []
    if record.get("stolen", 0.0) > STOLEN:
        reasons.append(f"{record['stolen']:.0%} of the processors' time went to other machines")
    if "others" in record:
        if record["others"] > OTHERS:
            reasons.append(f"{record['others']:.0%} of the processors' time went to other processes")
    elif max(record["load"], record["load_after"]) > record["threads"] + OWN:
        reasons.append(
            f"load {record['load']} before and {record['load_after']} after, with {record['threads']} threads"
        )
    return tuple(reasons)


def current(records: Sequence[Record]) -> list[Record]:
    """Return, of records in the order of time, the current one of each kind of processor; kinds in order of
    appearance."""
    best: dict[tuple[str, str], Record] = {}
    for record in records:
        kind = kind_of(record)
        if kind not in best or _worth(record) >= _worth(best[kind]):
            best[kind] = record
    return list(best.values())


def _worth(record: Record) -> tuple[bool, bool]:
    return not disturbances(record), record["rounds"] >= ROUNDS
