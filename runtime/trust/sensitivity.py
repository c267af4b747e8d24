"""`input_sensitivity` and `shift_invariance`: changes of the attribution under tiny changes of the picture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.model_description import NOT_PICTURES
from bbilang.runtime.errors import error
from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.measure import Cost, Finding, Measure
from bbilang.runtime.trust.numbers import mean_of, over, ratio
from bbilang.runtime.trust.reattribute import Reattribution, of_images

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.models.adapter import Adapter

RADIUS = 0.02  # in units of the input's range
SHIFT = 0.1  # likewise
FAILS = 1.0  # max-sensitivity: the change is as large as the attribution itself


class InputSensitivity(Measure):
    """The largest change of each atom's attribution over copies of the picture with a little noise, uniform in
    [-0.02, 0.02] in every entry; for all atoms together Yeh's max-sensitivity."""

    name = "input_sensitivity"
    title = "input sensitivity"
    source = "Yeh et al. 2019, max-sensitivity"
    formula = (
        "max over noise e, |e| <= .02, of |A(x + e) - A(x)| for each atom; of ||A(x + e) - A(x)|| / ||A(x)|| for all"
    )
    means = (
        "large: pictures that look the same get different attributions; a small one does not make the attribution "
        "right, since a constant has 0"
    )
    of_atoms = True
    interval = True

    def cost(self, n: int) -> Cost:
        return Cost(again=n)

    def find(self, case: Case) -> Finding:
        _require_images(case, self.name)
        own = case.attributions
        largest, most = np.zeros_like(own), np.zeros(own.shape[:-1])
        size = np.linalg.norm(own, axis=-1)
        for attributions in of_images(case, noisy(case)):
            change = attributions - own
            largest = np.maximum(largest, np.abs(change))
            most = np.maximum(most, ratio(np.linalg.norm(change, axis=-1), size))
        words = (
            f"whiskers: the largest change over {case.n} copies with noise up to {RADIUS} of the range; over all atoms "
            f"the largest relative change (max-sensitivity) is {over(most)}"
        )
        warning = ""
        if mean_of(most) >= FAILS:
            warning = (
                "This attribution is not stable: invisible noise changes it by as much as its own size "
                f"(max-sensitivity {over(most)})."
            )
        return Finding(words, warning, spread=largest, values={"largest": largest, "max_sensitivity": most})


def _require_images(case: Case, name: str) -> None:
    """Raise BbiError E531 for texts: token ids have no values in between."""
    if case.run.adapter.description.reads == "text":
        message = f"`{name}` changes a picture a little, and {case.run.adapter.description.name} reads text"
        help = "between two tokens there is nothing; `deletion`, `path_dependence` and others are of any layer"
        raise error("E531", message, help=help)


def noisy(case: Case) -> list[Tensor]:
    """Return noisy copies of the inputs, (input, channel, y, x) each. The noise is the same for every input, so that
    results do not depend on the other inputs."""
    import torch

    generator, images = case.generator(2), case.run.images
    value_range: Tensor | float = 1.0  # images are in [0, 1]; other inputs have their own range
    if case.run.adapter.description.reads in NOT_PICTURES:
        flat = images.flatten(1)
        value_range = (flat.amax(1) - flat.amin(1)).view(-1, *[1] * (images.dim() - 1))
    copies = []
    for _ in range(case.n):
        noise = (torch.rand(images.shape[1:], generator=generator) * 2 - 1) * RADIUS
        copies.append(images + noise.to(images) * value_range)
    return copies


class ShiftInvariance(Measure):
    """The change of each atom's attribution when a constant is added to the picture and subtracted in the network's
    first step: nothing that the network computes changes."""

    name = "shift_invariance"
    title = "shift invariance"
    source = "Kindermans et al. 2017, input invariance"
    formula = "|A(f', x + s) - A(f, x)| for each atom, with f'(x) = f(x - s) and s = .1"
    means = (
        "not 0: the attribution depends on where zero lies on the picture's scale, which means nothing to the network; "
        "0: this one constant does not matter, others may"
    )
    of_atoms = True
    interval = True

    def cost(self, n: int) -> Cost:
        return Cost(again=1)

    def find(self, case: Case) -> Finding:
        _require_images(case, self.name)
        own = case.attributions
        adapter = shifted(case.run.adapter, SHIFT)
        attributions = Reattribution(case, adapter=adapter, images=case.run.images + SHIFT).attributions()[0]
        change = np.abs(attributions - own)
        size = np.linalg.norm(own, axis=-1)
        share = ratio(np.linalg.norm(attributions - own, axis=-1), size)
        words = (
            f"whiskers: the change when {SHIFT} is added to the picture and the network subtracts it; over all atoms "
            f"the relative change is {over(share)}"
        )
        warning = ""
        if mean_of(share) >= 0.1:
            warning = (
                f"This attribution fails shift invariance: a constant that the network never sees changes it by "
                f"{over(100 * share)} % (Kindermans et al. 2017)."
            )
        return Finding(words, warning, spread=change, values={"change": change, "ratio": share})


def shifted(adapter: Adapter, shift: float) -> Adapter:
    """Make an adapter of the same network for images that are brighter by a constant."""

    class Shifted(type(adapter)):  # type: ignore[misc]  # the adapter's class is known at run time only
        """The adapter's class, with the constant subtracted before its normalization."""

        def normalize(self, images: Tensor) -> Tensor:
            return super().normalize(images - shift)

    result = replace(adapter, _hashed=None)
    result.__class__ = Shifted
    return result


MEASURES = (InputSensitivity(), ShiftInvariance())
