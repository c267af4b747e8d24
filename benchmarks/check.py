"""`bbi check` of a file of 1,000 elements: parsing and checking separately, the median of five. Prints one line of
JSON.

python benchmarks/check.py [ELEMENTS]
"""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bbilang.compiler.check.check import Options, check_recovering
from bbilang.grammar import parse as parser
from bbilang.grammar.parse import parse
from bbilang.registry import registry

RUNS = 5
LAYERS = ("block3a.expand", "block4c.expand", "block5c.expand", "block6c.expand")


def text(elements: int) -> str:
    """Return a text with one photo and elements of five kinds, no two alike: icons, maps with states, maps, swatches,
    filtered bars."""
    lines = ["bbi 1", "model efficientnet_lite0", "photo = input | present(image)"]
    for n in range(1, elements):
        layer = LAYERS[n // 5 % len(LAYERS)]
        lines.append(
            (
                f'e{n} = {layer}.channel | attribute(output["tabby"]) | top({n}, by=magnitude) | present(featvis)',
                f"{layer}.neuron | activation | at(hover(e{n - 1})) | normalize(scope=layer) | present(heatmap, "
                f'title="element {n}")',
                f"e{n} = {layer}.spatial | attribute(output[{n}] - output[281]) | present(heatmap, over=photo)",
                f"e{n} = {layer}.channel | attribute(output[top({n % 9 + 2})]) | both({n}) | present(swatches)",
                f"e{n} = {layer}.channel | activation(reduce=max) | filter(value > {n / 1000} and channel < 300) | "
                f"top({n}) | present(bars)",
            )[(n - 1) % 5]
        )
    return "\n".join(lines) + "\n"


def seconds(work: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> dict[str, float]:
    """Return the median of five runs: wall time, and processor time, which other programs on the machine affect
    less."""
    taken = []
    for _ in range(RUNS):
        before()
        gc.collect()
        began, worked = time.perf_counter(), sum(os.times()[:4])
        work()
        taken.append((time.perf_counter() - began, sum(os.times()[:4]) - worked))
    wall, cpu = (round(statistics.median(each), 3) for each in zip(*taken, strict=True))
    return {"wall_s": wall, "cpu_s": cpu}


def forget() -> None:
    """Clear the parser's caches."""
    parser.parse_line.cache_clear()
    parser._parsed.cache_clear()


def command(source: str) -> dict[str, float]:
    """Time the command itself, a new process each time: with imports and printing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.bbi"
        path.write_text(source, encoding="utf-8")
        line = [sys.executable, "-m", "bbilang.cli.app", "check", str(path)]
        return seconds(lambda: subprocess.run(line, check=True, capture_output=True))


def main(elements: int = 1000) -> None:
    source, known = text(elements), registry()
    file = parse(source)
    options = Options(inputs=("cat.jpg",))
    program, diagnostics = check_recovering(file, known, options)
    assert program is not None and len(program.elements) == elements, diagnostics[:3]
    result = {
        "benchmark": "check",
        "elements": elements,
        "bytes": len(source.encode()),
        "parse": seconds(lambda: parse(source), forget),
        "check": seconds(lambda: check_recovering(file, known, options)),
        "command": command(source),
        "runs": RUNS,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("bbilang", "lark", "rapidfuzz")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
