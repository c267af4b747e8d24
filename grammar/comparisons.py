"""What compares: the words, and what they do to numbers, words and arrays. Imports the standard library alone."""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "==": operator.eq,
        "!=": operator.ne,
    }
)
EQUAL: Final = ("==", "!=")
