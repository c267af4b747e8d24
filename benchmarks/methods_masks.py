"""Rows of the methods that mask parts of the picture."""

from __future__ import annotations

import numpy as np

from benchmarks import work
from benchmarks.attributions import classes, made
from benchmarks.harness import Row

SEED = 0


def occlusion(tiny: bool) -> Row:
    chosen, window, stride = classes(tiny, 5), 112 if tiny else 56, 112 if tiny else 28

    def captum() -> np.ndarray:
        from captum.attr import Occlusion

        method = Occlusion(work.theirs())
        every = [
            method.attribute(work.normalized(), (3, window, window), (3, stride, stride), 0.0, target=index,
                             perturbations_per_eval=16)
            for index in chosen
        ]  # fmt: skip
        return np.stack([each.detach()[0, 0].numpy() for each in every])

    return made("occlusion", f"occlusion, {window} px windows", f"occlusion(window={window}, stride={stride})", chosen,
                {"Captum, Occlusion": ("captum", captum)})  # fmt: skip


def rise(tiny: bool) -> Row:
    import torch

    from bbilang.compiler.contract import bound
    from bbilang.registry import registry

    chosen, count = classes(tiny), 4 if tiny else 64
    kind, parameters = bound(registry(), ("rise", (("n_masks", count),)))
    masks = kind.mask(parameters, 0, count, (224, 224), SEED)

    def loop() -> np.ndarray:
        """Compute RISE as the authors' `explanations.py` does: normalized pictures times the masks, in batches, all
        scores times all masks."""
        network, scores = work.theirs(), []
        with torch.no_grad():
            for start in range(0, count, 16):
                scores.append(network(work.normalized() * masks[start : start + 16, None]))
            every = torch.cat(scores).T @ masks.flatten(1) / count / 0.5
        return every[list(chosen)].view(-1, 224, 224).numpy()

    return made("rise", f"RISE, {count} masks", f"rise(n_masks={count})", chosen, {},
                {"the authors' loop, our lines": loop})  # fmt: skip


def extremal_perturbation(tiny: bool) -> Row:
    chosen, steps, area = classes(tiny, 1), 4 if tiny else 20, 0.1

    def torchray() -> np.ndarray:
        """Run TorchRay with its defaults except 800 steps, and with blurred pictures instead of black ones, as in the
        paper."""
        from torchray.attribution.extremal_perturbation import extremal_perturbation as learn

        network = work.adapter().module  # its parameters have no gradients, as in TorchRay's own examples
        learned = [learn(network, work.normalized(), index, areas=[area], max_iter=steps)[0] for index in chosen]
        return np.stack([mask[0, 0].numpy() for mask in learned])

    return made("extremal_perturbation", f"extremal perturbation, area {area:g}, {steps} steps",
                f"extremal_perturbation(area={area}, steps={steps})", chosen,
                {"TorchRay, extremal_perturbation": ("torchray", torchray)})  # fmt: skip
