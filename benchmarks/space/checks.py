"""How an answer is checked: each returns what is wrong with it, empty where nothing is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.space import oracles, page_checks
from benchmarks.space.networks import NETWORKS
from benchmarks.space.protocol import Direction, NotOffered, Numbers, Question, Tool, Unit

FIRST = {"lite": "stem"}  # the first layer of a network; "0" of the small ones


@dataclass(frozen=True)
class Asked:
    """A question, the method of `Tool` that it is for, and the tool. ``folder``: for pages."""

    ask: str
    network: str
    question: Question
    tool: Tool
    tolerance: float
    folder: Path

    def answer(self) -> Any:
        ask = getattr(self.tool, self.ask)
        return ask(self.question, self.folder / "page.html") if self.ask == "page" else ask(self.question)

    def expected(self) -> Any:
        return oracles.ORACLES[self.ask](self.question)


def equal(asked: Asked) -> str:
    expected = asked.expected()
    return far(asked.answer(), expected, asked.tolerance)


def far(answer: Any, expected: Any, tolerance: float) -> str:
    """Compare arrays, or arrays by layer, relative to the largest expected number."""
    if isinstance(expected, Mapping):
        if answer.keys() != expected.keys():
            return f"layers {', '.join(answer)} in place of {', '.join(expected)}"
        return next((f"{k}: {words}" for k in expected if (words := far(answer[k], expected[k], tolerance))), "")
    answer = np.asarray(answer, float)
    if answer.shape != expected.shape:
        return f"shape {answer.shape} in place of {expected.shape}"
    error = np.abs(answer - expected).max() / np.abs(expected).max()
    return "" if error <= tolerance else f"differs by {error:.2g} of the largest number"


def equal_and_shared(asked: Asked) -> str:
    expected, seen = asked.expected(), [0]
    asked.answer()  # what a tool finds out about a network once
    first = asked.question.network.get_submodule(FIRST.get(asked.network, "0"))

    def count(part: object, arguments: tuple[torch.Tensor, ...]) -> None:
        seen[0] += len(arguments[0])

    handle = first.register_forward_pre_hook(count)
    try:
        answer = asked.answer()
    finally:
        handle.remove()
    apart = len(asked.question.layers) * len(asked.question.targets)
    alone = f"the network's first layer saw {seen[0]} pictures for {apart} answers"
    return far(answer, expected, asked.tolerance) or alone * (seen[0] >= apart)


def complete(asked: Asked) -> str:
    missing = oracles.missing(asked.question)
    for layer, rows in asked.answer().items():
        whole = np.asarray(rows).reshape(len(missing), -1).sum(1)
        if (error := float(np.abs(whole / missing - 1).max())) > asked.tolerance:
            return f"at {layer} they add up to {whole[0]:.3f}, and the score differs by {missing[0]:.3f} ({error:.1%})"
    return ""


def same(asked: Asked) -> str:
    expected, answer = asked.expected(), asked.answer()
    if isinstance(expected, Mapping):
        wrong = [f"{key}: {answer.get(key)}" for key in expected if answer.get(key) != expected[key]]
        return ", ".join(wrong)
    if answer.shape != expected.shape:
        return f"shape {answer.shape} in place of {expected.shape}"
    return "" if (answer == expected).all() else f"{(answer != expected).mean():.0%} differ"


def factorization(asked: Asked) -> str:
    directions, maps = asked.answer()
    if (directions < 0).any() or (maps < 0).any():
        return "a part is negative"
    whole = oracles.activation(asked.question)
    error = np.linalg.norm(whole - np.tensordot(directions.T, maps, 1)) / np.linalg.norm(whole)
    bar = oracles.reconstruction(asked.question) * (1 + asked.tolerance)
    return "" if error <= bar else f"leaves {error:.3f} of the activations, and {bar:.3f} is the bar"


def excites(asked: Asked) -> str:
    question = asked.question
    icons = asked.answer()
    _in_range(icons, len(question.units))
    assert question.pictures is not None
    weak = []
    for unit, icon in zip(question.units, icons, strict=True):
        side = question.picture.shape[-1]
        own = torch.nn.functional.interpolate(
            torch.from_numpy(np.asarray(icon, np.float32)).permute(2, 0, 1)[None], size=(side, side), mode="bilinear"
        )
        most, natural = answered(question, unit, question.normalize(own)), answered(question, unit, question.pictures)
        if float(most[0]) <= float(natural.max()):
            weak.append(
                f"{unit.channel if isinstance(unit, Unit) else 'direction'}: {most[0]:.2f} <= {natural.max():.2f}"
            )
    return ", ".join(weak)


def answered(question: Question, unit: Unit | Direction, given: torch.Tensor) -> torch.Tensor:
    """Return the unit's mean over positions for each picture; of a direction, the cosine with the mean vector."""
    with torch.no_grad():
        mean = oracles.values(question.network, given, (unit.layer,))[0].mean((2, 3))
    if isinstance(unit, Unit):
        return mean[:, unit.channel]
    return torch.nn.functional.cosine_similarity(mean, torch.tensor(unit.vector)[None])


