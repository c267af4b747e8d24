"""Which pitch the icons of CREPE's classes have: `python benchmarks/crepe_icons.py [EVERY] [STEPS]`.

Class k is 10 * 2^((1997.3794 + 20 k) / 1200) Hz. Every EVERYth class (1: all 295 from 65 to 1,975 Hz) gets an icon of
STEPS steps (512), whose fundamental is estimated by the sum over harmonics. Errors of whole octaves are counted apart:
a tone without its fundamental has the pitch of its harmonics.
"""

from __future__ import annotations

import math
import sys

import numpy as np

LOW, HIGH = 65.0, 1975.0  # Hz
RATE = 16_000


def fundamental(samples: np.ndarray) -> float:
    """Return the frequency in Hz with the largest sum over eight harmonics, of what stands out of the spectrum of
    (time,) around it."""
    from scipy.ndimage import median_filter

    length, step = 2 * len(samples), RATE / (2 * len(samples))
    level = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), length))
    level = np.maximum(level - 2 * median_filter(level, size=int(240 / step) | 1), 0)
    tried = np.exp(np.linspace(np.log(55), np.log(2150), 8000))
    sums = np.zeros(len(tried))
    for k in range(1, 9):
        at = np.minimum(tried * k / step, len(level) - 1)
        sums += 0.9**k * np.interp(at, np.arange(len(level)), level) * (tried * k < RATE / 2)
    return float(tried[sums.argmax()])


def main(every: int, steps: int) -> None:
    from bbilang.runtime.featvis.engine import visualize
    from bbilang.runtime.featvis.icon import Objective, Recipe
    from bbilang.runtime.models.loading import load
    from bbilang.runtime.models.zoo.crepe import CLASSES, hertz

    classes = [k for k in range(CLASSES) if LOW <= hertz(k) <= HIGH][::every]
    icons = visualize(load("crepe_tiny"), [Objective("output", k) for k in classes], Recipe(steps=steps))
    errors = [1200 * math.log2(fundamental(i.sound[1][0]) / hertz(k)) for k, i in zip(classes, icons, strict=True)]
    apart = [(error + 600) % 1200 - 600 for error in errors]
    print("class  Hz      cents   but for octaves  salience")
    for k, error, rest, icon in zip(classes, errors, apart, icons, strict=True):
        print(f"{k:5d}  {hertz(k):6.1f}  {error:+6.0f}  {rest:+6.0f}           {icon.objective:.2f}")
    exact, octaves = (sum(abs(e) <= 50 for e in list_) for list_ in (errors, apart))
    print(f"within 50 cents: {exact} of {len(classes)}; {octaves} but for octaves")


if __name__ == "__main__":
    main(*(int(word) for word in (*sys.argv[1:], *("1", "512")[len(sys.argv) - 1 :])))
