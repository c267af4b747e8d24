"""What the tests of scans scan: small generated pictures, and two layers of a small network."""

import hashlib
import io

import numpy as np
from PIL import Image

from bbilang.runtime.data.pictures import Unreadable
from bbilang.runtime.scan.summary import summary

SIDE = 8


class Pictures:
    """Files of pictures, in memory; their numbers are in `decoded` once they are read."""

    name = "pictures"

    def __init__(self, count, seed=0):
        random = np.random.default_rng(seed)
        pixels = random.integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)
        self.data = [_png(Image.fromarray(one)) for one in pixels]
        self.decoded, self.digested = [], []

    @property
    def files(self):
        return [f"{number:05}.png" for number in range(len(self.data))]

    def known_digest(self, number):
        return None

    def put(self, number, picture):
        self.data[number] = _png(picture)

    def __len__(self):
        return len(self.data)

    def digest(self, number):
        self.digested.append(number)
        if self.data[number] is None:
            raise Unreadable(self.files[number], "it is not there any more")
        return hashlib.sha256(self.data[number]).hexdigest()

    def picture(self, number):
        self.decoded.append(number)
        if self.data[number] is None:
            raise Unreadable(self.files[number], "it is not there any more")
        try:
            picture = Image.open(io.BytesIO(self.data[number]))
            picture.load()
            return picture
        except Exception as error:
            raise Unreadable(self.files[number], str(error)) from error


def _png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=0)
    return file.getvalue()


class TwoLayers:
    """Convolutions "low" and "high" with fixed weights; counts what it ran. ``spoil``: what one
    activation of a black picture becomes."""

    network = "two layers"

    def __init__(self, *layers, spoil=None):
        import torch
        from torch import nn

        self.spoil = spoil
        self.parts = {layer: f"two layers {layer}" for layer in layers or ("low", "high")}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.low, self.high = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 5, 3, stride=2)
        self.runs = []

    def prepare(self, picture):
        return np.asarray(picture.convert("RGB"), np.float32).transpose(2, 0, 1) / 255

    def batch(self, images, wanted, numbers=()):
        import torch

        self.runs.append((len(images), tuple(wanted)))
        with torch.inference_mode():
            low = self.low(images).relu()
            if self.spoil is not None:
                low[images.flatten(1).amax(1) == 0, 0, 0, 0] = self.spoil
            layers = {"low": low, "high": self.high(low)}
        return {layer: summary(layers[layer]) for layer in wanted}


def arrays(scanned):
    """Return (part, name) -> array."""
    return {(part, name): scanned.array(part, name) for part in scanned.parts for name in scanned.names(part)}


def equal(one, other):
    """Return whether these arrays are equal to the bit, and in the same order."""
    return list(one) == list(other) and all(one[key].tobytes() == other[key].tobytes() for key in one)
