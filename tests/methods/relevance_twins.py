"""Relevance computed the slow, obvious way: every linear layer as a matrix, every rule as sums over pairs of entries,
one at a time, in double precision."""

import numpy as np
import torch

TINY = 1e-6


def matrix_of(function, shape):
    """(matrix (result, entry), result shape) of a linear function without bias, from what it makes of every unit."""
    count = int(np.prod(shape))
    with torch.no_grad():
        columns = [function(torch.eye(count, dtype=torch.float64)[i].view(1, *shape)) for i in range(count)]
    return np.stack([c.flatten().numpy() for c in columns], 1), columns[0].shape[1:]


def stable(z, epsilon):
    return z + epsilon if z >= 0 else z - epsilon


def pairs(matrix, x, relevance, share):
    """R_j = sum over i of share(i, j) R_i."""
    shares = np.zeros_like(x)
    for i in range(len(relevance)):
        for j in range(len(x)):
            shares[j] += share(i, j) * relevance[i]
    return shares


def raised(x, w):
    """What each pair adds where it raises the result."""
    return max(x, 0) * max(w, 0) + min(x, 0) * min(w, 0)


def lowered(x, w):
    return max(x, 0) * min(w, 0) + min(x, 0) * max(w, 0)


def epsilon(w, x, b, r, epsilon=TINY):
    z = w @ x + b
    return pairs(w, x, r, lambda i, j: x[j] * w[i, j] / stable(z[i], epsilon))


def z_plus(w, x, b, r):
    return alpha_beta(w, x, b, r, 1)


def alpha_beta(w, x, b, r, alpha=2):
    up = [sum(raised(x[j], w[i, j]) for j in range(len(x))) + max(b[i], 0) for i in range(len(r))]
    down = [sum(lowered(x[j], w[i, j]) for j in range(len(x))) + min(b[i], 0) for i in range(len(r))]

    def share(i, j):
        above = raised(x[j], w[i, j]) / stable(up[i], TINY)
        return alpha * above - (alpha - 1) * lowered(x[j], w[i, j]) / stable(down[i], TINY)

    return pairs(w, x, r, share)


def gamma(w, x, b, r, gamma=0.25):
    z = w @ x + b

    def part(i, j):
        more = raised if z[i] > 0 else lowered
        return x[j] * w[i, j] + gamma * more(x[j], w[i, j]) if z[i] != 0 else 0.0

    bias = [v + gamma * (max(v, 0) if z[i] > 0 else min(v, 0)) for i, v in enumerate(b)]
    total = [sum(part(i, j) for j in range(len(x))) + bias[i] for i in range(len(r))]
    return pairs(w, x, r, lambda i, j: part(i, j) / stable(total[i], TINY))


def z_box(w, x, b, r, low, high):
    def part(i, j):
        return x[j] * w[i, j] - low[j] * max(w[i, j], 0) - high[j] * min(w[i, j], 0)

    total = [sum(part(i, j) for j in range(len(x))) for i in range(len(r))]
    return pairs(w, x, r, lambda i, j: part(i, j) / stable(total[i], TINY))


def w_square(w, x, b, r):
    total = [(w[i] ** 2).sum() + b[i] ** 2 for i in range(len(r))]
    return pairs(w, x, r, lambda i, j: w[i, j] ** 2 / stable(total[i], TINY))


def flat(w, x, b, r, reads):
    """``reads``: (result, entry), whether the layer reads that entry there."""
    total = [reads[i].sum() for i in range(len(r))]
    return pairs(w, x, r, lambda i, j: reads[i, j] / stable(total[i], TINY))


def excitation(w, x, r):
    def part(i, j):
        return max(x[j], 0) * max(w[i, j], 0)

    total = [sum(part(i, j) for j in range(len(x))) for i in range(len(r))]
    return pairs(w, x, r, lambda i, j: part(i, j) / total[i] if total[i] > 0 else 0.0)


def proportion(w, x, r, epsilon=TINY):
    """Average pools and sums."""
    z = w @ x
    return pairs(w, x, r, lambda i, j: x[j] * w[i, j] / stable(z[i], epsilon))
