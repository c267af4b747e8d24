"""`project` through whole texts, against slow twins."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from closeness import within
from tiny import values
from torch import nn

from bbilang.compiler.ir.program import walk
from bbilang.runtime.execution.context import Run
from bbilang.runtime.factorization.matrix import factorize
from bbilang.runtime.models.adapt import adapt

ARTICLE = Path(__file__).parents[3] / "shared" / "data" / "article"
MAP = "| present(heatmap, facet=component)"
PHOTO = "photo = input | present(image)\n"


def cube(layer: str, inputs: int = 1) -> np.ndarray:
    """(input, y, x, channel)."""
    module, captured = tiny.build(), []
    getattr(module, layer).register_forward_hook(lambda m, a, result: captured.append(result.detach().clone()))
    module(tiny.images(inputs))
    return captured[0].numpy().transpose(0, 2, 3, 1)


def near(a: np.ndarray, b: np.ndarray) -> None:
    assert a.shape == b.shape
    within(a, b, relative=1e-3, because="the factors are found by iterations that stop at a tolerance")


def test_principal_components_of_positions():
    actual = values(f"c.spatial | project(pca, 3) {MAP}", "y", "x", "component")
    rows = cube("c")[0].reshape(-1, 5).astype(np.float64)
    near(actual.reshape(-1, 3), factorize(rows, "pca", 3).spatial)
    pictures = values("b.spatial | project(nmf, 2) | present(rgb)", "y", "x", "component")
    near(pictures.reshape(-1, 2), factorize(cube("b")[0].reshape(-1, 8), "nmf", 2).spatial)


def test_every_input_by_itself():
    actual = values(f"c.spatial | project(pca, 2) {MAP}", "input", "y", "x", "component", inputs=2)
    for number, own in enumerate(cube("c", 2)):
        near(actual[number].reshape(-1, 2), factorize(own.reshape(-1, 5), "pca", 2).spatial)


def test_pixels_and_tokens():
    actual = values(f"input.pixel | project(pca, 1) {MAP}", "y", "x", "component")
    rows = tiny.images()[0].numpy().transpose(1, 2, 0).reshape(-1, 3)
    near(actual.reshape(-1, 1), factorize(rows, "pca", 1).spatial)
    adapter = tiny.adapter(tiny.Tokens)
    tokens = values("block.token | project(pca, 2) | present(scatter)", "token", "component", model=adapter)
    assert tokens.shape[1] == 2 and np.isfinite(tokens).all()


def test_layers_by_themselves_where_channels_differ():
    """Parts of layers with 6 and 8 channels and maps of different sizes."""
    field = tiny.run("[a, b].spatial | project(pca, 2) | present(rgb, facet=layer)").fields["element-1"]
    actual = field.values.ordered(("input", "layer", "y", "x", "component")).data[0]
    near(actual[0].reshape(-1, 2), factorize(cube("a")[0].reshape(-1, 6), "pca", 2).spatial)
    near(actual[1, :8, :8].reshape(-1, 2), factorize(cube("b")[0].reshape(-1, 8), "pca", 2).spatial)
    assert np.isnan(actual[1, 8:]).all() and np.isnan(actual[1, :, 8:]).all()


def test_fitted_on_another_field():
    """The components of the first eight positions, for all positions."""
    text = f"some = c.spatial | top(8)\nc.spatial | project(pca, 2, fit=some) {MAP}"
    rows = cube("c")[0].reshape(-1, 5).astype(np.float64)
    some = rows[np.argsort(-np.linalg.norm(rows, axis=1), kind="stable")[:8]]
    fitted = factorize(some, "pca", 2)
    actual = values(text, "y", "x", "component")
    near(actual.reshape(-1, 2), (rows - fitted.offset) @ fitted.channel.T)


def test_atoms_that_were_chosen():
    actual = values("c.spatial | top(20) | project(pca, 2) | present(scatter)", "spatial", "component")
    rows = cube("c")[0].reshape(-1, 5).astype(np.float64)
    chosen = rows[np.argsort(-np.linalg.norm(rows, axis=1), kind="stable")[:20]]
    near(actual, factorize(chosen, "pca", 2).spatial)


def test_along_classes():
    """Positions x classes of both layers, each over its mean, fitted on one; the rest is transformed."""
    text = """layers = [a, b]
