"""Methods of attribution beside the peers that have them: several classes of one picture, each way as its users write
it. One module for the rows of all methods, since they differ in a line or two."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any

import numpy as np

from benchmarks import peers, work
from benchmarks.harness import KINKS, Numbers, Row, Way


def row(tiny: bool, name: str) -> Row:
    return {"grad_cam": grad_cam, "smoothgrad": smoothgrad, "lrp": lrp, "occlusion": occlusion, "rise": rise}[name](
        tiny
    )


def made(
    name: str,
    title: str,
    method: str,
    classes: tuple[int, ...],
    beside: Mapping[str, tuple[str, Callable[[], np.ndarray]]],
    own: Mapping[str, Callable[[], np.ndarray]] | None = None,
    scaled: bool = False,
) -> Row:
    """A row of maps (class, y, x) at the input. ``beside``: way -> (peer, work); ``own``: plain loops that we wrote.
    ``scaled``: maps are compared after each was brought to 0 to 1, since a peer gives them so."""
    text = f"input.pixel | attribute(output[top({len(classes)})], method={method}) | present(heatmap, facet=class)"

    def numbers(found: Any) -> Numbers:
        maps = np.asarray(found, np.float32)
        if scaled:
            maps = maps - maps.min((1, 2), keepdims=True)
            maps = maps / np.maximum(maps.max((1, 2), keepdims=True), 1e-30)
        return {"maps": maps}

    def ours(results: Any) -> Numbers:
        return numbers(work.values(results, 0, "class", "y", "x"))

    found, missing = peers.ways(beside, numbers)
    loops = tuple(Way(way, "beside", each, numbers) for way, each in (own or {}).items())
    return Row(
        name,
        f"{title}, {len(classes)} classes",
        (Way("bbilang", "ours", work.page(text), ours), *found, *loops),
        (),
        "the map of every class" + (", brought to 0 to 1" if scaled else ""),
        KINKS,
        missing,
    )


def classes(tiny: bool, count: int = 10) -> tuple[int, ...]:
    return work.ranked()[: 2 if tiny else count]


# --- rows -------------------------------------------------------------------------------------------------------------


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


SAMPLES, SEED = 10, 0


def noisy_copies(count: int) -> Any:
    """(copy, channel, y, x): the copies that ours draws, so that both have the same noise."""
    import torch

    from bbilang.compiler.op import bound
    from bbilang.registry import registry

    kind, parameters = bound(registry(), ("smoothgrad", (("n_samples", count),)), seed=(SEED,))
    return torch.cat([kind.noisy(parameters, number, work.picture()[None]) for number in range(count)])


def smoothgrad(tiny: bool) -> Row:
    chosen, count = classes(tiny, 3), 2 if tiny else SAMPLES
    copies = noisy_copies(count)

    def captum() -> np.ndarray:
        from captum.attr import Saliency

        method, found = Saliency(_behind_normalization()), []
        for index in chosen:
            batch = copies.clone().requires_grad_()
            found.append(method.attribute(batch, target=index, abs=False).mean(0).sum(0).numpy())
        return np.stack(found)

    return made("smoothgrad", f"SmoothGrad of {count} copies", f"smoothgrad(n_samples={count})", chosen,
                {"Captum, Saliency of the same copies in a batch": ("captum", captum)})  # fmt: skip


def lrp(tiny: bool) -> Row:
    chosen = classes(tiny)

    def zennit() -> np.ndarray:
        import torch
        from zennit.composites import EpsilonPlus

        network, found = _for_zennit(), []
        with EpsilonPlus(canonizers=[_exact_merge()]).context(network) as followed:
            for index in chosen:
                x = work.normalized().clone().requires_grad_()
                scores = followed(x)
                start = torch.zeros_like(scores)
                start[:, index] = scores.detach()[:, index]
                found.append(torch.autograd.grad(scores, x, start)[0][0].sum(0).numpy())
        return np.stack(found)

    return made("lrp", "LRP, EpsilonPlus", 'lrp(composite="epsilon_plus")', chosen,
                {"zennit, sums made modules": ("zennit", zennit)})  # fmt: skip


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

    from bbilang.compiler.op import bound
    from bbilang.registry import registry

    chosen, count = classes(tiny), 4 if tiny else 64
    kind, parameters = bound(registry(), ("rise", (("n_masks", count),)))
    masks = kind.mask(parameters, 0, count, (224, 224), SEED)

    def loop() -> np.ndarray:
        """As the authors' `explanations.py`: normalized pictures times the masks, in batches, all scores times all
        masks."""
        network, scores = work.theirs(), []
        with torch.no_grad():
            for start in range(0, count, 16):
                scores.append(network(work.normalized() * masks[start : start + 16, None]))
            every = torch.cat(scores).T @ masks.flatten(1) / count / 0.5
        return every[list(chosen)].view(-1, 224, 224).numpy()

    return made("rise", f"RISE, {count} masks", f"rise(n_masks={count})", chosen, {},
                {"the authors' loop, our lines": loop})  # fmt: skip


# --- the network as a peer wants it -----------------------------------------------------------------------------------


def _behind_normalization() -> Any:
    import torch

    class Normalized(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = work.theirs()

        def forward(self, x: Any) -> Any:
            return self.network(work.adapter().normalize(x))

    return Normalized()


def _for_zennit() -> Any:
    """A copy whose residual sums are a module, which zennit's composites find."""
    import torch
    from zennit.layer import Sum

    from bbilang.runtime.models.efficientnet_lite0 import Block

    def forward(self: Any, x: Any) -> Any:
        inside = x if self.expand is None else self.expand(x)
        out = self.project(self.depthwise(inside))
        return self.sum(torch.stack([x, out], -1)) if self.residual else out

    network = copy.deepcopy(work.theirs())
    for module in network.modules():
        if isinstance(module, Block):
            module.sum, module.forward = Sum(), MethodType(forward, module)
    return network


def _exact_merge() -> Any:
    """Batch norms merged without the epsilon that zennit 0.5.1 leaves in them."""
    from zennit.canonizers import SequentialMergeBatchNorm

    class Exact(SequentialMergeBatchNorm):
        @staticmethod
        def merge_batch_norm(modules: Any, batch_norm: Any) -> None:
            SequentialMergeBatchNorm.merge_batch_norm(modules, batch_norm)
            batch_norm.eps = 0.0

    return Exact()
