"""`matrix` of channels by labels: whatever the order of the axes, atoms are rows and labels columns."""

from __future__ import annotations

import numpy as np
import pytest
from planted import Planting

from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.fields.field import Field, Named


@pytest.mark.parametrize("name", ["label", "subset", "width"])
@pytest.mark.parametrize("first", [True, False])
def test_labels_are_columns(name, first):
    labels, numbers = Axis(name, 2), np.arange(6.0, dtype=np.float32).reshape(2, 3)
    axes = (labels, Axis("channel", 3)) if first else (Axis("channel", 3), labels)
    values = Named(tuple(axis.name for axis in axes), numbers if first else numbers.T)
    coords = {"channel": Named(("channel",), np.array([4, 9, 2]))}
    names = {name: Named((name,), np.array(["cats", "dogs"], object))}
    plant = Planting()
    plant.present("m", "matrix", Field(FieldType("activation", "channel", ("late",), axes), values, coords, names))
    element = plant.view("Matrix").interfaces[0].elements[0]
    frame = element.panels[0].frames[0]
    assert frame.series == ("cats", "dogs") and frame.values == ((0.0, 3.0), (1.0, 4.0), (2.0, 5.0))
    assert [element.atoms[atom].label for atom in frame.atoms] == ["channel 4", "channel 9", "channel 2"]
