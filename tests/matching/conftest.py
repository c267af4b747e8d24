"""Networks whose channels are matched with those of permuted copies."""

import importlib.util
from pathlib import Path

import pytest

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.loading import load

SHARED = Path(__file__).parents[3] / "shared" / "data" / "models" / "networks.py"


@pytest.fixture(scope="session")
def network():
    """Load a network by name."""

    def loaded(name):
        if name == "efficientnet_lite0":
            try:
                return load(name)
            except BbiError as e:
                pytest.skip(f"without the demo extra: {e}")
        if name.startswith("sample:"):
            return load(name)
        if not SHARED.is_file():
            pytest.skip(f"the shared networks are not at {SHARED}")
        spec = importlib.util.spec_from_file_location("shared_networks", SHARED)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if name == "squeezenet":
            return bbilang.adapt(module.squeezenet1_1(), input_size=(224, 224))
        return bbilang.adapt(module.cifar_resnet(20), input_size=(32, 32))

    return loaded
