"""The page of weights: its numbers, which a network's parameters give without a picture."""

from __future__ import annotations

import pytest
import torch

import bbilang
from bbilang.runtime.models.loading import load

pytestmark = pytest.mark.browser


def test_what_a_neuron_multiplies(read, shown):
    reader = read("what_a_neuron_multiplies")
    module = load("efficientnet_lite0").module
    names = {layer.name: layer.module for layer in load("efficientnet_lite0").description.layers}
    modules = dict(module.named_modules())
    convolution, norm = (layer for layer in modules[names["block5c.project"]].children())
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weights = (convolution.weight[:, :, 0, 0] * scale[:, None]).detach().double()
    into = weights[3]
    order = into.argsort(descending=True).tolist()
    expected = [*order[:4], *order[-4:]]
    assert reader.atoms("icons", "channel").ravel().tolist() == expected
    shown(reader.numbers("icons"), into[expected].numpy())
    assert len(reader.pictures("icons")) == 8
    best = weights.abs().argmax()
    to, start = divmod(int(best), weights.shape[1])
    assert f"from channel {start} to channel {to}" in reader.words("pairs")
    assert f"channel {order[0]}" in reader.words("kernel") and "in the middle" in reader.words("kernel")


UNIT = 29  # of block2b.expand, whose circuit the page shows
COLOURS = {
    "red": (1, 0, 0), "magenta": (1, 0, 1), "yellow": (1, 1, 0), "grey": (0.5, 0.5, 0.5), "blue": (0, 0, 1),
    "green": (0, 1, 0), "cyan": (0, 1, 1),
}  # fmt: skip


def folded(layer: str) -> torch.Tensor:
    """The weights of a layer of EfficientNet-Lite0 with its batch norm, (to, from, y, x)."""
    model = load("efficientnet_lite0")
    names = {layer.name: layer.module for layer in model.description.layers}
    parts = list(dict(model.module.named_modules())[names[layer]].children())
    (convolution,) = [part for part in parts if isinstance(part, torch.nn.Conv2d)]
    (norm,) = [part for part in parts if isinstance(part, torch.nn.BatchNorm2d)]
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return (convolution.weight * scale[:, None, None, None]).detach().double()


def by_hand(depthwise: str, project: str, expand: str) -> torch.Tensor:
    """(to, from): what two 1 x 1 convolutions after a depthwise one multiply an even surface by."""
    return folded(expand)[:, :, 0, 0] @ folded(project)[:, :, 0, 0] * folded(depthwise).sum((1, 2, 3))


def strongest(row: torch.Tensor) -> list[int]:
    return row.abs().argsort(descending=True)[:3].tolist()


def test_what_a_circuit_computes(read, shown):
    """Its channels and weights are those that the parameters give by hand; pointing finds a channel among the icons,
    and a click leaves the bands that lead through it."""
    reader = read("what_a_circuit_computes")
    early = by_hand("block1a.depthwise", "block1a.project", "block2a.expand")
    late = by_hand("block2a.depthwise", "block2a.project", "block2b.expand")[UNIT]
    middle = strongest(late)
    assert middle == [87, 90, 33]
    shares = [float((row[strongest(row)] ** 2).sum() / (row**2).sum()) for row in (late, *early[middle])]
    assert [round(100 * share) for share in shares] == [71, 88, 87, 66]  # what docs/gallery.md says
    lowest = list(dict.fromkeys(c for row in early[middle] for c in strongest(row)))
    assert lowest == [23, 3, 19, 18]
    first, second = reader.compiled.page.results.fields["flow"].pairs
    links = early[middle][:, lowest].T
    assert torch.allclose(torch.from_numpy(first.values.data).double(), links, atol=1e-5)
    assert torch.allclose(torch.from_numpy(second.values.data).double().ravel(), late[middle], atol=1e-5)
    shown(reader.numbers("middle"), late[middle].numpy())
    for channel in middle:
        best = strongest(early[channel])
        assert reader.atoms(f"of_{channel}", "channel").ravel().tolist() == best
        shown(reader.numbers(f"of_{channel}"), early[channel][best].numpy())
    lead = reader.tab.locator(".lead").first.inner_text()
    assert f"The largest weight into channel {UNIT} of block2b.expand is from channel 87 (+0.59)" in lead

    def widths():
        return reader.tab.eval_on_selector_all(
            "[data-chart=flow] .mark-line path", "all => all.map(n => Number(n.getAttribute('stroke-width')))"
        )

    before, looks = widths(), reader.tab.locator("#element-of_33").inner_html()
    assert sum(wide > 0 for wide in before) == 4 * 3 + 3
    name = next(text for text in reader.texts("flow") if text.startswith("channel 18"))
    reader.point_at_words("flow", name)
    assert reader.tab.locator("#element-of_33").inner_html() != looks  # 18 is one of its icons, and is marked
    box = reader.text_mark("flow", name)
    reader.tab.mouse.click(box["x"] + 4, box["y"] + box["height"] / 2)
    reader.away()
    after = widths()
    assert after != before and sum(after) < sum(before)
    reader.tab.locator("#element-flow .chart").focus()
    reader.tab.keyboard.press("Escape")
    reader.away()
    assert widths() == before


def test_the_circuit_of_the_gallery_answers_to_colours_as_it_says():
    """Its weights say blue and cyan and not red; so does the network, on pictures of one colour."""
    text = f"block2b.expand.neuron[28, 28, {UNIT}] | activation | present(bars)"
    found = {}
    for name, colour in COLOURS.items():
        picture = torch.tensor(colour, dtype=torch.float32)[:, None, None].expand(3, 224, 224).contiguous()
        page = bbilang.run(text, model="efficientnet_lite0", input=picture)
        found[name] = round(float(page.data("element-1").values.ravel()[0]), 1)
    said = {"cyan": 4.4, "green": 3.3, "blue": 3.1, "grey": 1.4, "yellow": 1.0, "red": 0, "magenta": 0}
    assert found == said  # docs/gallery.md
