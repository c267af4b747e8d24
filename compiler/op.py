"""The contract under its former name, for plug-ins that import it from here. It will be removed in the next release."""

from importlib import import_module
from typing import Any

from bbilang.compiler.contract import *  # noqa: F403

del Method  # noqa: F821  # the one that plug-ins know had every kind's methods


def __getattr__(name: str) -> Any:
    if name == "Method":
        return import_module("bbilang.runtime.attribution.former_method").Method
    raise AttributeError(name)
