"""What `bbi explain` prints: golden texts of the gallery, nothing wider than the terminal, nothing repeated.

`BBI_WRITE_GOLDEN=1 pytest tests/explain` writes the golden files anew.
"""

import os
import re
from pathlib import Path

import pytest
from explanations import MANY, MODES, ROOT, SPECS, explanation, measured, of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bbilang.compiler.explain.columns import Column, Row, cell_width, paragraph, table
from bbilang.compiler.explain.logical import entries, line_words
from bbilang.compiler.ir.program import walk

GOLDEN = Path(__file__).parent / "golden"
# what the text has other words for
INNER = {"stack", "fields", "chosen", "factor", "output", "input", "combine", "direction", "pick_atom"}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
@pytest.mark.parametrize("width", [80, 120])
def test_golden(path, width):
    golden = GOLDEN / f"{path.stem}-{width}.txt"
    text = of(path).text(width) + "\n"
    if os.environ.get("BBI_WRITE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_documentation_shows_what_is_printed():
    """The text and the picture in docs/explain.md."""
    page, picture = ROOT / "docs" / "explain.md", ROOT / "docs" / "images" / "plan.svg"
    known = {path.stem: path for path in SPECS}
    shown = f"    {of(known['spatial_and_channel']).text(96)}".replace("\n", "\n    ").replace("\n    \n", "\n\n")
    text = page.read_text(encoding="utf-8")
    block = re.search(r"(?ms)^    spatial_and_channel\.bbi: .*?among them\.$", text)[0]
    if os.environ.get("BBI_WRITE_GOLDEN"):
        page.write_text(text.replace(block, shown), encoding="utf-8")
        picture.write_text(of(known["teaser"]).to_svg(), encoding="utf-8")
        block = shown
    assert block == shown
    assert picture.read_text(encoding="utf-8") == of(known["teaser"]).to_svg()


@pytest.mark.parametrize("text", [*(path.read_text(encoding="utf-8") for path in SPECS), MODES, MANY])
@pytest.mark.parametrize(("width", "kind"), [(80, "plain"), (80, "measured"), (120, "measured"), (80, "not optimized")])
def test_no_line_is_wider_than_the_terminal(text, width, kind):
    explained = explanation(text, optimized=kind != "not optimized")
    shown = (measured(explained) if kind == "measured" else explained).text(width)
    assert max(map(cell_width, shown.splitlines())) <= width


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_node_is_numbered_once_and_shown_with_its_line(path):
    program = of(path).after.program
    listed = entries(program)
    opened = [entry for entry in listed if not entry.again]
    assert {id(entry.node) for entry in opened} == {id(node) for node in walk(*(e.node for e in program.elements))}
    assert [entry.number for entry in opened] == list(range(1, len(opened) + 1))
    lines = program.source.text.splitlines()
    shown = of(path).text(200)
    for entry in opened:
        row = re.search(rf"(?m)^ +{entry.number}  .*?(\d[\d, -]*)$", shown)
        last = int(re.findall(r"\d+", row[1])[-1])
        atom = entry.node.type.atom
        word = (
            (entry.node.type.layers[0] if atom == "whole" else atom) if entry.node.op == "substrate" else entry.node.op
        )
        nearby = "\n".join(lines[max(last - 9, 0) : last + 8])  # a pipe may go over several lines
        inner = (
            entry.node.op in INNER or entry.node.op in ("activation", "attribute") or atom == "neuron"
        )  # also what nobody wrote
        inner |= atom == "channel" and entry.node.type.layers[0] in nearby  # `concept` and sums are of all channels
        assert word in nearby or inner, (entry, lines[last - 1])


def test_both_costs_of_a_choice():
    explained = explanation(MODES)
    shown = explained.text(100)
    step = next(step for step in explained.after.steps if step.alternatives)
    assert step.kind == "tangents" and sum(way.chosen for way in step.alternatives) == 1
    assert re.search(r"chosen: forward mode, 19\d passes, [\d.]+ GFLOP", shown)
    assert re.search(r"instead of reverse mode, 1,000 passes, 284 GFLOP", shown)
    assert "backward passes 1,000 -> 0" in shown


def test_not_optimized_is_one_plan():
    shown = explanation(MODES, optimized=False).text(100)
    assert shown.count("PHYSICAL PLAN") == 1 and "SAVED" not in shown and "optimized: what" not in shown


def test_many_steps_are_told_of_together():
    explained = explanation(MANY)
    shown = explained.text(80)
    assert shown.count("\n") < 260
    assert "... and 188 more elements" in shown and "25 alike: 1 target to block1a" in explained.text(120)
    before = explained.before
    assert sum(step.passes for step in before.steps if step.kind == "forward") == 401
    assert "forward passes 401 -> 1" in shown and "200 elements, bars" in shown


def test_measurements_have_columns_or_a_line_below():
    with_icons = next(path for path in SPECS if path.stem == "which_pixels_which_concepts")
    explained = measured(explanation(with_icons.read_text(encoding="utf-8")))
    wide, narrow = explained.text(120), explained.text(80)
    assert re.search(r"(?m)^ .* time +peak +lines$", wide) and "41 ms" in wide
    assert re.search(r"(?m)^ +measured: took 41 ms, peak memory 10 MB$", narrow)
    assert "5 icons made, 3 from the cache" in wide and "5 icons made, 3 from the cache" in narrow
    assert "41 ms" not in wide[: wide.index("optimized: what will run")]  # nobody measured the plan as written


def test_wide_characters_keep_the_columns():
    columns = [Column("", least=10), Column("n", right=True)]
    heading, wide, plain = table(columns, [Row(("猫猫猫 猫猫猫 猫", "1")), Row(("a", "22"))], 24)
    assert wide == "  猫猫猫 猫猫猫 猫   1" and cell_width(wide) == cell_width(plain) == cell_width(heading)


words = st.text(st.sampled_from("ab 猫é-"), max_size=40)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=5), st.integers(40, 100))
def test_tables_keep_every_word_within_the_width(rows, width):
    columns = [Column("first", least=8), Column("second", least=8), Column("third", least=8)]
    lines = table(columns, [Row(cells) for cells in rows], width)
    assert all(cell_width(line) <= width for line in lines)
    shown = "".join(lines).replace(" ", "")
    assert sorted(shown.replace("first", "").replace("second", "").replace("third", "")) == sorted(
        "".join("".join(cells) for cells in rows).replace(" ", "")
    )


@quick
@given(words, st.integers(20, 80))
def test_paragraphs_lose_nothing(text, width):
    assert "".join(paragraph(text, width, 2)).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ([], ""), ([7], "7"), ([7, 8], "7, 8"), ([5, 6, 7, 8, 9], "5-9"), ([1, 3, 5, 7], "1, 3, 5, 7"),
        ([1, 3, 5, 7, 9], "1, 3, 5 and 2 more"), ([1, 2, 3, 9, 11, 12, 20, 22], "1-3, 9, 11 and 3 more"),
    ],
)  # fmt: skip
def test_lines_in_words(lines, shown):
    assert line_words(lines) == shown
