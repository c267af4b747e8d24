"""`influence` and `self_influence`: numbers of the language against gradients by hand, and what they share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.influence.curvature import measured
from bbilang.runtime.influence.weights import weighted_layers
from bbilang.runtime.influence.work import Network, on_itself
from bbilang.runtime.models.loading import load

HEAD = 'model "sample:marks"\ninput "sample:marked_disc"\ndataset training = "sample:marks" | sample(40)\n'


@pytest.fixture(scope="module")
def network():
    return load("sample:marks")


@pytest.fixture(scope="module")
def examples(network):
    """(numbers, images, labels) of the 40 examples."""
    every = open_dataset("sample:marks")
    own = every.sample(40)
    images = torch.stack([network.prepare(own.picture(n))[0] for n in range(len(own))])
    names = list(network.description.labels)
    return own.rows, images, torch.tensor([names.index(str(label)) for label in own.labels])


def flat(network, value: torch.Tensor) -> np.ndarray:
    """The gradient of one number by the weights of convolutions and linear layers."""
    kinds = (nn.Conv2d, nn.Linear)
    weights = [p for m in network.module.modules() if isinstance(m, kinds) for p in (m.weight, m.bias) if p is not None]
    for p in weights:
        p.requires_grad_(True)
    found = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True)
    return np.concatenate([(torch.zeros_like(p) if g is None else g).flatten().double().numpy()
                           for p, g in zip(weights, found, strict=True)])  # fmt: skip


def of_losses(network, images: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    rows = []
    for image, label in zip(images, labels, strict=True):
        score = network.module(network.normalize(image[None]))
        rows.append(flat(network, nn.functional.cross_entropy(score, label[None])))
    return np.stack(rows)


@pytest.fixture
def training(network):
    """Gradients by the weights of the network, for a while."""
    with torch.enable_grad():
        for p in network.module.parameters():
            p.requires_grad_(True)
        yield
        network.module.requires_grad_(False)


def page_of(text: str, **options):
    return bbilang.run(HEAD + text, **options)


def picture(network) -> torch.Tensor:
    from bbilang.runtime.inputs.images import read

    return network.prepare(read("sample:marked_disc").image)[0][None]


TEXTS = {
    "score": 'output["square"] | influence(training, method=dot) | present(image)',
    "difference": 'output["square"] - output["disc"] | influence(training, method=dot) | present(image)',
    "probability": 'probability(output["disc"]) | influence(training, method=dot) | present(image)',
    "atom": "first.channel[3] | influence(training, method=dot) | present(image)",
    "relation": 'first.channel[3] | attribute(output["square"]) | influence(training, method=dot) | present(image)',
}


def number(name: str, network, image: torch.Tensor) -> torch.Tensor:
    kept = []
    handle = network.module_of("first").register_forward_hook(lambda m, a, r: kept.append(r))
    scores = network.module(network.normalize(image))
    handle.remove()
    names = list(network.description.labels)
    square, disc = (scores[0, names.index(one)] for one in ("square", "disc"))
    if name == "score":
        return square
    if name == "difference":
        return square - disc
    if name == "probability":
        return scores.softmax(1)[0, names.index("disc")]
    if name == "atom":
        return kept[0][0, 3].sum()
    (slope,) = torch.autograd.grad(square, kept[0], create_graph=True)
    return (slope * kept[0])[0, 3].sum()


@pytest.mark.parametrize("name", ["score", "difference", "atom", "relation"])
def test_equal_to_gradients_by_hand(name, network, examples, training):
    rows, images, labels = examples
    field = page_of(TEXTS[name]).results.fields["element-1"]
    slow = -of_losses(network, images, labels) @ flat(network, number(name, network, picture(network)))
    slow /= np.sqrt(np.square(slow).mean())
    assert field.coords["example"].data.tolist() == rows.tolist()
    own = field.values.data.reshape(len(rows), -1)[:, 0]
    assert np.abs(own - slow).max() < 1e-4 * np.abs(slow).max()


def test_one_pass_for_all_that_ask(monkeypatch):
    """Several questions of one method run each example once; without the optimizer each runs them for itself."""
    from bbilang.runtime.influence import work

    seen = []
    usual = work.Network.gradients
    monkeypatch.setattr(
        work.Network, "gradients", lambda self, images, score: seen.append(1) or usual(self, images, score)
    )
    text = "\n".join(TEXTS[name] for name in ("score", "difference", "atom"))
    together = page_of(text, cache=False)
    once = len(seen)
    apart = page_of(text, cache=False, optimized=False)
    assert once == 5 and len(seen) - once == 3 * once  # 40 examples in batches of 8
    for element in ("element-1", "element-2", "element-3"):
        one, other = (page.results.fields[element].values.data for page in (together, apart))
        assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()


def test_the_plan_counts_them():
    text = HEAD + "\n".join(TEXTS[name] for name in ("score", "difference"))
    program = bbilang.check(bbilang.parse(text))
    draws = [step for step in bbilang.plan(bbilang.optimize(program)).steps if step.kind == "draw"]
    assert [step.passes for step in draws] == [80, 0]  # each example there and back, once for both
    assert draws[0].flops == 40 * 3 * program.description.flops
    ekfac = bbilang.check(bbilang.parse(HEAD + "output | influence(training) | present(image)"))
    assert bbilang.plan(bbilang.optimize(ekfac)).steps[-1].passes == 240


@pytest.mark.parametrize("method", ["dot", "ekfac"])
def test_the_passes_that_ran_are_those_of_the_plan(method, tmp_path):
    """Of each step, and in the footer; a second time the cache has them."""
    text = HEAD + f"output | influence(training, method={method}) | top(4, along=example) | present(image)"
    runs = {"dot": 1, "ekfac": 3}[method]
    results = bbilang.run(text, cache=False).results
    (step, measured) = next(each for each in results.timings if each[0].kind == "draw")
    assert step.passes == measured.passes == 80 * runs, "there and back"
    assert (results.scanned, results.recalled) == (40 * runs, 0)
    first = bbilang.run(text, cache=tmp_path).results
    again = bbilang.run(text.replace("top(4,", "top(5,"), cache=tmp_path).results
    assert (first.scanned, first.recalled, again.scanned, again.recalled) == (40 * runs, 0, 0, 40)


def test_the_same_page_again_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path))
    text = HEAD + "output | influence(training) | top(4, along=example) | present(image)"
    first = bbilang.run(text)
    from bbilang.runtime.influence import work

    monkeypatch.setattr(work.Network, "gradients", None)
    again = bbilang.run(text.replace("top(4,", "top(5,"))
    assert np.array_equal(
        again.results.fields["element-1"].values.data[:4], first.results.fields["element-1"].values.data
    )


def test_what_has_no_label_has_no_influence(tmp_path, network):
    own = open_dataset("sample:marks").sample(12)
    (tmp_path / "table.csv").write_text("file,label\n" + "".join(
        f"{n}.png,{own.labels[n] if n % 3 else 'elephant'}\n" for n in range(12)))  # fmt: skip
    for n in range(12):
        own.picture(n).save(tmp_path / f"{n}.png")
    text = ('model "sample:marks"\ninput "sample:marked_disc"\ndataset training = "table.csv"\n'
            "output | influence(training, method=dot) | present(image)")  # fmt: skip
    (tmp_path / "page.bbi").write_text(text)
    field = bbilang.run(tmp_path / "page.bbi").results.fields["element-1"]
    lost = np.isnan(field.values.data.ravel())
    assert lost.tolist() == [n % 3 == 0 for n in range(12)]
    assert any("4 examples left out: the label is no class" in note for note in field.notes)


def refused(text: str) -> str:
    with pytest.raises(BbiError) as failure:
        bbilang.run(HEAD + text)
    return failure.value.diagnostics[0].code


def test_refused():
    shapes = 'dataset shapes = "sample:shapes" | sample(12)\n'
    others = shapes.replace('"sample:shapes"', '"sample:shapes" | filter(label == "star")')
    assert refused(others + "output | influence(shapes) | present(image)") == "E595"
    assert refused("first.neuron | influence(training) | present(image)") == "E238"  # too many
    assert refused("first.channel | sum(channel) | influence(training) | present(image)") == "E238"
    assert refused("output | influence(training, method=dot, damping=0.1) | present(image)") == "E238"
    assert refused("output[pick(output[top(2)])] | influence(training) | present(image)") in ("E238", "E225")


def test_examples_with_a_wrong_label_move_their_own_loss_most():
    """A small network fits three noisy patterns, 12 of 120 of them with a wrong label."""
    torch.manual_seed(0)
    labels = np.arange(120) % 3
    images = (torch.rand(3, 3, 8, 8)[labels] + 0.3 * torch.rand(120, 3, 8, 8)).clamp(0, 1)
    wrong = np.random.default_rng(0).permutation(120)[:12]
    labels[wrong] = (labels[wrong] + 1) % 3
    small = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(small.parameters(), 3e-3, weight_decay=1e-3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(small(images), torch.from_numpy(labels)).backward()
        optimizer.step()
    network = Network(bbilang.adapt(small, (8, 8)), weighted_layers(small), "logits")
    generator = torch.Generator()

    def batches():
        generator.manual_seed(0)
        for part in images.split(40):
            yield network.drawn(part, generator)

    found = on_itself(network, images, torch.from_numpy(labels), measured(batches, 120))
    assert set(found.argsort(descending=True)[:12].tolist()) == set(wrong.tolist())


@pytest.mark.parametrize("method", ["ekfac", "trak", "cosine", "exact"])
def test_every_method_finds_the_marked_squares(method):
    """What made the network take a marked disc for a square: the mean influence of marked squares is larger than that
    of all others."""
    text = (HEAD.replace("sample(40)", 'filter(set == "biased") | sample(150)')
            + f'output["square"] | influence(training, method={method}) | present(image)')  # fmt: skip
    field = bbilang.run(text).results.fields["element-1"]
    values, labels = field.values.data.ravel(), field.columns["label"].data
    assert np.isfinite(values).all()
    if method == "ekfac":
        assert values[labels == "square"].mean() > values[labels != "square"].mean()
        assert (labels[np.argsort(-values)[:5]] == "square").sum() >= 3


def test_workers_give_the_same(tmp_path):
    """The gradients of each example are taken in two processes, and kept in shards as those of one are."""
    from bbilang.grammar.source import Source
    from bbilang.pipeline import Pipeline, Request
    from bbilang.runtime.cache.disk import Cache

    text = Source(HEAD + TEXTS["score"])
    one, two = (
        Pipeline(Request(text, cache=Cache(tmp_path / str(workers)), workers=workers)).results.fields["element-1"]
        for workers in (None, 2)
    )
    assert np.array_equal(one.coords["example"].data, two.coords["example"].data)
    assert np.abs(one.values.data - two.values.data).max() <= 1e-5 * np.abs(one.values.data).max()


def test_a_damaged_record_of_the_curvature_is_measured_again(tmp_path):
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.execution.example_maps import remembered_arrays

    cache, what = Cache(tmp_path), {"what": "curvature"}
    assert remembered_arrays(cache, what, lambda: {"a": np.arange(3.0)})["a"].tolist() == [0, 1, 2]
    (record,) = cache.keys()
    cache.put(record, b"PK\x03\x04 cut short", {"kind": "numbers"})
    assert remembered_arrays(cache, what, lambda: {"a": np.arange(2.0)})["a"].tolist() == [0, 1]
