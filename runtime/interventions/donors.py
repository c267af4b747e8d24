"""Examples of a dataset whose activations stand in for those of the page's inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import Node, source_dataset
from bbilang.runtime.errors import error

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.execution.context import Run


def donors(run: Run, dataset: Node, layer: str, count: int) -> Tensor:
    """Return the activations of randomly chosen examples at one layer, (example, *layer axes): as many as there are, at
    most ``count``, the same for one `set seed`. Raises BbiError E451 where no example can be read."""
    import torch

    from bbilang.runtime import passes
    from bbilang.runtime.data.pictures import Unreadable

    numbers = np.asarray(run.value(dataset).coords["example"].data)
    opened = run.dataset(source_dataset(dataset)).subset(numbers)
    seed = int(run.program.setting("seed", 0))
    images: list[Tensor] = []
    for number in np.random.default_rng([seed, 6]).permutation(len(numbers)).tolist():
        try:
            image, _ = run.adapter.prepare(opened.picture(number))
        except Unreadable:
            continue
        images.append(image)
        if len(images) == count:
            break
    if not images:
        raise error("E451", "no example of the dataset can be read", "choose another `source=`")
    stacked = torch.stack(images).to(run.adapter.device)
    return passes.forward(run.adapter, stacked, [layer], want_output=False, counter=run.shared.scan_passes)[layer]
