"""docs/benchmarks.md and its figure, from the lines of each file in benchmarks/results: one for each kind of processor.
Writes nothing else.

python -m benchmarks.table
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks import quality
from benchmarks.figure import figure
from benchmarks.harness import ROOT, ROUNDS, ROWS
from benchmarks.records import Record, current, disturbances, processor_name

RESULTS = Path(__file__).parent / "results"
LSP = RESULTS / "lsp.json"
PAGE, FIGURE = ROOT / "docs/benchmarks.md", ROOT / "docs/images/benchmarks.svg"

HEAD = """# Benchmarks

<!-- Written by `make bench` from benchmarks/results; a test holds it to them. -->

Each row compares implementations of the same task, interleaved in one run; their values are compared before anything
is timed. Ours uses the public API: a compiled text and `bbilang.execute` without a cache. The minimum is plain torch,
hand-written for this network (`benchmarks/minimal.py`). Other tools are called as their documentation shows. `make
bench` repeats all measurements and writes this page; `make bench ROWS=linear QUICK=1` runs a part.

Scans of datasets are measured by programs of their own, beside a bare loop and zennit-crp, with workers, and killed at
random: [Large datasets](scale.md).
"""


def records_of(row: str) -> list[Record]:
    """Return the stored records of a row, in the order of time."""
    path = RESULTS / f"{row}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.strip()]


def seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def megabytes(value: int | None) -> str:
    return "" if value is None else f"{value / 1e6:,.0f} MB"


def times(value: float) -> str:
    return f"{value:.0f} x" if value >= 20 else f"{value:.1f} x" if value >= 3 else f"{value:.2f} x"


def ours_of(record: Record) -> tuple[str, Record]:
    """Return (name, way) of ours; where there are several, the slowest."""
    own = {name: way for name, way in record["ways"].items() if way["kind"] == "ours"}
    return max(own.items(), key=lambda item: item[1]["wall_s"])


def verdicts(record: Record) -> list[tuple[str, str, bool | None]]:
    """Return (the limit in words, the measurement, whether it is within) for every limit; None where a way was not
    timed."""
    reached: list[tuple[str, str, bool | None]] = []
    _, ours = ours_of(record)
    for limit in record["limits"]:
        value, against = limit["value"], limit["against"]
        other = record["ways"].get(against)
        if limit["how"] == "seconds":
            reached.append((f"{value:g} s", seconds(ours["wall_s"]), ours["wall_s"] <= value))
        elif other is None:
            reached.append((f"{value:g} x, {against}", "not timed", None))
        elif limit["how"] == "times":
            ratio = ours["wall_s"] / other["wall_s"]
            reached.append((f"{value:g} x of {against}", times(ratio), ratio <= value))
        else:
            ratio = other["wall_s"] / ours["wall_s"]
            reached.append((f"{value:g} x faster than {against}", times(ratio), ratio >= value))
    return reached


def beside(record: Record) -> list[str]:
    """Return each other way's time as a multiple of ours."""
    _, ours = ours_of(record)
    rows = []
    for name, way in record["ways"].items():
        if way["kind"] == "beside":
            guess = record["expected"].get(name)
            expected = f" ({guess:g} x expected)" if guess else ""
            rows.append(f"{name}: {times(way['wall_s'] / ours['wall_s'])}{expected}")
    rows += [f"{name}: results differ, not timed" for name in record["unequal"]]
    return [*rows, *(f"{name}: not installed" for name in record["missing"])]


def lines_of(record: Record) -> list[str]:
    """Format a record in a few lines, for the terminal."""
    name, ours = ours_of(record)
    lines = [f"{record['row']}: {record['title']}", f"  {name} {seconds(ours['wall_s'])}"]
    lines += [f"  under other load: {each}" for each in disturbances(record)]
    for must, measured, reached in verdicts(record):
        word = {True: "reached", False: "NOT reached", None: "open"}[reached]
        lines.append(f"  must reach {must}: {measured}, {word}")
    lines += [f"  {each}" for each in beside(record)]
    least = max(ours["cpu_s"], 1e-6)
    cpu = [f"{each} {times(way['cpu_s'] / least)}" for each, way in record["ways"].items() if way is not ours]
    lines.append(f"  by processor time, ours is 1: {', '.join(cpu)}")
    lines += [f"  {way}: {why}" for way, why in {**record["unequal"], **record["missing"], **record["notes"]}.items()]
    return lines


def _summary(records: Sequence[Record]) -> list[str]:
    """Return a line for each record; those of one row follow each other."""
    columns = ("work", "processor", "required", "measured", "others, relative to ours", "time of ours",
               "peak memory, ours and minimum")  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for record in records:
        own, (_, ours) = verdicts(record), ours_of(record)
        least = next((way for way in record["ways"].values() if way["kind"] == "minimum"), None)
        memory = [megabytes(way.get("peak_bytes")) for way in (ours, least) if way is not None]
        marks = {True: "", False: " **(not reached)**", None: " (open)"}
        cells = [
            record["title"] + ("" if record["rounds"] >= ROUNDS else " *(preliminary)*"),
            processor_name(record) + (" **(under other load)**" if disturbances(record) else ""),
            "; ".join(must for must, _, _ in own),
            "; ".join(f"{measured}{marks[reached]}" for _, measured, reached in own),
            "; ".join(beside(record)),
            seconds(ours["wall_s"]),
            ", ".join(filter(None, memory)),
        ]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return lines


