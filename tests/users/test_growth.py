"""No leaks: after a run no tensor and no module stays alive, without the cyclic garbage collector."""

import gc
import weakref
from pathlib import Path

import psutil
import pytest
import torch
from brings import brings
from torch import nn

import bbilang
from bbilang.registry import registry
from bbilang.runtime.trust.registry import MEASURES

SIZE = 64
RUNS = 30
KEPT = 0.5e6  # bytes that a run would leave, at the least, if it left its activations
FIRST = "set featvis(size=16, steps=2)\n"


class Seen(nn.Module):
    """Remembers, weakly, every tensor that went through any network."""

    tensors: list[weakref.ref[torch.Tensor]] = []

    def forward(self, x):
        self.tensors.append(weakref.ref(x))
        return x


class Net(nn.Module):
    """In place where it can be, with activations of 128 kB; ``fx``: torch.fx can follow it."""

    def __init__(self, fx=True):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.seen = Seen()
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(inplace=True), Seen(), nn.MaxPool2d(2))
        self.late = nn.Sequential(nn.Conv2d(8, 6, 3, 2, 1), nn.ReLU(inplace=True), Seen())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, 4)
        self.fx = fx

    def forward(self, x):
        x = self.seen(self.stem(x))
        if not self.fx and float(x.detach().sum()) < -1e9:
            return x
        x = self.body(x)
        x += x * 0.5
        return self.head(self.pool(self.late(x)).flatten(1))


def picture():
    return torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory):
    """Import libraries first: they keep errors, and with them the frames that imported them, until the collector
    runs."""
    pages(STYLES["bars"], ["html"], tmp_path_factory.mktemp("warm"), 1, cache=False)
    Seen.tensors.clear()


@pytest.fixture(autouse=True)
def without_collector():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    torch.set_num_threads(threads)
    Seen.tensors.clear()


def alive():
    tensors = [x for x in (one() for one in Seen.tensors) if x is not None]
    Seen.tensors.clear()
    return len(tensors)


def resident():
    return psutil.Process().memory_info().rss


def unfolded(text, runs=RUNS, fx=True, refused=""):
    """Runs a text so often; asserts after each that its tensors are gone, and that the resident size levels off."""
    module = Net(fx).eval()
    gone = weakref.ref(module)
    adapter = bbilang.adapt(module, (SIZE, SIZE))
    pictures = [picture()]
    steps = bbilang.plan(bbilang.optimize(bbilang.check(bbilang.parse(FIRST + text), model=adapter, input=pictures)))
    Seen.tensors.clear()
    sizes = []
    for number in range(runs):
        code = ""
        try:
            results = bbilang.execute(steps, model=adapter, input=pictures, cache=False)
            assert results.fields
            del results
        except bbilang.BbiError as error:
            code = error.diagnostics[0].code
        assert code == refused
        assert Seen.tensors or number, "the network was not run"
        assert not alive(), f"tensors of run {number + 1} are still there"
        sizes.append(resident())
    third = runs // 3  # allocators come and go: the least of the last third, beside the most of the one before
    grown = min(sizes[-third:]) - max(sizes[third:-third])
    assert grown < KEPT * third / 2, f"{grown / 1e6:.1f} MB more after {third} runs"
    del module, adapter, steps
    assert gone() is None, "the network is still there"


PARAMETERS = {
    "extremal_perturbation": "(steps=2)",
    "meaningful_perturbation": "(steps=2)",
    "integrated_gradients": "(n_steps=3)",
    "rise": "(n_masks=8)",
    "smoothgrad": "(n_samples=2)",
    "vargrad": "(n_samples=2)",
    "occlusion": "(window=32, stride=32)",
}
SLOW = ("extremal_perturbation", "meaningful_perturbation", "insertion", "road", "random_weights", "shift_invariance")


@brings("Size and memory", "any attribution method, 30 times in one process", "works: no tensor or module is leaked")
@pytest.mark.parametrize("method", list(registry().methods))
def test_methods(method):
    said = method + PARAMETERS.get(method, "")
    unfolded(f"input.pixel | attribute(output[1], method={said}) | present(heatmap)", 9 if method in SLOW else RUNS)


@pytest.mark.parametrize("fx", [True, False], ids=["fx", "hooks"])
@pytest.mark.parametrize(
    "method",
    ["linear", "integrated_gradients(n_steps=3)", "rise(n_masks=8)", "lrp", "guided_backprop",
     "smoothgrad(n_samples=2)", "excitation_backprop", "competitive_input_x_gradient"],
)  # fmt: skip
def test_methods_at_hidden_layers_and_to_their_atoms(method, fx):
    lines = [f"late.spatial | attribute(output[1], method={method}) | present(heatmap)"]
    if not method.startswith(("competitive", "rise")):
        lines.append(f"stem.channel | attribute(late.channel[1], method={method}) | present(bars)")
    unfolded("\n".join(lines), 9, fx)


DOUBTS = {
    name: f'{"input.pixel" if kind.input_only else "late.channel"} | attribute(output[1]) '
    f"| {'top(2) | ' if kind.of_shown else ''}trust({name}) | present({'curve' if kind.input_only else 'bars'})"
    for name, kind in MEASURES.items()
    if not (kind.boxed or kind.of_influence)
}  # fmt: skip


