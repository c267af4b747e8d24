"""Write the weights of `sample:induction` by hand: `python scripts/plant_induction.py FILE.safetensors`."""

from __future__ import annotations

import sys

import torch
from safetensors.torch import save_file
from torch import nn

from bbilang.runtime.models.zoo.induction import SIZE, build
from bbilang.runtime.samples.induction import LONGEST, VOCABULARY

SHARP = 12.0  # what scores of a match are: e ** 12 times the others' share
CERTAIN, LESS = 8.0, 0.3  # logits of what is copied; the part of the same word that is taken away again
COUNT = len(VOCABULARY)
WORD, PLACE = slice(0, COUNT), slice(COUNT, COUNT + LONGEST)
BEFORE = slice(COUNT + LONGEST, 2 * COUNT + LONGEST)
NEXT = slice(2 * COUNT + LONGEST, 3 * COUNT + LONGEST)


def head(
    attention: nn.Module, number: int, query: torch.Tensor, ask: slice, key: slice, to: slice, much: float
) -> None:
    """Plant a head: it asks with ``query`` (channel of the head, entry of ``ask``) for what is in ``key``, and adds
    ``much`` of the word that it finds to ``to``."""
    rows = slice(number * SIZE, (number + 1) * SIZE)
    attention.query.weight[rows, ask] = query * SHARP
    size = key.stop - key.start
    attention.key.weight[rows, key][:size] = torch.eye(size)
    attention.value.weight[rows, WORD][1:COUNT, 1:] = torch.eye(COUNT - 1)  # of the start nothing is copied
    attention.join.weight[to, rows][:, :COUNT] = torch.eye(COUNT) * much


def main(file: str) -> None:
    network = build()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        own = network.model
        own.embed.weight[:, WORD], own.place.weight[:, PLACE] = torch.eye(COUNT), torch.eye(LONGEST)
        own.unembed.weight[:, NEXT] = torch.eye(COUNT) * CERTAIN
        first, second = (layer.attention for layer in own.layers)
        one_before = torch.eye(LONGEST).roll(-1, 0)
        one_before[-1], one_before[0, 0] = 0, 1  # the start has none before it
        at_first, same = torch.zeros(SIZE, LONGEST), torch.zeros(SIZE, COUNT)
        at_first[0], same[:COUNT] = 1, torch.eye(COUNT)
        head(first, 0, one_before, PLACE, PLACE, BEFORE, 1.0)
        head(first, 1, at_first, PLACE, PLACE, BEFORE, 0.0)
        head(second, 0, same, WORD, BEFORE, NEXT, 1.0)
        second.key.weight[:COUNT, 0] = 0.5  # where nothing matches, it looks at the start
        head(second, 1, same, WORD, WORD, NEXT, -LESS)
    save_file({name: value.half().contiguous() for name, value in network.state_dict().items()}, file)


if __name__ == "__main__":
    main(sys.argv[1])
