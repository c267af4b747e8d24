"""docs/methods.md and its figure, from benchmarks/results/methods.json. Nothing is measured here."""

from __future__ import annotations

import json
import math
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT

RESULT = Path(__file__).parent / "results" / "methods.json"
PAGE, FIGURE = ROOT / "docs/methods.md", ROOT / "docs/images/methods.svg"
Record = dict[str, Any]

HEAD = """# Methods of attribution, compared

<!-- Written by `python -m benchmarks.conformance` from benchmarks/results/methods.json; a test holds it to that. -->

Every method of [the reference](reference/methods.md) is compared, on small networks of each building block and on
EfficientNet-Lite0, with an oracle: Captum 0.9.0 or zennit 0.5.1 as their documentation shows, or a plain loop of
the published algorithm where neither has it. Stochastic methods get the same masks and noise.
`tests/methods/test_conformance.py` verifies all of it.

## Method and building block

Each number is the largest difference from the oracle's map, relative to its largest value: 1e-7 is single-precision
rounding. A dash means that the method is not defined there and is refused with a code. A dot means that the method is
defined but the oracle is not, or follows another rule; there, slow implementations verify it (zennit has no rule for
attention, and a different one for negative values in excitation backprop).

"""
TIMES = """
On EfficientNet-Lite0, one class, at the input (SIDE x SIDE): passes of the whole page (forward, backward, and reruns of
the network above the layer; those of the same kind are shared by all methods, classes and layers of a file), and the
time of the oracle relative to ours. One class is the least favourable case: [the benchmarks](benchmarks.md) use ten.

| method | oracle | forward | backward | reruns | ours | oracle, relative to ours |
|---|---|---|---|---|---|---|
"""
AXIOMS = """
## Method and axiom

The axioms that each method satisfies at the input with its defaults. A dot is a claim that property tests verify on
random networks and pictures; where there is no dot, a counterexample in the tests violates the axiom
(`tests/methods/test_axioms.py`).

"""
AFTER = """
The lists are attributes of the methods (`Method.axioms`). Integrated gradients is complete up to the quadrature error,
which the legend of a page shows; the claims of the two pool methods, of LRP and of excitation backprop hold up to
rounding and their stabilizers.
"""


def short(value: float) -> str:
    """Format 5.1e-8 as `5e-8`, and equality as `0`."""
    return f"{value:.0e}".replace("e-0", "e-") if value else "0"


def seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def page(record: Record) -> str:
    methods, names = record["methods"], record["blocks"]
    lines = [HEAD + "![Errors by method and building block](images/methods.svg)", ""]
    lines += [
        f"| method | oracle | {' | '.join(name.replace('_', ' ') for name in names)} |",
        "|---|---|" + "---|" * len(names),
    ]
    for method, entry in methods.items():
        absent = ["–" if name in entry["refused"] else "·" for name in names]
        cells = [
            short(entry["errors"][n]) if n in entry["errors"] else mark for n, mark in zip(names, absent, strict=True)
        ]
        lines.append(f"| `{method}` | {entry['who']} | {' | '.join(cells)} |")
    lines.append(TIMES.rstrip("\n").replace("SIDE", str(record["side"])))
    for method, entry in methods.items():
        if "ours_s" in entry:
            numbers = " | ".join(str(n) if n else "" for n in entry["passes"])
            ratio = entry["theirs_s"] / entry["ours_s"]
            lines.append(f"| `{method}` | {entry['who']} | {numbers} | {seconds(entry['ours_s'])} | {ratio:.2g} x |")
    machine = record["machine"]
    lines += [
        "",
        f"Medians of {record['repeats']} interleaved runs, {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['device']}, {record['threads']} threads, Python {record['python']}, "
        f"torch {record['versions']['torch']}, load {record['load']} before; commit {record['commit']}.",
        AXIOMS.rstrip("\n"),
        "",
    ]
    words, claims = record["axioms"]["words"], record["axioms"]["methods"]
    lines += [f"| method | {' | '.join(axiom.replace('_', ' ') for axiom in words)} |", "|---|" + ":---:|" * len(words)]
    for method, own in claims.items():
        lines.append(f"| `{method}` | {' | '.join('●' if axiom in own else '' for axiom in words)} |")
    lines += ["", *(f"- **{axiom.replace('_', ' ')}**: {text}." for axiom, text in words.items()), AFTER.rstrip("\n")]
    return "\n".join(lines) + "\n"


CELL, LEFT, TOP = 46, 300, 96


def figure(record: Record) -> str:
    """Draw a heat map of the errors, on a logarithmic scale: white is equality, dark the tolerance of 1e-5."""
    methods, names = record["methods"], record["blocks"]
    width, height = LEFT + CELL * len(names) + 20, TOP + 24 * len(methods) + 40
    parts = []
    for column, name in enumerate(names):
        rotated = f"translate({LEFT + CELL * (column + 0.5):.0f},{TOP - 8}) rotate(-40)"
        parts.append(f'<text transform="{rotated}">{escape(name.replace("_", " "))}</text>')
    for row, (method, entry) in enumerate(methods.items()):
        y = TOP + 24 * row
        parts.append(f'<text x="{LEFT - 8}" y="{y + 16}" text-anchor="end">{escape(method)}</text>')
        for column, name in enumerate(names):
            error = entry["errors"].get(name)
            fill = "none" if error is None else shade(error)
            title = "not compared" if error is None else f"{method} on {name}: {error:.1e}"
            parts.append(
                f'<rect x="{LEFT + CELL * column}" y="{y}" width="{CELL - 2}" height="22" fill="{fill}" '
                f'stroke="#dadce0"><title>{escape(title)}</title></rect>'
            )
            if error is not None:
                ink, x = "#fff" if position(error) > 0.6 else "#202124", LEFT + CELL * column + CELL / 2 - 1
                parts.append(
                    f'<text x="{x:.0f}" y="{y + 15}" class="n" text-anchor="middle" fill="{ink}">{short(error)}</text>'
                )
    parts.append(
        f'<text x="{LEFT}" y="{height - 12}" class="n">The largest difference from the oracle, of the largest value; '
        "empty: not defined there, or no oracle.</text>"
    )
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        ' aria-label="Error against the oracle, for every method and building block">',
        "<style>text { font: 12px system-ui, sans-serif } .n { font-size: 10px }</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>', *parts, "</svg>", "",
    ])  # fmt: skip


def position(error: float) -> float:
    """Return the position on the scale: 0 at 1e-8 and below, 1 at 1e-4 and above."""
    return min(max((math.log10(max(error, 1e-12)) + 8) / 4, 0.0), 1.0)


def shade(error: float) -> str:
    light, dark = (0xE8, 0xF0, 0xFE), (0x0B, 0x57, 0xD0)
    share = position(error)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(light, dark, strict=True))


def texts() -> dict[Path, str]:
    """Return file -> expected content; empty where nothing was measured."""
    if not RESULT.exists():
        return {}
    record = json.loads(RESULT.read_text(encoding="utf-8"))
    return {PAGE: page(record), FIGURE: figure(record)}
