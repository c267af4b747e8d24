"""How many of 200 planted slices the search finds first: a network that is wrong on one kind of examples, 3 % of all.

What is planted, and what counts as found, is in tests/shared/planted_slices.py; the tests try 20 seeds. The bar is 186.

    python -m benchmarks.slices [SEEDS]
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.harness import ROOT, processor_time
from benchmarks.records import append
from benchmarks.surroundings import load as load_average
from benchmarks.surroundings import surroundings

BAR = 186 / 200


def main(seeds: int) -> dict[str, Any]:
    sys.path.insert(0, str(ROOT / "tests" / "shared"))
    from planted_slices import is_found

    from bbilang.runtime.statistics.intervals import wilson

    before, worked = surroundings(), processor_time()
    missed = [seed for seed in range(seeds) if not is_found(seed)]
    low, high = wilson(seeds - len(missed), seeds)
    return {
        **before,
        "load_after": load_average(),
        "seeds": seeds,
        "found": seeds - len(missed),
        "not found": missed,
        "interval of 95 %": [round(float(low), 3), round(float(high), 3)],
        "processor seconds": round(processor_time() - worked, 1),
        "bar": round(BAR * seeds),
    }


if __name__ == "__main__":
    record = main(int((sys.argv[1:] or ["200"])[0]))
    append("slices", record)
    print(json.dumps(record, indent=1))