def _in_range(icons: Numbers, count: int) -> None:
    if np.ndim(icons) != 4 or len(icons) != count or np.shape(icons)[-1] != 3:
        raise ValueError(f"icons are (unit={count}, y, x, rgb), and these are {np.shape(icons)}")
    if np.min(icons) < 0 or np.max(icons) > 1:
        raise ValueError("icons lie in [0, 1]")


def repeatable(asked: Asked) -> str:
    first, second = asked.answer(), asked.answer()
    return "" if np.array_equal(first, second) else f"they differ by up to {np.abs(first - second).max():.3f}"


def untouched(asked: Asked) -> str:
    network = asked.question.network
    before = state(network)
    asked.answer()
    after = state(network)
    return ", ".join(name for name in before if not _alike(before[name], after[name]))


def state(network: torch.nn.Module) -> dict[str, Any]:
    """Return what a tool must leave as it was."""
    modules = list(network.modules())
    return {
        "hooks": [len(x._forward_hooks) + len(x._forward_pre_hooks) + len(x._backward_hooks) for x in modules],
        "training mode": [x.training for x in modules],
        "requires_grad": [x.requires_grad for x in network.parameters()],
        "gradients": [x.grad is not None for x in network.parameters()],
        "weights and statistics": [x.detach().clone() for x in network.state_dict().values()],
        "modules": [type(x) for x in modules],
    }


def _alike(own: list[Any], other: list[Any]) -> bool:
    return len(own) == len(other) and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(own, other, strict=True)
    )


def names_the_layer(asked: Asked) -> str:
    own, meant = asked.question.layers[0], "block5c.expand"
    right = replace(asked.question, layers=(meant,), text=asked.question.text.replace(own, meant))
    said = refusal(asked, right)
    return "" if meant in said else f"it says: {said[:80]}" if said else "it gives numbers"


def refused(asked: Asked) -> str:
    network = NETWORKS["relu"]().network  # the same without what is to be refused
    said = refusal(asked, replace(asked.question, network=network))
    return "" if said else "it gives numbers"


def refusal(asked: Asked, right: Question) -> str:
    """Return the words of the error; empty if there is none. Raises what a tool raises for the ``right`` question,
    which it has to answer."""
    replace(asked, question=right).answer()
    try:
        asked.answer()
    except NotOffered:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


CHECKS: dict[str, Callable[[Asked], str]] = {
    check.__name__: check
    for check in (
        equal, equal_and_shared, complete, same, factorization, excites, repeatable, untouched, names_the_layer,
        refused,
    )
} | {
    name: lambda asked, check=check: check(asked.answer(), asked.question, asked.tool)
    for name, check in page_checks.CHECKS.items()
}  # fmt: skip
