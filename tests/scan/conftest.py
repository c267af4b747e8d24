import pytest
from tiny_scan import Pictures

from bbilang.runtime.cache.disk import Cache


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def pictures():
    return Pictures(600)