@brings("Size and memory", "any measure of trust, operation or style, repeatedly", "works: nothing is leaked")
@pytest.mark.parametrize("measure", DOUBTS)
def test_measures(measure):
    unfolded(DOUBTS[measure], 9 if measure in SLOW else RUNS)


OPERATIONS = {
    "gradient": "late.channel | gradient(output[1]) | abs | sort | present(bars)",
    "activation": "[stem, late].neuron | activation | norm(channel) | normalize | present(heatmap, facet=layer)",
    "factorize": "late | factorize(nmf, 2) | attribute(output.class) | present(matrix)",
    "factorize, attributions": "late | factorize(svd, 2, of=attribute(output[1])) | present(bars)",
    "project": "late.spatial | project(pca, 3) | present(rgb)",
    "link": "a = stem | factorize(nmf, 2)\nb = late | factorize(nmf, 2)\n"
    "[a, b, output[top(2)]] | link() | present(sankey)",
    "chain": "stem.channel | attribute(late.channel[1] -> output) | present(bars)",
    "forward mode": "stem.channel | attribute(late.channel) | present(matrix)",
    "several methods": "late.spatial | attribute(output, method=[linear, lrp]) | present(heatmap, facet=method)",
    "top, both, filter": "late.channel | attribute(output) | filter(value > 0) | both(2) | present(bars)",
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name):
    unfolded(OPERATIONS[name], 9 if name.startswith("factorize") or name == "link" else RUNS)


REFUSED = {
    "E515": "stem.spatial | attribute(output[1], method=cam) | present(heatmap)",
}


@pytest.mark.parametrize("code", REFUSED)
def test_errors(code):
    unfolded(REFUSED[code], refused=code)


STYLES = {
    "bars": "late.channel | attribute(output) | top(2) | present(bars)",
    "curve": "[stem, late].whole | activation | present(curve)",
    "featvis": "late.channel | attribute(output) | top(2) | present(featvis)",
    "graph": "[stem, late].whole | activation | present(graph)",
    "grid": "late.spatial | activation | present(grid)",
    "heatmap": "photo = input | present(image)\nstem.spatial | activation | present(heatmap, over=photo)",
    "histogram": 'dataset shapes = "sample:shapes" | sample(6)\n'
    "late.channel[0] | activation(reduce=max) | across(shapes) | present(histogram)",
    "image": "input | present(image)\nlate.channel | activation | present(bars)",
    "masks": "photo = input | present(image)\ngroups = late | factorize(nmf, 2)\n"
    "groups.spatial | present(masks, over=photo)",
    "matrix": "late.channel | attribute(output.class) | present(matrix)",
    "rgb": "late.spatial | project(pca, 3) | present(rgb)",
    "sankey": OPERATIONS["link"],
    "scatter": "late.spatial | project(pca, 2) | present(scatter)",
    "swatches": "late.channel | attribute(output.class) | present(swatches, facet=class)",
    "number": "output | present(number)",
    "table": "late.channel | attribute(output) | top(2) | present(table)",
    "space": "photo = input | present(image)\npresent(space)",
}
LATER = ("atlas", "arcs")  # need a dataset, and heads of attention


def pages(text, formats, folder, runs, **options):
    """Write pages of texts by `bbilang.run`, each with its own network."""
    for number in range(runs):
        module = Net().eval()
        gone = weakref.ref(module)
        page = bbilang.run(FIRST + text, model=module, input=picture(), **options)
        for format in formats:
            page.save(folder / f"page.{format}", format)
        del page, module
        if number:  # the first has imports and caches of its own
            assert not alive(), f"tensors of page {number + 1} are still there"
            assert gone() is None, f"the network of page {number + 1} is still there"
        Seen.tensors.clear()


def test_every_style_is_looked_at():
    assert {*STYLES, *LATER} == set(registry().styles)


@pytest.mark.parametrize("style", STYLES)
def test_styles(style, tmp_path):
    pages(STYLES[style], ["html"], tmp_path, 3, cache=False)


@brings("Size and memory", "`run`, `explain` and `page.save` in every format, repeatedly", "works: nothing is leaked")
@pytest.mark.parametrize("format", ["html", "json", "csv", "svg", "png", "pdf"])
def test_formats(format, tmp_path):
    if format in ("svg", "png", "pdf"):
        pytest.importorskip("vl_convert")
    pages(STYLES["bars"], [format], Path(tmp_path), 3)


def test_the_stages_one_by_one():
    for number in range(4):
        module = Net().eval()
        gone = weakref.ref(module)
        adapter = bbilang.adapt(module, (SIZE, SIZE))
        text = FIRST + STYLES["bars"]
        told = bbilang.explain(text, model=adapter, input=[picture()])
        steps = bbilang.plan(bbilang.optimize(bbilang.check(bbilang.parse(text), model=adapter, input=[picture()])))
        results = bbilang.execute(steps, model=adapter, input=[picture()])
        html = bbilang.render(bbilang.view(results))
        assert html and told
        del told, adapter, module, steps, results, html
        if number:
            assert not alive() and gone() is None
        Seen.tensors.clear()
