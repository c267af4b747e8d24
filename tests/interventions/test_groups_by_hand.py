"""Interventions on groups, and on what a reader clicks, equal hooks by hand: on residual, concatenating and attention
networks, at cuts and at branches."""

from __future__ import annotations

import blocks
import numpy as np
import pytest
from by_hand import TOKENS, effects, scores
from test_by_hand import AVERAGED, PLACES
from test_controls_and_sources import executed, field_of

STAGES = ("ablate(zero)", "ablate(position_mean)", "steer(2)", "patch(source=1)")

CASES = [  # E540 where what follows reads the mean over positions alone
    (*place, stage) for place in PLACES for stage in STAGES if "position_mean" not in stage or place not in AVERAGED
]


def parts_of(name: str, layer: str, method: str, *images) -> np.ndarray:
    """The part of each group in the layer of each input, (input, group, position, channel)."""
    start = f"groups = {layer} | factorize({method}, 2, along=input)\n"
    shown = "groups.spatial | present(heatmap, facet=group)"
    results = executed(f"{start}{shown}\ngroups.channel | present(matrix)", blocks.adapter(name), *images)
    spatial, channel = (results.fields[element.id].values for element in results.program.elements)
    axes = [axis for axis in ("y", "x", "token") if axis in spatial.dims]
    w = spatial.ordered(("input", "group", *axes)).data
    h = channel.ordered(("group", "channel")).data
    w = w.reshape(*w.shape[:2], -1)
    return np.einsum("igp,gc->igpc", w, h).astype(np.float64)


def change(stage: str, parts: np.ndarray, group: int) -> np.ndarray:
    """What is added to the layer of the first input, (position, channel)."""
    own, other = parts[0, group], parts[1, group]
    if stage == "ablate(zero)":
        return -own
    if stage == "ablate(position_mean)":
        return own.mean(0, keepdims=True) - own
    if stage == "patch(source=1)":
        return other - own
    total = own.sum(0)
    size = np.sqrt((np.linalg.norm(own, axis=1) ** 2).mean())
    return np.broadcast_to(2 * size * total / np.linalg.norm(total), own.shape)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("name", "layer", "stage"), CASES)
def test_groups(name, layer, stage, together):
    images, method = (blocks.image(0), blocks.image(1)), "svd"
    parts = parts_of(name, layer, method, *images)
    written = stage.replace(")", ", together=true)") if together else stage
    text = (f"groups = {layer} | factorize({method}, 2, along=input)\ngroups | {written} | effect(output.class)"
            f" | present({'bars' if together else 'matrix'})")  # fmt: skip
    field = field_of(executed(text, blocks.adapter(name), *images))
    found = field.values.ordered(("input", *([] if together else ["group"]), "class")).data[0]
    network, image = blocks.block(name), images[0]
    before = scores(network, image, layer, None)
    sets = [(0, 1)] if together else [(0,), (1,)]
    for row, groups in zip([found] if together else found, sets, strict=True):
        off = sum(change(stage, parts, group) for group in groups)

        def whole(own, off=off):
            return own + (off if layer in TOKENS else off.T.reshape(own.shape))

        expected = scores(network, image, layer, whole) - before
        scale = max(1.0, float(np.abs(before).max()))
        np.testing.assert_allclose(row, expected, atol=3e-6 * scale, rtol=1e-5)
    assert np.abs(found).max() > 1e-2


@pytest.mark.parametrize("stage", ["ablate(zero)", "steer(2)"])
def test_what_a_reader_clicks_is_a_state(stage):
    text = (f"known = stem.channel | activation | top(3)\nicons = known | present(bars)\n"
            f"stem.channel | at(click(known)) | {stage} | effect(output.class) | present(bars)")  # fmt: skip
    results = executed(text, blocks.adapter("residual"), blocks.image())
    field = field_of(results)
    (state,) = [axis.name for axis in field.type.states]
    chosen = results.selections[state].coords["channel"].data.ravel().tolist()
    found = field.values.ordered(("input", state, "class")).data[0]
    how = {"ablate(zero)": "zero", "steer(2)": "steer 2"}[stage]
    sets = [[(channel,)] for channel in chosen]
    expected = effects(blocks.block("residual"), blocks.image(), "stem", "channel", how, sets)
    np.testing.assert_allclose(found, expected, atol=2e-6, rtol=1e-6)
