"""The shared networks where they exist, and errors with their codes."""

import importlib.util
from pathlib import Path

import pytest

from bbilang.grammar.diagnostic import BbiError

MODELS = Path(__file__).parents[3] / "shared" / "data" / "models"


@pytest.fixture(scope="session")
def shared_networks():
    """The module with the shared networks' definitions."""
    if not MODELS.is_dir():
        pytest.skip(f"the shared networks are not at {MODELS}")
    spec = importlib.util.spec_from_file_location("shared_networks", MODELS / "networks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fails():
    """`with fails("E293", "words of the message"):` one error with that code and those words."""
    from contextlib import contextmanager

    @contextmanager
    def failing(code, words=""):
        with pytest.raises(BbiError) as raised:
            yield
        assert [d.code for d in raised.value.diagnostics] == [code] and words in raised.value.diagnostics[0].message

    return failing
