"""docs/zoo.md from benchmarks/results/zoo.jsonl."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.surroundings import ROOT

RESULT, PAGE = ROOT / "benchmarks" / "results" / "zoo.jsonl", ROOT / "docs" / "zoo.md"
QUESTIONS = ("scores", "input", "occlusion", "layer", "path")
HEAD = """# Networks of other libraries

<!-- Written by `python -m benchmarks.zoo` from benchmarks/results/zoo.jsonl; a test holds it to them. -->

A small member of each family of timm, torchvision and transformers, with random weights, compared with plain autograd:
`scores` as the module returns them; `input` and `layer`, linear attribution to one class; `occlusion` of quarters of
the picture; `path`, integrated gradients of three steps at the layer. A number is the largest difference relative to
the largest value. It counts as right below 0.001, or below twice the change of the oracle between float32 and float64,
or when the picture changes by one part in a million (units near a kink); a code is a refusal. `MB` is the memory of the
process that ran them all, after each: it follows the size of the largest network.
"""


def page() -> str:
    """Return the whole page."""
    first, *rows = [json.loads(line) for line in RESULT.read_text(encoding="utf-8").splitlines()]
    counts: dict[str, int] = {}
    lines = ["| network | weights | layer | " + " | ".join(QUESTIONS) + " | MB |", "|---" * (len(QUESTIONS) + 4) + "|"]
    for row in rows:
        cells = [cell(row, question, counts) for question in QUESTIONS]
        size = f"{row['parameters'] / 1e6:.1f} M" if "parameters" in row else ""
        layer = f"`{row['layer']}`" if "layer" in row else ""
        lines.append(f"| {row['name']} | {size} | {layer} | {' | '.join(cells)} | {row['resident_mb']} |")
    total = ", ".join(f"{count} {word}" for word, count in counts.items())
    machine = first["machine"]
    where = f"{machine['cpu']}, {machine['cores']} cores; torch {first['versions']['torch']}; commit {first['commit']}."
    return "\n".join([HEAD, f"{len(rows)} networks: {total}.\n", *lines, f"\n{where}\n"])


def cell(row: dict[str, Any], question: str, counts: dict[str, int]) -> str:
    """Format one answer as a word; ``counts`` by outcome."""
    record = row.get("outcomes", {}).get(question) or (row.get("described") if "outcomes" not in row else None)
    if record is None:
        return "not installed" if "missing" in row else ""
    outcome = record["outcome"]
    counts[outcome] = counts.get(outcome, 0) + 1
    if outcome == "refused":
        return f"[{record['code']}](reference/errors.md#{record['code']})"
    return f"{record['error']:.0e}" if outcome == "right" else f"**{outcome}** {record['error']}".replace("|", "/")
