"""A slower fallback logs its reason, and an error that ends the search for one keeps its cause."""

import logging

import pytest
import torch
from torch import nn

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.passes import above, forward, gradients


class Counting(nn.Module):
    """Runs once as written; every later run of what is above `first` fails."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.runs = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1), 0

    def forward(self, x):
        x = self.first(x)
        self.runs += 1
        if self.runs > 2 or bool(x.isnan().any()):
            raise KeyError("a bug above the layer")
        return self.second(x).mean((2, 3))


def test_an_exception_above_a_layer_is_logged_and_is_the_cause_of_e508(make_stub, caplog):
    adapter = make_stub(Counting().eval())
    captured = forward(adapter, torch.rand(1, 3, 4, 4), ["first"], cuts=["first"])
    adapter.module.runs = 2
    with caplog.at_level(logging.INFO, "bbilang.passes"), pytest.raises(BbiError, match="E508") as raised:
        with above(adapter, captured, "first"):
            pass
    assert isinstance(raised.value.__cause__, KeyError)
    assert any("a bug above the layer" in record.getMessage() and record.exc_info for record in caplog.records)


class Untraceable(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Linear(4, 12)

    def forward(self, x):
        x = self.first(x).mean((2, 3))
        return self.second(x) if float(x.sum()) > -1e9 else x


def test_a_network_that_cannot_be_traced_says_so_in_the_log(make_stub, caplog):
    captured = forward(make_stub(Untraceable().eval()), torch.rand(1, 3, 4, 4), ["first"], grad=True)
    with caplog.at_level(logging.INFO, "bbilang.passes"):
        gradients(captured, torch.eye(12)[:, None], ["first"])
    text = " ".join(record.getMessage() for record in caplog.records)
    assert "torch.fx cannot trace the model" in text and "no explicit VJP from first to output" in text


def test_a_bug_is_no_fallback(make_stub, monkeypatch):
    """What no operation raises is not caught: here in the rules of the explicit VJP."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(64, 12)).eval()
    captured = forward(make_stub(network), torch.rand(1, 3, 4, 4), ["0"], grad=True)

    def broken(*given):
        raise NameError("a bug")

    monkeypatch.setattr("bbilang.runtime.passes.explicit.vjp.ExplicitVjp.add", broken)
    with pytest.raises(NameError):
        gradients(captured, torch.eye(12)[:, None], ["0"])
