"""Styles through the language, on a network small enough to look inside."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from closeness import close_to
from views_hold import assert_consistent

from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan
from bbilang.registry import registry
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.styles.bars import Bars
from bbilang.runtime.view.states import elements


def objectives(text: str):
    """(results, objectives of all icons in the order of their numbers)."""
    seen: list = []

    def icons(adapter, objectives_of, counter):
        seen.extend(objectives_of)
        return tiny.fake_icons(adapter, objectives_of, counter)

    program = optimize(tiny.check(text))
    return execute(plan(program), registry(), tiny.adapter(), tiny.pictures(), icons=icons), seen


def element(view, name: str):
    return next(e for e in elements(view) if e.id == name)


def activations(layer: str) -> np.ndarray:
    captured = {}
    module = tiny.build()
    getattr(module, layer).register_forward_hook(
        lambda _m, _i, out: captured.update({layer: out.detach().clone().numpy()})
    )
    module(tiny.adapter().normalize(tiny.images()))
    return captured[layer][0]


def test_the_icon_of_a_position_maximizes_the_vector_there():
    results, seen = objectives("grid = [a, c].spatial | present(featvis, size=norm, facet=layer)")
    index = results.icon_sets["grid"].index
    assert sorted(index.dims) == ["input", "layer", "x", "y"]
    table = index.ordered(("layer", "y", "x", "input")).data[..., 0]
    for number, (name, size) in enumerate((("a", 16), ("c", 8))):
        cube = activations(name)
        for y, x in ((0, 0), (3, 5), (size - 1, size - 2)):
            objective = seen[table[number, y, x]]
            assert objective.layer == name
            close_to(objective.direction, cube[:, y, x])
    assert (table[1, 8:] == -1).all() and (table[1, :, 8:] == -1).all()
    assert len(seen) == len(set(seen)) <= 16 * 16 + 8 * 8


def test_the_icon_of_a_group_maximizes_its_channel_factor():
    results, seen = objectives("groups = b | factorize(nmf, 3)\nicons = groups | present(featvis)")
    assert len(seen) == 3 and all(o.layer == "b" and len(o.direction) == 8 for o in seen)
    field = results.fields["icons"]
    cube = activations("b").reshape(8, -1).T  # positions by channels: nearly the sum of the groups' parts
    directions = np.array([seen[i].direction for i in results.icon_sets["icons"].index.data.ravel()])
    weights = np.linalg.lstsq(directions.T, cube.T, rcond=None)[0]
    left = np.linalg.norm(cube.T - directions.T @ weights) / np.linalg.norm(cube)
    assert left < 0.75 and (directions >= 0).all() and field.values.data.size == 3


def test_maps_may_be_drawn_over_icons_at_every_position_and_not_over_a_row():
    view = tiny.view_of(tiny.run(
        "grids = [a, c].spatial | present(featvis, size=norm, facet=layer)\n"
        "[a, c].spatial | attribute(output) | present(heatmap, over=grids)"
    ))  # fmt: skip
    assert_consistent(view)
    grids = element(view, "grids")
    assert [panel.shape for panel in grids.panels] == [(16, 16), (8, 8)] and len(grids.overlays) == 1
    assert [s.id for s in view.selections] == ["pointed-position"] and view.selections[0].leaves
    error = tiny.refused(lambda: tiny.check(
        "icons = c.channel | activation | top(3) | present(featvis)\n"
        "c.spatial | attribute(output) | present(heatmap, over=icons)"
    ))  # fmt: skip
    assert [d.code for d in error.diagnostics] == ["E307"]


def test_a_hover_of_the_text_serves_in_place_of_what_can_be_pointed_at_anyway():
    view = tiny.view_of(tiny.run(
        "cell = hover(c.spatial)\ngrid = c.spatial | present(featvis, size=norm)\n"
        "c.neuron | activation | at(cell) | top(2) | present(bars)"
    ))  # fmt: skip
    assert [s.id for s in view.selections] == ["cell"] and not view.selections[0].leaves
    assert element(view, "grid").selects == ("cell",)


def test_masks_give_the_photo_their_cells_and_every_element_their_groups():
    view = tiny.view_of(tiny.run(
        "photo = input | present(image)\ngroups = b | factorize(nmf, 3)\n"
        "where = groups.spatial | present(masks, over=photo)\nicons = groups | present(featvis)\n"
        "effect = groups | attribute(output[top(3)]) | present(matrix)"
    ))  # fmt: skip
    assert_consistent(view)
    (target,) = element(view, "photo").targets
    assert target.selection == "pointed-position" and target.shape == (8, 8)
    assert all("pointed" in element(view, name).selects for name in ("where", "icons", "effect"))
    keys = [{a.key for a in element(view, name).atoms if "group=" in a.key} for name in ("where", "icons", "effect")]
    assert keys[0] == keys[1] == keys[2] and len(keys[0]) == 3


def test_colour_shows_a_sign_where_area_shows_a_magnitude():
    view = tiny.view_of(tiny.run("e = c.channel | attribute(output) | top(3) | present(featvis, size=value)"))
    assert element(view, "e").options["color"] == "sign"
    view = tiny.view_of(tiny.run("e = c.channel | attribute(output) | top(3) | present(bars, color=value)"))
    assert element(view, "e").options["color"] == "value" and Bars.coloured
    error = tiny.refused(lambda: tiny.check("c.spatial | attribute(output) | present(heatmap, color=value)"))
    assert [d.code for d in error.diagnostics] == ["E215"]


@pytest.mark.parametrize("style", ["table", "matrix"])
def test_classes_are_columns(style):
    text = f"e = c.channel | attribute(output[1, 2, 4]) | top(2, by=output[2]) | present({style})"
    frame = element(tiny.view_of(tiny.run(text)), "e").panels[0].frames[0]
    expected = tiny.values("c.channel | attribute(output[1, 2, 4]) | present(matrix)", "channel", "class")
    order = np.argsort(-expected[:, 1], kind="stable")[:2]
    close_to(frame.values, expected[order], digits=4)
    assert len(frame.series) == 3
