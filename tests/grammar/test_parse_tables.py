"""The shipped parse tables match the grammar, and a parser built without them behaves alike."""

from bbilang.grammar import generated_tables, parse_tables
from bbilang.grammar.build import Builder
from bbilang.grammar.parse import parse, parse_line

LINE = 'a = [mixed3a..mixed5a].spatial | attribute(output["x", score=logit] - b) | filter(value > -0.1 and y < 3)'


def test_the_tables_are_of_this_grammar():
    assert generated_tables.STAMP.split()[1] == parse_tables.stamp(parse_tables.grammar()).split()[1], (
        "run `python -m bbilang.grammar.parse_tables`"
    )


def test_another_lark_makes_its_own(monkeypatch):
    loaded = parse_tables.parser(Builder()).parse(LINE, start="statement")
    monkeypatch.setattr(generated_tables, "STAMP", "another")
    built = parse_tables.parser(Builder()).parse(LINE, start="statement")
    assert loaded == built == parse_line(LINE)[0] == parse(LINE).statements[0]
