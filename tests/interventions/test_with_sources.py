"""What other pictures and noise put in place of atoms, by hooks: on residual, concatenating and attention networks, at
cuts and at branches; and interventions on chosen atoms for every example of a dataset."""

from __future__ import annotations

from pathlib import Path

import blocks
import numpy as np
import pytest
import torch
from by_hand import activation, mask, positions, scores
from PIL import Image
from test_by_hand import PLACES
from test_controls_and_sources import executed, field_of

DRAWS = 8


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> tuple[Path, list[torch.Tensor]]:
    folder, made = tmp_path_factory.mktemp("pictures"), []
    for number in range(12):
        pixels = (np.random.default_rng(number).random((12, 12, 3)) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        made.append(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
    return folder, made


def instead(stage: str, network, image: torch.Tensor, layer: str, made: list[torch.Tensor]) -> list[np.ndarray]:
    """What the whole layer would become in each draw."""
    own, where = activation(network, image, layer), positions(layer)
    if stage == "mean":
        means = np.mean([activation(network, one, layer).mean(where, keepdims=True) for one in made], 0)
        return [np.broadcast_to(means, own.shape)]
    if stage == "resample":
        order = np.random.default_rng([0, 6]).permutation(len(made))[:DRAWS]
        return [activation(network, made[number], layer) for number in order]
    if stage == "patch":
        return [activation(network, made[0], layer)]
    normal = np.random.default_rng([0, 5]).standard_normal((DRAWS, 1, *own.shape), np.float32)[:, 0]
    return list(own.mean(where, keepdims=True) + own.std(where, keepdims=True) * normal)


def strongest(network, image, layer) -> list[int]:
    """The two channels with the largest sums over positions, the largest first."""
    own = activation(network, image, layer).sum(positions(layer))
    return np.argsort(-own, kind="stable")[:2].tolist()


def by_hand(network, image, layer, values: list[np.ndarray], keeps: bool) -> np.ndarray:
    """The mean change of all scores where the two strongest channels, or all but those, become these values."""
    before, rows, channels = scores(network, image, layer, None), [], strongest(network, image, layer)
    for value in values:

        def change(own, value=value):
            chosen = sum(mask(own.shape, layer, "channel", (channel,)) for channel in channels)
            return own + (1 - chosen if keeps else chosen) * (value - own)

        rows.append(scores(network, image, layer, change) - before)
    return np.mean(rows, 0)


def close(found: np.ndarray, expected: np.ndarray, before: np.ndarray) -> None:
    """Equal up to the rounding of scores as large as these, which are float32."""
    np.testing.assert_allclose(found, expected, atol=2e-6 * max(1.0, float(np.abs(before).max())), rtol=1e-6)


STAGES = {
    "ablate(mean, source=some, together=true)": "mean",
    "ablate(resample, source=some, together=true)": "resample",
    "ablate(noise, together=true)": "noise",
    "isolate(mean, source=some)": "mean",
    "isolate(resample, source=some)": "resample",
    "patch(source=1, together=true)": "patch",
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_what_stands_instead(name, layer, stage, pictures):
    folder, made = pictures
    network, image = blocks.block(name), blocks.image()
    values = instead(STAGES[stage], network, image, layer, made)
    expected = by_hand(network, image, layer, values, stage.startswith("isolate"))
    text = (f'dataset some = "{folder}"\n{layer}.channel | activation | top(2) | {stage} | effect(output.class)'
            " | present(bars)")  # fmt: skip
    images = (image, made[0]) if "patch" in stage else (image,)
    field = field_of(executed(text, blocks.adapter(name), *images))
    close(field.values.ordered(("input", "class")).data[0], expected, scores(network, image, layer, None))


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_atoms_chosen_on_the_page_change_in_every_example(name, layer, together, pictures):
    folder, made = pictures
    network, image = blocks.block(name), blocks.image()
    chosen = strongest(network, image, layer)
    stage, end = ("ablate(zero, together=true)", "histogram") if together else ("ablate(zero)", "matrix")
    text = (f'dataset some = "{folder}"\n{layer}.channel | activation | top(2)'
            f" | {stage} | effect(output[1]) | across(some) | present({end})")  # fmt: skip
    field = field_of(executed(text, blocks.adapter(name), image))
    values = field.values.ordered(("example",) if together else ("example", "channel")).data
    if not together:
        assert field.coords["channel"].data.tolist() == chosen
    for number, one in enumerate(made):
        before = scores(network, one, layer, None)[1]
        for column, group in enumerate([chosen] if together else [[channel] for channel in chosen]):

            def change(own, group=group):
                return own * (1 - sum(mask(own.shape, layer, "channel", (channel,)) for channel in group))

            expected = scores(network, one, layer, change)[1] - before
            found = values[number] if together else values[number, column]
            close(np.array(found), np.array(expected), np.array(before))
