"""Import modules on first use, so that checking a text imports no numerical library.

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
    """A stand-in for a module, which imports it on the first attribute access and forwards every access to it."""

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), attribute)


def import_lazily(name: str) -> None:
    """Make `import NAME` lazy: the first attribute access imports the module. Modules that are loaded already or do not
    exist are left alone."""
    if name not in sys.modules and (spec := importlib.util.find_spec(name)) is not None:
        module = _Later(name)
        module.__spec__ = spec
        sys.modules[name] = module
