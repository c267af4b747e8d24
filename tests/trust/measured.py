"""Run a text up to its `trust` and return each measure's findings; networks with known answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import slow
import tiny
import torch
from torch import nn

from bbilang.compiler.ir.program import walk
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan
from bbilang.registry import registry
from bbilang.runtime.execution.context import Run
from bbilang.runtime.models.adapt import adapt


def findings(text: str, model: Any = "residual", inputs: int = 1, optimized: bool = True) -> dict[str, Any]:
    """measure -> `Finding` of the only `trust`; the run under ``run``, its node under ``node``."""
    own = slow.adapter(model) if isinstance(model, str) else model
    program = tiny.check(text, inputs, own)
    steps = plan(optimize(program) if optimized else program)
    run = Run.of(steps.program, registry(), replace(own, description=program.description), tiny.pictures(inputs))
    (node,) = (n for n in walk(*(e.node for e in run.program.elements)) if n.op == "trust")
    result: dict[str, Any] = {"field": run.value(node), "run": run, "node": node, "plan": steps}
    return result | {n: finding for results in run.shared.trust_results.values() for n, finding in results.items()}


class Product(nn.Module):
    """`a` (2, 1, 1) is the mean of the picture's first two colours; the scores are their product, sum and first."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.AdaptiveAvgPool2d(1)
        self.scale = nn.Parameter(torch.ones(len(tiny.LABELS)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.a(x[:, :2]).flatten(1)
        scores = torch.stack([a[:, 0] * a[:, 1], a.sum(1), a[:, 0]], 1)
        return torch.cat([scores, scores.new_zeros(len(x), len(tiny.LABELS) - 3)], 1) * self.scale


class Same(nn.Module):
    """Every class is the same sum of the channels of `a`, each its own positive number of times; nothing is learned but
    these numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.AvgPool2d(4)
        self.scale = nn.Parameter(torch.linspace(1, 2, len(tiny.LABELS)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.a(x) ** 2).sum((1, 2, 3))[:, None] * self.scale


class Narrow(nn.Module):
    """All classes read one channel of `a`, whose positions were rectified."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 1, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(1, len(tiny.LABELS))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            nn.init.normal_(self.a[0].weight, 0.2, 0.3)
            nn.init.uniform_(self.head.weight, 0.5, 1.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.a(x).mean((2, 3)))


def planted(kind: type[nn.Module]) -> Any:
    return adapt(kind(), (tiny.SIZE, tiny.SIZE), labels=tiny.LABELS, name="planted")
