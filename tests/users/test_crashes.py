"""Ordinary pages that once raised an exception, or showed numbers under the wrong name."""

import csv
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to
from torch import nn

import bbilang
from bbilang import BbiError
from bbilang.runtime.cache.disk import Cache

SIZES = (5, 4)  # channels of the two layers
FLOW = """late = high | factorize(nmf, 3)
early = low | factorize(nmf, 2)
flow = [early, late, output[top(2)]] | link() | present(sankey)
"""


POOL = {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten()}


def named(**modules: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict(modules)).eval()


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """Layers `low` of 5 channels on 8 x 8 positions and `high` of 4 on 4 x 4, after ReLU; 3 classes."""
    torch.manual_seed(0)
    first, second = (nn.Conv2d(a, b, 3, padding=1, stride=2) for a, b in ((3, SIZES[0]), SIZES))
    with torch.no_grad():
        second.weight.mul_(20)  # the layers' numbers are of different size
    return named(first=first, low=nn.ReLU(), second=second, high=nn.ReLU(), **POOL, scores=nn.Linear(SIZES[1], 3))


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def pictures(picture) -> list[torch.Tensor]:
    return [picture, picture.flip(2).roll(1, 0)]


def run(text, net, input, **options):
    return bbilang.run(text, model=net, input=input, **{"cache": False} | options)


