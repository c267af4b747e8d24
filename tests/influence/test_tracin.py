"""`influence(..., method=tracin)`: the sum over checkpoints against gradients by hand, and which files it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.inputs.images import read
from bbilang.runtime.models.loading import load

HEAD = 'model "sample:marks"\ninput "sample:marked_disc"\ndataset training = "sample:marks" | sample(16)\n'
PIPE = 'output["square"] | influence(training, method=tracin, checkpoints="runs/*.safetensors") | present(image)'
ATOM = PIPE.replace('output["square"]', "first.channel[3]")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two checkpoints: the network's weights, with noise of two sizes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    state = load("sample:marks").module.state_dict()
    for number, size in enumerate((0.02, 0.05)):
        generator = torch.Generator().manual_seed(number)
        noisy = {name: value + size * torch.randn(value.shape, generator=generator) * value.is_floating_point()
                 for name, value in state.items()}  # fmt: skip
        save_file(noisy, str(tmp_path / "runs" / f"epoch_{number}.safetensors"))
    return tmp_path / "runs"


def page_of(text: str, folder, **options):
    (folder / "page.bbi").write_text(HEAD + text)
    return bbilang.run(folder / "page.bbi", **options)


def gradient(module: nn.Module, value: torch.Tensor) -> np.ndarray:
    weights = [p for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear) for p in m.parameters()]
    found = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True)
    return np.concatenate([(torch.zeros_like(p) if g is None else g).flatten().double().numpy()
                           for p, g in zip(weights, found, strict=True)])  # fmt: skip


def slow(path, atom: bool) -> np.ndarray:
    network = load("sample:marks", weights=path)
    module = network.module.requires_grad_(True)
    every = open_dataset("sample:marks").sample(16)
    names = list(network.description.labels)
    kept = []
    network.module_of("first").register_forward_hook(lambda m, a, result: kept.append(result))
    score = module(network.normalize(network.prepare(read("sample:marked_disc").image)[0][None]))
    number = gradient(module, kept[0][0, 3].sum() if atom else score[0, names.index("square")])
    rows = []
    for n in range(16):
        image, label = network.prepare(every.picture(n))[0], names.index(str(every.labels[n]))
        scores = module(network.normalize(image[None]))
        rows.append(gradient(module, nn.functional.cross_entropy(scores, torch.tensor([label]))) @ number)
    return -np.array(rows)


@pytest.mark.parametrize("text", [PIPE, ATOM], ids=["score", "atom"])
def test_equal_to_the_sum_over_checkpoints_by_hand(text, runs):
    before = {name: value.clone() for name, value in load("sample:marks").module.state_dict().items()}
    page = page_of(text, runs.parent, cache=False)
    field = page.results.fields["element-1"]
    expected = sum(slow(path, text is ATOM) for path in sorted(runs.iterdir()))
    expected /= np.sqrt(np.square(expected).mean())
    own = field.values.data.reshape(16, -1)[:, 0]
    assert np.abs(own - expected).max() < 1e-4 * np.abs(expected).max()
    assert "2 checkpoints: epoch_0.safetensors to epoch_1.safetensors" in field.notes
    assert all(torch.equal(value, before[name]) for name, value in page.results.adapter.module.state_dict().items())


def test_the_page_follows_the_files(runs, tmp_path):
    cache = tmp_path / "cache"
    first, again = (page_of(PIPE, runs.parent, cache=cache).results for _ in range(2))
    assert again.reused.elements == ("element-1",)
    (runs / "epoch_1.safetensors").unlink()
    other = page_of(PIPE, runs.parent, cache=cache).results
    assert not other.reused.elements
    values = [it.fields["element-1"].values.data for it in (first, other)]
    assert not np.allclose(*values)


def test_the_plan_counts_each_checkpoint(runs):
    (runs.parent / "page.bbi").write_text(HEAD + PIPE)
    program = bbilang.check(bbilang.parse(runs.parent / "page.bbi"))
    draws = [step for step in bbilang.plan(bbilang.optimize(program)).steps if step.kind == "draw"]
    assert [step.passes for step in draws] == [2 * 16 * 2]


@pytest.mark.parametrize("text, words", [
    ("output | influence(training, method=tracin) | present(image)", "none are given"),
    ('output | influence(training, checkpoints="runs/*.safetensors") | present(image)', "take `method=tracin`"),
    (PIPE.replace("runs/", "nowhere/"), "there is no file nowhere/*.safetensors"),
])  # fmt: skip
def test_refused(text, words, runs):
    with pytest.raises(BbiError) as failure:
        page_of(text, runs.parent, cache=False)
    found = failure.value.diagnostics[0]
    assert found.code == "E280" and words in f"{found.message} {found.help}"


def test_a_file_of_another_network(runs):
    save_file({"weight": torch.zeros(3)}, str(runs / "epoch_2.safetensors"))
    with pytest.raises(BbiError) as failure:
        page_of(PIPE, runs.parent, cache=False)
    assert failure.value.diagnostics[0].code == "E404"


def test_files_stay_in_the_folder_of_root(runs, tmp_path_factory):
    from bbilang.pipeline import Pipeline, Request
    from bbilang.texts import read as read_text

    (runs.parent / "page.bbi").write_text(HEAD + PIPE)
    other = tmp_path_factory.mktemp("root")
    with pytest.raises(BbiError) as failure:
        _ = Pipeline(Request(read_text(str(runs.parent / "page.bbi")), root=other)).program
    assert any("--root" in each.message for each in failure.value.diagnostics)
