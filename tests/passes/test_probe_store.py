"""Results of probing a module are stored on disk: other processes do not probe again, and no result is ever stale."""

import os
import subprocess
import sys
import threading

import pytest
import torch
from torch import nn

import bbilang
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache

SIDE = 8
IMAGES = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))


class Mixed(nn.Module):
    def __init__(self, share=0.5):
        super().__init__()
        torch.manual_seed(0)
        self.convolution, self.head, self.share = nn.Conv2d(3, 4, 3), nn.Linear(4, 3), share

    def forward(self, x):
        x = self.convolution(x)
        return self.head((x - self.share * x.mean(0)).mean((2, 3)))


class Noisy(Mixed):
    def forward(self, x):
        return super().forward(x) + torch.rand(3)


def probed(module, cache, images=IMAGES, together=True):
    """(behaviour, number of probing runs) of a module that this process knows nothing of."""
    counter = passes.Passes()
    behaviour = passes.probe(bbilang.adapt(module, (SIDE, SIDE)), images, together, counter=counter, cache=cache)
    return behaviour, counter.probes


def records(cache):
    return cache.kinds().get("probe", (0, 0))[0]


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "probes")


@pytest.mark.parametrize("network", [Mixed, Noisy])
def test_a_module_like_one_before_is_not_probed(network, cache):
    first, probes = probed(network().eval(), cache)
    assert probes >= 4 and first.row_by_row and first.random == (network is Noisy)
    assert probed(network().eval(), cache) == (first, 0)
    assert probed(network().eval(), None) == (first, probes), "without a cache it is probed"


def test_rows_are_probed_once_they_are_wanted(cache):
    alone, probes = probed(Mixed().eval(), cache, together=False)
    assert not alone.row_by_row and probes == 2 and records(cache) == 1
    together, probes = probed(Mixed().eval(), cache)
    assert together.row_by_row and probes == 2 and records(cache) == 2


def change_weight(module):
    with torch.no_grad():
        module.head.weight[0, 0] += 1


def change_forward(module):
    plain = type(module).forward
    module.forward = lambda x: plain(module, x) * 2


def change_attribute(module):
    module.share = 0.0


def add_hook(module):
    module.head.register_forward_hook(lambda m, given, result: result - result.mean(0))


@pytest.mark.parametrize("change", [change_weight, change_forward, change_attribute, add_hook])
def test_a_changed_module_is_probed_again(change, cache):
    probed(Mixed().eval(), cache)
    module = Mixed().eval()
    change(module)
    behaviour, probes = probed(module, cache)
    assert probes == 4 and behaviour.row_by_row == (change is not change_attribute)


def test_another_shape_is_probed_again(cache):
    probed(Mixed().eval(), cache)
    assert probed(Mixed().eval(), cache, torch.rand(2, 3, SIDE + 1, SIDE))[1] == 4


def test_what_cannot_be_known_is_not_stored(cache):
    for _ in range(2):
        module = Mixed().eval()
        module.lock = threading.Lock()
        assert probed(module, cache)[1] == 4
    assert records(cache) == 0


def test_a_module_that_fails_is_not_stored(cache):
    class Failing(nn.Module):
        def forward(self, x):
            raise RuntimeError("not today")

    assert not passes.probe(bbilang.adapt(Mixed(), (SIDE, SIDE)), IMAGES, False, cache=None).random
    adapter = bbilang.adapt(Mixed(), (SIDE, SIDE))
    adapter.module.forward = Failing().forward
    passes.probe(adapter, IMAGES, True, cache=cache)
    assert records(cache) == 0


def test_a_record_of_another_form_is_probed_again(cache):
    behaviour, _ = probed(Mixed().eval(), cache)
    for key in cache.keys():
        cache.put(key, b"", {"kind": "probe", "random": "no", "depend": 1})
    assert probed(Mixed().eval(), cache) == (behaviour, 4)


RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import torch, bbilang, network
from bbilang.runtime.passes.module import probes
runs = []
plain = probes.run_once
probes.run_once = lambda *given, **named: runs.append(1) or plain(*given, **named)
text = f"e = head.channel | {sys.argv[2]} | present(bars)"
cache = False if sys.argv[3] == "no" else True
bbilang.run(text, model=network.Network().eval(), input=torch.linspace(0, 1, 384).view(2, 3, 8, 8), cache=cache)
print(len(runs))
"""

NETWORK = """
import torch
from torch import nn
class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
    def forward(self, x):
        x = self.head(self.body(x))
        return (x - {share} * x.mean(0)).mean((2, 3))
"""


def test_a_second_process_does_not_probe_and_a_changed_file_probes_again(tmp_path):
    (tmp_path / "code").mkdir()

    def run(text, share=0.5, cache="yes"):
        (tmp_path / "code" / "network.py").write_text(NETWORK.format(share=share))
        environment = {**os.environ, "BBI_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", RUN, str(tmp_path / "code"), text, cache]
        return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    assert run("activation", cache="no") == 4
    assert run("activation") == 4, "no cache means that nothing was written either"
    assert run("attribute(output[1])") == 0, "other numbers of the same module"
    assert run("attribute(output[1])", cache="no") == 4
    assert run("attribute(output[2])", share=0.25) == 4
    assert run("attribute(output[2], method=gradient)", share=0.25) == 0
