"""Interventions on directions of a layer equal hooks by hand: the component along them, and steps along them."""

from __future__ import annotations

import blocks
import numpy as np
import pytest
import torch
from by_hand import TOKENS, activation, scores
from PIL import Image

import bbilang
from bbilang.compiler.ir.program import walk
from bbilang.grammar.diagnostic import BbiError

PLACES = [("residual", "stem"), ("residual", "body.two"), ("concatenation", "stem"), ("attention", "body.sum")]


def executed(text, name, *images):
    model, stacked = blocks.adapter(name), torch.stack(images) if len(images) > 1 else images[0]
    program = bbilang.check(bbilang.parse(text), model=model, input=stacked)
    results = bbilang.execute(bbilang.plan(bbilang.optimize(program)), model=model, input=stacked, cache=False)
    return results.fields[results.program.elements[-1].id]


def three(layer: str) -> str:
    """Three directions that are neither orthogonal nor of length 1, as a text."""
    return f"groups = {layer} | factorize(svd, 3)\nd = groups + {layer}.channel[1]\n"


def vectors_of(name: str, layer: str) -> np.ndarray:
    """The vectors of `three`, (direction, channel)."""
    field = executed(f"{three(layer)}d.channel | present(matrix)", name, blocks.image())
    return field.values.ordered(("concept", "channel")).data.astype(np.float64)


def direction_by_hand(network, image, layer, change):
    """The change of the scores where ``change`` is made of the vectors at every position, (position, channel)."""

    def whole(own):
        rows = own if layer in TOKENS else own.reshape(len(own), -1).T
        changed = change(rows)
        return changed if layer in TOKENS else changed.T.reshape(own.shape)

    return scores(network, image, layer, whole) - scores(network, image, layer, None)


def without(rows, vectors):
    """Without the component in the span of the vectors, by least squares."""
    return rows - (vectors.T @ np.linalg.lstsq(vectors.T, rows.T, rcond=None)[0]).T


def stepped(rows, vectors, amount):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    sizes = np.sqrt(((rows @ unit.T) ** 2).mean(0))
    return rows + amount * (sizes[:, None] * unit).sum(0)


@pytest.mark.parametrize("amount", [None, 2, -0.5])
@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_each_direction_alone(name, layer, amount):
    stage = "ablate(zero)" if amount is None else f"steer({amount})"
    text = f"{three(layer)}d | {stage} | effect(output.class) | present(matrix)"
    found = blocks.attributed(text, name, True, 0, "concept", "class")
    network, image = blocks.block(name), blocks.image()
    for number, vector in enumerate(vectors_of(name, layer)[:, None]):
        change = (lambda r, v=vector: without(r, v)) if amount is None else (lambda r, v=vector: stepped(r, v, amount))
        expected = direction_by_hand(network, image, layer, change)
        np.testing.assert_allclose(found[number], expected, atol=2e-6, rtol=1e-6)
    assert np.abs(found).max() > 1e-2


@pytest.mark.parametrize("amount", [None, 2])
@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_directions_together_lose_what_they_share_once(name, layer, amount):
    stage = "ablate(zero, together=true)" if amount is None else f"steer({amount}, together=true)"
    text = f"{three(layer)}d | activation(reduce=norm) | top(2) | {stage} | effect(output.class) | present(bars)"
    found = blocks.attributed(text, name)
    network, image = blocks.block(name), blocks.image()
    own = activation(network, image, layer)
    rows = own if layer in TOKENS else own.reshape(len(own), -1).T
    every = vectors_of(name, layer)
    vectors = every[np.argsort(-np.linalg.norm(rows @ every.T, axis=0))[:2]]
    assert abs(vectors[0] @ vectors[1]) > 0.05
    change = (lambda r: without(r, vectors)) if amount is None else (lambda r: stepped(r, vectors, amount))
    expected = direction_by_hand(network, image, layer, change)
    np.testing.assert_allclose(found.ravel(), expected, atol=2e-6, rtol=1e-6)


