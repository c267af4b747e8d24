"""Rows of the methods that propagate relevance from layer to layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks import peers, work
from benchmarks.attributions import classes, exact_merge, for_zennit, made
from benchmarks.harness import Row


def lrp(tiny: bool) -> Row:
    chosen = classes(tiny)

    def zennit() -> np.ndarray:
        import torch
        from zennit.composites import EpsilonPlus

        network, attributions = for_zennit(), []
        with EpsilonPlus(canonizers=[exact_merge()]).context(network) as followed:
            for index in chosen:
                x = work.normalized().clone().requires_grad_()
                scores = followed(x)
                start = torch.zeros_like(scores)
                start[:, index] = scores.detach()[:, index]
                attributions.append(torch.autograd.grad(scores, x, start)[0][0].sum(0).numpy())
        return np.stack(attributions)

    return made("lrp", "LRP, EpsilonPlus", 'lrp(composite="epsilon_plus")', chosen,
                {"zennit, sums made modules": ("zennit", zennit)})  # fmt: skip


def excitation_backprop(tiny: bool) -> Row:
    import bbilang

    layer, network = "features.7", rectified()
    adapter = bbilang.adapt(network, (224, 224), name="squeezenet1_1")
    with torch.no_grad():
        chosen = tuple(network(work.picture()[None])[0].topk(2 if tiny else 5).indices.tolist())

    def torchray() -> np.ndarray:
        from torchray.attribution.excitation_backprop import excitation_backprop as pass_down

        picture = work.picture()[None]
        return np.stack([pass_down(network, picture, c, saliency_layer=layer).detach()[0, 0].numpy() for c in chosen])

    return made("excitation_backprop", f"excitation backprop at {layer} of a SqueezeNet", "excitation_backprop", chosen,
                {"TorchRay, excitation_backprop": ("torchray", torchray)}, at=f"{layer}.spatial", model=adapter,
                tolerance=1e-3)  # fmt: skip


def rectified() -> Any:
    """Return a SqueezeNet with random weights: TorchRay expects every linear layer to read the result of a ReLU, and
    mistakes the ReLU6, the linear bottlenecks and the sums of EfficientNet-Lite0 for something else."""
    peers.define_missing_operators()
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    return squeezenet1_1(weights=None).eval()
