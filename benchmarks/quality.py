"""The quality of icons beside other ways to make them, as a section of docs/benchmarks.md, from the last record of
`naturalness.py`.

    python -m benchmarks.quality     print it
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.records import Record

RESULTS = Path(__file__).parent / "results/naturalness.jsonl"
NAMES = {"bbilang": "bbilang", "maco": "bbilang, MaCo", "lucent": "torch-lucent"}
OURS, PEER = "bbilang", "lucent"


def last_record() -> Record | None:
    """Return the last record that has ours and the peer's; None without one."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    records: list[Record] = [json.loads(line) for line in lines if line.strip()]
    return next((record for record in reversed(records) if OURS in record and PEER in record), None)


def verdicts(record: Record) -> list[tuple[str, str, bool]]:
    """Return (what is required, what was measured, whether it is reached)."""
    ours, peer = record[OURS]["all"], record[PEER]["all"]
    found = []
    for key, name in (("objective", "objective"), ("times_99th_percentile", "multiple")):
        share = ours[key] / peer[key]
        found.append((f"at least {NAMES[PEER]}'s {name}", f"{share:.2f} of it", share >= 1))
    near, far = ours["distance"], peer["distance"]
    found.append((f"as near to photographs as {NAMES[PEER]}'s", f"{near:.3f} and {far:.3f}", near <= far))
    return found


def section(record: Record) -> list[str]:
    """Return the lines of the section."""
    units = record[OURS]["all"]["units"]
    said = (
        f"{units} units of five layers of EfficientNet-Lite0 (`benchmarks/beside_lucent.py`): the mean response to ten "
        "transforms that no icon was optimized for (`benchmarks/heldout.py`), shown at 128 and at 224 px; the mean of "
        f"both as a multiple of the unit's 99th percentile over {record['photographs']} photographs; and the distance "
        f"to the nearest photographs (`benchmarks/naturalness.py`; photographs: {record['photographs_distance']})."
    )
    lines = ["## Quality of icons", "", said, ""]
    lines += ["| method | at 128 px | at 224 px | mean | multiple | distance |", "|---|---|---|---|---|---|"]
    for key, name in NAMES.items():
        if key in record:
            lines.append(f"| {name} | {_cells(record[key]['all'])} |")
    lines += ["", "| required | measured |", "|---|---|"]
    for must, measured, reached in verdicts(record):
        lines.append(f"| {must} | {measured}{'' if reached else ' **(not reached)**'} |")
    changed = " with changes" if record["changed"] else ""
    return [*lines, "", f"{record['date']}, commit {record['commit']}{changed}.", ""]


def _cells(found: dict[str, Any]) -> str:
    objectives = (found[key] for key in ("objective_128", "objective_224", "objective"))
    return " | ".join(
        [*(f"{value:.2f}" for value in objectives), f"{found['times_99th_percentile']:.1f}", f"{found['distance']:.3f}"]
    )


if __name__ == "__main__":
    record = last_record()
    print("\n".join(section(record)) if record else "no record: python -m benchmarks.naturalness")
