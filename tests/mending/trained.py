"""Small networks and pictures for trainings of a second: a red pixel block gives class 1 away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from bbilang import BbiError, adapt
from bbilang.compiler.ir.program import Node, walk
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry
from bbilang.runtime.data.dataset import Dataset
from bbilang.runtime.data.sequences import of_sequence
from bbilang.runtime.mending.engine import Task
from bbilang.runtime.mending.recipe import Recipe
from bbilang.runtime.models.adapter import Adapter

SIDE = 12
LABELS = ("low", "high", "other")


class Residual(nn.Module):
    """`side` lies in a branch: what goes past it crosses the cut, too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.side = nn.Sequential(nn.Conv2d(4, 6, 1), nn.ReLU())
        self.back = nn.Conv2d(6, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = self.norm(x + self.back(self.side(x)))
        return self.head(x.mean((2, 3)))


class Branching(Residual):
    """The same, with a condition on values, which no graph has."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if float(x.detach().abs().sum()) >= 0 else super().forward(-x)


def network(kind: type[nn.Module] = Residual, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    made = kind().eval()
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2)
    return made


def adapted(module: nn.Module) -> Adapter:
    return adapt(module, input_size=SIDE, labels=LABELS)


def dataset(count: int = 60, seed: int = 0, labels: Sequence[str] = LABELS) -> Dataset:
    """Noise of another mean in each class."""
    random = np.random.default_rng(seed)
    pictures = [random.integers(40 * (n % 3), 90 + 60 * (n % 3), (SIDE, SIDE, 3), np.uint8) for n in range(count)]
    return of_sequence([(picture, labels[n % 3]) for n, picture in enumerate(pictures)], "noise")


def evidence(text: str, module: nn.Module) -> Node:
    """The node of an attribution, as a text has it."""
    request = Request(text=f"x = {text}\nx | present(number)\n" if "class" not in text else f"{text} | present(bars)\n",
                      model=adapted(module), input=torch.zeros(3, SIDE, SIDE))  # fmt: skip
    program = Pipeline(request).program
    return next(node for node in walk(*program.roots) if node.op == "attribute")


def task(module: nn.Module, text: str = 'side.channel[2] | attribute(output["high"])', **recipe: object) -> Task:
    given = {"epochs": 3, "lr": 0.01, "batch": 16} | recipe
    return Task(evidence(text, module), Recipe(**given), dataset(), called="noise")  # type: ignore[arg-type]


def refusal(call, *arguments, **named) -> str:
    """The code of the error that a call raises."""
    try:
        call(*arguments, **named)
    except BbiError as error:
        return error.diagnostics[0].code
    return ""


REGISTRY = registry()
