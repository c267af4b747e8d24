"""The checker's promises about programs with groups and projections hold for their numbers, pages and passes."""

from __future__ import annotations

import pytest
import tiny
from test_random_programs import PREFIX, assert_bounds, assert_equal_results, assert_passes, assert_types
from views_hold import assert_consistent

from bbilang.compiler.optimize.rules import optimize

TEXTS = [
    "g = b | factorize(nmf, 3)\ng.spatial | present(masks, over=photo)\n"
    "g | attribute(output[top(3)]) | present(matrix)",
    "n = slider(2, 4)\ng = b | factorize(nmf, n)\ng | top(2) | present(featvis)\ng.spatial | at(cell) | present(bars)",
    "n = slider(1, 5, 2)\nb | factorize(nmf, n) | attribute(output.class) | top(2, by=output[p]) | present(bars)",
    "g = b | factorize(pca, 3)\ng.spatial | at(cell) | present(featvis, size=value)",
    "g = b | factorize(svd, 3, of=attribute(output[p]))\ng | sort() | present(bars)",
    "g = b | factorize(svd, 2, of=[activation, gradient(output[p])], balance=[1, 2])\n"
    "g | attribute(output[q]) | both(1) | present(bars)",
    "g = b | factorize(nmf, 4, along=input)\ng.channel | top(3, per=group) | present(bars, facet=group)",
    "g = b | factorize(kmeans, 4)\nicons = g | filter(value > 1) | present(featvis)\n"
    "g.spatial | at(hover(icons)) | present(heatmap, over=photo)",
    "late = b | factorize(nmf, 2)\na | factorize(nmf, 3, compatible=late) | attribute(output) | present(bars)",
    "b.spatial | project(pca, 3) | present(rgb, over=photo)",
    "[a, b].spatial | attribute(output.class) | relu | project(nmf, 2, along=class, fit=b) | present(rgb, facet=layer)",
    "b.spatial | top(9) | project(pca, 2) | present(scatter)",
    "b.neuron | attribute(output[p]) | project(pca, 2, along=channel) | present(heatmap, facet=component)",
]


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("text", TEXTS)
def test_whole_programs(text, inputs):
    program = tiny.check(PREFIX + text, inputs)
    better = optimize(program)
    assert optimize(better) == better
    assert_types(better, inputs)
    one, two = tiny.run_program(program, inputs), tiny.run_program(program, inputs, optimized=False)
    assert_equal_results(one, two)
    if "compatible" not in text:  # whose targets are groups, not classes
        assert_passes(better, one, inputs)
    assert_bounds(program, two)
    assert_bounds(better, one)
    assert_consistent(tiny.view_of(one))
