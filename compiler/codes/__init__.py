"""The codes of semantic errors with their documentation. Codes of syntax errors are in grammar/codes.py. Imports
grammar."""

from __future__ import annotations

from typing import Final

from bbilang.compiler.codes.arguments import ARGUMENTS
from bbilang.compiler.codes.datasets import DATASETS
from bbilang.compiler.codes.fields import FIELDS
from bbilang.compiler.codes.holes import HOLES
from bbilang.compiler.codes.interventions import INTERVENTIONS
from bbilang.compiler.codes.mending import MENDING
from bbilang.compiler.codes.models import MODELS
from bbilang.compiler.codes.names import NAMES
from bbilang.compiler.codes.statements import STATEMENTS
from bbilang.compiler.codes.tokens import TOKENS
from bbilang.grammar.codes import Code

__all__ = [
    "ARGUMENTS",
    "CODES",
    "DATASETS",
    "FIELDS",
    "HOLES",
    "INTERVENTIONS",
    "MENDING",
    "MODELS",
    "NAMES",
    "STATEMENTS",
    "TOKENS",
]

_STATEMENTS = STATEMENTS | HOLES | MODELS | MENDING
CODES: Final[dict[str, Code]] = dict(
    sorted((NAMES | ARGUMENTS | _STATEMENTS | FIELDS | DATASETS | INTERVENTIONS | TOKENS).items())
)
