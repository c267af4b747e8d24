"""`--weights random` draws what training trains, and leaves what a module computes unchanged."""

import pytest
import torch
from brings import brings
from closeness import within
from torch import nn

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.weights.load import fit_random, random_state


class Windows(nn.Module):
    """Buffers as attention has them: an index, a mask, a table of positions, one of them in no state dict."""

    def __init__(self):
        super().__init__()
        self.norm, self.gamma = nn.BatchNorm1d(4), nn.Parameter(torch.zeros(4))
        self.bias_table = nn.Parameter(torch.zeros(7, 4))
        self.step = nn.Parameter(torch.tensor([3]), requires_grad=False)
        self.register_buffer("index", torch.tensor([[0, 6], [3, 1]]))
        self.register_buffer("mask", torch.tensor([[True, False]]))
        self.register_buffer("causal", torch.tensor([0.0, float("-inf")]))
        self.register_buffer("positions", torch.linspace(0, 1, 4), persistent=False)
        self.norm.running_mean.fill_(7)
        self.norm.running_var.fill_(5)
        self.norm.num_batches_tracked.fill_(9)


@brings(
    "Weights", "`--weights random` for a network with index tables, masks and positions", "works: they are unchanged"
)
def test_what_is_computed_stays():
    module, before = Windows(), Windows()
    fit_random(module, 0)
    for name in ("index", "mask", "causal", "positions", "step"):
        assert torch.equal(getattr(module, name), getattr(before, name)), name
    within(float(module.bias_table.detach().std()), (2 / 4) ** 0.5, relative=0.5, because="the deviation of a sample")
    assert module.gamma.tolist() == [1.0] * 4
    assert module.norm.running_mean.tolist() == [0.0] * 4 and module.norm.running_var.tolist() == [1.0] * 4


def test_swin_sees_where_its_windows_are():
    """The index of relative positions of torchvision's swin_t, from its own definition."""
    torchvision = pytest.importorskip("torchvision")
    block = torchvision.models.swin_transformer.ShiftedWindowAttention(8, [3, 3], [1, 1], 2)
    fit_random(block, 0)
    y, x = torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")
    y, x = y.flatten(), x.flatten()
    index = (y[:, None] - y[None] + 2) * 5 + (x[:, None] - x[None] + 2)
    assert torch.equal(block.relative_position_index.view(9, 9), index)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.float8_e4m3fn])
def test_number_types(dtype):
    module = nn.Module()
    module.weight = nn.Parameter(torch.zeros(20, 50).to(dtype), requires_grad=False)
    drawn = random_state(module, 0)["weight"]
    assert drawn.dtype == dtype
    within(
        float(drawn.to(torch.complex64).abs().square().mean()),
        2 / 50,
        relative=0.2,
        because="the deviation of a sample",
    )


@pytest.mark.filterwarnings("ignore")  # quantization in torch is called old
def test_packed_weights_are_refused():
    module = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 2)), {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(BbiError, match="packed form"):
        fit_random(module, 0)
