"""How long `bbi lsp` takes to answer, over the real protocol: 1,000 lines, and a keystroke before each question.

    python -m benchmarks.lsp            # writes benchmarks/results/lsp.json

Each question is asked in the middle of a line that is being written, as an editor asks it: the change is sent, then the
question, and the time is that from the question's sending to its answer's coming, the change's own work included. The
time to the diagnostics is from the keystroke, without the pause for which the server waits.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil

from benchmarks.harness import ROOT

sys.path.insert(0, str(ROOT / "tests" / "lsp"))
from talk import Editor

LINES = 1000
ROUNDS = 40
MOST = 50.0  # milliseconds
HEAD = 'bbi 1\nmodel efficientnet_lite0\ninput "sample:chelsea"\n'
LAYERS = ("block3b.expand", "block4a.expand", "block5c.expand", "block6c.expand")


def text(lines: int = LINES) -> str:
    """Return three lines per element: evidence bound to a name, icons of it, a map that the icons are selected on."""
    text_lines = HEAD.splitlines()
    for n in range((lines - len(text_lines)) // 3):
        layer = LAYERS[n % len(LAYERS)]
        text_lines += [
            f"evidence{n} = {layer}.channel | attribute(output[{n % 1000}]) | top(8)",
            f'blocks{n} = evidence{n} | present(featvis, title="The strongest for class {n}")',
            f"{layer}.neuron | activation | at(hover(blocks{n})) | present(heatmap)",
        ]
    while len(text_lines) < lines:
        text_lines.append(f"# line {len(text_lines)}")
    return "\n".join(text_lines) + "\n"


def questions(editor: Editor, n: int) -> dict[str, Callable[[], Any]]:
    """Return each request with the position that it is about, in the lines of element n."""
    start = editor.text.index(f"evidence{n} = ")
    end = editor.text.index("\n", start)
    line = editor.text[start:end]
    context = {"includeDeclaration": True}
    here = {"start": editor.position_at(start), "end": editor.position_at(end)}
    view = {"start": {"line": 400, "character": 0}, "end": {"line": 460, "character": 0}}
    options = {"tabSize": 4, "insertSpaces": True}
    return {
        "completion of an operation": lambda: editor.at("completion", start + line.index("| top") + 3),
        "completion of a layer": lambda: editor.at("completion", start + line.index("block") + 6),
        "completion of an argument": lambda: editor.at("completion", start + line.index("top(") + 4),
        "hover of an operation": lambda: editor.at("hover", start + line.index("attribute") + 2),
        "hover of a name": lambda: editor.at("hover", start + 2),
        "signature help": lambda: editor.at("signatureHelp", start + line.index("top(") + 4),
        "definition": lambda: editor.at("definition", editor.text.index(f"= evidence{n} ") + 4),
        "references": lambda: editor.at("references", start + 2, context=context),
        "rename": lambda: editor.at("rename", start + 2, newName="something_else"),
        "quick fix": lambda: editor.whole("codeAction", range=here, context={"diagnostics": []}),
        "colours of what is in view": lambda: editor.whole("semanticTokens/range", range=view),
        "colours of the file": lambda: editor.whole("semanticTokens/full"),
        "outline": lambda: editor.whole("documentSymbol"),
        "formatting of the file": lambda: editor.whole("formatting", options=options),
    }


def measured(rounds: int = ROUNDS) -> dict[str, Any]:
    start = time.perf_counter()
    editor = Editor((ROOT / "specs" / "long.bbi").as_uri(), text())
    started = (time.perf_counter() - start) * 1e3
    editor.diagnostics()
    opened = (time.perf_counter() - start) * 1e3
    took: dict[str, list[float]] = {}
    worked: dict[str, float] = {}
    process = psutil.Process(editor.process.pid)
    for round in range(rounds):
        n = 10 + (round * 37) % 300
        # A comment at the end of the line grows: the line is parsed and checked again, and stays right.
        for name in questions(editor, n):
            end = editor.text.index("\n", editor.text.index(f"evidence{n} = "))
            grown = "  # x" if "#" not in editor.text[end - 20 : end] else "y"
            before = sum(process.cpu_times()[:2])
            editor.edit(end, end, grown)
            questions(editor, n)[name]()
            took.setdefault(name, []).append(editor.took)
            worked[name] = worked.get(name, 0.0) + sum(process.cpu_times()[:2]) - before
        end = editor.text.index("\n", editor.text.index(f"evidence{n} = "))
        begin = time.perf_counter()
        editor.edit(end, end, "z")
        editor.diagnostics()
        took.setdefault("diagnostics after a keystroke", []).append((time.perf_counter() - begin) * 1e3 - pause())
    # Typed with the keys never resting: the pause does not end, and completion answers each time.
    end = editor.text.index("\n", editor.text.index("evidence200 = "))
    for offset, character in enumerate(" | present(bars, title=" * 3):
        editor.edit(end + offset, end + offset, character)
        editor.at("completion", end + offset + 1)
        took.setdefault("completion while typing", []).append(editor.took)
    editor.stop()
    return {"started": started, "opened": opened, "took": took, "worked": worked}


def pause() -> float:
    from bbilang.lsp.server import DEBOUNCE

    return DEBOUNCE * 1e3


def main() -> None:
    before = os.getloadavg()[0]
    records = measured()
    rows = {}
    for name, times in records["took"].items():
        ordered = sorted(times)
        high = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        rows[name] = {"median": round(statistics.median(times), 1), "95 %": round(high, 1), "asked": len(times)}
        if name in records["worked"]:  # of the processor, which other programs on the machine do not add to
            rows[name]["processor"] = round(records["worked"][name] / len(times) * 1e3, 1)
    record = {
        "what": f"milliseconds from a question to its answer over stdio, {LINES} lines, a keystroke before each",
        "rows": rows, "start": round(records["started"]), "start and first diagnostics": round(records["opened"]),
        "limit": MOST, "over the limit": [name for name, row in rows.items() if row["median"] > MOST],
        "load before": round(before, 2), "load after": round(os.getloadavg()[0], 2), "cores": os.cpu_count(),
        "python": platform.python_version(), "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }  # fmt: skip
    path = ROOT / "benchmarks" / "results" / "lsp.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, row in rows.items():
        print(f"{name:34}{row['median']:8.1f}{row['95 %']:8.1f}{row.get('processor', 0):8.1f}")
    print(f"load {record['load before']} to {record['load after']} on {record['cores']} cores")


if __name__ == "__main__":
    main()
