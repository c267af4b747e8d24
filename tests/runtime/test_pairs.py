"""`normalize(scope=pair)`: every pair of layers by its own largest magnitude, whichever end the reader selects."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from closeness import close_to

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
            most = max(abs(v) for s in rows for v in before[s, layer].ravel() if v == v)
            for state in rows:
                expected[state, layer] = before[state, layer] / most
    close_to(after, expected)
    assert divided.type.scope == "scaled separately for each pair of layers"


def test_of_what_joins_no_layers():
    error = tiny.refused(lambda: tiny.check("a.channel | activation | normalize(scope=pair) | top(3) | present(bars)"))
    assert [d.code for d in error.diagnostics] == ["E230"]
    assert "does not join layers" in tiny.messages(error)


def test_the_chosen_atom_stands_in_its_own_layer():
    """With its own score, and alone: within one layer there is no link."""
    for optimized in (True, False):
        results = tiny.run(f"{CHOSEN}layers.channel | link(root) | present(bars, facet=layer)", optimized=optimized)
        linked = next(iter(results.fields.values())).values.ordered(("root", "layer", "channel", "input")).data[..., 0]
        chosen = next(iter(results.selections.values())).coords
        for state, (layer, channel) in enumerate(zip(chosen["layer"].data, chosen["channel"].data, strict=True)):
            if layer < 0:
                continue
            name = "abc"[layer]
            score = tiny.values(f"{name}.channel | activation | top(8) | sort(by=magnitude) | present(bars)", "channel")
            places = tiny.coordinates(
                f"{name}.channel | activation | top(8) | sort(by=magnitude) | present(bars)", "channel"
            )
            own = linked[state, layer]
            assert np.flatnonzero(np.isfinite(own)).tolist() == [channel]
            close_to(own[channel], score[places.tolist().index(channel)])
