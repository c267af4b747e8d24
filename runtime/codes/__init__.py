"""The codes of errors that only show at run time, and what each teaches. Imports grammar."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code
from bbilang.runtime.codes.datasets import DATASETS
from bbilang.runtime.codes.files import FILES
from bbilang.runtime.codes.influence import INFLUENCE
from bbilang.runtime.codes.inputs import PICTURES
from bbilang.runtime.codes.losses import LOSSES
from bbilang.runtime.codes.mending import MENDING
from bbilang.runtime.codes.models import MODELS
from bbilang.runtime.codes.recording import RECORDING
from bbilang.runtime.codes.running import RUNNING
from bbilang.runtime.codes.sounds import SOUNDS
from bbilang.runtime.codes.tokens import TOKENS

__all__ = [
    "CODES",
    "DATASETS",
    "FILES",
    "INFLUENCE",
    "LOSSES",
    "MENDING",
    "MODELS",
    "PICTURES",
    "RECORDING",
    "RUNNING",
    "SOUNDS",
    "TOKENS",
]

OF_MODELS: Final[dict[str, Code]] = MODELS | LOSSES | MENDING | INFLUENCE | RECORDING
CODES: Final[dict[str, Code]] = dict(
    sorted((OF_MODELS | PICTURES | SOUNDS | DATASETS | FILES | RUNNING | TOKENS).items())
)
