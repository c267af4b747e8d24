"""`normalize(scope=pair)`: every pair of layers by its own largest magnitude, whichever end the reader chooses."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

LAYERS = "layers = [a, b, c]\n"
CHOSEN = LAYERS + "root = click(layers.channel | attribute(output) | top(2, per=layer), start=output)\n"
pytestmark = pytest.mark.filterwarnings("ignore:All-NaN")


def fields(pipe: str, head: str):
    """The field of a pipe's end as it is, and divided."""
    ends = ("", " | normalize(scope=pair)")
    return [
        next(iter(r.fields.values()))
        for r in (tiny.run(f"{head}{pipe}{end} | present(bars, facet=layer)") for end in ends)
    ]


def test_of_what_the_reader_chooses():
    """The states whose atoms are of one layer are one end, the output is another."""
    linked, divided = fields("layers.channel | link(root)", CHOSEN)
    before = linked.values.ordered(("root", "layer", "channel", "input")).data
    after = divided.values.ordered(("root", "layer", "channel", "input")).data
    selection = next(
        iter(tiny.run(f"{CHOSEN}layers.channel | link(root) | present(bars, facet=layer)").selections.values())
    )
    ends = selection.coords["layer"].data
    assert sorted(set(ends.tolist())) == [-1, 0, 1, 2]
    expected = np.full_like(before, np.nan)
    for end in (-1, 0, 1, 2):
        for layer in range(3):
            rows = [state for state in range(len(ends)) if ends[state] == end]
            if end != layer:  # within a layer there is no link
                most = max(abs(v) for s in rows for v in before[s, layer].ravel() if v == v)
                for state in rows:
                    expected[state, layer] = before[state, layer] / most
    np.testing.assert_allclose(after, expected, rtol=1e-6)
    assert divided.type.scope == "the largest magnitude of each pair of layers"


def test_of_what_joins_no_layers():
    error = tiny.refused(lambda: tiny.check("a.channel | activation | normalize(scope=pair) | top(3) | present(bars)"))
    assert [d.code for d in error.diagnostics] == ["E230"]
    assert "does not join layers" in tiny.messages(error)
