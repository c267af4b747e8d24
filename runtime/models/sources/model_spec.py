"""`ModelSpec`: a model that a library or the reader's own code can build, before it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bbilang.runtime.models.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import nn

    from bbilang.runtime.models.sources.text_models import Tokenizer

EXPORTED = ".pt2"  # files of torch.export


@dataclass(frozen=True)
class ModelSpec:
    """A model before it is built. ``build`` makes the module without weights, ``trained`` with its pretrained ones;
    both may be called under ``torch.device("meta")``. ``weights``: the weights of ``trained``, in words."""

    title: str
    build: Callable[[], nn.Module]
    trained: Callable[[], nn.Module]
    weights: str
    preprocess: Preprocess
    labels: tuple[str, ...] = ()
    definition: str = ""
    words: Tokenizer | None = None  # the tokenizer of a model that reads text
    random: bool = False


class ModelSource(Protocol):
    """A module of this folder, `from_...`: the models of one library, or of the reader's own code."""

    runs_own_code: bool  # whether its models run code that the reader brings

    def key(self, name: str, /) -> tuple[str, ...] | None:
        """Return everything that a description depends on besides our code; None: descriptions are not cached. Imports
        neither torch nor the library."""

    def find(self, name: str, /) -> ModelSpec:
        """Return the model of this name. Raises BbiError E401, E409, E410, E419."""
