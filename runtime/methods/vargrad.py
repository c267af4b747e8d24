"""`vargrad`: the variance of a method over noisy copies."""

from __future__ import annotations

from bbilang.runtime.methods.noise import Noisy


class VarGrad(Noisy):
    """The variance of a method's contributions over noisy copies: (1 / n) sum of (contribution - mean)^2, entry by
    entry of the layer, then summed over an atom's part. Never negative. `smoothgrad` shows what the samples have in
    common; `vargrad` shows where they differ.

    It has the parameters of `smoothgrad`, is defined where that is, and runs the same passes with the same noise for
    the same seed. Captum: `NoiseTunnel`, `nt_type="vargrad"`.
    """

    name = "vargrad"
    title = "VarGrad"
    axioms = ("sensitivity_b", "implementation_invariance")
    variance = True
    signed = False
    unit = "variance of the contributions"
    source = "Adebayo, Gilmer, Goodfellow, Kim 2018, Local explanation methods ... lack sensitivity to parameter values"


METHODS = (VarGrad(),)
