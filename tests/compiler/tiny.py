"""A network small enough to compute by hand, and a pipeline from text to numbers without icons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from bbilang.compiler.check.check import Options
from bbilang.compiler.check.check import check as check_file
from bbilang.compiler.ir.program import Program
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan
from bbilang.grammar.diagnostic import BbiError, render
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.registry import registry
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.execution.results import Results
from bbilang.runtime.inputs.network_input import NetworkInput
from bbilang.runtime.models.adapt import adapt
from bbilang.runtime.view.build import view
from bbilang.runtime.view.model import Provenance, View

torch.set_num_threads(1)

SIZE = 32  # pixels a side
LABELS = ("ant", "bee", "cat, house cat", "dog", "eel", "fox", "cat, big cat")


class Tiny(nn.Module):
    """Three convolutions: `a` (6, 16, 16) and `b` (8, 8, 8) end in a ReLU in place, `c` (5, 8, 8) has both signs."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(inplace=True))
        self.b = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(inplace=True))
        self.c = nn.Conv2d(8, 5, 3, 1, 1)
        self.head = nn.Linear(5 * 4, len(LABELS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(torch.tanh(self.c(self.b(self.a(x)))), 2)
        return self.head(pooled.flatten(1))


class Tokens(nn.Module):
    """A sequence model: `block` gives (token, channel)."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 4, 8, 8)
        self.block = nn.Sequential(nn.Linear(4, 6), nn.GELU())
        self.head = nn.Linear(6, len(LABELS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        return self.head(self.block(tokens).mean(1))


def build(kind: type[nn.Module] = Tiny, seed: int = 3) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = kind()
        for parameter in module.parameters():  # strong enough that classes differ
            nn.init.normal_(parameter, 0.1, 0.4)
    return module


@cache
def adapter(kind: type[nn.Module] = Tiny) -> Any:
    return adapt(build(kind), (SIZE, SIZE), labels=LABELS, name="tiny")


@cache
def pictures(count: int = 1) -> tuple[NetworkInput, ...]:
    inputs = []
    for number in range(count):
        image = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(number))
        image[:, : 8 * (number + 1)] *= 0.3
        inputs.append(NetworkInput(f"picture-{number}", image, (image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)))
    return tuple(inputs)


def images(count: int = 1) -> torch.Tensor:
    return torch.stack([picture.image for picture in pictures(count)])


@dataclass(frozen=True)
class FakeIcon:
    picture: np.ndarray
    objective: float = 0.0
    dead: bool = False
    reason: str = ""
    check: None = None
    sound: None = None


def fake_icons(adapter: Any, objectives: Any, counter: Any) -> list[FakeIcon]:
    """A grey square for every objective, each of another grey."""
    return [FakeIcon(np.full((4, 4, 3), number % 256, np.uint8)) for number in range(len(objectives))]


def check(text: str, inputs: int = 1, model: Any = None, **options: Any) -> Program:
    names = tuple(f"picture-{number}" for number in range(inputs))
    description = (model or adapter()).description
    return check_file(
        parse(Source(text, "page.bbi")), registry(), Options(description=description, inputs=names, **options)
    )


def run_program(program: Program, inputs: int = 1, model: Any = None, optimized: bool = True) -> Results:
    model = replace(model or adapter(), description=program.description)
    steps = plan(optimize(program) if optimized else program)
    return execute(steps, registry(), model, pictures(inputs), icons=fake_icons)


def run(text: str, inputs: int = 1, model: Any = None, optimized: bool = True) -> Results:
    return run_program(check(text, inputs, model), inputs, model, optimized)


def values(text: str, *axes: str, inputs: int = 1, model: Any = None) -> np.ndarray:
    """The numbers of a text's last element, with its axes in this order; a lone input is left out."""
    field = list(run(text, inputs, model).fields.values())[-1]
    array = field.values
    if inputs == 1 and "input" in array.dims:
        array = array.take("input", _first())
    return array.ordered(axes).data


def coordinates(text: str, component: str, inputs: int = 1, model: Any = None) -> np.ndarray:
    """A component of the atoms of a text's last element."""
    array = list(run(text, inputs, model).fields.values())[-1].coords[component]
    return (array.take("input", _first()) if inputs == 1 and "input" in array.dims else array).data


def _first() -> Any:
    from bbilang.runtime.fields.field import Named

    return Named((), np.array(0))


PROVENANCE = Provenance("Tiny", "random", "0" * 16, 0, (), "cpu", "")


def view_of(results: Results) -> View:
    return view(results, registry(), PROVENANCE)


def messages(error: BbiError) -> str:
    return render(error.diagnostics, error.source)


def refused(work: Any) -> BbiError:
    """The BbiError that a piece of work raises."""
    try:
        work()
    except BbiError as error:
        return error
    raise AssertionError("nothing was refused")
