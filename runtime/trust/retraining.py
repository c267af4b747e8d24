"""A network trained again from new weights, on some of the examples: the same for one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.mending.recipe import Recipe
from bbilang.runtime.mending.training import loss_of, optimizer_of
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.models.copy_module import copy_module


def retrained(
    adapter: Adapter,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    kind: str,
    number: int,
    work: Callable[[int], None] = lambda epoch: None,
) -> Adapter:
    """Return a copy of a network whose weights are drawn anew and trained on images (example, channel, y, x) in [0, 1]
    and classes (example,), in the order and from the weights that the recipe's seed and a ``number`` give. kind: of the
    scores. ``work``: called before each epoch with its number. Raises BbiError E357, E489, E554."""
    loss = loss_of(recipe, kind)
    with torch.inference_mode(False), torch.enable_grad(), _seeded([recipe.seed, 25, number]) as order:
        copied = replace(adapter, module=copy_module(adapter.module), weights="trained again here", _hashed=None)
        draw_anew(copied.module)
        copied.module.train()
        images, labels = images.clone(), labels.clone().to(adapter.device)  # no tensors of inference mode
        parameters = [p for p in copied.module.parameters() if p.requires_grad]
        optimizer = optimizer_of(recipe, parameters)
        for epoch in range(recipe.epochs):
            work(epoch)
            for rows in torch.from_numpy(order.permutation(len(labels))).split(recipe.batch):
                optimizer.zero_grad()
                scores = copied.module(copied.normalize(images[rows].to(adapter.device)))
                value = loss(scores, labels[rows])
                value.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if not all(bool(torch.isfinite(each.detach()).all()) for each in (value, *parameters)):
                    message = f"training again diverged in epoch {epoch + 1}: its numbers are not finite"
                    raise error("E554", message, "lower the learning rate: `set training(lr=0.001, ...)`")
        copied.module.eval().requires_grad_(False)
    return copied


def draw_anew(module: nn.Module) -> None:
    """Draw all weights of a network anew, each part's as PyTorch does when it makes one, and let them be trained.
    Raises BbiError E357 where a part does not say how."""
    for name, part in module.named_modules():
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()
        elif next(part.parameters(recurse=False), None) is not None:
            message = f"`{name or type(part).__name__}` has weights, and does not say how they begin"
            raise error("E357", message, "give its class a method `reset_parameters`")
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.is_floating_point())


def accuracy(adapter: Adapter, images: Tensor, labels: Tensor, batch: int = 64) -> float:
    """Return the share of the examples whose highest score is that of their class."""
    right = 0
    with adapter.evaluating(), torch.no_grad():
        for own, classes in zip(images.split(batch), labels.split(batch), strict=True):
            scores = adapter.module(adapter.normalize(own.to(adapter.device)))
            right += int((scores.argmax(1).cpu() == classes).sum())
    return right / len(labels)


@contextmanager
def _seeded(seed: list[int]) -> Iterator[np.random.Generator]:
    """Let torch draw from a seed, for a while; yields what draws the order of the examples."""
    random = np.random.default_rng(seed)
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(random.integers(2**62)))
        yield random
