"""Columns whose names are no words of the language: they group, and are laid out, as any other."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from PIL import Image

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess

HEAD = 'dataset photos = "photos.csv"\ngroups = b.channel | across(photos) | mean(example, per=column("taken by"))\n'


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("spaces")
    for number in range(4):
        Image.new("RGB", (32, 32), (50 * number, 90, 20)).save(top / f"{number}.png")
    rows = ["file,taken by", *(f"{number}.png,{'ann' if number % 2 else 'bob'}" for number in range(4))]
    (top / "photos.csv").write_text("\n".join(rows))
    return top


def test_a_facet_of_a_column_with_spaces(folder, network):
    (folder / "page.bbi").write_text(
        HEAD + 'groups | present(bars, facet=column("taken by"))\ngroups | present(matrix)'
    )
    page = bbilang.run(folder / "page.bbi", model=network)
    bars, matrix = page.view.interfaces[0].elements
    assert [panel.label for panel in bars.panels] == ["ann", "bob"]
    laid, grouped = (field.values.ordered(("taken by", "channel")).data for field in page.results.fields.values())
    np.testing.assert_array_equal(laid, grouped)
    assert matrix.panels[0].frames[0].series == ("ann", "bob")


def test_the_message_writes_such_a_facet_as_a_text_does(folder, network):
    (folder / "page.bbi").write_text(HEAD + "groups | present(bars)")
    with pytest.raises(BbiError, match=r'E303(.|\n)*facet=column\("taken by"\)'):
        bbilang.check(folder / "page.bbi", model=network)
    (folder / "page.bbi").write_text(HEAD + 'groups | present(bars, facet=column("taken on"))')
    with pytest.raises(BbiError, match=r"E230.*no axis `taken on`"):
        bbilang.check(folder / "page.bbi", model=network)
