"""Adapt models that read text: token ids as input, and the words that a page shows for them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.inputs.texts import is_text, read
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.models.score_output import text_scores
from bbilang.runtime.models.sources.pieces import words_of_decoded
from bbilang.runtime.models.sources.tokens import Tokenizer, longest_of, tokens

if TYPE_CHECKING:
    from bbilang.compiler.ir.model_description import ModelDescription

ABSENT = -1.0  # the id of padding after a shorter text
LONGEST = 512  # tokens, where the model says nothing


@dataclass(frozen=True)
class PlainTokenizer:
    """Adapts any object with ``encode(text) -> numbers`` and ``decode(numbers) -> text`` ."""

    tokenizer: Any
    longest: int = LONGEST

    def read(self, text: str) -> tuple[list[int], list[str]]:
        numbers = list(self.tokenizer.encode(text))
        return numbers, words_of_decoded(numbers, self.tokenizer.decode)


class TextModel(nn.Module):
    """Wraps a module that takes token ids, for passes that feed floating-point tensors.

    (input, token), `ABSENT` after the end of a shorter text -> scores (input, class): the module's own, or, where it
    scores the next token at every position (input, token, class), those at the last one. A module that gives vectors of
    tokens and no scores gives (input, token, channel), and the layer ``sentence`` is their mean (Reimers and Gurevych,
    2019).
    """

    def __init__(self, model: nn.Module, scores: bool = True):
        super().__init__()
        self.model = model
        self.scores = scores
        self.sentence = None if scores else Mean()
        self.masked = "attention_mask" in inspect.signature(model.forward).parameters

    def forward(self, numbers: Tensor) -> Tensor:
        present = numbers >= 0
        options = {"attention_mask": present.long()} if self.masked else {}
        try:
            result = self.model(numbers.clamp(min=0).round().long(), **options)
        except IndexError as e:
            raise _outside(self.model, numbers) from e
        if self.sentence is not None:
            values = _first(result)
            self.sentence(values, present)
            return values
        values = text_scores(result)
        if values.ndim == 3:
            last = present.long().sum(1) - 1
            return values[torch.arange(len(values), device=values.device), last]
        return values


def _outside(model: nn.Module, numbers: Tensor) -> Exception:
    """Make the error E526 of a token without a row in an embedding of the model."""
    most = int(numbers.max())
    sizes = [(m.num_embeddings, name) for name, m in model.named_modules() if isinstance(m, nn.Embedding)]
    size, name = next(((size, name) for size, name in sizes if size <= most), (0, ""))
    if name:
        message = f"the token number {most} has no row in `{name}`, which has {size}"
    elif numbers.shape[1] > min((size for size, _ in sizes), default=numbers.shape[1]):
        message = f"a text of {numbers.shape[1]} tokens is longer than the model has positions"
    else:
        message = f"the model has no row for one of the tokens up to {most}, or for one of {numbers.shape[1]} positions"
    return error("E526", message, "use the tokenizer that the model was trained with")


class Mean(nn.Module):
    """The mean over present tokens: (input, token, channel) -> (input, channel)."""

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        weight = present.to(values.dtype).unsqueeze(-1)
        return (values * weight).sum(1) / weight.sum(1)


def _first(result: object) -> Tensor:
    from bbilang.runtime.passes.module.results import first_tensor

    tensor = first_tensor(result)
    if tensor is None:
        raise TypeError("the model gives no tensor")
    return tensor


@dataclass
class TextAdapter(Adapter):
    """An adapter of a `TextModel`: its inputs are token ids (input, token), floating point.

    A description holds for one number of tokens; `description_for` returns that of the longest of some texts.
    """

    words: Tokenizer | None = None

    @property
    def tokenizer(self) -> Tokenizer:
        assert self.words is not None
        return self.words

    def normalize(self, images: Tensor) -> Tensor:
        return images

    def with_preprocess(self, **changes: object) -> Adapter:
        raise error("E407", f"{self.description.name} reads text, and `set preprocess` is about pictures")

    def read(self, text: str) -> tuple[Tensor, tuple[str, ...]]:
        """Return a text's token ids (token,), padded to the description's length, and a word for each, empty for
        padding. Raises E418 for a text without tokens, or longer than the model reads."""
        numbers, words = tokens(self.tokenizer, text, self.description.name)
        missing = self.description.input_size[1] - len(numbers)
        if missing < 0:
            length = self.description.input_size[1]
            raise error("E418", f"the text has {len(numbers)} tokens, and {length} were planned for")
        return torch.tensor([*map(float, numbers), *[ABSENT] * missing]), (*words, *[""] * missing)

    def description_for(self, inputs: Iterable[object]) -> ModelDescription:
        """Return the description for the number of tokens of the longest text: `text:...`, or names of files."""
        texts = [read(spec)[1] for spec in inputs if isinstance(spec, str) and is_text(spec)]
        return described(self, longest_of(self.tokenizer, texts, self.description.name)) if texts else self.description


def described(adapter: TextAdapter, length: int) -> ModelDescription:
    """Return the adapter's description for another number of tokens: the same layers with new shapes and costs."""
    from bbilang.runtime.models.describe import describe_module

    old = adapter.description
    if old.input_size == (1, length):
        return old
    description = describe_module(
        adapter.module, (1, length), old.name, output=old.output, title=old.title, labels=old.labels,
        names={layer.name: layer.module for layer in old.layers}, aliases=old.aliases,
        kinds={layer.name: layer.kind for layer in old.layers}, reads="text",
    )  # fmt: skip
    return replace(description, scores=old.scores, absent=old.absent, heads=old.heads)