def test_a_direction_of_a_channel_is_the_channel():
    for stage in ("ablate(zero)", "steer(2)"):
        text = f"{{}} | {stage} | effect(output.class) | present(bars)"
        direction = blocks.attributed(text.format("d = stem.channel[0] + stem.channel[0]\nd"), "residual")
        channel = blocks.attributed(text.format("stem.channel[0]"), "residual")
        np.testing.assert_allclose(direction.ravel(), channel.ravel(), atol=2e-6)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    made = []
    for number in range(12):
        pixels = (np.random.default_rng(number).random((12, 12, 3)) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        made.append(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
    return folder, made


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("value", ["mean", "resample"])
def test_replaced_by_what_a_dataset_has_along_a_direction(pictures, value, keeps):
    folder, made = pictures
    stage = f"isolate({value}, source=some)" if keeps else f"ablate({value}, source=some)"
    text = (f'dataset some = "{folder}"\nd = stem.channel[0] - stem.channel[2]\n'
            f"d | {stage} | effect(output.class) | present(bars)")  # fmt: skip
    network, image = blocks.block("residual"), blocks.image()
    field = executed(text, "residual", image)
    rows = [activation(network, one, "stem").reshape(4, -1).T for one in made]
    order = np.random.default_rng([0, 6]).permutation(len(rows))[:8]
    others = [np.mean([r.mean(0) for r in rows], 0)] if value == "mean" else [rows[n] for n in order]
    unit = np.array([[1, 0, -1, 0]]) / np.sqrt(2)
    project = unit.T @ unit
    moved = np.eye(4) - project if keeps else project
    expected = np.mean(
        [direction_by_hand(network, image, "stem", lambda r, o=o: r + (o - r) @ moved) for o in others], 0
    )
    np.testing.assert_allclose(field.values.data.ravel(), expected, atol=2e-6, rtol=1e-6)


def test_a_patch_takes_the_component_of_the_other_input():
    images, network = (blocks.image(0), blocks.image(1)), blocks.block("residual")
    text = "d = stem.channel[0] - stem.channel[2]\nd | patch(source=1) | effect(output.class) | present(bars)"
    values = executed(text, "residual", *images).values
    found = values.ordered(("input", *(d for d in values.dims if d != "input"))).data.reshape(2, -1)
    other = activation(network, images[1], "stem").reshape(4, -1).T
    unit = np.array([[1, 0, -1, 0]]) / np.sqrt(2)
    change = lambda r: r + (other - r) @ unit.T @ unit  # noqa: E731
    np.testing.assert_allclose(found[0], direction_by_hand(network, images[0], "stem", change), atol=2e-6, rtol=1e-6)
    assert np.abs(found[1]).max() < 2e-6


def test_what_a_direction_has_not_is_refused():
    with pytest.raises(BbiError, match="E272"):
        blocks.attributed(
            "d = stem.channel[0] - stem.channel[2]\nd | ablate(noise) | effect(output) | present(bars)", "residual"
        )


def random_vectors(count: int, channels: int) -> np.ndarray:
    normal = np.random.default_rng([0, 9]).standard_normal((count, channels))
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


@pytest.mark.parametrize("stage", ["ablate(zero)", "steer(-0.5)"])
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_controls_are_random_directions_with_a_change_of_the_same_norm(name, layer, together, stage):
    count, vectors = 3, vectors_of(name, layer)
    written = stage.replace(")", ", together=true)") if together else stage
    style = "number" if together else "bars"
    text = f"{three(layer)}d | {written} | effect(output[1], controls={count}) | present({style})"
    field = executed(text, name, blocks.image())
    assert any("random directions" in note for note in field.notes)
    controls = field.beside["controls"]
    found = controls.ordered(("input", *([] if together else ["concept"]), "control")).data[0].reshape(-1, count)
    sets = [vectors] if together else [vectors[n : n + 1] for n in range(3)]
    others = iter(random_vectors(count * sum(map(len, sets)), vectors.shape[1]))
    changed = (
        (lambda rows, own: without(rows, own)) if "zero" in stage else (lambda rows, own: stepped(rows, own, -0.5))
    )
    for row, own in enumerate(sets):
        for number in range(count):
            random = np.array([next(others) for _ in own])

            def change(rows, own=own, random=random):
                wanted, made = changed(rows, own) - rows, changed(rows, random) - rows
                return rows + made * np.linalg.norm(wanted) / np.linalg.norm(made)

            expected = direction_by_hand(blocks.block(name), blocks.image(), layer, change)[1]
            np.testing.assert_allclose(found[row, number], expected, atol=3e-6, rtol=1e-6)


def test_a_claim_about_a_direction_is_compared_with_random_ones():
    text = 'd = stem.channel[0] - stem.channel[2]\nclaim "It rests on it" = d | ablate(zero) | effect(output[0]) < 100'
    model, image = blocks.adapter("residual"), blocks.image()
    program = bbilang.optimize(bbilang.check(bbilang.parse(text), model=model, input=image))
    claims = [node for element in program.elements for node in walk(element.node) if node.op == "claims"]
    assert claims and all("p" in node["measures"] for node in claims)
    steps = bbilang.plan(program)
    results = bbilang.execute(steps, model=model, input=image, cache=False)
    assert results.reruns == 1000 == steps.total("reruns")[0]
    assert 0 < results.fields["claims"].corrected[0] <= 1
