"""Composites: the rule of layer-wise relevance propagation for each kind of layer, by zennit's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RULES = ("epsilon", "gamma", "alpha_beta", "z_plus", "z_box", "w_square", "flat")


@dataclass(frozen=True)
class Composite:
    """The rule of convolutions, of linear layers, and of the layers with weights that read the picture itself:
    ``first`` for any such layer, ``first_convolution`` for convolutions only. Empty: the rule of its kind."""

    convolution: str
    linear: str = "epsilon"
    first: str = ""
    first_convolution: str = ""

    def rule(self, kind: str, raw: bool) -> str:
        """Return the name of the rule for a layer of ``kind`` (`convolution` or `linear`); ``raw``: it reads the
        picture."""
        own = self.convolution if kind == "convolution" else self.linear
        if not raw:
            return own
        return self.first or (self.first_convolution if kind == "convolution" else "") or own


COMPOSITES: Mapping[str, Composite] = {
    "epsilon_plus": Composite("z_plus"),
    "epsilon_gamma_box": Composite("gamma", first_convolution="z_box"),
    "epsilon_alpha2_beta1": Composite("alpha_beta"),
    "epsilon_plus_flat": Composite("z_plus", first="flat"),
    "epsilon_alpha2_beta1_flat": Composite("alpha_beta", first="flat"),
}


def composite_of(parameters: Mapping[str, str]) -> Composite:
    """Return the composite that `lrp(composite=, convolution=, linear=, first=)` requests."""
    base = COMPOSITES[parameters["composite"]]
    first = parameters["first"]
    return Composite(
        parameters["convolution"] or base.convolution,
        parameters["linear"] or base.linear,
        first or base.first,
        "" if first else base.first_convolution,
    )
