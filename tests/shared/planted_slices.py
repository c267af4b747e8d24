"""A kind of examples that a made-up network gets wrong, and whether the search finds it."""

import numpy as np

from bbilang.runtime.statistics.slices import find_slices


def planted(seed, n=2000):
    """A network that is wrong on 8 %, and on 90 % of the pictures of one class with a mark, 3 % of all; the mark drives
    one of 60 channels, with noise."""
    source = np.random.default_rng(seed)
    label = source.integers(0, 5, n)
    marked = (label == 2) & (source.random(n) < 0.15)
    channels = np.abs(source.normal(size=(60, n)))
    channels[17] += 3 * marked + 1.5 * (source.random(n) < 0.02)
    errors = (source.random(n) < np.where(marked, 0.9, 0.08)).astype(float)
    columns = {"label": np.array([f"class {i}" for i in label], object), "width": source.integers(200, 900, n) * 1.0,
               "source": np.array(["web", "phone", "camera"], object)[source.integers(0, 3, n)]}  # fmt: skip
    return errors, columns, {f"channel[{i}]": values for i, values in enumerate(channels)}, marked


def is_found(seed):
    """Return whether the first slice is the planted one: by its own conditions alone, most of its examples, and no
    chance."""
    errors, columns, features, marked = planted(seed)
    first = find_slices(errors, columns, features, n=3, permutations=199, seed=seed).slices[0]
    names = {condition.column for condition in first.conditions}
    inside = np.zeros(len(errors), bool)
    inside[first.examples] = True
    jaccard = (inside & marked).sum() / (inside | marked).sum()
    return "channel[17]" in names <= {"label", "channel[17]"} and jaccard > 0.6 and first.p <= 0.01
