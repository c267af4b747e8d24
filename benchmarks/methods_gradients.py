"""Rows of the methods that are gradients, modified or averaged gradients, and of those that weight maps by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import work
from benchmarks.attributions import behind_normalization, classes, guided, made
from benchmarks.harness import Row

SAMPLES, SEED = 10, 0


def captum(name: str, network: Callable[[], Any], chosen: tuple[int, ...], **arguments: Any) -> Callable[[], Any]:
    """Run a method of Captum at the input, a call per class, summed over colours."""

    def each() -> np.ndarray:
        from captum import attr

        method = getattr(attr, name)(network())
        attributions = [method.attribute(picture(), target=index, **arguments) for index in chosen]
        return np.stack([one.detach()[0].sum(0).numpy() for one in attributions])

    return each


def picture() -> Any:
    """Return (input=1, channel, y, x) in [0, 1], for a network behind its normalization."""
    return work.picture()[None].clone().requires_grad_()


def gradient(tiny: bool) -> Row:
    chosen = classes(tiny)
    peer = captum("Saliency", behind_normalization, chosen, abs=False)
    return made("gradient", "the gradient", "gradient", chosen, {"Captum, Saliency": ("captum", peer)})


def integrated_gradients(tiny: bool) -> Row:
    chosen, steps = classes(tiny, 3), 4 if tiny else 20
    peer = captum("IntegratedGradients", behind_normalization, chosen, n_steps=steps)
    return made("integrated_gradients", f"integrated gradients at the input, {steps} steps",
                f"integrated_gradients(n_steps={steps})", chosen,
                {"Captum, IntegratedGradients": ("captum", peer)})  # fmt: skip


def guided_backprop(tiny: bool) -> Row:
    chosen = classes(tiny)
    peer = captum("GuidedBackprop", guided, chosen)
    return made("guided_backprop", "guided backprop", "guided_backprop", chosen,
                {"Captum, GuidedBackprop": ("captum", peer)})  # fmt: skip


def deconvnet(tiny: bool) -> Row:
    chosen = classes(tiny)
    peer = captum("Deconvolution", guided, chosen)
    return made("deconvnet", "deconvnet", "deconvnet", chosen, {"Captum, Deconvolution": ("captum", peer)})


def noisy_copies(count: int) -> Any:
    """Return (copy, channel, y, x): the copies that ours draws, so that both have the same noise."""
    import torch

    from bbilang.compiler.contract import bound
    from bbilang.registry import registry

    kind, parameters = bound(registry(), ("smoothgrad", (("n_samples", count),)), seed=(SEED,))
    return torch.cat([kind.noisy(parameters, number, work.picture()[None]) for number in range(count)])


def smoothgrad(tiny: bool) -> Row:
    return noisy(tiny, "smoothgrad", "SmoothGrad", lambda every: every.mean(0))


def vargrad(tiny: bool) -> Row:
    return noisy(tiny, "vargrad", "VarGrad", lambda every: every.var(0, unbiased=False))


def noisy(tiny: bool, name: str, title: str, over_copies: Callable[[Any], Any]) -> Row:
    chosen, count = classes(tiny, 3), 2 if tiny else SAMPLES
    copies = noisy_copies(count)

    def captum() -> np.ndarray:
        from captum.attr import Saliency

        method, attributions = Saliency(behind_normalization()), []
        for index in chosen:
            every = method.attribute(copies.clone().requires_grad_(), target=index, abs=False)
            attributions.append(over_copies(every).sum(0).numpy())
        return np.stack(attributions)

    return made(name, f"{title} of {count} copies", f"{name}(n_samples={count})", chosen,
                {"Captum, Saliency of the same copies in a batch": ("captum", captum)})  # fmt: skip


def grad_cam(tiny: bool) -> Row:
    chosen, layer = classes(tiny), "block6c"

    def captum() -> np.ndarray:
        from captum.attr import LayerAttribution, LayerGradCam

        method = LayerGradCam(work.theirs(), work.theirs().get_submodule(layer))
        maps = [method.attribute(work.normalized(), target=c, relu_attributions=True) for c in chosen]
        return np.stack([
            LayerAttribution.interpolate(m, (224, 224), interpolate_mode="bilinear").detach()[0, 0].numpy()
            for m in maps
        ])  # fmt: skip

    def package() -> np.ndarray:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        with GradCAM(work.theirs(), [work.theirs().get_submodule(layer)]) as method:
            return np.stack([method(work.normalized(), [ClassifierOutputTarget(c)])[0] for c in chosen])

    ways = {"Captum, LayerGradCam": ("captum", captum), "grad-cam, GradCAM": ("grad-cam", package)}
    return made("grad_cam", f"Grad-CAM of {layer}", f"grad_cam(layer={layer})", chosen, ways, scaled=True)


def grad_cam_pp(tiny: bool) -> Row:
    chosen, layer = classes(tiny), "block6c"

    def package() -> np.ndarray:
        from pytorch_grad_cam import GradCAMPlusPlus
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        with GradCAMPlusPlus(work.theirs(), [work.theirs().get_submodule(layer)]) as method:
            return np.stack([method(work.normalized(), [ClassifierOutputTarget(c)])[0] for c in chosen])

    return made("grad_cam_pp", f"Grad-CAM++ of {layer}", f"grad_cam_pp(layer={layer})", chosen,
                {"grad-cam, GradCAMPlusPlus": ("grad-cam", package)}, scaled=True)  # fmt: skip
