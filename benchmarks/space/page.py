"""docs/space-rows.md, from rows.toml and results/space.json. Nothing is measured here."""

from __future__ import annotations

from typing import Any

from benchmarks.harness import ROOT
from benchmarks.space.table import TOOLS, Row, rows, stored

PAGE = ROOT / "docs" / "space-rows.md"
HEAD = """# What an interface system should do

<!-- Written by `python -m benchmarks.space` from benchmarks/space/rows.toml and benchmarks/results/space.json. -->

ROWS things that somebody who studies a network asks of a tool, each with a check that any tool can be run against. The
table says what a tool does by its own means: what its user would have to write does not count, and a row that a tool
was not made for is a dash. It does not say how good a tool is at what it was made for.

| | MARKS |
|---|---|
| ● | does it: the answer passed the check |
| ○ | has something for it, and the answer did not pass: why stands below the table |
| – | not offered |

"""
ASK = """
## Ask your own tool

A tool is a class with a method for each kind of question that it can answer
(`benchmarks/space/protocol.py`); what it does not override counts as not offered. The rows are in
`benchmarks/space/rows.toml`: the network, the layer and the target of the question, the check with its
tolerance, and the text with which bbilang answers. Numbers are compared with plain hooks and gradients of torch
(`benchmarks/space/oracles.py`), pages are opened in Chromium with the network watched.

```console
$ python -m benchmarks.space --adapter mine:Tool
$ python -m benchmarks.space --row channels --tool captum
```

"""
MARKS = {"does it": "●", "fails": "○", "not offered": "–"}


def write() -> None:
    PAGE.write_text(text(rows(), stored()), encoding="utf-8")
    print(PAGE)


def text(table: list[Row], record: dict[str, Any]) -> str:
    """Return the page for a record of `__main__`."""
    tools = {name: record["tools"][name] for name in TOOLS if name in record["tools"]}
    head = HEAD.replace("ROWS", str(len(table))).replace("MARKS", "meaning")
    names = " | ".join(f"{name} {one['version']}" for name, one in tools.items())
    lines = [f"| | asked for | {names} |", "|" + "---|" * (2 + len(tools))]
    group = ""
    for row in table:
        marks = [MARKS[one["rows"][row.id]["outcome"]] for one in tools.values()]
        lines.append(f"| {row.group if row.group != group else ''} | {_plain(row.what)} | {' | '.join(marks)} |")
        group = row.group
    counts = [sum(one["rows"][row.id]["outcome"] == "does it" for row in table) for one in tools.values()]
    lines.append(f"| | **rows passed, of {len(table)}** | {' | '.join(map(str, counts))} |")
    return "\n".join([head + "\n".join(lines), "", *_failures(table, tools), ASK + _where(record)]) + "\n"


def _failures(table: list[Row], tools: dict[str, Any]) -> list[str]:
    found = [
        f"- {name}, {_plain(row.what[0].lower() + row.what[1:])}: {_plain(one['rows'][row.id].get('said', ''))}"
        for name, one in tools.items()
        for row in table
        if one["rows"][row.id]["outcome"] == "fails"
    ]
    return ["What did not pass:", "", *found] if found else []


def _plain(words: str) -> str:
    return words.replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")


def _where(record: dict[str, Any]) -> str:
    made = record["environment"]
    versions = ", ".join(f"{name} {own}" for name, own in made["versions"].items() if name in ("torch", "numpy"))
    return f"Measured on {made['machine']['cpu']}, Python {made['python']}, {versions}."
