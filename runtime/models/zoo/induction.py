"""The network of `sample:induction`: two layers of attention whose weights were written by hand
(scripts/plant_induction.py), so that what each of its four heads does is known.

It continues a text as it went on before: where "red" stood earlier, what followed it is likely now. `layers.0` head 0
looks at the word before and copies it, head 1 looks at the start and copies nothing; `layers.1` head 0 looks at the
word after an earlier occurrence of the present word (the induction head of Olsson et al. 2022) and makes it likely, or
at the start where there is none; head 1 looks at the same word here and earlier, and makes it less likely.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.models.sources.text_models import TextModel
from bbilang.runtime.samples.induction import LONGEST, VOCABULARY

PREPROCESS = Preprocess(1, (1, 1))
LABELS = "induction.txt"
HEADS, SIZE = 2, 32  # heads of a layer; channels of a head
WIDTH = 3 * len(VOCABULARY) + LONGEST  # the word, its position, the word before it, the next word


class Attention(nn.Module):
    """Causal attention (input, token, channel) -> the same; what scores are divided by is a part of the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, HEADS * SIZE, bias=False) for _ in range(3))
        self.join = nn.Linear(HEADS * SIZE, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part(x).unflatten(-1, (HEADS, SIZE)).transpose(1, 2) for part in (self.query, self.key, self.value))
        ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        weights = (q @ k.transpose(-1, -2)).masked_fill(ahead, float("-inf")).softmax(-1)
        return self.join((weights @ v).transpose(1, 2).flatten(-2))


class Layer(nn.Module):
    """Attention that is added to what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(x)


class Induction(nn.Module):
    """(input, token) -> the scores of the next word (input, token, class)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(len(VOCABULARY), WIDTH), nn.Embedding(LONGEST, WIDTH)
        self.layers = nn.ModuleList([Layer(), Layer()])
        self.unembed = nn.Linear(WIDTH, len(VOCABULARY), bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.place(torch.arange(tokens.shape[1], device=tokens.device))
        for layer in self.layers:
            x = layer(x)
        return self.unembed(x)


def build() -> nn.Module:
    """(input, token) of numbers, -1 after a text's end -> scores (input, class=24) of the word after it."""
    return TextModel(Induction())


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return dict(state)
