"""`smoothgrad`: the mean of a method over noisy copies."""

from __future__ import annotations

from bbilang.runtime.methods.noise import Noisy


class SmoothGrad(Noisy):
    """The mean of a method's contributions over `n_samples` copies of the layer's activation (at the input: of the
    picture) with Gaussian noise. Its standard deviation is `noise` times the range of the picture's own values at that
    layer.

    `of` is any gradient method: `smoothgrad(of=linear)`, `smoothgrad(of=integrated_gradients(n_steps=20))`,
    `smoothgrad(of=guided_backprop)`, or `smoothgrad` and `vargrad` themselves. Defined wherever that method is; the
    paper adds the noise to the input. It takes n_samples times as many evaluations as `of`, in batches and only above
    the layer. The noise depends on `set seed`. Captum: `NoiseTunnel`, `nt_type="smoothgrad"`.
    """

    name = "smoothgrad"
    title = "SmoothGrad"
    known_as = ("noise_tunnel",)
    axioms = ("sensitivity_b", "implementation_invariance", "linearity")
    source = "Smilkov, Thorat, Kim, Viégas, Wattenberg 2017"


METHODS = (SmoothGrad(),)
