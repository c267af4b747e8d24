"""The default model once for all tests, and the shared pictures where they exist."""

import importlib.util
from pathlib import Path

import pytest

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.loading import load

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def efficientnet():
    try:
        return load("efficientnet_lite0")
    except BbiError as e:
        pytest.skip(f"without the demo extra: {e}")


@pytest.fixture(scope="session")
def shared():
    if not SHARED.is_dir():
        pytest.skip(f"the shared pictures are not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def networks(shared):
    """The module with the shared networks' definitions."""
    spec = importlib.util.spec_from_file_location("shared_networks", shared / "models" / "networks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fails():
    """`with fails("E401", "words of the message"):` one error with that code, those words, and no second line."""

    class Fails:
        def __init__(self, code, *words):
            self.code, self.words = code, words

        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            assert kind is not None, f"no {self.code} was raised"
            if not issubclass(kind, BbiError):
                return False
            [diagnostic] = error.diagnostics
            text = f"{diagnostic.message} {diagnostic.help or ''}"
            assert diagnostic.code == self.code, text
            assert "\n" not in text
            for word in self.words:
                assert word in text, text
            return True

    return Fails
