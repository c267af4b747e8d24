"""Coherent grids of icons: neighbouring cells share parts of their parametrization and blend into each other.

A cell's picture is to_rgb(.7 unique + .5 sum over groups of share * group) in the space of the coefficients, where a
group is a picture that all cells share and a cell's share of it is the spatial factor of a non-negative factorization
of all the cells' vectors, divided by its largest (Olah, Satyanarayan, Johnson, Carter, Schubert, Ye, Mordvintsev, "The
Building Blocks of Interpretability", Distill 2018, activation grids, and its notebook). All cells are optimized
together, so a cell is identified by its whole grid (`icon.Grid`), in the cache too.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.errors import error
from bbilang.runtime.featvis.ascent import Ascent, adam_step, layer_description
from bbilang.runtime.featvis.icon import NO_GRADIENT, Icon, Objective, Recipe, seed_of
from bbilang.runtime.featvis.pixels import bytes_of
from bbilang.runtime.featvis.transforms import affine
from bbilang.runtime.passes.adapter import Adapter

OWN, SHARED = 0.7, 0.5  # as in the article


def shares(vectors: np.ndarray, groups: int) -> np.ndarray:
    """Factorize (cell, channel) -> (cell, group), with each group's largest share 1: scikit-learn's NMF of the positive
    parts, as in the article (nndsvd). Fewer groups if the vectors allow no more."""
    from sklearn.decomposition import NMF

    positive = np.maximum(np.asarray(vectors, np.float64), 0)
    groups = min(groups, *positive.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on convergence: shares need no exact solution
        weights = NMF(groups, init="nndsvd").fit_transform(positive) if positive.any() else positive[:, :groups]
    return weights / np.maximum(weights.max(0, keepdims=True), 1e-12)


def coherent(
    adapter: Adapter,
    layer: str,
    vectors: np.ndarray,
    groups: int = 6,
    recipe: Recipe | None = None,
    counter: passes.Passes | None = None,
    cache: Cache | None = None,
) -> list[Icon]:
    """Make one icon per row of ``vectors`` (cell, channel), in their order, with that many shared pictures.

    Memory grows with the cells' coefficients; activations are bounded by the recipe's batch, which is halved
    when memory runs out. Raises BbiError E504 (memory), E510 (vectors).
    """
    recipe = recipe or Recipe()
    description = layer_description(adapter, layer)
    layer = layer if description is None else description.name
    objectives = [Objective(layer, tuple(map(float, row))) for row in vectors]
    if not objectives:
        return []
    if groups < 1 or recipe.transparency:
        text = "a coherent grid has at least one group and no transparency"
        raise error("E510", text, "as in `coherence=6`")
    share, batch = torch.tensor(shares(vectors, groups)).float(), recipe.batch
    while True:
        try:
            with Ascent(adapter, objectives[0], recipe, batch, counter or passes.Passes(), cache) as ascent:
                for objective in objectives:
                    ascent.response.check(objective)
                return _optimize(ascent, objectives, share)
        except BbiError as e:
            if not passes.is_out_of_memory(e) or batch == 1:
                raise
            batch //= 2


def _optimize(ascent: Ascent, objectives: list[Objective], share: Tensor) -> list[Icon]:
    recipe, schedule, device = ascent.recipe, ascent.schedule, ascent.device
    sources = [torch.Generator().manual_seed(seed_of(recipe, o)) for o in objectives]
    own = torch.stack([ascent.picture_of.initial(s) for s in sources]).to(device)
    common = torch.Generator().manual_seed(recipe.seed)
    group = torch.stack([ascent.picture_of.initial(common) for _ in range(share.shape[1])]).to(device)
    share = share.to(device)
    draws = torch.stack([ascent.transforms.draw(schedule.steps, s, schedule.widening) for s in sources], 1)
    state = [
        (own, torch.zeros_like(own), torch.zeros_like(own)),
        (group, torch.zeros_like(group), torch.zeros_like(group)),
    ]
    alive = torch.zeros(len(own), dtype=torch.bool, device=device)
    finite = torch.ones_like(alive)
    for step in range(schedule.steps):
        ascent.runner.through_relu = step < recipe.redirect
        size = schedule.size(step, schedule.steps) * ascent.picture_of.stride
        own_gradient, group_gradient = torch.zeros_like(own), torch.zeros_like(group)
        for cells in _batches(len(own), ascent.batch):
            _assign(ascent, objectives, cells)
            maps = affine(draws[step, cells], recipe.size, ascent.view).to(device)
            values, gradient = ascent.ascend(mix(own[cells], group, share[cells]), maps)
            fresh = torch.tensor([n == 0 or cells[n] > cells[n - 1] for n in range(len(cells))], device=device)
            gradient = gradient * fresh.view(-1, *[1] * (gradient.dim() - 1))  # a padded batch counts a cell once
            distinct = [cell for cell, new in zip(cells, fresh.tolist(), strict=True) if new]
            own_gradient[distinct] = OWN * gradient[: len(distinct)]
            group_gradient += SHARED * torch.einsum("bg,b...->g...", share[cells], gradient)
            finite[distinct] &= torch.isfinite(values[: len(distinct)])
            alive[distinct] |= (gradient[: len(distinct)] != 0).flatten(1).any(1)
        for (tensor, mean, square), gradient in zip(state, (own_gradient, group_gradient), strict=True):
            adam_step(tensor, mean, square, gradient, torch.full((len(tensor),), size, device=device), schedule.moments)
    return _finished(ascent, objectives, mix(own, group, share), finite & alive)


def mix(own: Tensor, group: Tensor, share: Tensor) -> Tensor:
    """Mix coefficients of cells (cell, ...): .7 own (cell, ...) + .5 of groups' (group, ...), by share (cell,
    group)."""
    return OWN * own + SHARED * torch.einsum("bg,g...->b...", share, group)


def _batches(cells: int, size: int) -> list[list[int]]:
    """Split the numbers of cells into batches of one size; the last is padded with its last cell."""
    return [[min(at + n, cells - 1) for n in range(size)] for at in range(0, cells, size)]


def _assign(ascent: Ascent, objectives: list[Objective], cells: list[int]) -> None:
    for slot, cell in enumerate(cells):
        ascent.response.put(slot, objectives[cell])


def _finished(ascent: Ascent, objectives: list[Objective], coefficients: Tensor, good: Tensor) -> list[Icon]:
    icons: list[Icon] = []
    ascent.runner.through_relu = False
    for cells in _batches(len(objectives), ascent.batch):
        _assign(ascent, objectives, cells)
        with torch.no_grad():
            pictures = ascent.picture_of(coefficients[cells])
            measured = ascent.response.measured(ascent.excite_unresized(pictures))
        for row, value, cell in zip(bytes_of(pictures), measured.tolist(), cells, strict=True):
            if cell < len(icons):
                continue
            if bool(good[cell]):
                icons.append(Icon(row.copy(), value))
            else:
                icons.append(Icon.grey(row, NO_GRADIENT))
    return icons
