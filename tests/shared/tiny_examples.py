"""Pictures and a network for scans of a page by workers, which can be sent to them. A worker may be killed."""

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tiny
from tiny_tasks import once

import bbilang
from bbilang.runtime.models.preprocess import Preprocess


@dataclass(frozen=True)
class Pictures:
    """Small pictures of noise with two labels. A process that reads picture ``dies`` is killed, once for each that
    ``folder`` counts, unless it made this."""

    count: int
    folder: Path | None = None
    dies: int = -1
    driver: int = field(default_factory=os.getpid)
    classes = ("ant", "bee")

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        if number == self.dies and os.getpid() != self.driver and once(self.folder):
            os.kill(os.getpid(), signal.SIGKILL)
        return np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8), number % 2


def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))
