"""Alternatives to `minimal.py`, each measured against it in turns: why it is written as it is.

    python -m benchmarks.ways [linear] [tangents] [path]

Prints a table; the numbers of all ways are compared first. On the module as it comes, or on a copy of it whose batch
norms are folded into the convolutions and which is laid out channels last ("folded": made before the clock starts).
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks import minimal, work
from benchmarks.harness import Way, alternate, errors
from benchmarks.integrated import BLOCK
from benchmarks.linear import BLOCKS
from benchmarks.table import seconds

ROUNDS = 5


@cache
def networks() -> dict[str, tuple[nn.Module, Tensor]]:
    """Return name -> (module, normalized picture)."""
    folded = copy.deepcopy(work.adapter().module)
    for child in folded.modules():
        if hasattr(child, "convolution"):
            fused = fuse_conv_bn_eval(child.convolution, child.norm)
            child.convolution.weight, child.convolution.bias = fused.weight, fused.bias
            child.norm = nn.Identity()
    folded.requires_grad_(False)
    picture = work.normalized()
    last = torch.channels_last
    return {
        "as it comes": (work.adapter().module, picture),
        "folded": (folded.to(memory_format=last), picture.contiguous(memory_format=last)),
    }


def children(module: nn.Module, start: str = "", end: str = "pool") -> list[tuple[str, nn.Module]]:
    """Return the network's parts in order, from ``start`` on and before ``end``."""
    names = [name for name, _ in module.named_children()]
    chosen = names[names.index(start) if start else 0 : names.index(end)]
    return [(name, module.get_submodule(name)) for name in chosen]


def through(parts: Sequence[tuple[str, nn.Module]], x: Tensor) -> Tensor:
    for _, part in parts:
        x = part(x)
    return x


def classify(module: nn.Module, x: Tensor) -> Tensor:
    return module.classifier(module.pool(x).flatten(1))


# --- linear attribution: 4 layers, 10 classes -----------------------------------------------------------------------


