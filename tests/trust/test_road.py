"""ROAD: the whole curve against its slow twin, and as many passes as the plan says."""

from __future__ import annotations

import numpy as np
import pytest
import slow
import tiny
import torch
from closeness import close_to
from measured import findings

from bbilang.runtime.trust import road

TEXT = "input.pixel | attribute({}) | trust(road) | present(curve)"


def filled(image, gone):
    """Every missing pixel is the weighted mean of the neighbours that it has: equations one by one, solved densely."""
    places = [position for position in np.ndindex(gone.shape) if gone[position]]
    matrix, right = np.zeros((len(places), len(places))), np.zeros((len(places), 3))
    for row, (y, x) in enumerate(places):
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                there = (y + dy, x + dx)
                if (dy, dx) == (0, 0) or not (0 <= there[0] < gone.shape[0] and 0 <= there[1] < gone.shape[1]):
                    continue
                weight = 1 / 6 if 0 in (dy, dx) else 1 / 12
                matrix[row, row] += weight
                if gone[there]:
                    matrix[row, places.index(there)] -= weight
                else:
                    right[row] += weight * image[:, there[0], there[1]]
    out = image.copy()
    for (y, x), colour in zip(places, np.linalg.solve(matrix, right), strict=True):
        out[:, y, x] = colour
    return out


def test_the_slow_twin_of_the_whole_curve(monkeypatch):
    monkeypatch.setattr(road, "NOISE", 0.0)
    monkeypatch.setattr(road, "SHARES", (0.1, 0.3, 0.5))
    one = findings(TEXT.format("output[2]"), "residual")
    image = tiny.images(1)[0].double().numpy()
    own = one["field"].values.ordered(("input", "y", "x")).data[0].astype(float)
    order = sorted(np.ndindex(own.shape), key=lambda position: (-own[position], position))
    want = np.empty((2, 3))
    for row, first in enumerate((order, order[::-1])):
        for column, share in enumerate((0.1, 0.3, 0.5)):
            gone = np.zeros(own.shape, bool)
            for position in first[: round(share * len(order))]:
                gone[position] = True
            changed = slow.prepared("residual", torch.from_numpy(filled(image, gone))[None])
            with torch.no_grad():
                scores = slow.network("residual")(changed)
            want[row, column] = scores.softmax(1)[0, 2]
    slow.close(one["road"].values["scores"][0, 0], want, 1e-4)
    close_to(one["road"].values["gain"][0, 0], (want[1] - want[0]).mean() / 2)


@pytest.mark.parametrize("target", ["output[2]", "output[2] - output[3]", "output[2, score=probability]"])
@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("optimized", [True, False])
def test_planned_is_counted(target, inputs, optimized):
    one = findings(TEXT.format(target), "residual", inputs, optimized)
    steps = [step for step in one["plan"].steps if step.words.startswith("trust: ")]
    assert [step.bound for step in steps] == [False]
    assert one["run"].shared.trust_passes.rows == inputs * steps[0].passes == inputs * 2 * len(road.SHARES)
