"""The double dissociation of one unit at one cut, from numbers alone."""

from __future__ import annotations

import numpy as np

from bbilang.grammar.frozen import frozen

CARRIED = 0.8  # of the response above the base: what the smallest set of driving channels contributes
LEFT = 0.8  # of the other's response: what must remain for a dissociation


@frozen
class Verdict:
    """The verdict on one icon. ``icon_left``: the share of the icon's response that remains without the channels that
    drive the nearest cluster of photographs; ``photos_left``: the share of that cluster's response without the channels
    that drive the icon; ``among``: the smaller of the two shares between the clusters of photographs."""

    cut: str
    icon_left: float
    photos_left: float
    among: float

    @property
    def apart(self) -> float:
        """How far the icon is from the photographs, 0 to 1."""
        return min(self.icon_left, self.photos_left)

    @property
    def words(self) -> str:
        """Why the icon may mislead."""
        return (
            f"without the channels of {self.cut} that drive the photographs, {self.icon_left:.0%} of the icon's "
            f"response remains; without those that drive the icon, {self.photos_left:.0%} of the photographs'"
        )

    @property
    def misleads(self) -> bool:
        """Whether the icon is further from the photographs than their clusters are from each other, and far enough."""
        return self.apart >= LEFT and self.apart > self.among


def carriers(contributions: np.ndarray, response: float) -> np.ndarray:
    """Return the smallest set of channels whose contributions (channel,) sum to ``CARRIED`` of the response, as bool
    (channel,); all that raise it if they do not reach that share."""
    order = np.argsort(-contributions, kind="stable")
    sums = np.cumsum(contributions[order])
    raising = int((contributions > 0).sum())
    enough = np.flatnonzero(sums >= CARRIED * response)
    count = min(int(enough[0]) + 1 if len(enough) else raising, raising)
    chosen = np.zeros(len(contributions), bool)
    chosen[order[:count]] = True
    return chosen


def clusters(contributions: np.ndarray) -> np.ndarray:
    """Assign each photograph to cluster 0 or 1 by the direction of its contributions (photograph, channel)."""
    from sklearn.cluster import KMeans

    length = np.linalg.norm(contributions, axis=1, keepdims=True)
    directions = contributions / np.maximum(length, 1e-30)
    if len(np.unique(directions.round(6), axis=0)) < 2:
        return np.zeros(len(directions), int)
    labels: np.ndarray = KMeans(2, n_init=4, random_state=0).fit(directions).labels_
    return labels


def verdict_of(
    cut: str, icon_left: np.ndarray, photos_left: np.ndarray, between: np.ndarray, labels: np.ndarray
) -> Verdict:
    """Return the verdict at a cut.

    ``icon_left`` (cluster,): the share of the icon's response that remains without the channels that drive each
    cluster. ``photos_left`` (photograph,): the share of each photograph's response without those that drive the icon.
    ``between`` (photograph,): the share without those that drive the other cluster; NaN if there is one cluster.
    ``labels``: see `clusters`.
    """
    numbers = np.unique(labels)
    photos = np.array([photos_left[labels == n].mean() for n in numbers])
    shares = np.minimum(icon_left[: len(numbers)], photos)
    nearest = int(np.argmin(shares))
    among = min((float(between[labels == n].mean()) for n in numbers), default=0.0) if len(numbers) > 1 else 0.0
    return Verdict(cut, float(icon_left[nearest]), float(photos[nearest]), among)