def _details(record: Record) -> list[str]:
    machine, versions = record["machine"], ", ".join(f"{k} {v}" for k, v in record["versions"].items())
    lines = [f"### {processor_name(record)}", ""]
    lines.append("| implementation | median | quartiles | processor time | runs | peak memory | difference from ours |")
    lines.append("|---|---|---|---|---|---|---|")
    for name, way in record["ways"].items():
        low, high = way["quartiles_s"]
        error = record["equal"].get(name, 0.0)
        part = f" ({way['share']:g} of the work, time scaled)" if way["share"] != 1 else ""
        difference = "" if way["kind"] == "ours" else f"{error:.1e}" if error else "nothing"
        lines.append(
            f"| {name}{part} | {seconds(way['wall_s'])} | {seconds(low)} to {seconds(high)} | {seconds(way['cpu_s'])} "
            f"| {way['runs']} | {megabytes(way.get('peak_bytes'))} | {difference} |"
        )
    lines += ["", f"Compared: {record['compared']}; tolerance {record['tolerance']:g} of the largest value."]
    for way, why in {**record["unequal"], **record["missing"], **record["notes"]}.items():
        lines.append(f"{way}: {why}.")
    lines += [f"**Under other load**: {each}." for each in disturbances(record)]
    changed = " with changes" if record["changed"] else ""
    stolen = f", {record['stolen']:.1%} of the processors' time went to other machines" if "stolen" in record else ""
    stolen += f", {record['others']:.1%} to other processes" if "others" in record else ""
    lines.append(
        f"{record['when']}, {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:g} GB, "
        f"{machine['device']}; {record['system']}, Python {record['python']}, {versions}; {record['threads']} threads; "
        f"load {record['load']} before and {record['load_after']} after{stolen}; commit {record['commit']}{changed}."
    )
    return [*lines, ""]


def _language_server(record: Record) -> list[str]:
    """Return the results of `python -m benchmarks.lsp`."""
    said = f"`python -m benchmarks.lsp`: {record['what']}. The limit for each request is {record['limit']:g} ms."
    lines = ["## The language server", "", said, ""]
    lines += ["| request | median | 95th percentile | requests |", "|---|---|---|---|"]
    lines += [f"| {name} | {row['median']:.0f} ms | {row['95 %']:.0f} ms | {row['asked']} |"
              for name, row in record["rows"].items()]  # fmt: skip
    over = ", ".join(record["over the limit"])
    lines += ["", f"Medians over the limit: {over}." if over else "No median is over the limit."]
    lines.append(f"From the start of the process to the first diagnostics: {record['start and first diagnostics']} ms. "
                 f"{record['when']}, {record['cores']} cores, Python {record['python']}; load {record['load before']} "
                 f"before and {record['load after']} after.")  # fmt: skip
    return [*lines, ""]


def page(records: Sequence[Record]) -> str:
    """Return the text of docs/benchmarks.md."""
    blocks = [
        HEAD.rstrip(),
        "",
        *_summary(records),
        "",
        "![Time of each implementation relative to ours](images/benchmarks.svg)",
        "",
    ]
    blocks += [
        "Times are medians of wall-clock time; quartiles and processor time are below. Peak memory is the increase of",
        "the resident set of a separate process during the task, after a warm-up run; for tasks that are a whole",
        "process, the peak of that process. There is one record for each kind of processor. Measurements under other",
        "load are marked, and never replace a record of the same processor without load.",
        "",
    ]
    for title in dict.fromkeys(record["title"] for record in records):
        blocks += [f"## {title}", ""]
        for record in records:
            blocks += _details(record) if record["title"] == title else []
    if (icons := quality.last_record()) is not None:
        blocks += quality.section(icons)
    if LSP.exists():
        blocks += _language_server(json.loads(LSP.read_text(encoding="utf-8")))
    return "\n".join(blocks).rstrip() + "\n"


def bars(records: Sequence[Record]) -> list[tuple[str, list[tuple[str, float, str]]]]:
    """Return (title, [(way, times ours, kind)]) of every record, for the figure; with the processor where it
    matters."""
    titles = Counter(record["title"] for record in records)
    figures = []
    for record in records:
        name, ours = ours_of(record)
        ways = [(name, 1.0, "ours")]
        ways += [
            (other, way["wall_s"] / ours["wall_s"], way["kind"])
            for other, way in record["ways"].items()
            if way["kind"] != "ours"
        ]
        several = f" ({processor_name(record)})" if titles[record["title"]] > 1 else ""
        figures.append((record["title"] + several, ways))
    return figures


def texts() -> dict[Path, str]:
    """Return file -> expected content."""
    records = [record for row in ROWS for record in current(records_of(row))]
    return {PAGE: page(records), FIGURE: figure(bars(records))} if records else {}


def write() -> None:
    for path, text in texts().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