e = layers.spatial | attribute(output.class) | relu
"""
    per_class = []
    for k in range(len(tiny.LABELS)):
        one = values(
            f"[a, b].spatial | attribute(output[{k}]) | relu | present(heatmap, facet=layer)", "layer", "y", "x"
        )
        per_class.append(one)
    table = np.stack(per_class, -1)  # layer, y, x, class
    rows = [table[0].reshape(-1, 7), table[1, :8, :8].reshape(-1, 7)]
    rows = [own.astype(np.float64) / own.mean() for own in rows]
    results = tiny.run(f"{text}e | project(nmf, 2, along=class, fit=b) | present(rgb, facet=layer)")
    field = results.fields["element-1"]
    actual = field.values.ordered(("input", "layer", "y", "x", "component")).data[0]
    fitted = factorize(rows[1], "nmf", 2)
    near(actual[1, :8, :8].reshape(-1, 2), fitted.spatial)
    from scipy.optimize import nnls

    for position in range(0, 256, 37):
        best = nnls(fitted.channel.T, rows[0][position])[0]
        within(
            actual[0].reshape(-1, 2)[position],
            best,
            relative=2e-2,
            absolute=2e-2,
            because="published after another factorization",
        )
    words = field.names["component"].data.ravel().tolist()
    for own, loading in zip(words, fitted.channel, strict=True):
        assert own == " + ".join(tiny.LABELS[i].split(",")[0] for i in np.argsort(-loading)[:3])


@pytest.mark.skipif(not ARTICLE.is_dir(), reason=f"the article's numbers are not at {ARTICLE}")
@pytest.mark.parametrize("photo", ["pig", "beer"])
def test_published_multi_directional_saliency(photo):
    """The text of language.md on a network whose attributions are the published ones: factors of 50 classes."""
    raw = np.load(ARTICLE / photo / "spatial_attribution_top50.npz")
    names = ["mixed3a", "mixed4a", "mixed4d", "mixed5a"]
    adapter = adapt(Attributed(raw, names), (tiny.SIZE, tiny.SIZE), name="published")
    text = f"""
layers = [{", ".join(names)}]
grids = layers.spatial | attribute(output) | present(heatmap, facet=layer)
layers.spatial | attribute(output.class) | relu
    | project(nmf, 2, along=class, fit=mixed5a) | present(rgb, over=grids)"""
    program = tiny.check(text, model=adapter)
    (node,) = [n for n in walk(*(element.node for element in program.elements)) if n.op == "project"]
    field = Run.of(program, tiny.registry(), adapter, tiny.pictures()).value(node)
    assert field.values.sizes == {"input": 1, "layer": 4, "y": 28, "x": 28, "component": 2}
    expected = json.loads((ARTICLE / photo / "spatial_attr.json").read_text(encoding="utf-8"))["nmf"]
    loadings = field.loadings.ordered(("input", "component", "class")).data[0]
    for row, entries in zip(loadings, expected, strict=True):
        within(-np.sort(-row)[:5], [e["v"] for e in entries], absolute=6e-4, because="published with three digits")


class Attributed(nn.Module):
    """Layers of one channel that is 1 everywhere, and scores whose gradient at each layer is a published map."""

    def __init__(self, raw, names):
        super().__init__()
        self.names = names
        for name in names:
            self.add_module(name, nn.ReLU())
            self.register_buffer(f"{name}_map", torch.from_numpy(np.ascontiguousarray(raw[name].transpose(2, 0, 1))))

    def forward(self, x):
        score = 0
        for name in self.names:
            own = getattr(self, f"{name}_map")
            ones = getattr(self, name)(torch.ones(len(x), 1, *own.shape[1:], device=x.device))
            score = score + torch.einsum("icyx,kyx->ik", ones, own)
        return score


def test_tsne_draws_positions():
    actual = values("b.spatial | project(tsne, 2) | present(scatter)", "y", "x", "component")
    again = values("b.spatial | project(tsne, 2) | present(scatter)", "y", "x", "component")
    np.testing.assert_array_equal(actual, again)
    assert np.isfinite(actual).all() and actual.std() > 0


@pytest.mark.parametrize(
    "text, code, words",
    [
        ("b.channel | project(pca, 2) | present(scatter)", "E238", "lowers vectors"),
        ("b.spatial | project(pca, 2) | project(pca, 2) | present(scatter)", "E231", "components already"),
        ("b.spatial | project(tsne, 2, fit=b) | present(scatter)", "E231", "cannot be fitted"),
        ("b.spatial | project(pca, 2, fit=a) | present(scatter)", "E235", "not one of this field's layers"),
        ("b.spatial | attribute(output.class) | project(nmf, 2, along=class) | present(rgb)", "E239", "both signs"),
        ("b.spatial | attribute(output[1, 2]) | project(pca, 3, along=class) | present(rgb)", "E214", "has 2 places"),
        ("[a, b].spatial | project(pca, 1, along=layer) | present(rgb)", "E231", "each is projected by itself"),
        ("b.spatial | sum(x) | project(pca, 1) | present(bars)", "E238", "arithmetic spent"),
        ("g = b | factorize(nmf, 3)\ng.spatial | project(pca, 2) | present(rgb)", "E238", "a group is none"),
        ("b.spatial | project(pca, 2) | attribute(output) | present(rgb)", "E238", "these are weights"),
    ],
)
def test_mistakes(text, code, words):
    error = tiny.refused(lambda: tiny.check(text))
    assert any(d.code == code and words in d.message for d in error.diagnostics), tiny.messages(error)


def test_too_many_components_is_reported_with_a_span():
    text = f"c.spatial | project(pca, 6) {MAP}"
    error = tiny.refused(lambda: tiny.run(text))
    (diagnostic,) = error.diagnostics
    assert diagnostic.code == "E511" and "project" in text[diagnostic.span.start : diagnostic.span.end]
