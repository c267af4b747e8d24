"""Titles of menus and of the page: in the text, in the view, and without recomputation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError

TEXT = """bbi 1
why = pick(output[top(2)], title="Why this")
rather_than = pick(output[top(2)], start=1)
number = slider(1, 2, title="Number of groups")
late.channel | attribute(output[why] - output[rather_than]) | present(bars)
late | factorize(nmf, number) | present(bars)
late.channel | attribute(output[pick(output[top(3)])]) | present(bars)
late | factorize(nmf, slider(2, 3)) | present(bars)
"""


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.late = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.late(x).mean((2, 3)))


def picture():
    return torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(1))


def page(text: str, **options):
    return bbilang.run(text, model=Net().eval(), input=picture(), **options)


def test_titles_of_the_text_else_names_else_what_is_chosen():
    made = {s.id: s for s in page(TEXT, cache=False).view.selections}
    titles = {identity: s.title for identity, s in made.items() if s.kind in ("pick", "slider")}
    assert titles == {
        "why": "Why this",
        "rather_than": "Rather than",
        "number": "Number of groups",
        "pick-class": "Class",
        "slider-2-3": "Slider",
    }
    assert made["why"].address == "Why this" and made["rather_than"].address == ""
    assert made["why"].spoken and made["rather_than"].spoken


def test_equal_choices_of_two_titles_are_two():
    line = "late.channel | attribute(output[pick(output[top(3)], title={0!r})]) | present(bars)\n"
    text = "bbi 1\n" + "".join(line.format(title).replace("'", '"') for title in ("One", "Two", "One"))
    picks = [s.title for s in page(text, cache=False).view.selections if s.kind == "pick"]
    assert picks == ["One", "Two"], "and two of one title are one"


def test_another_title_computes_nothing_and_makes_another_page(tmp_path, monkeypatch):
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path))
    first = page(TEXT)
    second = page(TEXT.replace("Why this", "Why not"))
    assert not first.view.provenance.passes.startswith("nothing ran")
    assert second.view.provenance.passes.startswith("nothing ran")
    assert "Why not" in second.html() and "Why this" in first.html()
    assert "Why this" not in second.html()


def test_titles_survive_the_typed_program_as_json():
    program = bbilang.check(bbilang.parse(TEXT), model=Net().eval(), input=picture())
    again = bbilang.program_from_json(bbilang.program_to_json(program))
    assert '"Why this"' in str(bbilang.program_to_json(again)).replace("'", '"')


@pytest.mark.parametrize("options, expected", [({}, "Apart"), ({"title": "From outside"}, "From outside")])
def test_a_title_of_the_page_itself(options, expected):
    text = 'bbi 1\nset page(title="Apart")\ninterface "First" {\n    late.channel | activation | present(bars)\n}\n'
    shown = page(text, cache=False, **options)
    assert shown.view.title == expected
    assert f"<title>{expected}</title>" in shown.html() and "<h2>First</h2>" in shown.html()


def test_a_title_is_a_text():
    with pytest.raises(BbiError, match="E213"):
        page("bbi 1\na = pick(output[top(2)], title=3)\nlate.channel | attribute(output[a]) | present(bars)\n")
