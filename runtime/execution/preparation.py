"""Pictures of a dataset as the network takes them: uint8, resized and cropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.models.preprocess import Preprocess


@dataclass(frozen=True)
class Preparation:
    """Converts a picture to uint8 (channel, y, x), resized and cropped."""

    preprocess: Preprocess
    channels: int

    @classmethod
    def of(cls, adapter: Adapter) -> Preparation:
        """Return that of a network. Raises BbiError E418 for one of 2 channels, or of more than 3."""
        channels = len(adapter.preprocess.mean)
        if channels not in (1, 3):
            raise adapter.no_picture()
        return cls(adapter.preprocess, channels)

    def __call__(self, picture: Image) -> np.ndarray:
        shown = self.preprocess.display(picture.convert("L") if self.channels == 1 else picture)
        return np.ascontiguousarray(shown.transpose(2, 0, 1)[: self.channels])
