"""Datasets of several folders side by side: the numbers are those of each by itself."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from PIL import Image

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess

COUNTS = {"here": 7, "there": 4}
HEAD = 'dataset here = "here/"\ndataset there = "there.csv"\n'


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("folders")
    random = np.random.default_rng(2)
    rows = ["file,label,weight"]
    for name, count in COUNTS.items():
        for number in range(count):
            own = top / name / ("ant" if number % 3 else "bee")
            own.mkdir(parents=True, exist_ok=True)
            pixels = (random.random((32, 32, 3)) * (60 + 20 * number)).astype(np.uint8)
            Image.fromarray(pixels).save(own / f"{number}.png")
            rows += [f"there/{own.name}/{number}.png,{own.name},{number}"] if name == "there" else []
    (top / "there.csv").write_text("\n".join(rows))
    return top


def fields(folder, network, text):
    (folder / "page.bbi").write_text(HEAD + text)
    page = bbilang.run(folder / "page.bbi", model=network)
    return page, list(page.results.fields.values())


@pytest.mark.parametrize("pipe", ["b.channel", "b.channel | attribute(output)", "output.class"])
@pytest.mark.parametrize("how", ["mean(example)", "quantile(example, 0.8)", "fraction(example, above=0.5)"])
def test_reduced_side_by_side_as_each_alone(folder, network, pipe, how):
    text = "".join(f"{pipe} | across({name}) | {how} | present(bars)\n" for name in COUNTS)
    text += f"{pipe} | across([here, there]) | {how} | present(matrix)"
    _, (here, there, both) = fields(folder, network, text)
    (axis,) = here.values.dims
    expected = np.stack([here.values.data, there.values.data])
    np.testing.assert_array_equal(both.values.ordered(("subset", axis)).data, expected)
    assert both.names["subset"].data.tolist() == ["here", "there"]


def test_groups_by_a_column_that_both_have(folder, network):
    pipe, how = "b.channel | across({}) | mean(example, per=label)", "present(matrix, facet=subset)"
    text = "".join(f"{pipe.format(name)} | present(matrix)\n" for name in COUNTS)
    _, (here, there, both) = fields(folder, network, f"{text}{pipe.format('[here, there]')} | {how}")
    expected = np.stack([part.values.ordered(("label", "channel")).data for part in (here, there)])
    np.testing.assert_allclose(both.values.ordered(("subset", "label", "channel")).data, expected, rtol=1e-6)


def test_a_histogram_counts_the_examples_of_each(folder, network):
    page, _ = fields(folder, network, "b.channel[1] | across([here, there]) | present(histogram, facet=subset)")
    (element,) = page.view.interfaces[0].elements
    remarks = [panel.frames[0].remark for panel in element.panels]
    assert [words.partition(",")[0] for words in remarks] == ["7 examples", "4 examples"]
    assert not any("without a number" in words for words in remarks)
    counts = [sum(value or 0 for (value,) in panel.frames[0].values) for panel in element.panels]
    assert counts == [7, 4]


REFUSED = {
    "b.channel[1] | across([here, there]) | top(3) | present(image, facet=subset)": "E258",
    "b.channel[1] | across([here, there]) | present(image, facet=subset)": "E258",
    "b.channel | across([here, there]) | project(pca, 2, along=channel) | present(scatter, facet=subset)": "E258",
    'b.channel | across([here, there]) | filter(label == "ant") | mean(example) | present(matrix)': "E258",
    "b.channel | across([here, there]) | mean(example, per=predicted) | present(matrix, facet=subset)": "E215",
    "b.channel | across([here, there]) | mean(example, per=weight) | present(matrix, facet=subset)": "E215",
    "b.channel | across([here, there]) | mean(example, per=width) | present(matrix, facet=subset)": "E215",
    "map = b.channel | across(here) | project(pca, 2, along=channel) | present(scatter)\n"
    "b.channel | across([there, lasso(map)]) | mean(example) | present(matrix)": "E258",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_needs_the_files_is_refused(folder, network, line):
    (folder / "page.bbi").write_text(HEAD + line)
    with pytest.raises(BbiError) as refused:
        bbilang.check(folder / "page.bbi", model=network)
    assert [each.code for each in refused.value.diagnostics if each.severity == "error"] == [REFUSED[line]]
