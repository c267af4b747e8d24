"""`bbilang.callbacks.Recorder`: what it writes, and that a training with it is the same as without it."""

from __future__ import annotations

import json
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import bbilang
from bbilang import BbiError
from bbilang.callbacks import Recorder, TrainingWarning
from bbilang.callbacks import outputs as outputs_module
from bbilang.callbacks.recorder import _module

PAGE = "input.pixel | attribute(output, method=linear) | present(heatmap)\noutput.class | top(2) | present(bars)"
CLAIMS = 'claim "It is the first" = output[0, score=probability] > 0.5\noutput.class | top(2) | present(bars)'


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip


def picture() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 255, (12, 12, 3), dtype=np.uint8)


def trained(net: nn.Module, record=lambda epoch, loss: None, epochs: int = 2) -> list[float]:
    """Train with everything that a recorder could disturb: dropout, batch norm, shuffles by three generators."""
    torch.manual_seed(1)
    np.random.seed(2)
    random.seed(3)
    x, y = torch.rand(24, 3, 12, 12), torch.arange(24) % 3
    optimizer, losses = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9), []
    for epoch in range(1, epochs + 1):
        net.train()
        order = [int(n) for n in np.random.permutation(24)]
        random.shuffle(order)
        for start in range(0, 24, 8):
            rows = order[start : start + 8]
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(x[rows] + 0.1 * torch.randn(8, 3, 12, 12)), y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        record(epoch, losses[-1])
    return losses


@pytest.mark.parametrize("around", ["nothing", "autocast", "no_grad", "inference"])
def test_a_training_is_the_same_with_and_without_it(around, tmp_path):
    """Losses, weights and buffers are bit-equal, wherever in a training it is called."""
    contexts = {"nothing": torch.enable_grad, "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
                "no_grad": torch.no_grad, "inference": torch.inference_mode}  # fmt: skip
    plain, recorded = network(), network()
    expected = trained(plain)
    kept = []
    recorder = Recorder(PAGE, model=recorded, input=picture(), folder=tmp_path, write=["rows", "pages"])

    def record(epoch, loss):
        gradients = [p.grad for p in recorded.parameters()]
        values = [gradient.clone() for gradient in gradients]
        with contexts[around]():
            recorder.record(epoch, loss=loss)
        kept.append(all(p.grad is own and torch.equal(own, value)
                        for p, own, value in zip(recorded.parameters(), gradients, values, strict=True)))  # fmt: skip

    with recorder, warnings.catch_warnings():
        warnings.simplefilter("error", TrainingWarning)
        assert trained(recorded, record) == expected
    assert kept == [True] * 2
    for name, value in plain.state_dict().items():
        assert torch.equal(value, recorded.state_dict()[name]), name
    assert recorded.training and len(list(tmp_path.iterdir())) == 3


def test_what_a_network_carries_is_left_as_it_was(tmp_path):
    net = network()
    seen = []
    net[0].weight.requires_grad_(False)
    net[3].eval()
    hook = net[2].register_forward_hook(lambda module, given, result: seen.append(1))
    hooks = dict(net[2]._forward_hooks)
    dtypes = {name: value.dtype for name, value in net.state_dict().items()}
    with Recorder(PAGE, model=net, input=picture(), folder=tmp_path, on_error="stop") as recorder:
        recorder.record()
    assert dict(net[2]._forward_hooks) == hooks and hook.id in hooks
    assert [module.training for module in net] == [True, True, True, False, True, True, True]
    assert [p.requires_grad for p in net.parameters()] == [False] + [True] * 5
    assert {name: value.dtype for name, value in net.state_dict().items()} == dtypes
    assert not any(module._forward_hooks or module._backward_hooks for module in net if module is not net[2])


def test_buffers_that_a_forward_changes_are_put_back(tmp_path):
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(()))
            self.head = nn.Linear(3 * 144, 3)

        def forward(self, x):
            self.count += 1
            return self.head(x.flatten(1))

    net = Counts()
    net.count.fill_(7)
    with Recorder(PAGE, model=net, input=picture(), folder=tmp_path, on_error="stop") as recorder:
        recorder.record()
    assert net.count == 7