def table(page, path: Path) -> list[dict[str, str]]:
    with page.save(path / "numbers.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def activations(net, picture) -> dict[str, np.ndarray]:
    """layer -> (channel, y, x)"""
    with torch.no_grad():
        first = net[:2](picture[None])
        return {"low": first[0].numpy(), "high": net[2:4](first)[0].numpy()}


@brings("Size and memory", "a flow of groups (`sankey`) whose numbers come from the cache", "works")
def test_a_flow_from_the_cache_is_the_same(net, picture, tmp_path):
    cache = Cache(tmp_path / "cache")
    first, second = (run(FLOW, net, picture, cache=cache) for _ in range(2))
    assert second.results.passes is None or second.results.passes.total == 0  # it was recalled
    assert first.view.interfaces == second.view.interfaces
    folders = [tmp_path / name for name in ("first", "second")]
    tables = []
    for folder, page in zip(folders, (first, second), strict=True):
        folder.mkdir()
        tables.append(table(page, folder))
        assert page.save(folder / "page.html").stat().st_size > 100_000
    assert tables[0] == tables[1]


def test_the_numbers_of_a_flow_are_its_links(net, picture, tmp_path):
    """From each node to each; the same in the table."""
    page = run(FLOW, net, picture)
    data = page.data("flow")
    assert data.axes == ("from", "to") and data.values.shape == (2 + 3 + 2,) * 2
    assert data.coords["column"][1].tolist() == [0, 0, 1, 1, 1, 2, 2]
    there = np.isfinite(data.values)
    expected = np.zeros_like(there)
    expected[:2, 2:5] = expected[2:5, 5:] = True  # neighbours in columns
    np.testing.assert_array_equal(there, expected)
    pairs = page.results.fields["flow"].pairs
    close_to(data.values[:2, 2:5], pairs[0].values.ordered(("input", "group", "to.group")).data[0])
    close_to(data.values[2:5, 5:], pairs[1].values.ordered(("input", "group", "class")).data[0])
    names = data.labels["from"][1].tolist()
    assert names[:3] == ["low, group 0", "low, group 1", "high, group 0"] and names[5].startswith("class ")
    links = [row for row in table(page, tmp_path) if row["note"] == "link"]
    assert len(links) == 2 * 3 + 3 * 2
    for row in links:
        here = names.index(row["atom"]), names.index(row["series"])
        close_to(float(row["value"]), float(data.values[here]), digits=4)


def test_the_numbers_of_a_flow_of_several_inputs(net, pictures):
    both = run(FLOW, net, pictures).data("flow")
    assert both.axes == ("input", "from", "to")
    for number, picture in enumerate(pictures):
        alone = run(FLOW, net, picture).data("flow")
        close_to(both.values[number], alone.values, roundings=2**16, because="of what was factorized")
        assert both.labels["to"][1][number].tolist() == alone.labels["to"][1].tolist()


def test_the_numbers_of_a_curve_are_those_drawn(net, picture):
    page = run("c = high.channel | attribute(output) | trust(deletion) | present(curve)", net, picture)
    data, drawn = page.data("c"), page.view.interfaces[0].elements[0].panels[0].frames[0].values
    assert data.axes == ("step", "measure")
    close_to(data.values, np.array(drawn, float), roundings=2**13, because="four digits are drawn")
    with torch.no_grad():
        own = net(picture[None]).softmax(1).max().item()
    close_to(data.values[0, 0], own)  # nothing is removed yet


@brings("Files", "a table (CSV) of a pixel map", "works: one row per pixel")
def test_a_table_has_every_pixel(net, tmp_path):
    picture = torch.rand(3, 80, 80, generator=torch.Generator().manual_seed(2))  # more cells than a page numbers
    page = run("m = input.pixel | attribute(output) | present(heatmap)", net, picture)
    rows = table(page, tmp_path)
    assert len(rows) == 80 * 80
    image = picture[None].clone().requires_grad_()
    scores = net(image)[0]
    (gradient,) = torch.autograd.grad(scores.max(), image)
    expected = (gradient * image).sum(1)[0].detach().numpy()
    assert rows[81]["atom"] == "row 1, column 1"
    actual = np.array([float(row["value"]) for row in rows]).reshape(80, 80)
    close_to(actual, expected, roundings=2**13, because="four digits are written")


def test_a_table_of_too_many_rows_is_refused(net, picture, tmp_path, monkeypatch):
    monkeypatch.setattr("bbilang.runtime.view.build.MOST_ROWS", 100)
    page = run("m = input.pixel | attribute(output) | present(heatmap)", net, picture)
    with pytest.raises(BbiError) as error:
        page.save(tmp_path / "numbers.csv")
    assert error.value.diagnostics[0].code == "E311"
    assert page.save(tmp_path / "page.html").is_file()


@brings(
    "Inputs", "`only(...)` of an element with several inputs, laid out by input", "works: each input has its own atoms"
)
def test_only_of_several_inputs(net, pictures):
    text = """same = low.channel | activation | top(2) | present(bars)
again = low.channel | activation | only(same) | present(bars, facet=input)
where = low.neuron | activation | only(same) | present(heatmap, facet=channel)
"""
    page = run(text, net, pictures)
    for number, picture in enumerate(pictures):
        maps = activations(net, picture)["low"]
        order = np.argsort(-maps.sum((1, 2)), kind="stable")[:2]
        close_to(page.data("again").values[number], maps.sum((1, 2))[order])
        where = page.data("where")
        actual = np.moveaxis(where.values, where.axes.index("channel"), 1)[number]
        close_to(actual, maps[order])


@pytest.mark.parametrize("chosen", ["", "top(9)"])
@pytest.mark.parametrize("scope", ["channel", "layer"])
def test_normalize_keeps_layers_apart(net, picture, scope, chosen):
    """Channel 3 of one layer is not that of another, and what `top` chose is scaled by what it belongs to."""
    stages = f"normalize(scope={scope}) | at(pick([low, high].channel)) | present(heatmap)"
    if chosen:
        stages = f"{chosen} | normalize(scope={scope}) | present(table)"
    page = run(f"n = [low, high].neuron | activation | {stages}", net, picture)
    field = page.results.fields["n"]
    maps = activations(net, picture)
    expected = {name: own / (own.max((1, 2), keepdims=True).clip(1e-30) if scope == "channel" else own.max())
              for name, own in maps.items()}  # fmt: skip
    if not chosen:
        (state,) = field.type.states
        atoms = page.results.selections[state.name].coords
        values = field.values.ordered((state.name, "input", "y", "x")).data[:, 0]
        assert len(values) == sum(SIZES)
        for own, layer, channel in zip(values, atoms["layer"].data, atoms["channel"].data, strict=True):
            name = field.type.layers[layer]
            y, x = maps[name].shape[1:]
            close_to(own[:y, :x], expected[name][channel])
        return
    values = field.values.data[0]
    places = list(zip(*(field.coords[c].data[0] for c in ("layer", "channel", "y", "x")), strict=True))
    largest: dict = {}
    for layer, channel, y, x in places:  # of those that are left
        key = (layer, channel) if scope == "channel" else layer
        largest[key] = max(largest.get(key, 0), maps[field.type.layers[layer]][channel, y, x])
    for value, (layer, channel, y, x) in zip(values, places, strict=True):
        own = maps[field.type.layers[layer]][channel, y, x]
        close_to(value, own / largest[(layer, channel) if scope == "channel" else layer])
    assert len(set(np.round(values, 4))) > 2  # not each by itself


LISTS = [
    "activation | top(2, per=layer)",
    "activation | bottom(2, per=layer)",
    "attribute([output[0], output[1]]) | both(1, by=difference, per=layer)",
    "activation | sort(by=magnitude, per=layer)",
    "activation | sort(along=channel, per=layer)",
    "activation | filter(channel < 3)",
    "activation | normalize(scope=channel)",
    "activation | normalize(scope=layer)",
    "attribute(output) | abs | normalize",
    "attribute(output.class) | sum(class)",
    "attribute(output.class) | norm(class)",
    "attribute([output[0], output[1]]) | difference(class)",
]


@pytest.mark.parametrize("stages", LISTS)
def test_a_list_of_layers_gives_what_each_gives_alone(net, picture, stages):
    style = "table" if "both" in stages else "bars"
    together = run(f"e = [low, high].channel | {stages} | present({style}, facet=layer)", net, picture).results.fields[
        "e"
    ]
    for number, name in enumerate(("low", "high")):
        lone = stages.replace(", per=layer", "")
        alone = run(f"e = {name}.channel | {lone} | present({style})", net, picture).results.fields["e"]
        dims = alone.values.dims
        actual = together.values.ordered(("layer", *dims)).data[number]
        size = alone.values.sizes["channel"]
        here = tuple(slice(size) if d == "channel" else slice(None) for d in dims)
        close_to(actual[here], alone.values.data)
        rest = np.delete(actual, np.s_[:size], axis=dims.index("channel"))
        assert np.isnan(rest).all()


@pytest.mark.parametrize("stages", ["sum(channel)", "mean(channel)", "norm(channel)"])
def test_arithmetic_over_padded_channels(net, picture, stages):
    text = f"e = [low, high].channel | activation | {stages} | present(curve)"
    sums = {name: own.sum((1, 2)) for name, own in activations(net, picture).items()}
    how = {"sum": np.sum, "mean": np.mean, "norm": np.linalg.norm}[stages.partition("(")[0]]
    close_to(run(text, net, picture).data("e").values, [how(sums["low"]), how(sums["high"])])


@brings(
    "Methods",
    "sums and rankings that mix channels of different layers",
    "refused with E231, which suggests an alternative",
)
@pytest.mark.parametrize(
    "stages",
    [
        "sum(layer)",
        "mean(layer)",
        "norm(layer)",
        "difference(layer)",
        "top(2, along=channel)",
        "sort(along=channel)",
    ],
)
def test_positions_of_unlike_layers_are_not_mixed(net, picture, stages):
    with pytest.raises(BbiError) as error:
        run(f"e = [low, high].channel | activation | {stages} | present(bars)", net, picture)
    assert error.value.diagnostics[0].code == "E231" and error.value.diagnostics[0].span is not None


def test_a_layer_of_two_rows_is_not_what_is_subtracted(picture):
    """Positions of a map of 2 x 2 are not a pair of targets."""
    torch.manual_seed(3)
    conv = nn.Conv2d(3, 4, 8, stride=8)
    small = named(conv=conv, low=nn.ReLU(), flat=nn.Flatten(), scores=nn.Linear(16, 2))
    text = "e = low.neuron | attribute([output[0], output[1]]) | top(2, along=channel, by=difference) | sum(y) | sum(x)"
    data = run(f"{text} | present(table)", small, picture).data("e")
    with torch.no_grad():
        part = small[:2](picture[None])[0]
        each = torch.stack([part * small[3].weight[k].reshape(4, 2, 2) for k in (0, 1)])  # (class, channel, y, x)
    order = (each[0] - each[1]).amax((1, 2)).argsort(descending=True, stable=True)[:2]
    values = np.moveaxis(data.values, data.axes.index("class"), 0)
    close_to(values, each.sum((2, 3))[:, order].numpy())


@pytest.mark.parametrize("count", [2, 3])
def test_both_by_difference_per_layer(net, picture, count):
    layers = ("low", "high", "second")[:count]
    text = f"e = [{', '.join(layers)}].channel | attribute([output[0], output[1]])"
    data = run(f"{text} | both(1, by=difference, per=layer) | present(table, facet=layer)", net, picture).data("e")
    assert sorted(data.values.shape) == sorted((count, 2, 2))


@pytest.mark.parametrize("layout", ["row()", "column()", "row(a, column())"])
def test_an_empty_layout_is_refused_at_its_span(net, picture, layout):
    text = f"a = low.channel | top(2) | present(bars)\nlayout {layout}"
    with pytest.raises(BbiError) as error:
        run(text, net, picture)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "E308" and text[slice(*(diagnostic.span.start, diagnostic.span.end))].endswith("()")


# --- size -----------------------------------------------------------------------------------------------------------


def wide(channels: int, classes: int) -> nn.Module:
    torch.manual_seed(4)
    conv = nn.Conv2d(3, channels, 4, stride=4)
    return named(conv=conv, low=nn.ReLU(), **POOL, scores=nn.Linear(channels, classes))


@brings("Size and memory", "a matrix of 672 channels by 1,000 classes", "refused with E310, which names the limit")
@pytest.mark.parametrize("style", ["matrix", "table", "bars", "swatches"])
def test_too_many_marks_are_refused_at_their_span(picture, style):
    net = wide(672, 1000)
    text = f"low.channel | attribute(output.class) | present({style})"
    with pytest.raises(BbiError) as error:
        run(text, net, picture)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "E310" and text[diagnostic.span.start : diagnostic.span.end] == style
    assert "672,000" in diagnostic.message and "top(" in diagnostic.help and "set marks 672000" in diagnostic.help


def test_marks_of_many_states_are_bounded_together(picture):
    with pytest.raises(BbiError) as error:
        run("c = pick(output.class)\nlow.channel | attribute(output[c]) | present(bars)", wide(5001, 1000), picture)
    assert [d.code for d in error.value.diagnostics] == ["E310"] and "1,000 states" in error.value.diagnostics[
        0
    ].message


def test_the_bound_is_lifted_by_a_setting(net, picture):
    text = "low.channel | attribute(output.class) | present(matrix)"
    with pytest.raises(BbiError):
        run(f"set marks 14\n{text}", net, picture)
    assert run(f"set marks 15\n{text}", net, picture).data("element-1").values.shape == (5, 3)


@brings("Size and memory", "a matrix or table of 40,000 cells", "works within seconds")
@pytest.mark.parametrize("style", ["matrix", "table"])
def test_forty_thousand_cells_within_seconds(picture, style, tmp_path):
    page = run(f"low.channel | attribute(output.class) | present({style})", wide(200, 200), picture)
    began = time.process_time()
    html = page.html()
    page.save(tmp_path / "page.json")
    assert time.process_time() - began < 20  # 1 s; it was two minutes
    assert len(html) < 8_000_000
    assert len(table(page, tmp_path)) == 40_000
