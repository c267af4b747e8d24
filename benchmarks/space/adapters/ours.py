"""bbilang: the text of the row, compiled for the row's network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bbilang
from bbilang.runtime.fields.field import Field
from bbilang.runtime.preprocess import Preprocess
from benchmarks.space.protocol import Numbers, Page, Question, Tool

SPENT = {"channel": ("channel",), "position": ("y", "x"), "pixel": ("channel", "y", "x")}
STEPS, PAGE_SIZE, PAGE_STEPS = 256, 48, 64  # of icons


class Bbilang(Tool):
    name = "bbilang"
    package = "bbilang"

    def activation(self, question: Question) -> Numbers:
        return numbers(question, "channel", "y", "x")

    def attribution(self, question: Question) -> Mapping[str, Numbers]:
        return by_layer(run(question).results.fields["element-1"], question)

    def occlusion(self, question: Question) -> Numbers:
        return numbers(question, "y", "x")[:: question.size, :: question.size]

    def ablation(self, question: Question) -> Numbers:
        return numbers(question, "channel")

    def patching(self, question: Question) -> Numbers:
        assert question.other is not None
        pictures = {"picture": question.picture, "other": question.shown(question.other)[0]}
        return numbers(question, "y", "x", input=pictures)

    def groups(self, question: Question) -> tuple[Numbers, Numbers]:
        fields = run(question).results.fields
        maps = fields["element-1"].values.ordered(("input", "group", "y", "x")).data[0]
        return fields["element-2"].values.ordered(("input", "group", "channel")).data[0], maps

    def examples(self, question: Question) -> NDArray[np.integer]:
        assert question.pictures is not None
        photos = [(picture, "") for picture in question.shown(question.pictures)]
        field = run(question, data={"photos": photos}).results.fields["element-1"]
        return field.coords["example"].ordered(("channel", "example")).data

    def icons(self, question: Question) -> Numbers:
        results = run(question, size=question.size, steps=STEPS).results
        (icons,) = results.icon_sets.values()
        return np.stack([results.icons[n].picture[..., :3] for n in icons.index.data.ravel() if n >= 0]) / 255

    def cuts(self, question: Question) -> Mapping[str, bool]:
        description = adapter(question).description
        return {layer: description.place(layer) == "cut" for layer in question.layers}

    def page(self, question: Question, path: Path) -> Page:
        run(question, size=PAGE_SIZE, steps=PAGE_STEPS).save(str(path))
        return Page(path, "[data-chart=blocks] [class*=front_hit_] path", "[data-chart=blocks]", "#element-where")

    def source(self, path: Path) -> str:
        from bbilang.runtime.page.html import extract

        return extract(path.read_text(encoding="utf-8"))


def adapter(question: Question) -> Any:
    """Return the network as a caller adapts it."""
    side = question.picture.shape[-1]
    preprocess = Preprocess(side, (side, side), mean=question.mean, std=question.std)
    return bbilang.adapt(question.network, (side, side), preprocess, labels=question.classes)


def run(
    question: Question, size: int = 32, steps: int = 8, input: object = None, data: Mapping[str, object] | None = None
) -> Any:
    """Compile the text of a question."""
    settings = {"featvis.size": size, "featvis.steps": steps, "seed": question.seed}
    given = question.picture if input is None else input
    return bbilang.run(question.text, model=adapter(question), input=given, data=data, settings=settings, cache=False)


def numbers(question: Question, *axes: str, input: object = None) -> Numbers:
    """Return the numbers of the text's element, over these axes."""
    return run(question, input=input).results.fields["element-1"].values.ordered(("input", *axes)).data[0]


def by_layer(field: Field, question: Question) -> Mapping[str, Numbers]:
    """Split an attribution (layer, target, atoms) by layers, without the padding of smaller ones."""
    axes = SPENT[question.atoms]
    targets = ("class",) if len(question.targets) > 1 else ()
    layers = ("layer",) if len(question.layers) > 1 else ()
    values = field.values.ordered(("input", *layers, *targets, *axes)).data[0]
    values = values if layers else values[None]
    values = values if targets else values[:, None]
    found = {}
    for layer, rows in zip(question.layers, values, strict=True):
        found[layer] = rows[..., ~np.isnan(rows[0])] if question.atoms == "channel" else rows
    return found
