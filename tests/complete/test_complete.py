"""`bbi complete`: what it lists, in which order and why, what it costs, and the page of the best."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

from bbilang.cli.app import main
from bbilang.compiler.check.check import Checker
from bbilang.compiler.check.holes.search import Search
from bbilang.compiler.complete.completions import Limits
from bbilang.compiler.complete.fill import Filled
from bbilang.compiler.complete.goals import WORDS, Measure
from bbilang.compiler.complete.ranking import front, why
from bbilang.compiler.complete.spending import Planner
from bbilang.compiler.contract.sentences import ATOMS as ATOM_WORDS
from bbilang.compiler.ir.types import ATOMS
from bbilang.completions import Completions
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry
from benchmarks import rediscovered

ROOT = Path(__file__).parents[2]
HEAD = 'input "sample:chelsea"\n'
TWO_HOLES = "block5c.expand.channel | attribute(output) | ? | present(?)"


def completed(text: str, *by: str, **limits: object) -> Completions:
    return Completions(Request(Source(HEAD + text)), by, Limits(**limits))


@pytest.fixture(scope="module")
def spaces() -> dict[str, tuple[Completions, int]]:
    """For each interface of the article, what its own holes span, and its place there."""
    return {name: rediscovered.completed(name, holes) for name, holes in rediscovered.OWN.items()}


@pytest.mark.parametrize("name", rediscovered.OWN)
def test_the_interfaces_of_the_article_are_found_again(name, spaces):
    """Each lies on the Pareto front of the space of its own holes, or in its best twentieth."""
    every, number = spaces[name]
    assert len(every) > 1 and rediscovered.found(every[number], len(every))


def test_finding_them_again_is_no_accident(spaces):
    """Where nothing is beaten, a front finds everything. Other interfaces of these spaces, drawn at random, one of
    each, would hardly all be found."""
    shares = {
        name: sum(rediscovered.found(each, len(every)) for each in every) / len(every)
        for name, (every, _) in spaces.items()
    }
    assert {name for name, share in shares.items() if share > 0.5} == {"spatial_attribution"}, shares
    assert math.prod(shares.values()) < 0.001, shares


def test_what_was_found_again_is_what_is_published(spaces):
    stored = json.loads(rediscovered.RESULT.read_text("utf-8"))
    assert list(stored) == list(rediscovered.OWN)
    for name, (every, number) in spaces.items():
        own = stored[name]["own"]
        assert (own["completions"], own["its place"]) == (len(every), every[number].number), name


def test_equal_pipes_are_one():
    """Where no value is negative, a magnitude is the value itself, before and after a selection."""
    pipes = [each.filled.pipes[0] for each in completed("block5c.expand.channel | ? | ? | present(featvis)")]
    plain = "block5c.expand.channel | activation | top(8) | present(featvis)"
    assert plain in pipes
    same = {
        "top(8) | abs",
        "abs | top(8)",
        "top(8) | relu",
        "activation | top(8)",
        "top(8) | top(8)",
        "abs | activation",
    }
    assert [pipe for pipe in pipes if any(f"channel | {words} | present" in pipe for words in same)] == [plain]
    signed = [each.filled.pipes[0] for each in completed("block5c.project.channel | ? | ? | present(featvis)")]
    assert {
        f"block5c.project.channel | {words} | present(featvis)" for words in ("top(8) | abs", "abs | top(8)")
    } <= set(signed)


def test_the_front_is_what_nothing_else_beats():
    """By comparing all pairs."""
    every = [each.goals for each in completed(TWO_HOLES)]
    beaten = set()
    for (a, one), (b, other) in combinations(enumerate(every), 2):
        for (_, better), (y, worse) in (((a, one), (b, other)), ((b, other), (a, one))):
            keys = [(better.key(goal), worse.key(goal)) for goal in WORDS]
            if all(mine <= theirs for mine, theirs in keys) and any(mine < theirs for mine, theirs in keys):
                beaten.add(y)
    assert front(every) == [number not in beaten for number in range(len(every))]
    numbers = [each.front for each in completed(TWO_HOLES)]
    assert numbers == sorted(numbers, reverse=True), "the front comes first"


def test_why_one_is_above_another_is_said():
    first, second, *_ = completed(TWO_HOLES, "cost")
    assert first.goals.key("cost") <= second.goals.key("cost")
    by = {each.filled.fillings: each for each in completed(TWO_HOLES)}
    bars, icons = by["top(8)", "bars"].goals, by["top(8)", "featvis"].goals
    assert "cost (3 passes, not 3 passes, 8 icons)" in why(bars, icons).partition("worse")[0]
    assert "what (8 atoms (1.19 %), not 8 atoms (1.19 %, 1.19 % as pictures))" in why(bars, icons).partition("worse")[2]
    assert why(bars, icons, ("cost",)) == "cost: 3 passes, not 3 passes, 8 icons"
    colours = "better: human scale (8 items, read by position, not 8 items, read by colour)"
    assert why(bars, by["top(8)", "swatches"].goals) == colours and why(bars, bars) == "equal in all goals"


def test_digits_are_read_last_and_signs_take_words():
    """Of the same numbers, positions are read most accurately, then colours, and digits one by one."""
    every = completed("head.channel | attribute(output) | top(8) | present(?)")
    by = {each.filled.fillings[-1]: each.number for each in every}
    assert by["bars"] < by["swatches"] < by["table"]
    of = {each.filled.fillings[0]: each.goals for each in completed("head.spatial | project(?, 2) | present(rgb)")}
    assert of["pca"].words == of["nmf"].words + 2, "negative and positive"


def test_an_icon_shows_one_end_of_a_component():
    """A group is there or not; a component has two ends, and keeps more of the norm than other projections."""
    goals = {each.filled.fillings: each.goals for each in completed("head | factorize(?, 3) | present(?)")}
    nmf, pca = goals["nmf", "featvis"], goals["pca", "featvis"]
    assert (nmf.pictured, pca.pictured) == (1.0, 0.5) and (nmf.closest, pca.closest) == (0, 1)
    assert "as close as so few numbers come" in goals["pca", "bars"].said("what")


def test_goals_are_those_of_the_plan():
    by = {each.filled.fillings: each for each in completed(TWO_HOLES)}
    icons, whole = by["top(8)", "featvis"], by["abs", "bars"]
    text = HEAD + "block5c.expand.channel | attribute(output) | top(8) | present(featvis)"
    plan = Pipeline(Request(Source(text))).plan
    assert icons.goals.passes == sum(plan.total(kind)[0] for kind in ("forward", "backward", "tangents", "reruns"))
    assert icons.goals.icons == plan.total("icons")[0] == 8
    assert (icons.goals.items, whole.goals.items) == (8, 672) and icons.goals.what == pytest.approx(8 / 672)
    assert icons.goals.how == 2, "the layer and the output"
    assert by["trust(completeness)", "bars"].goals.trust == 1
    words = "Channels of block5c.expand: attribution to the predicted class, the 8 highest, "
    assert icons.sentence == f"{words}drawn as icons of what each responds to."


def test_every_kind_of_atoms_has_a_word():
    """A whole layer is said in other words, and scores by their number."""
    assert set(ATOM_WORDS) == set(ATOMS) - {"whole", "class"} | {"direction"}


def test_limits_and_goals_choose():
    every = completed(TWO_HOLES)
    few = completed(TWO_HOLES, "human_scale", "trust", max_passes=5, without=("icons", "table"))
    assert 0 < len(few) < len(every)
    assert all(each.goals.passes <= 5 and not each.goals.icons for each in few)
    assert not any("table" in each.filled.fillings for each in few)
    keys = [(each.goals.key("human_scale"), each.goals.key("trust")) for each in few]
    assert keys == sorted(keys)
    for wrong in ({"without": ("icos",)}, {}):
        with pytest.raises(BbiError) as refused:
            completed(TWO_HOLES, *([] if wrong else ["trut"]), **wrong)
        assert refused.value.diagnostics[0].code == "E440"


def test_names_that_a_hole_leaves_open_are_followed():
    text = "field = block5c.expand.? | attribute(output)\nfield | present(?)\nfield | sum(y) | present(bars)"
    every = completed(text)
    assert {each.filled.fillings for each in every} == {
        ("spatial", s) for s in ("featvis", "grid", "heatmap", "matrix", "table")
    }
    assert all(len(each.filled.pipes) == 2 for each in every)
    inside = completed(f'interface "a" {{\n    {TWO_HOLES}\n}}')
    assert [each.filled.fillings for each in inside] == [each.filled.fillings for each in completed(TWO_HOLES)]


def test_a_text_without_holes_is_its_only_completion():
    (only,) = completed("block5c.expand.channel | top(8) | present(bars)")
    assert only.filled.fillings == () and only.front and only.why == ""


def test_errors_are_those_of_the_text():
    for text, code in (("block5c.expand.spatial | ? | present(curve)", "E337"), ("blok.channel | ?", "E201")):
        with pytest.raises(BbiError) as refused:
            completed(text).every  # noqa: B018  # computed on first use
        assert refused.value.diagnostics[0].code == code


def test_several_are_one_text_whose_passes_are_shared():
    every = completed(TWO_HOLES, without=("icons", "reruns"))
    text = every.text(3)
    program, diagnostics = Pipeline(Request(Source(text))).checked
    assert diagnostics == () and len(program.elements) == 3
    assert program.elements[0].title == f"1. {every[0].sentence}"
    assert sum(Pipeline(Request(Source(text))).plan.total(kind)[0] for kind in ("forward", "backward")) == 2
    several = completed(f"a = block5c.expand.?\na | attribute(output) | present(?)\n{TWO_HOLES}", max_passes=4)
    program, diagnostics = Pipeline(Request(Source(several.text(2)))).checked
    assert diagnostics == () and [interface.title[:2] for interface in program.interfaces] == ["1.", "2."]


def test_the_command_lists_and_makes_a_page(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "open.bbi").write_text(f"{HEAD}{TWO_HOLES}\n")
    assert main(["complete", "open.bbi", "--show", "2"]) == 0
    words = capsys.readouterr().out
    assert "on the Pareto front of the five goals" in words and "above 2:" in words
    assert main(["complete", "open.bbi", "--json", "--without", "icons"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed[0]["number"] == 1 and listed[0]["front"] and set(listed[0]["goals"]) == set(WORDS)
    assert Pipeline(Request(Source(listed[0]["text"]))).checked[0] is not None
    limits = ["--without", "icons", "--without", "reruns"]
    assert main(["complete", "open.bbi", *limits, "--run", "2", "--quiet"]) == 0
    page = (tmp_path / "open-complete.html").read_text("utf-8")
    assert "Channels of block5c.expand: attribution to the predicted class" in page


def test_two_holes_take_under_two_seconds_and_load_no_numerical_library():
    code = (
        "import sys, time\n"
        "from bbilang.cli.app import main\n"
        "begin = time.process_time()\n"
        f"code = main(['complete', '-e', {HEAD + '?.channel | attribute(output) | top(8) | present(?)'!r}, '--json'])\n"
        "print(time.process_time() - begin, [m for m in ('numpy._core', 'torch', 'sklearn', 'altair', 'PIL') if m in "
        "sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, loaded = done.stderr.split(maxsplit=1)
    assert len(json.loads(done.stdout)) == 260 and loaded.strip() == "[]"
    assert float(seconds) < 2


def test_what_was_typed_once_is_not_typed_again():
    """Counts of what the checker types, in place of seconds: far fewer stages than there are pipes."""
    statement = parse("block5c.expand.channel | ?*").statements[0]
    request = Request(Source(HEAD + "input | present(image)"))
    checker = Checker(parse(request.text), registry(), Pipeline(request).options)
    checker.read()
    search = Search(checker.resolver)
    with_verification_off = os.environ.pop("BBI_VERIFY", None)
    try:
        found = list(search.filled(statement))
    finally:
        if with_verification_off is not None:
            os.environ["BBI_VERIFY"] = with_verification_off
    assert len(found) > 700
    assert search.tries < 2.5 * len(found), "11,318 without what is known of kinds of prefixes"


def test_goals_that_are_planned_once_are_those_of_each_plan():
    """The slow twin: every text is checked, planned and measured by itself."""
    for text in (
        "block5c.expand.? | attribute(output) | ? | present(?)",
        f"photo = input | present(image)\n{TWO_HOLES}",
        "x = block5c.expand.channel | attribute(output) | ?\nx | present(?)",
        "v = head.channel | attribute(output) | trust(?)\nv | present(bars)",
        "cell = hover(block5c.expand.spatial)\nphoto = input | present(image)\n"
        "block5c.expand.neuron | attribute(output) | at(cell) | ? | present(bars)",
    ):  # fmt: skip
        every = completed(text)
        assert len(every) > 1
        for each in every:
            program, _ = Pipeline(Request(each.filled.file)).checked
            assert program.interfaces == each.filled.program.interfaces
            alone = Filled(program, program.elements, each.filled.file, ())
            spending = Planner(registry())._planned(program)
            assert Measure(registry()).goals(alone, spending) == each.goals, each.filled.pipes


def test_a_name_and_the_line_that_uses_it_are_filled_as_one_pipe():
    """It finds what filling one after the other does."""
    several = completed("x = head.whole | ?\nx | present(?)")
    one = completed("head.whole | ? | present(?)")
    assert [each.filled.fillings for each in several] == [each.filled.fillings for each in one] and len(one) > 10
    for each in several[:5]:
        named, user = each.filled.pipes
        assert named.startswith("x = head.whole") and user.startswith("x | present(")
        assert Pipeline(Request(Source(f"{HEAD}{named}\n{user}"))).program.interfaces == each.filled.program.interfaces
