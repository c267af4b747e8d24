"""A module that changes between runs: neither its probes nor its cached numbers are ever stale."""

import copy
import importlib
import os

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to
from torch import nn
from torch.nn.utils import parametrize, prune

import bbilang
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.passes.module.digest import code_of, live

X = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(5))
FACTOR = 1.0
ASKED = {
    "paths": "r.channel | attribute(output[0], method=integrated_gradients(n_steps=3)) | present(bars)",
    "masks": "r.spatial | attribute(output[0], method=occlusion(window=4, stride=4)) | present(heatmap)",
    "noise": "input.pixel | attribute(output[0], method=smoothgrad(n_samples=3)) | present(heatmap)",
    "tangents": "r.channel | attribute(output.class) | present(matrix)",
    "written out": "[r, d].neuron | attribute(output.class) | top(3) | present(bars, facet=class)",
    "trust": "r.channel | attribute(output[0]) | trust(deletion) | present(curve)",
}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.c, self.r, self.d = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)
        self.h, self.scale, self.options, self.plain = nn.Linear(4, 12), 1.0, {"by": 1.0}, torch.ones(4)

    def forward(self, x):
        x = torch.relu(self.d(self.r(self.c(x)))) * self.plain.view(-1, 1, 1)
        return self.h(x.mean((2, 3)) * self.scale * self.options["by"] * FACTOR)


def scaled(network):
    network.scale = -2.0


def optioned(network):
    network.options["by"] = -2.0


def written(network):
    network.plain.mul_(-2.0)


def replaced(network):
    network.plain = torch.full((4,), -2.0)


def patched(network):
    plain = type(network).forward
    network.forward = lambda x: plain(network, x) * -2.0


def hooked(network):
    network.d.register_forward_hook(lambda module, given, result: result * -2.0)


def written_past_the_count(network):
    network.d.weight.data.mul_(-2.0)


def permuted_past_the_count(network):
    network.d.weight.data.copy_(network.d.weight.data.flip(0))


def pruned(network):
    prune.l1_unstructured(network.d, "weight", 0.5)


def parametrized(network):
    class Twice(nn.Module):
        def forward(self, weight):
            return weight * -2.0

    parametrize.register_parametrization(network.d, "weight", Twice())


def swapped(network):
    network.r = nn.Tanh()


UNCOUNTED = [written_past_the_count, permuted_past_the_count]
CHANGES = [
    *UNCOUNTED,
    scaled,
    optioned,
    written,
    replaced,
    patched,
    hooked,
    pruned,
    parametrized,
    swapped,
]


@brings("Networks", "a network that changes between two runs: an attribute, a dict, a hook, `weight.data`, `prune`, another `forward`", "works: it is examined again")  # fmt: skip  # noqa: E501
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_network_gives_what_a_fresh_one_gives(change, tmp_path):
    text = "\n".join(f"e{at} = {line}" for at, line in enumerate(ASKED.values()))
    network, fresh = Net().eval(), Net().eval()

    def numbers(model, cache):
        page = bbilang.run(text, model=model, input=X, cache=cache)
        return [page.data(f"e{at}").values for at in range(len(ASKED))]

    for cache in (False, Cache(tmp_path)):
        before = numbers(network, cache)
    change(network)
    change(fresh)
    want = numbers(fresh, False)
    for cache in (False, Cache(tmp_path)):
        for name, had, right in zip(ASKED, numbers(network, cache), want, strict=True):
            close_to(had, right, because=name)
    assert any(not np.array_equal(old, right) for old, right in zip(before, want, strict=True))
    base = fresh.r(fresh.c(X[None])).detach()  # and a fresh one gives what autograd gives
    hook = fresh.r.register_forward_hook(lambda module, given, result: base.requires_grad_())
    slopes = torch.stack([torch.autograd.grad(s, base, retain_graph=True)[0] for s in fresh(X[None])[0]])
    hook.remove()
    close_to(want[3], (slopes[:, 0] * base[0]).sum((2, 3)).T)


def test_a_changed_global_is_seen(monkeypatch):
    network = Net().eval()
    before = bbilang.run(f"e = {ASKED['paths']}", model=network, input=X, cache=False).data("e").values
    monkeypatch.setitem(globals(), "FACTOR", -3.0)
    after = bbilang.run(f"e = {ASKED['paths']}", model=network, input=X, cache=False).data("e").values
    close_to(after, -3 * before)


def test_icons_of_a_changed_network_are_made_again(tmp_path):
    network, cache = Net().eval(), Cache(tmp_path)
    options = {"input": X, "cache": cache, "settings": {"featvis.size": 16, "featvis.steps": 4}}
    text = "d.channel | top(1) | present(featvis)"

    def icon():
        return bbilang.run(text, model=network, **options).results.icons[0].picture

    first = icon()
    assert np.array_equal(first, icon())
    network.d.padding_mode, network.d.dilation, network.d.padding = "zeros", (2, 2), (2, 2)
    assert not np.array_equal(first, icon())


MODULE = """
import torch
from torch import nn

class Edited(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat = nn.Flatten()
        self.head = nn.Linear(3 * 12 * 12, 3)
        nn.init.constant_(self.head.weight, 0.01), nn.init.zeros_(self.head.bias)

    def forward(self, x):
        return helper(self.head(self.flat(x)))

def helper(x):
    return x * {factor}
"""


@brings(
    "Networks",
    "a source file edited while its old code is loaded",
    "works: results are cached for the code that computed them",
)
@pytest.mark.parametrize("where", ["file", "class"])
def test_numbers_of_old_code_are_not_recalled_for_new_code(where, tmp_path, monkeypatch):
    path = tmp_path / "edited_network.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    cache = Cache(tmp_path / "cache")

    def score(model):
        return bbilang.run("e = head.channel | attribute(output[0]) | present(bars)", model=model, input=X, cache=cache)

    path.write_text(MODULE.replace("{factor}", "1.0"))
    old = importlib.import_module("edited_network")
    try:
        if where == "file":
            path.write_text(MODULE.replace("{factor}", "2.0"))
        first = score(old.Edited().eval()).data("e").values
        if where == "class":
            old.helper = lambda x: x * 2.0
            again = old.Edited().eval()
        else:
            os.utime(path, (2e9, 2e9))
            again = importlib.reload(old).Edited().eval()
        second = score(again).data("e").values
    finally:
        import sys

        sys.modules.pop("edited_network", None)
    assert not np.array_equal(first, second)


def test_what_a_digest_sees():
    network = Net()
    assert live(network) == live(network) and code_of(network) == code_of(copy.deepcopy(network)) is not None
    seen = {live(network).digest, code_of(network)}
    for change in CHANGES:
        other = copy.deepcopy(network)
        change(other)
        weights = change in (pruned, *UNCOUNTED)
        seen.add(live(other).digest if weights else code_of(other))
    assert len(seen) == 2 + len(CHANGES) - 1, "`written` and `replaced` leave the same values"
    network.file = open(os.devnull)
    assert live(network) is None is code_of(network)
    network.file.close()
