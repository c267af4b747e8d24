"""Modules that are imported when something in them is used: a text is checked without a number being computed.

Python's own `importlib.util.LazyLoader` does not serve: in 3.11 a second `import numpy` looks at `__spec__`, and that
is a use.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Stands where a module will be; the first look into it imports the module, and every look goes on to that."""

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), attribute)


def import_lazily(name: str) -> None:
    """From now on `import NAME` costs nothing, and the first look into the module imports it. A module that is there
    already, or nowhere, is left alone."""
    if name not in sys.modules and (spec := importlib.util.find_spec(name)) is not None:
        module = _Later(name)
        module.__spec__ = spec
        sys.modules[name] = module
