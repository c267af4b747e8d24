"""The rows of rows.toml as questions, and what came of asking them."""

from __future__ import annotations

import importlib
import json
import tempfile
import tomllib
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.space import oracles
from benchmarks.space.checks import CHECKS, Asked
from benchmarks.space.networks import NETWORKS, Subject
from benchmarks.space.protocol import Difference, Direction, NotOffered, Question, Target, Tool, Unit

FOLDER = Path(__file__).parent
RESULT = FOLDER.parent / "results" / "space.json"
TOOLS = {
    "bbilang": "benchmarks.space.adapters.ours:Bbilang", "captum": "benchmarks.space.adapters.captum:Captum",
    "torch-lucent": "benchmarks.space.adapters.lucent:Lucent", "zennit-crp": "benchmarks.space.adapters.crp:Crp",
}  # fmt: skip
Outcome = Literal["does it", "fails", "not offered"]


@dataclass(frozen=True)
class Row:
    """One line of the table; ``fields``: of its `Question`, as they are written."""

    id: str
    group: str
    what: str
    ask: str
    network: str
    check: str
    text: str
    tolerance: float
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What a tool did with a row; ``said``: what is wrong."""

    outcome: Outcome
    said: str = ""


def rows() -> list[Row]:
    """Read rows.toml."""
    known = ("id", "group", "what", "ask", "network", "check", "text")
    found = []
    for entry in tomllib.loads((FOLDER / "rows.toml").read_text(encoding="utf-8"))["row"]:
        tolerance = entry.pop("tolerance", 0.0)
        own = {key: entry.pop(key) for key in known}
        found.append(Row(**own, tolerance=tolerance, fields=entry))
    return found


def tool_named(name: str) -> Tool:
    """Return a tool of the table, or one of a caller's, as in ``mine:Tool``. Raises ImportError without its package."""
    module, _, own = TOOLS.get(name, name).partition(":")
    tool = getattr(importlib.import_module(module), own)()
    assert isinstance(tool, Tool), f"{name} is no benchmarks.space.protocol.Tool"
    return tool


def version_of(tool: Tool) -> str:
    try:
        return version(tool.package) if tool.package else ""
    except PackageNotFoundError:
        return ""


def ask(row: Row, tool: Tool) -> Result:
    """Ask one question, of a network of its own, and check the answer."""
    subject = NETWORKS[row.network]()
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(row.ask, row.network, question(row, subject), tool, row.tolerance, Path(folder))
        try:
            wrong = CHECKS[row.check](asked)
        except NotOffered:
            return Result("not offered")
        except Exception as error:
            traceback.print_exc()
            return Result("fails", f"{type(error).__name__}: {error}".splitlines()[0][:160])
    return Result("fails", wrong) if wrong else Result("does it")


def question(row: Row, subject: Subject) -> Question:
    """Return what a row asks of a network."""
    fields = dict(row.fields)
    classes = list(subject.classes)
    targets = tuple(_target(one) for one in fields.pop("targets", ()))
    if "classes" in fields:
        classes[targets[0]] = fields.pop("classes")  # type: ignore[call-overload]
    units = fields.pop("units", ())
    asked = Question(
        subject.network, subject.picture, subject.picture[None], subject.mean, subject.std, tuple(classes),
        row.text.strip(), tuple(fields.pop("layers", ())), targets, **fields,
    )  # fmt: skip
    return replace(
        asked,
        given=asked.normalize(subject.picture[None]),
        other=asked.normalize(subject.other[None]),
        pictures=asked.normalize(subject.pictures),
        units=tuple(_unit(one, asked, subject) for one in units),
    )


def _target(written: Any) -> Target:
    if isinstance(written, int):
        return written
    return Difference(**written) if "more" in written else Unit(**written)


def _unit(written: Mapping[str, Any], asked: Question, subject: Subject) -> Unit | Direction:
    if "channel" in written:
        return Unit(written["layer"], written["channel"])
    y, x = written["position"]
    with torch.no_grad():
        given = asked.normalize(subject.picture[None])
        (vectors, _) = oracles.values(subject.network, given, (written["layer"],))
    return Direction(written["layer"], tuple(vectors[0, :, y, x].tolist()))


def measured(names: Iterable[str], only: Iterable[str] = ()) -> dict[str, Any]:
    """Ask every tool everything. Returns tool -> its version and row -> outcome."""
    chosen = [row for row in rows() if not only or row.id in only]
    record: dict[str, Any] = {}
    for name in names:
        try:
            tool = tool_named(name)
        except ImportError as error:
            print(f"{name} cannot be asked: {error}", flush=True)
            continue
        results = {}
        for row in chosen:
            result = ask(row, tool)
            results[row.id] = {"outcome": result.outcome, **({"said": result.said} if result.said else {})}
            print(f"{name:14} {row.id:14} {result.outcome}  {result.said}", flush=True)
        record[name] = {"version": version_of(tool), "rows": results}
    return record


def stored() -> dict[str, Any]:
    """Return what was measured before."""
    return json.loads(RESULT.read_text(encoding="utf-8"))
