"""The double dissociation of some units of one layer, at the cut in front of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bbilang.runtime import passes
from bbilang.runtime.errors import error
from bbilang.runtime.featvis.dissociation.scan import Scan, image_of
from bbilang.runtime.featvis.dissociation.section import Section
from bbilang.runtime.featvis.dissociation.verdict import Verdict, carriers, clusters, verdict_of
from bbilang.runtime.featvis.icon import Objective
from bbilang.runtime.featvis.pixels import levels_of
from bbilang.runtime.models.adapter import Adapter

TOP = 6  # photographs of a unit
FEWEST = 4  # of these must excite the unit at a cut
TINY = 1e-6  # share of the largest response; a smaller response counts as none


@dataclass(frozen=True)
class _Driven:
    """Pictures at one cut: the contributions to each one's response (picture, channel), the response and its base
    (picture,)."""

    contributions: np.ndarray
    responses: np.ndarray
    bases: np.ndarray

    @classmethod
    def of(cls, section: Section) -> _Driven:
        rows = np.arange(len(section.directions))
        return cls(section.contributions(), section.responses(rows), section.bases())

    @property
    def raised(self) -> np.ndarray:
        """The response above its base, (picture,)."""
        difference: np.ndarray = self.responses - self.bases
        return difference

    def remaining(self, section: Section, numbers: np.ndarray, ablated: np.ndarray) -> np.ndarray:
        """Return the shares (row,) of the responses of pictures ``numbers`` that remain without channels (row,
        channel)."""
        raised = section.responses(numbers, ablated) - self.bases[numbers]
        share: np.ndarray = np.clip(raised / self.raised[numbers], 0.0, None)
        return share


def verdicts(
    adapter: Adapter,
    layer: str,
    objectives: Sequence[Objective],
    pictures: Sequence[np.ndarray],
    scanned: Scan,
    cut: str,
) -> list[Verdict | str]:
    """Return the verdict of each unit at a cut, or the reason why there is none. ``pictures``: the icons, uint8 (y, x,
    rgb or rgba)."""
    channels = scanned.means[layer].shape[1]
    directions = torch.stack([objective.vector(channels) for objective in objectives])
    chosen = [scanned.strongest(layer, row.numpy(), TOP) for row in directions]
    files = scanned.photographs.files
    photos = torch.stack([_read(adapter, files[number]) for numbers in chosen for number in numbers])
    icons = torch.stack([_as_seen(adapter, picture) for picture in pictures])
    owners = np.repeat(np.arange(len(objectives)), [len(numbers) for numbers in chosen])
    icon_side = _Pictures(adapter, cut, layer, icons, directions, scanned.mean(cut))
    photo_side = _Pictures(adapter, cut, layer, photos, directions[owners], scanned.mean(cut))
    not_excited = "it excites its unit no more than an average photograph does, or the photographs do not excite it"
    return [verdict or not_excited for verdict in _at_cut(cut, icon_side, photo_side, owners)]


class _Pictures:
    """Pictures (row, 3, y, x), each with the direction of its unit, as inputs of the network above a cut."""

    def __init__(self, adapter: Adapter, cut: str, layer: str, images: Tensor, directions: Tensor, mean: np.ndarray):
        self.adapter, self.cut, self.layer, self.directions, self.mean = adapter, cut, layer, directions, mean
        self.captured = passes.forward(adapter, images.to(adapter.device), [cut], False, cuts=[cut])

    @contextmanager
    def section(self) -> Iterator[Section]:
        with passes.above(self.adapter, self.captured, self.cut, [self.layer]) as upper:
            yield Section(self.adapter, upper, self.layer, self.directions, self.mean)


def _at_cut(cut: str, icon_side: _Pictures, photo_side: _Pictures, owners: np.ndarray) -> list[Verdict | None]:
    """Return the verdict of each unit at one cut; None where its icon or its photographs do not excite it above the
    base."""
    with icon_side.section() as section:
        icons = _Driven.of(section)
    units = np.arange(len(icons.responses))
    with photo_side.section() as section:
        photos = _Driven.of(section)
        scale = TINY * max(np.abs(icons.raised).max(), np.abs(photos.raised).max())
        excited = photos.raised > scale
        sound = [u for u in units if icons.raised[u] > scale and excited[owners == u].sum() >= FEWEST]
        if not sound:
            return [None for _ in units]
        own = np.flatnonzero(excited & np.isin(owners, sound))  # the photographs that are compared
        labels = np.zeros(len(owners), int)
        for unit in sound:
            rows = own[owners[own] == unit]
            labels[rows] = clusters(photos.contributions[rows])
        drives_icon = {u: carriers(icons.contributions[u], icons.raised[u]) for u in sound}
        pairs = [(unit, cluster) for unit in sound for cluster in (0, 1)]
        drives = {(u, n): _carriers_of(photos, own[(owners[own] == u) & (labels[own] == n)]) for u, n in pairs}
        photos_left = photos.remaining(section, own, np.stack([drives_icon[owners[row]] for row in own]))
        between = photos.remaining(section, own, np.stack([drives[owners[row], 1 - labels[row]] for row in own]))
    with icon_side.section() as section:
        icon_left = icons.remaining(
            section, np.array([u for u, _ in pairs]), np.stack([drives[pair] for pair in pairs])
        )
    by_pair = dict(zip(pairs, icon_left, strict=True))
    verdicts: list[Verdict | None] = [None for _ in units]
    for unit in sound:
        mine = owners[own] == unit
        shares = np.array([by_pair[unit, 0], by_pair[unit, 1]])
        verdicts[unit] = verdict_of(cut, shares, photos_left[mine], between[mine], labels[own][mine])
    return verdicts


def _carriers_of(photos: _Driven, rows: np.ndarray) -> np.ndarray:
    """Return the channels that carry the mean response of a cluster of photographs; none for an empty cluster."""
    if not len(rows):
        return np.zeros(photos.contributions.shape[1], bool)
    return carriers(photos.contributions[rows].mean(0), float(photos.raised[rows].mean()))


def _read(adapter: Adapter, file: str) -> Tensor:
    image = image_of(adapter, file)
    if image is None:
        raise error(
            "E447", f"{file} was readable before and is not any more", "leave the folder unchanged during the run"
        )
    return image


def _as_seen(adapter: Adapter, picture: np.ndarray) -> Tensor:
    """Return an icon (3, y, x) in [0, 1] at the size of the photographs, with transparent parts on grey."""
    pixels = levels_of(picture)[0] / 255
    if len(pixels) == 4:
        pixels = pixels[:3] * pixels[3:] + 0.5 * (1 - pixels[3:])
    y, x = adapter.description.input_size
    if pixels.shape[1:] == (y, x):
        return pixels
    return F.interpolate(pixels[None], (y, x), mode="bicubic", antialias=True, align_corners=False)[0].clamp(0, 1)