def test_each_page_is_the_one_of_its_epoch(tmp_path):
    """The numbers of each row are those of `bbilang.run` on a copy of the network as it was then."""
    import copy

    net, copies = network(), []
    recorder = Recorder(PAGE, model=net, input=picture(), folder=tmp_path, on_error="stop")
    with recorder:
        trained(net, lambda epoch, loss: (copies.append(copy.deepcopy(net)), recorder.record(epoch, loss=loss)))
    (rows,) = recorder.outputs
    assert sorted(rows.rows) == [1, 2]
    for epoch, one in enumerate(copies, 1):
        words, view = rows.rows[epoch]
        page = bbilang.run(PAGE, model=one, input=picture(), cache=False)
        assert view.interfaces[0].elements == page.view.interfaces[0].elements
        assert words.startswith(f"Epoch {epoch} · loss ")
    page = (tmp_path / "training.html").read_text()
    assert page.count('<section class="interface">') == 2 and "after epochs 1 to 2" in page
    assert bbilang.extract(page) == PAGE


def test_rows_of_every_other_epoch_and_of_the_last(tmp_path):
    net = network()
    with Recorder(PAGE, every=2, model=net, input=picture(), folder=tmp_path, on_error="stop") as recorder:
        trained(net, lambda epoch, loss: recorder.record(), epochs=5)
    assert sorted(recorder.outputs[0].rows) == [2, 4, 5]


def test_the_page_of_rows_is_drawn_when_there_is_time_for_it(tmp_path, monkeypatch):
    """Drawing takes at most half a percent of the time since the beginning; at the end it is drawn in any case."""
    clock, drawn = [0.0], []
    monkeypatch.setattr(outputs_module.time, "monotonic", lambda: clock[0])
    rows = outputs_module.Rows(tmp_path, "")

    def draw():
        drawn.append(len(rows.rows))
        clock[0] += 1.0
        rows._current = True

    rows._draw = draw

    class One:
        epoch, words, page = 0, "", type("Page", (), {"view": None})

    for epoch in range(1, 11):
        clock[0] += 50
        One.epoch = epoch
        rows.write(One)
    rows.close()
    rows.close()
    assert drawn == [1, 4, 8, 10]


