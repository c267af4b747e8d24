"""Factorizations of one matrix: the published ones, their slow twins, and what cannot be factorized."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from closeness import close_to, within

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.factorization.layer import LayerFactorization
from bbilang.runtime.factorization.matrix import METHODS, SIGNED, factorize
from bbilang.runtime.factorization.nmf import nmf, nmf_torch
from bbilang.runtime.factorization.reduction import reduce_layers, reduce_rows
from bbilang.runtime.fields.field import Named

ARTICLE = Path(__file__).parents[3] / "shared" / "data" / "article"
published = pytest.mark.skipif(not ARTICLE.is_dir(), reason=f"the article's numbers are not at {ARTICLE}")
PHOTOS = ["pig", "beer"]

STOPS = "iterations stop at a tolerance"


def activations(photo: str) -> np.ndarray:
    return np.load(ARTICLE / photo / "mixed4d_activations.npy")[0]  # y, x, channel


def groups_of(photo: str) -> dict:
    return json.loads((ARTICLE / photo / "groups.json").read_text(encoding="utf-8"))


def matrix(rows: int = 30, columns: int = 12, seed: int = 0) -> np.ndarray:
    """Never negative, of full rank, with zeros in it."""
    source = np.random.default_rng(seed)
    return np.maximum(source.normal(size=(rows, 4)) @ source.normal(size=(4, columns)), 0) + 0.01 * source.random(
        (rows, columns)
    )


def refused(*arguments) -> BbiError:
    with pytest.raises(BbiError) as caught:
        factorize(*arguments)
    assert len(caught.value.diagnostics) == 1
    return caught.value


# --- the article ------------------------------------------------------------------------------------------------------


@published
@pytest.mark.parametrize("photo", PHOTOS)
def test_every_published_factorization(photo):
    """Every number of groups with align = 0: the spatial factors in the published order, and their magnitudes."""
    cube, file, data = activations(photo), np.load(ARTICLE / photo / "mixed4d_nmf.npy"), groups_of(photo)
    early, late = data["num_4a"], data["num_4d"]
    assert file.shape == (2, len(early) * len(late), 14, 14, max(late))
    for choice, n in enumerate(late):
        spatial, channel, *_ = LayerFactorization("nmf", (1.0,), (), ("y", "x")).all(
            [Named(("input", "y", "x", "channel"), cube[None])], np.array([n])
        )
        actual = spatial.ordered(("input", "group", "y", "x")).data[0]
        sizes = np.linalg.norm(actual, axis=(1, 2)) * np.linalg.norm(channel.data, axis=1)
        for first in range(len(early)):
            number = first * len(late) + choice
            expected = file[0, number][..., :n]
            assert not file[0, number][..., n:].any()
            for g in range(n):
                assert np.corrcoef(actual[g].ravel(), expected[..., g].ravel())[0, 1] >= 0.9999
            within(actual, expected.transpose(2, 0, 1), relative=1e-3, because="published after another factorization")
            entry = next(e for e in data["data"][number : number + 1])["mixed4d"]
            assert entry["n_groups"] == n
            within(
                sizes,
                [group["magnitude"] for group in entry["each_group"]],
                relative=1e-4,
                because="published with five digits",
            )


@published
@pytest.mark.parametrize("photo, n, error", [("pig", 5, 0.6001), ("beer", 6, 0.5732)])
def test_published_reconstruction(photo, n, error):
    table = activations(photo).reshape(196, 528)
    actual = factorize(table, "nmf", n)
    within(actual.left_out**0.5, error, absolute=5e-5, because="published with four digits")
    rest = table - actual.spatial @ actual.channel
    within(np.linalg.norm(rest) / np.linalg.norm(table), error, absolute=5e-5, because="published with four digits")


@published
@pytest.mark.parametrize("photo", PHOTOS)
def test_published_loadings_of_multi_directional_saliency(photo):
    """relu(attribution) / mean of each layer, two factors fitted on the deepest: what each is made of."""
    raw = np.load(ARTICLE / photo / "spatial_attribution_top50.npz")
    names = ["mixed3a", "mixed4a", "mixed4d", "mixed5a"]
    rows = np.concatenate([np.maximum(raw[name], 0).reshape(-1, 50) for name in names])
    layers = np.concatenate([np.full(raw[name].shape[0] * raw[name].shape[1], i) for i, name in enumerate(names)])
    values, loadings, shares = reduce_layers(rows, layers, 3, "nmf", 2, together=True)
    expected = json.loads((ARTICLE / photo / "spatial_attr.json").read_text(encoding="utf-8"))["nmf"]
    for factor, entries in zip(loadings, expected, strict=True):
        within(-np.sort(-factor)[:5], [e["v"] for e in entries], absolute=6e-4, because="published with three digits")
    assert values.shape == (len(rows), 2) and (values >= 0).all() and 0 < shares[0] < 1
    for i in range(len(names)):  # slow twin: non-negative least squares, row by row
        from scipy.optimize import nnls

        own = rows[layers == i] / rows[layers == i].mean()
        for row in range(0, len(own), 97):
            best = nnls(loadings.T, own[row])[0]
            residual = np.linalg.norm(own[row] - best @ loadings)
            actual = np.linalg.norm(own[row] - values[layers == i][row] @ loadings)
            assert actual <= residual + 1e-3 * np.linalg.norm(own[row])


@published
@pytest.mark.parametrize("photo", PHOTOS)
def test_torch_finds_the_factors_of_scikit_learn(photo):
    """The updates that a GPU runs, on a CPU: the same objective and the same factors."""
    table = activations(photo).reshape(196, 528).astype(np.float64)
    for n in (2, 6):
        first, second = nmf(table, n), nmf_torch(table, n, "cpu")
        errors = [np.linalg.norm(table - w @ h) for w, h in (first, second)]
        close_to(errors[1], errors[0])
        for a, b in zip(first, second, strict=True):
            assert (b >= 0).all()
            within(b, a, relative=1e-5, because=STOPS)


# --- slow twins -------------------------------------------------------------------------------------------------------


def test_nmf_against_plain_coordinate_descent():
    """scikit-learn and torch against the updates written entry by entry, from the same start."""
    table, n = matrix(), 3
    w, h = _nndsvd(table, n)
    first = None
    for _ in range(200):
        moved = _descent(w, h, table) + _descent(h.T, w.T, table.T)
        first = first or moved
        if moved / first <= 1e-4:
            break
    for actual in (nmf(table, n), nmf_torch(table, n, "cpu")):
        within(actual[0], w, absolute=1e-4, because=STOPS)
        within(actual[1], h, absolute=1e-4, because=STOPS)


def _nndsvd(table, n):
    """One singular pair after another, by the power method."""
    rest, w, h = table.copy(), np.zeros((len(table), n)), np.zeros((n, table.shape[1]))
    for k in range(n):
        v = np.ones(table.shape[1])
        for _ in range(5000):
            v = rest.T @ (rest @ v)
            v /= np.linalg.norm(v)
        u, s = rest @ v / np.linalg.norm(rest @ v), np.linalg.norm(rest @ v)
        rest = rest - s * np.outer(u, v)
        if k == 0:
            u, v = np.abs(u), np.abs(v)
        best = max(
            ((np.maximum(a * u, 0), np.maximum(a * v, 0)) for a in (1, -1)),
            key=lambda p: np.linalg.norm(p[0]) * np.linalg.norm(p[1]),
        )
        sizes = np.linalg.norm(best[0]), np.linalg.norm(best[1])
        scale = np.sqrt(s * sizes[0] * sizes[1])
        w[:, k], h[k] = scale * best[0] / sizes[0], scale * best[1] / sizes[1]
    return np.where(w < 1e-6, 0, w), np.where(h < 1e-6, 0, h)


def _descent(w, h, table):
    moved = 0.0
    for k in range(w.shape[1]):
        for i in range(len(w)):
            slope = w[i] @ (h @ h[k]) - table[i] @ h[k]
            moved += abs(min(0, slope) if w[i, k] == 0 else slope)
            w[i, k] = max(w[i, k] - slope / (h[k] @ h[k]), 0)
    return moved


@pytest.mark.parametrize("method", ["pca", "svd"])
def test_components_against_the_power_method(method):
    table = matrix()
    actual = factorize(table, method, 3)
    rest = table - table.mean(0) if method == "pca" else table.copy()
    close_to(
        actual.offset, table.mean(0) if method == "pca" else np.zeros_like(actual.offset), terms=np.abs(table).mean(0)
    )
    for k in range(3):
        v = np.ones(table.shape[1])
        for _ in range(5000):
            v = rest.T @ (rest @ v)
            v /= np.linalg.norm(v)
        v = v * np.sign(v[np.abs(v).argmax()])
        within(actual.channel[k], v, absolute=1e-6, because="the power method stops at a tolerance")
        within(actual.spatial[:, k], rest @ v, absolute=1e-6, because="the power method stops at a tolerance")
        rest = rest - np.outer(rest @ v, v)
    close_to(actual.left_out, (rest**2).sum() / (table**2).sum())


def test_ica_finds_the_sources():
    """Three independent sources, mixed: recovered up to order, sign and scale."""
    source = np.random.default_rng(0)
    sources = np.stack([source.laplace(size=800), source.uniform(-1, 1, 800), source.integers(0, 2, 800) - 0.5], 1)
    mixing = source.normal(size=(3, 6))
    actual = factorize(sources @ mixing, "ica", 3)
    match = np.abs(np.corrcoef(actual.spatial.T, sources.T)[:3, 3:])
    assert sorted(match.argmax(1)) == [0, 1, 2] and (match.max(1) > 0.99).all()
    close_to(np.linalg.norm(actual.channel, axis=1), np.ones(len(actual.channel)))
    assert actual.left_out < 1e-10


def test_kmeans_is_where_every_row_is_with_the_nearest_centre():
    source = np.random.default_rng(0)
    table = np.concatenate([source.normal(centre, 0.1, (20, 4)) for centre in (0, 5, 9)])
    actual = factorize(table, "kmeans", 3)
    assert set(np.unique(actual.spatial)) == {0, 1} and (actual.spatial.sum(1) == 1).all()
    owner = actual.spatial.argmax(1)
    for k in range(3):
        close_to(actual.channel[k], table[owner == k].mean(0))
    distance = ((table[:, None] - actual.channel) ** 2).sum(-1)
    assert (distance.argmin(1) == owner).all()


@pytest.mark.parametrize("method", SIGNED)
def test_signs_are_fixed(method):
    """Twice the same result; a matrix of opposite sign gives the same directions."""
    table = matrix() - 0.3
    one, two, turned = factorize(table, method, 3), factorize(table, method, 3), factorize(-table, method, 3)
    np.testing.assert_array_equal(one.channel, two.channel)
    assert (one.channel[np.arange(3), np.abs(one.channel).argmax(1)] > 0).all()
    if method != "ica":  # whose order is free
        close_to(one.channel, turned.channel)
        close_to(one.spatial, -turned.spatial)


def test_the_seed_decides():
    table = matrix()
    for method in METHODS:
        one, two = factorize(table, method, 3, seed=5), factorize(table, method, 3, seed=5)
        np.testing.assert_array_equal(one.spatial, two.spatial)


# --- layers: inputs, order, several contents --------------------------------------------------------------------------


def test_groups_stand_from_left_to_right():
    source = np.random.default_rng(1)
    cube = source.random((2, 5, 7, 9))  # input, y, x, channel
    spatial, channel, *_ = LayerFactorization("nmf", (1.0,), ("input",), ("y", "x")).all(
        [Named(("input", "y", "x", "channel"), cube)], np.array([4])
    )
    assert spatial.dims == ("input", "group", "y", "x") and channel.dims == ("input", "group", "channel")
    for own in spatial.data:
        centroids = [sum(own[g, :, x].dot(own[g, :, x]) * x for x in range(7)) / (own[g] ** 2).sum() for g in range(4)]
        assert centroids == sorted(centroids)


def test_inputs_together_share_directions():
    cube = np.random.default_rng(1).random((2, 5, 7, 9))
    spatial, channel, rest, _ = LayerFactorization("nmf", (1.0,), (), ("y", "x")).all(
        [Named(("input", "y", "x", "channel"), cube)], np.array([4])
    )
    assert channel.dims == ("group", "channel") and rest.dims == ()
    both = factorize(cube.reshape(-1, 9), "nmf", 4)
    rebuilt = np.einsum("igyx,gc->iyxc", spatial.ordered(("input", "group", "y", "x")).data, channel.data)
    close_to(rebuilt.reshape(-1, 9), both.spatial @ both.channel)


def test_a_signed_content_goes_in_as_two_parts():
    """nmf of what has both signs: H is never negative, W is the difference of two that are not."""
    table = np.random.default_rng(2).normal(size=(20, 8))
    actual = LayerFactorization("nmf", (1.0,), (), ("y",)).one([table], 3, "")
    plain = factorize(np.concatenate([np.maximum(table, 0), np.maximum(-table, 0)]), "nmf", 3)
    close_to(actual.channel, plain.channel)
    close_to(actual.spatial, plain.spatial[:20] - plain.spatial[20:])
    assert (actual.channel >= 0).all() and (actual.spatial < 0).any()


def test_balance_of_two_contents():
    """One H for both, each divided by its norm and times its weight; W and the rest are those of the first."""
    source = np.random.default_rng(3)
    first, second = source.random((20, 8)), 100 * source.random((20, 8))
    actual = LayerFactorization("svd", (1.0, 0.5), (), ("y",)).one([first, second], 3, "")
    rows = np.concatenate([first / np.linalg.norm(first), 0.5 * second / np.linalg.norm(second)])
    directions = np.linalg.svd(rows, full_matrices=False)[2][:3]
    close_to(np.abs((actual.channel * directions).sum(1)), np.ones(len(directions)))
    close_to(actual.spatial, first @ actual.channel.T)
    rest = first - actual.spatial @ actual.channel
    close_to(actual.left_out, (rest**2).sum() / (first**2).sum())
    alone = LayerFactorization("svd", (1.0, 0.0), (), ("y",)).one([first, second], 3, "")
    close_to(alone.channel, factorize(first, "svd", 3).channel)


# --- what cannot be factorized ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_degenerate_matrices_are_refused(method):
    table = matrix()
    assert refused(np.zeros((5, 4)), method, 2, 0, None, "`b`").diagnostics[0].code == "E511"
    broken = table.copy()
    broken[3, 4] = np.nan
    assert refused(broken, method, 2).diagnostics[0].code == "E503"
    lines = np.outer(np.arange(1, 6), np.arange(1, 5)) + np.outer([1, 0, 2, 0, 1], [0, 1, 0, 3])
    few = refused(np.concatenate([lines] * 3), method, 6, 0, None, "`b`").diagnostics[0]
    assert few.code == "E511" and few.message.startswith("`b`: 6 groups of only ") and "at most" in few.help


def test_one_position_is_no_variance():
    assert "only 0" in refused(np.ones((1, 4)), "pca", 1).diagnostics[0].message


def test_nmf_refuses_negative_numbers():
    assert "never negative" in refused(matrix() - 1, "nmf", 2).diagnostics[0].message


def test_rows_that_another_fit_does_not_know():
    table = matrix()
    with pytest.raises(BbiError, match="fitted on rows of 5 numbers"):
        reduce_rows(table, table[:, :5], "pca", 2)
    pca = factorize(table[:20], "pca", 2)
    actual = reduce_rows(table, table[:20], "pca", 2)
    close_to(actual.values, (table - table[:20].mean(0)) @ pca.channel.T)


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_embeddings_keep_neighbours(method):
    """Three clouds of points stay three clouds."""
    if method == "umap":
        pytest.importorskip("umap", reason="umap-learn is not installed")
    source = np.random.default_rng(0)
    rows = np.concatenate([source.normal(centre, 0.1, (20, 6)) for centre in (0, 5, 9)])
    actual = reduce_rows(rows, None, method, 2, seed=1).values
    np.testing.assert_array_equal(actual, reduce_rows(rows, None, method, 2, seed=1).values)
    distance = ((actual[:, None] - actual) ** 2).sum(-1) + 1e9 * np.eye(60)
    assert (distance.argmin(1) // 20 == np.arange(60) // 20).all()
    with pytest.raises(BbiError, match="too few"):
        reduce_rows(rows[:3], None, method, 2)


def test_umap_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(BbiError) as caught:
        reduce_rows(matrix(), None, "umap", 2)
    assert caught.value.diagnostics[0].code == "E903" and "umap-learn" in caught.value.diagnostics[0].message
