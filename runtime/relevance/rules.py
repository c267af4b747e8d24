"""The rules for layers with weights: how relevance is distributed among a layer's inputs.

Each takes a layer and returns the groups of linear maps that relevance passes back through. Definitions and defaults
are those of zennit 0.5.1 (Anders et al. 2021), which includes biases in the denominators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from bbilang.runtime.relevance.redistribute import Group, Piece


@dataclass(frozen=True)
class Layer:
    """A linear map y = call(x, weight, whole_bias), its batch norm folded in. ``bias``: the bias that the rule uses,
    None where biases take no share. ``low`` and ``high``: the least and greatest values that x can have, where x is the
    picture, else None. ``ones``: 1 for the entries of x, 0 for the padding around them."""

    call: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    x: Tensor
    weight: Tensor
    whole_bias: Tensor | None
    bias: Tensor | None
    ones: Tensor
    low: Tensor | None = None
    high: Tensor | None = None

    def piece(self, x: Tensor, weight: Tensor, bias: Tensor | None = None, sign: float = 1.0) -> Piece:
        return Piece((x,), lambda leaf: self.call(leaf, weight, bias), sign)

    def halves(self, positive: Tensor, negative: Tensor, bias: Tensor | None) -> tuple[Piece, ...]:
        """Apply the rule to the two halves of x: its positive part through ``positive`` with the bias, its negative
        part, where it has one, through ``negative``."""
        pieces = [self.piece(self.x.clamp_min(0), positive, bias)]
        if bool((self.x < 0).any()):
            pieces.append(self.piece(self.x.clamp_max(0), negative))
        return tuple(pieces)


class Options(TypedDict):
    """The options of the rules, set by the methods. ``positive``: sums share relevance by their positive terms only."""

    epsilon: float
    gamma: float
    alpha: float
    stabilizer: float
    bias: bool
    canonize: bool
    positive: bool


Rule = Callable[[Layer, Options], list[Group]]


def epsilon(layer: Layer, options: Options) -> list[Group]:
    """Compute x w R / (z + epsilon sign(z)) (Bach et al. 2015, equation 58)."""
    return [Group((layer.piece(layer.x, layer.weight, layer.bias),), epsilon=options["epsilon"])]


def z_plus(layer: Layer, options: Options) -> list[Group]:
    """Distribute over what increased the result: x w where it is positive (Montavon et al. 2017)."""
    pieces = layer.halves(layer.weight.clamp_min(0), layer.weight.clamp_max(0), _least(layer.bias, 0))
    return [Group(pieces, epsilon=options["stabilizer"])]


def alpha_beta(layer: Layer, options: Options) -> list[Group]:
    """Compute alpha times the shares of what raised the result, minus beta = alpha - 1 times those of what lowered it
    (Bach et al. 2015, equation 60)."""
    up, down = layer.weight.clamp_min(0), layer.weight.clamp_max(0)
    alpha, small = options["alpha"], options["stabilizer"]
    raised = Group(layer.halves(up, down, _least(layer.bias, 0)), alpha, None, small)
    if alpha == 1:
        return [raised]
    most = None if layer.bias is None else layer.bias.clamp_max(0)
    return [raised, Group(layer.halves(down, up, most), 1 - alpha, None, small)]


def gamma(layer: Layer, options: Options) -> list[Group]:
    """Replace w by w + gamma w+ (Montavon et al. 2019); for results below zero by w + gamma w- (Andeol et al. 2021)."""
    w, b, g, small = layer.weight, layer.bias, options["gamma"], options["stabilizer"]
    up, down = w + g * w.clamp_min(0), w + g * w.clamp_max(0)
    result = layer.call(layer.x, w, layer.whole_bias)
    more = None if b is None else b + g * b.clamp_min(0)
    less = None if b is None else b + g * b.clamp_max(0)
    return [
        Group(layer.halves(up, down, more), 1.0, (result > 0).to(result), small),
        Group(layer.halves(down, up, less), 1.0, (result < 0).to(result), small),
    ]


def z_box(layer: Layer, options: Options) -> list[Group]:
    """Compute x w - low w+ - high w-: what a pixel adds to the least that it could add (Montavon et al. 2017)."""
    if layer.low is None or layer.high is None:
        raise NotImplementedError("the `z_box` rule needs the range of the pixels, and this layer does not read them")
    if not bool(layer.low.isfinite().all() and layer.high.isfinite().all()):
        raise NotImplementedError("the `z_box` rule needs the range of the input, and only pictures have one")
    w, b = layer.weight, layer.bias
    low, high = layer.low.expand_as(layer.x), layer.high.expand_as(layer.x)
    most = None if b is None else b.clamp_max(0)
    pieces = (
        layer.piece(layer.x, w, b),
        layer.piece(low, w.clamp_min(0), _least(b, 0), -1.0),
        layer.piece(high, w.clamp_max(0), most, -1.0),
    )
    return [Group(pieces, epsilon=options["stabilizer"])]


def w_square(layer: Layer, options: Options) -> list[Group]:
    """Distribute by w squared, whatever the values are (Montavon et al. 2017)."""
    square = None if layer.bias is None else layer.bias.square()
    piece = layer.piece(layer.ones, layer.weight.square(), square)
    return [Group((piece,), epsilon=options["stabilizer"])]


def flat(layer: Layer, options: Options) -> list[Group]:
    """Distribute equally over everything that the layer reads (Lapuschkin et al. 2019)."""
    piece = layer.piece(layer.ones, torch.ones_like(layer.weight))
    return [Group((piece,), epsilon=options["stabilizer"])]


def excitation(layer: Layer, options: Options) -> list[Group]:
    """Compute x+ w+ R / (sum of x+ w+): the marginal winning probability (Zhang et al. 2016, equation 5)."""
    return [Group((layer.piece(layer.x.clamp_min(0), layer.weight.clamp_min(0)),), epsilon=0)]


def contrast(layer: Layer, options: Options) -> list[Group]:
    """Compute excitation minus that of the opposite unit, whose weights are -w (Zhang et al. 2016, section 3.3)."""
    (own,) = excitation(layer, options)
    opposite = layer.piece(layer.x.clamp_min(0), (-layer.weight).clamp_min(0))
    return [own, Group((opposite,), -1.0, epsilon=0)]


def _least(bias: Tensor | None, bound: float) -> Tensor | None:
    return None if bias is None else bias.clamp_min(bound)


BY_NAME: Mapping[str, Rule] = {
    "epsilon": epsilon, "gamma": gamma, "alpha_beta": alpha_beta, "z_plus": z_plus, "z_box": z_box,
    "w_square": w_square, "flat": flat, "excitation": excitation,
}  # fmt: skip