def test_claims_of_each_epoch(tmp_path):
    net = network()
    (tmp_path / "claims.jsonl").write_text('{"epoch": 2, "claim": "of an earlier training"}\nno line of ours\n')
    with Recorder(CLAIMS, model=net, input=picture(), folder=tmp_path, write="claims", on_error="stop") as recorder:
        recorder.record(loss=2.0)
        with torch.no_grad():
            net[-1].bias[0] += 10
        recorder.record(loss=1.0)
    lines = [json.loads(line) for line in (tmp_path / "claims.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["loss"], line["verdict"]) for line in lines] == [(1, 2.0, "fails"), (2, 1.0, "holds")]
    assert lines[1]["conditions"][0]["value"] > 0.9
    assert not (tmp_path / "training.html").exists()


def test_a_resumed_training_keeps_the_claims_of_the_epochs_before(tmp_path):
    for start in (1, 3):
        with Recorder(CLAIMS, model=network(), input=picture(), folder=tmp_path, write="claims") as recorder:
            recorder.record(start)
            recorder.record(start + 1)
    lines = [json.loads(line) for line in (tmp_path / "claims.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]


def test_several_networks_of_one_text(tmp_path):
    """A network that is trained beside the one that teaches it; both are left as they were."""
    networks = {"student": network(), "teacher": network()}
    with torch.no_grad():
        networks["teacher"][-1].bias += 3
    text = "student:output.class | top(2) | present(bars)\nteacher:output.class | top(2) | present(bars)"
    with Recorder(text, model=networks, input=picture(), folder=tmp_path, on_error="stop") as recorder:
        trained(networks["student"], lambda epoch, loss: recorder.record())
    assert all(net.training for net in networks.values())
    page = (tmp_path / "training.html").read_text()
    assert page.count('<section class="interface">') == 2 and "student: " in page and "teacher: " in page


# --- errors -----------------------------------------------------------------------------------------------------------


def test_an_error_of_the_text_is_said_once_at_its_place(tmp_path):
    net = network()
    with pytest.warns(TrainingWarning) as said:
        with Recorder("output | attribute(", model=net, input=picture(), folder=tmp_path) as recorder:
            losses = trained(net, lambda epoch, loss: recorder.record())
    assert losses == trained(network())
    (one,) = [str(each.message) for each in said]
    assert "--> <text>:1:" in one and "the training goes on" in one and not list(tmp_path.iterdir())


def test_an_error_stops_a_training_that_asked_for_it(tmp_path):
    with pytest.raises(BbiError) as failure:
        Recorder("nowhere.channel | present(bars)", model=network(), input=picture(), on_error="stop")
    assert failure.value.diagnostics[0].code == "E201"


def test_what_goes_wrong_later_is_said_once_and_may_go_away(tmp_path):
    net = network()
    weight = net[0].weight.detach().clone()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with Recorder(PAGE, model=net, input=picture(), folder=tmp_path, write="pages") as recorder:
            with torch.no_grad():
                net[0].weight.fill_(float("nan"))
            recorder.record()
            recorder.record()
            with torch.no_grad():
                net[0].weight.copy_(weight)
            recorder.record()
    own = [each for each in said if each.category is TrainingWarning]
    assert len(own) == 1 and "this epoch is not recorded" in str(own[0].message)
    assert own[0].filename == __file__
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0003.html"]
    assert net.training


@pytest.mark.parametrize("given, code", [({}, "E361"), ({"model": "resnet20"}, "E408")])
def test_what_is_no_network(given, code):
    with pytest.raises(BbiError) as failure:
        Recorder(PAGE, input=picture(), on_error="stop", **given).record()
    assert failure.value.diagnostics[0].code == code


def test_a_text_without_claims(tmp_path):
    with pytest.raises(BbiError) as failure:
        Recorder(PAGE, model=network(), input=picture(), write="claims", on_error="stop", folder=tmp_path).record()
    assert failure.value.diagnostics[0].code == "E362"


def test_weights_that_are_spread_over_processes(tmp_path):
    net = network()
    net[0].weight.ds_id = 0  # as DeepSpeed marks them
    with pytest.raises(BbiError) as failure:
        Recorder(PAGE, model=net, input=picture(), on_error="stop")
    assert failure.value.diagnostics[0].code == "E360"


@pytest.mark.parametrize("wrong", [{"every": 0}, {"every": "all"}, {"write": "video"}, {"on_error": "ignore"},
                                   {"log": object()}, {"folder": 3}])  # fmt: skip
def test_wrong_arguments(wrong):
    with pytest.raises(BbiError) as failure:
        Recorder(PAGE, **wrong)
    assert failure.value.diagnostics[0].code == "E423"


def test_wrappers_of_several_processes_and_of_the_compiler():
    net = network()
    assert _module(nn.DataParallel(net)) is net
    assert _module(torch.compile(net)) is net


# --- the page of rows -------------------------------------------------------------------------------------------------

CHOICE = """a = pick(output[top(3)])
photo = input | present(image)
input.pixel | attribute(output[a], method=linear) | present(heatmap, over=photo)
output.class | top(3) | present(bars)"""


def test_rows_have_names_of_their_own_and_share_what_is_chosen(tmp_path):
    from bbilang.callbacks.rows import in_rows
    from bbilang.runtime.view.verify import verify_view

    views = [bbilang.run(CHOICE, model=network(), input=picture(), cache=False).view]
    other = network()
    with torch.no_grad():
        other[-1].bias += torch.tensor([5.0, 0.0, -5.0])
    views.append(bbilang.run(CHOICE, model=other, input=picture(), cache=False).view)
    made = in_rows(views, ["Epoch 1", "Epoch 2"], "", "", "epoch 2")
    verify_view(made)
    names = [element.id for interface in made.interfaces for element in interface.elements]
    assert len(set(names)) == len(names) == 2 * len(views[0].interfaces[0].elements)
    assert [interface.title for interface in made.interfaces] == ["Epoch 1", "Epoch 2"]
    assert [prediction.model for prediction in made.predictions] == ["epoch 2"]
    atoms = [next(s.atoms for s in view.selections if s.id == "a") for view in views]
    shared = [s.id for s in made.selections if s.id.startswith("a")]
    assert shared == (["a"] if atoms[0] == atoms[1] else ["a-0", "a-1"])
    once = {picture.data for picture in made.pictures}
    assert len(once) == len(made.pictures) < sum(len(view.pictures) for view in views)


@pytest.mark.browser
def test_what_is_chosen_in_one_row_is_chosen_in_all(chromium, tmp_path):
    net = network()
    with Recorder(CHOICE, model=net, input=picture(), folder=tmp_path, on_error="stop", title="Rows") as recorder:
        recorder.record(loss=2.0)
        recorder.record(loss=1.0)  # the same network: the same classes in the same order
    page = chromium.new_page()
    errors = []
    page.on("pageerror", lambda failure: errors.append(str(failure)))
    page.goto((tmp_path / "training.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.locator("h1").inner_text() == "Rows"
    assert [words.startswith(f"Epoch {n} · loss") for n, words in enumerate(page.locator("h2").all_inner_texts(), 1)]
    menus = page.locator('select[data-selection="a"]')
    assert menus.count() == 2
    before = menus.nth(1).input_value()
    other = next(value for value in ("0", "1", "2") if value != before)
    menus.nth(0).select_option(other)
    same = "value => [...document.querySelectorAll('select[data-selection=a]')].every(menu => menu.value === value)"
    page.wait_for_function(same, arg=other)
    assert not errors
    page.close()