@contextmanager
def capturing(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[dict[str, Tensor]]:
    """Capture the expansions of the blocks inside; the first becomes a leaf, after ``change``."""
    captured: dict[str, Tensor] = {}

    def keep(block: str, _: Any, __: Any, result: Tensor) -> Tensor:
        captured[block] = result if result.requires_grad else change(result.detach()).requires_grad_()
        return captured[block]

    handles = [module.get_submodule(f"{block}.expand").register_forward_hook(partial(keep, block)) for block in BLOCKS]
    try:
        yield captured
    finally:
        for handle in handles:
            handle.remove()


def sums(gradients: Sequence[Tensor], layers: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """Sum gradients (class, 1 or none, channel, y, x) by layer to block -> (class, channel)."""
    pairs = zip(BLOCKS, gradients, layers, strict=True)
    return {block: (g.flatten(0, 1) * a.detach()).sum((2, 3)).numpy() for block, g, a in pairs}


def cotangents_in_turn(module: nn.Module, x: Tensor, classes: Sequence[int]) -> dict[str, np.ndarray]:
    with capturing(module, lambda t: t) as captured:
        scores = module(x)
        layers = [captured[block] for block in BLOCKS]
        rows = [torch.autograd.grad(scores[0, c], layers, retain_graph=True) for c in classes]
    return sums([torch.stack(each) for each in zip(*rows, strict=True)], layers)


def cotangents_batched(module: nn.Module, x: Tensor, classes: Sequence[int]) -> dict[str, np.ndarray]:
    with capturing(module, lambda t: t) as captured:
        scores = module(x)
        layers = [captured[block] for block in BLOCKS]
        hot = F.one_hot(torch.tensor(classes), 1000).float()[:, None]
        return sums(torch.autograd.grad(scores, layers, hot, is_grads_batched=True), layers)


def pictures_copied(module: nn.Module, x: Tensor, classes: Sequence[int]) -> dict[str, np.ndarray]:
    """Run one copy of the picture for each class through the whole network."""
    with capturing(module, lambda t: t) as captured:
        scores = module(x.expand(len(classes), -1, -1, -1))
        layers = [captured[block] for block in BLOCKS]
        everything = torch.autograd.grad(scores.gather(1, torch.tensor(classes)[:, None]).sum(), layers)
        return sums([g[:, None] for g in everything], layers)


def linear() -> dict[str, Callable[[], dict[str, np.ndarray]]]:
    classes = work.ranked()[:10]
    ways = {
        "minimum": lambda: {
            block: each.numpy()
            for block, each in minimal.linear(work.adapter().module, work.picture(), BLOCKS, classes).items()
        }
    }
    for how in (cotangents_in_turn, cotangents_batched, pictures_copied):
        for name, (module, x) in networks().items():
            ways[f"{how.__name__.replace('_', ' ')}, {name}"] = partial(how, module, x, classes)
    return ways


# --- tangents: 196 positions to all classes ---------------------------------------------------------------------------


def directions(layer: Tensor) -> Tensor:
    """Return (y * x, 1, channel, y, x): the layer's own vector at one position each, zero elsewhere."""
    y, x = layer.shape[2:]
    number = torch.arange(y * x)
    vectors = torch.zeros(y * x, *layer.shape[1:])
    vectors[number, :, number // x, number % x] = layer[0].flatten(1).T
    if layer.is_contiguous(memory_format=torch.channels_last):
        vectors = vectors.contiguous(memory_format=torch.channels_last)
    return vectors[:, None]


def jvp_under_vmap(module: nn.Module, x: Tensor, chunk: int) -> dict[str, np.ndarray]:
    with torch.no_grad():
        layer, above = through(children(module, end="block6a"), x), children(module, "block6a")

        def one(tangent: Tensor) -> Tensor:
            return torch.func.jvp(lambda a: classify(module, through(above, a)), (layer,), (tangent,))[1]

        return {"all": torch.func.vmap(one, chunk_size=chunk)(directions(layer))[:, 0].numpy()}


def linearized(module: nn.Module, x: Tensor, chunk: int) -> dict[str, np.ndarray]:
    with torch.no_grad():
        layer, above = through(children(module, end="block6a"), x), children(module, "block6a")
        _, push = torch.func.linearize(lambda a: classify(module, through(above, a)), layer)
        return {"all": torch.func.vmap(push, chunk_size=chunk)(directions(layer))[:, 0].numpy()}


def cotangents_of_all_classes(module: nn.Module, x: Tensor, chunk: int) -> dict[str, np.ndarray]:
    with torch.no_grad():
        layer = through(children(module, end="block6a"), x)
    layer = layer.requires_grad_()
    scores = classify(module, through(children(module, "block6a"), layer))
    gradients = []
    for hot in torch.eye(1000)[:, None].split(chunk):
        (gradient,) = torch.autograd.grad(scores, layer, hot, is_grads_batched=True, retain_graph=True)
        gradients.append((gradient[:, 0] * layer.detach()).sum(1).flatten(1))
    return {"all": torch.cat(gradients).T.numpy()}


def tangents() -> dict[str, Callable[[], dict[str, np.ndarray]]]:
    ways = {"minimum": lambda: {"all": minimal.positions(work.adapter().module, work.picture(), "block5c").numpy()}}
    for how in (jvp_under_vmap, linearized, cotangents_of_all_classes):
        for name, (module, x) in networks().items():
            ways[f"{how.__name__.replace('_', ' ')}, {name}, 28 at once"] = partial(how, module, x, 28)
    return ways


# --- a path: integrated gradients -------------------------------------------------------------------------------------


def path() -> dict[str, Callable[[], dict[str, np.ndarray]]]:
    index = work.ranked()[0]

    def points_at_once(count: int) -> dict[str, np.ndarray]:
        before, minimal.POINTS = minimal.POINTS, count
        try:
            attribution = minimal.integrated_gradients(work.adapter().module, work.picture(), BLOCK, index)
        finally:
            minimal.POINTS = before
        return {"all": attribution.sum((1, 2)).numpy()}

    return {"minimum": partial(points_at_once, minimal.POINTS)} | {
        f"{count} points at once": partial(points_at_once, count) for count in (5, 10, 50)
    }


GROUPS = {"linear": linear, "tangents": tangents, "path": path}


def main(names: Sequence[str]) -> None:
    for name in names or GROUPS:
        ways = GROUPS[name]()
        made = tuple(Way(each, "beside", work, lambda results: results) for each, work in ways.items())
        expected = ways["minimum"]()
        results = {way.name: errors(expected, way.work()) for way in made}
        timed = {each: timing.to_json(1.0) for each, timing in alternate(made, ROUNDS, lambda _: None).items()}
        least = timed["minimum"]
        print(f"{name}, {torch.get_num_threads()} threads: median, times the minimum, by processor time, difference")
        for each, one in timed.items():
            ratio, cpu = one["wall_s"] / least["wall_s"], one["cpu_s"] / least["cpu_s"]
            print(
                f"  {each:52} {seconds(one['wall_s']):>8} {ratio:6.2f} x {cpu:6.2f} x {results[each]:10.1e}", flush=True
            )


if __name__ == "__main__":
    main(sys.argv[1:])
