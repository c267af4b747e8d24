"""Factorize one layer, separately for every input and state or for all inputs together, and order the groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.factorization.compatible import compatible
from bbilang.runtime.factorization.matrix import (
    CENTRED,
    RANKED,
    SIGNED,
    Factors,
    check_numbers,
    factorize,
    with_residual,
)
from bbilang.runtime.fields.field import Named

if TYPE_CHECKING:
    import torch

LATER = "to.group"  # the groups of a later layer, in an attribution to them


@dataclass(frozen=True)
class LayerFactorization:
    """How a layer's contents are factorized.

    ``separate_axes``: those along which each index has its own factorization (input, states); ``position_axes``: the
    layer's; ``weights``: the balance of the contents; ``what``: for messages.
    """

    method: str
    weights: tuple[float, ...]
    separate_axes: tuple[str, ...]
    position_axes: tuple[str, ...]
    seed: int = 0
    device: torch.device | str | None = None
    what: str = ""

    def all(
        self,
        contents: Sequence[Named],
        counts: np.ndarray,
        sliding: tuple[str, ...] = (),
        attribution: Named | None = None,
    ) -> tuple[Named, Named, Named, Named]:
        """Factorize every block. Returns W (*apart, *sliding, [input,] group, *positions), H (*apart, *sliding, group,
        channel), the share of the first content's squared norm that is left out (*apart, *sliding), and the same of the
        vector at each position (*apart, *sliding, [input,] *positions).

        contents: over (states, input, *places, channel) in any order. counts: the numbers of groups, one for each index
        of the axis ``sliding`` where there is one. Groups beyond an index's count are NaN. leads: the attribution of
        each entry to the groups of a later layer, over (input, *places, channel, to.group): see `compatible`.
        """
        sizes = {d: s for cube in contents for d, s in cube.sizes.items()}
        joint = () if "input" in self.separate_axes else ("input",)
        inner = (*joint, *self.position_axes)
        cubes = [cube.spread((*self.separate_axes, *inner, "channel")).astype(np.float64) for cube in contents]
        shape = (*(sizes[d] for d in self.separate_axes), *(len(counts) for _ in sliding))
        grid, most = tuple(sizes[d] for d in inner), int(max(counts))
        spatial = np.full((*shape, most, *grid), np.nan, np.float32)
        channel = np.full((*shape, most, sizes["channel"]), np.nan, np.float32)
        rest = np.zeros(shape)
        rest_at = np.full((*shape, *grid), np.nan, np.float32)
        for at in np.ndindex(*(sizes[d] for d in self.separate_axes)):
            own = [cube[tuple(i if s > 1 else 0 for i, s in zip(at, cube.shape, strict=False))] for cube in cubes]
            blocks = [block.reshape(-1, block.shape[-1]) for block in own]
            split = None if attribution is None else self._attribution_at(attribution, at, inner)
            where = f"{self.what}, input {at[0]}" if "input" in self.separate_axes and sizes["input"] > 1 else self.what
            for number, count in enumerate(counts):
                factors = self.one(blocks, int(count), where, split)
                factors = factors.in_order(self.order(factors, grid))
                slot = (*at, number) if sliding else at
                spatial[(*slot, slice(0, count))] = factors.spatial.T.reshape(-1, *grid)
                channel[(*slot, slice(0, count))] = factors.channel
                rest[slot], rest_at[slot] = factors.left_out, factors.left_out_at.reshape(grid)
        dims = (*self.separate_axes, *sliding)
        w = Named((*dims, "group", *inner), spatial)
        if joint:
            w = w.ordered((*dims, "input", "group", *self.position_axes))
        there = Named((*dims, *inner), rest_at)
        return w, Named((*dims, "group", "channel"), channel), Named(dims, rest), there

    def _attribution_at(self, attribution: Named, at: tuple[int, ...], inner: tuple[str, ...]) -> np.ndarray:
        """Return (later group, position, channel) at one index of the separate axes."""
        cube = attribution.spread((*self.separate_axes, *inner, "channel", LATER))
        own = cube[tuple(i if s > 1 else 0 for i, s in zip(at, cube.shape, strict=False))]
        return own.reshape(-1, *own.shape[-2:]).transpose(2, 0, 1)

    def one(self, blocks: list[np.ndarray], n: int, where: str, attribution: np.ndarray | None = None) -> Factors:
        """Factorize the first block (position, channel), with an H shared by all blocks, by their weights.

        A block with both signs goes into nmf as its positive and its negative part; W is then their difference.
        """
        for block in blocks:
            check_numbers(block, where)
        if attribution is not None:
            return compatible(blocks[0], attribution, n, self.method, self.seed, self.device, where)
        scales = [w / np.linalg.norm(b) if len(blocks) > 1 else 1.0 for w, b in zip(self.weights, blocks, strict=True)]
        rows = [scale * block for scale, block in zip(scales, blocks, strict=True)]
        signed = self.method == "nmf" and any(block.min() < 0 for block in rows)
        if signed:
            rows = [part for block in rows for part in (np.maximum(block, 0), np.maximum(-block, 0))]
        factors = factorize(np.concatenate(rows), self.method, n, self.seed, self.device, where)
        if len(rows) == 1:
            return factors
        count = len(blocks[0])
        spatial = factors.spatial[:count] - (factors.spatial[count : 2 * count] if signed else 0)
        spatial, offset = spatial / scales[0], factors.offset / scales[0]
        return with_residual(blocks[0], spatial, factors.channel, offset)

    def order(self, factors: Factors, grid: tuple[int, ...]) -> np.ndarray:
        """Order groups from left to right by the centroid of W squared, by value where there are no positions, or not
        at all."""
        if self.method in RANKED:
            return np.arange(len(factors.channel))
        if not self.position_axes:
            return np.argsort(-factors.values, kind="stable")
        axis = self.position_axes.index("x" if "x" in self.position_axes else self.position_axes[-1]) - len(
            self.position_axes
        )
        weight = np.moveaxis(np.square(factors.spatial).T.reshape(-1, *grid), axis, -1)
        weight = weight.reshape(len(weight), -1, weight.shape[-1]).sum(1)  # group, position from left to right
        total = weight.sum(1)
        centroid = (weight * np.arange(weight.shape[1])).sum(1) / np.where(total > 0, total, 1)
        return np.argsort(np.where(total > 0, centroid, np.inf), kind="stable")


def norm_of(channel: Named) -> Named:
    """Return |H_g| over (..., group)."""
    return Named(channel.dims[:-1], np.linalg.norm(channel.data, axis=-1))


def atom_noun(method: str) -> str:
    """Return the noun for an atom that an operation makes: "component" or "group" of a factorization, "concept", or
    "direction" of a sum of directions."""
    return method if method in ("concept", "direction") else "component" if method in SIGNED else "group"


def atoms_and_mean(method: str) -> str:
    """Return the subject of a sentence about all atoms, with the mean where the method centres."""
    return f"the {atom_noun(method)}s{' and the mean' if method in CENTRED else ''}"


def words_left_out(share: Named, sliding: tuple[str, ...], counts: np.ndarray, content: str, method: str) -> str:
    """Describe what is left out: "the groups leave out 36 % of the activation's squared norm"; for a slider, per number
    of groups."""
    if sliding and len(counts) <= 12:
        others = tuple(i for i, d in enumerate(share.dims) if d != sliding[0])
        ends = zip(counts, share.data.min(others), share.data.max(others), strict=True)
        each = ", ".join(f"{n} {atom_noun(method)}s {percent(low, high)}" for n, low, high in ends)
        return f"the share of the {content}'s squared norm that is left out: {each}"
    left_out = percent(share.data.min(), share.data.max())
    return f"{atoms_and_mean(method)} leave out {left_out} of the {content}'s squared norm"


def share_sentence(words: str, share: float) -> str:
    """Put the share that is left out into a sentence, at `{}`.

    Components can miss a vector that is far from most of the layer's by more than its norm: then 0 would be nearer, and
    the sentence says so.
    """
    if share <= 1 or "leave out" not in words:
        return words.format(percent(share, share))
    return words.format("more than all") + ", so that they do not describe it"


def percent(low: float, high: float) -> str:
    """Format a share, or the range of several, in whole percents; small ones with a digit."""
    first, last = (f"{100 * v:.0f}" if v >= 0.01 or v < 1e-5 else f"{100 * v:.1g}" for v in (low, high))
    return f"{first} %" if first == last else f"{first} to {last} %"
