"""docs/methods.md and its figure: every method on every building block against its oracle, passes, times, and axioms.

    python -m benchmarks.conformance            measures (some minutes), and writes
    python -m benchmarks.conformance --write    writes from benchmarks/results/methods.json alone

The oracles and the axioms are those of the tests (tests/methods/oracles.py, axioms.py).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.conformance_page import PAGE, RESULT, texts
from benchmarks.harness import ROOT
from benchmarks.surroundings import surroundings

SIDE, REPEATS = 224, 5
TESTS = ("tests/methods", "tests/models", "tests/compiler")


def measure(repeats: int, side: int) -> dict[str, Any]:
    """Return the record: method -> who, errors by block, passes, seconds; axioms; environment."""
    sys.path[:0] = [str(ROOT / folder) for folder in TESTS]
    import libraries

    sys.meta_path.insert(0, libraries.OPERATORS)
    import axioms
    import blocks
    import oracles

    image = oracles.photograph(side)
    methods: dict[str, Any] = {}
    for written, case in oracles.CASES.items():
        print(written, flush=True)
        errors = {name: oracles.error(case, name) for name in case.on}
        entry: dict[str, Any] = {"who": case.who, "at": case.at, "errors": errors, "refused": case.refused}
        if case.big:
            ours, theirs, passes = ways(case, image, oracles)
            wall = alternate((ours, theirs), repeats)
            entry |= {"passes": passes, "ours_s": wall[0], "theirs_s": wall[1]}
        methods[written] = entry
    return {
        "blocks": list(blocks.BLOCKS), "methods": methods, "axioms": axioms_of(axioms), "side": side,
        "repeats": repeats, **surroundings(),
    }  # fmt: skip


def ways(case: Any, image: Any, oracles: Any) -> tuple[Callable[[], Any], Callable[[], Any], list[int]]:
    """Return ours and the oracle's on EfficientNet-Lite0 for one class, and how many passes ours takes: forward,
    backward, rows that run above the layer."""
    import bbilang

    text = oracles.big_text(case, image)
    adapter = oracles.big_adapter().with_preprocess(crop=image.shape[1])
    network = oracles.network_of(oracles.EFFICIENTNET)
    steps = bbilang.plan(bbilang.optimize(bbilang.check(bbilang.parse(text), model=adapter, input=image)))
    results = bbilang.execute(steps, model=adapter, input=image, cache=False)
    passes = [*results.model_passes, results.reruns]
    ours = lambda: bbilang.execute(steps, model=adapter, input=image, cache=False)  # noqa: E731
    return ours, lambda: case.expected(network, image[None], oracles.TIGER_CAT), passes


def alternate(works: tuple[Callable[[], Any], ...], repeats: int) -> list[float]:
    """Return the median seconds of each, run in turns after one warm-up run."""
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for number in range(repeats):
        order = range(len(works)) if number % 2 == 0 else reversed(range(len(works)))
        for turn in order:
            began = time.perf_counter()
            works[turn]()
            taken[turn].append(time.perf_counter() - began)
    return [statistics.median(each) for each in taken]


def axioms_of(axioms: Any) -> dict[str, Any]:
    """Return the axioms in words, and those that each available method satisfies."""
    from bbilang.compiler.contract import AXIOMS
    from bbilang.registry import registry

    available = {name: m for name, m in registry().methods.items() if m.available}
    return {"words": AXIOMS, "methods": {name: list(method.axioms) for name, method in sorted(available.items())}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="from what was measured before")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--side", type=int, default=SIDE, help="of the picture for EfficientNet-Lite0, px")
    chosen = parser.parse_args()
    if not chosen.write:
        RESULT.write_text(json.dumps(measure(chosen.repeats, chosen.side), indent=1) + "\n", encoding="utf-8")
    for path, text in texts().items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
