"""A layer's own gate looks at the one channel that an icon of a unit has; the result is that of looking at all."""

import pytest
import torch

from bbilang.runtime.passes.module import gates
from bbilang.runtime.passes.module.gates import GateState, Redirected, gate_of


@pytest.mark.parametrize("module", [torch.nn.ReLU6(), torch.nn.GELU()])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("shift", [-4.0, 0.0, 9.0])
def test_one_channel_is_looked_at_as_all_are(module, sign, shift, monkeypatch):
    torch.manual_seed(1)
    x = torch.randn(3, 5, 4, 4) + shift  # shut, open here and there, at the ceiling
    given = torch.zeros_like(x)
    given[torch.arange(3), [4, 0, 2]] = sign * torch.rand(3, 4, 4)
    assert gates._only_channel(given).tolist() == [4, 0, 2]
    results = []
    for only in (gates._only_channel, lambda gradient: None):
        monkeypatch.setattr(gates, "_only_channel", only)
        state = GateState()
        state.own = True
        leaf = x.clone().requires_grad_()
        result = Redirected.apply(leaf, gate_of(module), False, state)
        results.append((*torch.autograd.grad(result, leaf, given), state.opened, state.highest))
    for have, want in zip(*results, strict=True):
        assert torch.equal(have, want)


def test_several_channels_are_looked_at_together():
    given = torch.zeros(2, 3, 4)
    given[0, 0], given[1, :2] = 1.0, 1.0
    assert gates._only_channel(given) is None
    assert gates._only_channel(given[:1]).tolist() == [0]
    assert gates._only_channel(torch.ones(2, 3)) is None
