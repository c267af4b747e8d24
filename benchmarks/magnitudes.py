"""The average photograph's amplitude by frequency, fitted by a power law: the numbers of `parametrization.MAGNITUDES`.

python benchmarks/magnitudes.py FOLDER   (of photographs whose shorter side is at least 224 pixels)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 224
ROOT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])


def main(folder: str) -> None:
    inverse = np.linalg.inv(ROOT / np.linalg.norm(ROOT, axis=0).max())
    paths = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    y, x = np.fft.fftfreq(SIZE)[:, None] * SIZE, np.fft.rfftfreq(SIZE)[None] * SIZE
    frequency = np.hypot(y, x)
    total = np.zeros((3, SIZE, SIZE // 2 + 1))
    for path in paths:
        picture = Image.open(path).convert("RGB")
        left, top = (picture.width - SIZE) // 2, (picture.height - SIZE) // 2
        rows = np.asarray(picture.crop((left, top, left + SIZE, top + SIZE)), float) / 255
        rows = np.clip(rows, 0.01, 0.99)
        values = np.einsum("cr,yxr->cyx", inverse, np.log(rows / (1 - rows)))
        total += np.abs(np.fft.rfft2(values)) / SIZE**2
    mean = total / len(paths)
    fits = []
    for channel in mean:
        rings = [(f, channel[(frequency >= f - 0.5) & (frequency < f + 0.5)].mean()) for f in range(1, 91)]
        logs = np.log(np.array(rings))
        power, amplitude = np.polyfit(logs[:, 0], logs[:, 1], 1, w=1 / np.sqrt(np.arange(1, 91)))
        fits.append((round(float(np.exp(amplitude)), 4), round(float(-power), 3)))
    print(json.dumps({"photographs": len(paths), "size": SIZE, "amplitude and power": fits}))


if __name__ == "__main__":
    main(*sys.argv[1:])
