"""Goals that `bbi complete --run` measures, against numbers by hand, and the page that shows them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import bbilang
from bbilang.cli.app import main
from bbilang.compiler.complete.completions import Limits
from bbilang.compiler.complete.measured import why_measured
from bbilang.completions import Completions
from bbilang.grammar.source import Source
from bbilang.measured import SideBySide
from bbilang.pipeline import Pipeline, Request

HEAD = 'input "sample:chelsea"\n'
LAYER = "block5c.expand.channel | attribute(output)"
OPEN = f"{LAYER} | ? | present(bars)"


def beside(text: str, count: int, *without: str, by: tuple[str, ...] = ()) -> SideBySide:
    completions = Completions(Request(Source(HEAD + text)), by, Limits(4, ("icons", *without)))
    return SideBySide(completions[:count], Pipeline(Request(Source(completions.text(count)))), by)


@pytest.fixture(scope="module")
def several():
    return beside(OPEN, 200, "trust")


def test_shares_are_those_of_the_numbers(several):
    whole = bbilang.run(f"{HEAD}{LAYER} | present(bars)").data("element-1").values
    everything = np.abs(whole).sum()
    ranked = np.sort(whole.ravel())
    expected = {
        "top(8)": np.abs(ranked[-8:]).sum() / everything,
        "bottom(8)": np.abs(ranked[:8]).sum() / everything,
        "both(8)": np.abs(np.r_[ranked[:8], ranked[-8:]]).sum() / everything,
        "abs": 1.0,
        "sort": 1.0,
    }
    found = {each.filled.fillings[0]: goals for each, goals, _ in several.told}
    assert set(expected) <= set(found)
    for stage, share in expected.items():
        assert found[stage].share == pytest.approx(share, rel=1e-5), stage
    assert found["top(8)"].share != pytest.approx(8 / 672), "not the share of the atoms"
    assert found["both(8)"].items == 16 and found["abs"].items == 672


def test_all_passes_are_shared(several):
    """One forward and one backward serve all of them; each step counts for whatever needs it."""
    ran = several.results.passes
    assert (ran.forwards, ran.backwards, ran.removals) == (1, 1, 1), "the run without the layer is of the budget line"
    assert len(several.told) == 10 and several.passes == 3
    found = {each.filled.fillings[0]: goals.passes for each, goals, _ in several.told}
    assert found == {each.filled.fillings[0]: each.goals.passes for each, _, _ in several.told}
    assert sum(found.values()) > 20, "if each ran alone"
    total = sum(took.seconds for _, took in several.results.timings)
    assert all(0 < goals.seconds <= total for _, goals, _ in several.told)
    shared = [took.seconds for step, took in several.results.timings if step.kind in ("forward", "backward")]
    assert all(goals.seconds >= sum(shared) for _, goals, _ in several.told)


def test_what_does_not_need_a_pass_is_not_charged_for_it():
    found = {each.filled.fillings[0]: goals for each, goals, _ in beside("head.channel | ? | present(bars)", 200).told}
    assert found["top(8)"].passes == 1 and found["attribute(output)"].passes == 3


def test_a_check_that_fails_does_not_hold():
    """Gradient times input saturates: what path dependence finds is counted against the page that asks for it."""
    text = f"{LAYER} | top(8) | trust(?) | present(bars)"
    completions = Completions(Request(Source(HEAD + text)), (), Limits(40))
    several = SideBySide(completions[:6], Pipeline(Request(Source(completions.text(6)))))
    assert len(several.told) > 2
    for completion, goals, _ in several.told:
        own = several.groups[several.completions.index(completion)]
        warned = [one[4] for element in own for one in several.results.fields[element.id].trust if one[4]]
        assert goals.checks == completion.goals.trust >= 1
        assert goals.held == goals.checks - min(len(warned), goals.checks)
    assert "of 1 check held" in several.told[0][1].said("trust")


def test_the_page_says_what_was_measured_and_why(several):
    program = several.page.results.program
    captions = {element.id: element.caption for element in program.elements}
    rows = program.interfaces[0].layout
    names = [name for _, row in rows[1] for name in row]
    assert len(names) == len(several.told)
    for number, (name, (completion, goals, why)) in enumerate(zip(names, several.told, strict=True), 1):
        assert several.groups[several.completions.index(completion)][0].id == name, "the best first"
        assert captions[name].startswith(f"Measured: {goals.said('what')}; ")
        assert captions[name].endswith(f"Above the next: {why}.") == bool(why)
        assert program.elements[[e.id for e in program.elements].index(name)].title.startswith(f"{number}. ")
    assert "Measured: " in several.page.html()


def test_reasons_are_said_in_numbers(several):
    found = {each.filled.fillings[0]: goals for each, goals, _ in several.told}
    top, both = found["top(8)"], found["both(8)"]
    shares = f"({100 * both.share:.3g} % against {100 * top.share:.3g} %)"
    items = "but has more to look at (16 items against 8 items)"
    assert why_measured(both, top) == f"shows more of the content {shares} at the same cost, {items}"
    assert why_measured(top, top).startswith("equal in all goals")
    pictured = replace(top, pictured=top.share, icons=8)
    assert why_measured(pictured, top).startswith("shows pictures (")
    assert "costs more (8 icons against 0 icons)" in why_measured(pictured, top)


def test_completions_of_several_elements_are_interfaces():
    text = f"a = block5c.expand.?\na | attribute(output) | top(4) | present(bars)\n{LAYER} | top(?) | present(bars)"
    several = beside(text, 3)
    titles = [interface.title for interface in several.page.results.program.interfaces]
    assert [title[:2] for title in titles] == ["1.", "2.", "3."]
    assert len({goals.share for _, goals, _ in several.told}) > 1


def test_the_command_measures(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = ["complete", "-e", f"{HEAD}{OPEN}", "--max-passes", "2", "--run", "3", "-o", "best.html"]
    assert main([*line, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["number"] for each in listed] == [1, 2, 3]
    assert set(listed[0]["measured"]) == {"what", "how", "human_scale", "trust", "cost"}
    assert main([*line, "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "measured: " in said and "2 passes for all of them; " in said and "if each ran alone" in said


def test_the_goals_that_count_decide_after_the_run(several):
    """As those asked for rank what is planned, they rank what was measured: here the fewest items first, then the
    largest share."""
    chosen = beside(OPEN, 200, "trust", by=("human_scale", "what"))
    found = [(goals.key("human_scale"), goals.key("what")) for _, goals, _ in chosen.told]
    assert found == sorted(found) and len(set(found)) > 3
    free = [(goals.key("human_scale"), goals.key("what")) for _, goals, _ in several.told]
    assert sorted(free) == found and free != found, "the same completions, ranked by all five goals"
    for above, (_, goals, _) in pairwise(chosen.told):
        decides = next((goal for goal in chosen.by if above[1].key(goal) != goals.key(goal)), None)
        less = ("has less to look at (", "is easier to read (")
        expected = {"human_scale": less, "what": "shows more of the content (", None: "equal in "}
        assert above[2].startswith(expected[decides])
    assert "costs" not in " ".join(why for _, _, why in chosen.told), "a goal that does not count is not said"


def test_the_command_ranks_its_page_by_the_goals_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = ["complete", "-e", f"{HEAD}{OPEN}", "--max-passes", "4", "--without", "trust", "--run", "8"]
    assert main([*line, "-o", "best.html", "--by", "human_scale", "--json"]) == 0
    items = [each["measured"]["human_scale"]["items"] for each in json.loads(capsys.readouterr().out)]
    assert items == sorted(items) and len(set(items)) > 1


def test_limits_that_nothing_is_within(capsys):
    """The mistakes of beginners: too few passes, a word that is no goal, nothing left without a style."""
    text = f"{HEAD}{LAYER} | top(8) | present(?)"
    for more, code, words in (
        (["--max-passes", "1"], "E364", "the cheapest takes 3: `--max-passes 3`"),
        (["--without", "top"], "E364", "every completion has one of `top`"),
        (["--by", "speed"], "E440", "`speed` is no goal"),
        (["--without", "heatmaps"], "E440", "heatmap"),
    ):
        assert main(["complete", "-e", text, "--run", "2", *more]) != 0
        said = capsys.readouterr().err
        assert code in said and words in said
