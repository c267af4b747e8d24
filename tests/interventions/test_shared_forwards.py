"""Models of a page that are derived from each other run what they have in common once, and compute what each computes
alone: against the plan as written, where every forward is whole, and against hooks by hand."""

from __future__ import annotations

from collections import defaultdict

import blocks
import numpy as np
import pytest
import torch
from test_derived_models import LAYERS, STAGES, by_hand, change_of, summed
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import bbilang
from bbilang.runtime import passes
from bbilang.runtime.execution import context
from bbilang.runtime.models.adapt import adapt

WITHIN = 1e-6  # of the largest of the terms


@pytest.fixture
def ran(monkeypatch):
    """The FLOPs of every forward that runs, by model and number: those of a page with a cut-off first."""
    plain, counted = context.run_forward, defaultdict(int)

    def run_forward(run, number):
        with FlopCounterMode(display=False) as counter:
            captured = plain(run, number)
        if run.related is not None:  # not those of scans
            counted[run.program.models[0].alias, number] += counter.get_total_flops()
        return captured

    monkeypatch.setattr(context, "run_forward", run_forward)
    return counted


def run(text, model, pictures=None, optimized=True, cache=False):
    program = bbilang.check(bbilang.parse(text), model=model, input=pictures)
    plan = bbilang.plan(bbilang.optimize(program) if optimized else program)
    return plan, bbilang.execute(plan, model=model, input=pictures, cache=cache)


def planned(plan):
    return {(part.program.models[0].alias, step.index): step.flops
            for part in plan.parts for step in part.steps if step.kind == "forward"}  # fmt: skip


def resumed(plan):
    """Model -> what the plan says of its forwards: the other model, and the layers above which it goes on."""
    return {part.program.models[0].alias: [(f.resumes.model, f.resumes.above) if f.resumes else None
                                           for f in part.program.forwards] for part in plan.parts}  # fmt: skip


def assert_same(one, other, terms):
    """``terms``: the size of what numbers are sums or differences of, where it is larger than they are."""
    assert one.fields.keys() == other.fields.keys()
    for name, field in one.fields.items():
        expected = other.fields[name].values.data
        largest = max(np.abs(expected).max(), terms)
        np.testing.assert_allclose(field.values.data, expected, rtol=0, atol=WITHIN * largest)


def check(text, model, ran, pictures=None, twice=0, terms=0.0):
    """Run a text as planned and as written; return the plan, after comparing values, FLOPs and passes."""
    pictures = blocks.image() if pictures is None else pictures
    _, expected = run(text, model, pictures, optimized=False)
    assert not expected.resumed
    passes.trace(model, pictures[None])  # once for each network, and for those derived from it
    ran.clear()
    plan, results = run(text, model, pictures)
    assert_same(results, expected, terms)
    flops = planned(plan)
    assert ran.keys() == flops.keys()
    for key in flops:  # the plan knows no module that runs several times
        assert ran[key] in (flops[key], flops[key] - twice), "what runs is what the plan says"
    steps = [step for part in plan.parts for step in part.steps if step.kind == "forward"]
    assert results.resumed == sum(bool(step.resumes) and step.passes for step in steps)
    return plan, results


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", LAYERS)
def test_one_forward_up_to_the_change(name, stage, ran):
    """Scores, activations and gradients above the change, where it is at a cut and where it is at a branch."""
    layer, above = LAYERS[name]
    text = f"model a = net\nmodel b = a | {stage.format(layer)}\n"
    text += "a:output.class | present(bars)\nscores = b:output.class | present(bars)\n"
    text += f"values = b:{above}.channel | activation | present(bars)\n"
    text += f"grads = b:{above}.channel | attribute(output) | present(bars)\n"
    plan, results = check(text, blocks.adapter(name), ran)
    assert resumed(plan) == {"a": [None], "b": [("a", (layer,))]}
    assert ran["b", 0] < ran["a", 0]
    scores, values, gradient = by_hand(name, {layer: change_of(layer, stage)}, above)
    for field, own, terms in (
        ("scores", scores, scores),
        ("values", summed(values, above), values),
        ("grads", summed(values * gradient, above), values * gradient),
    ):
        largest = max(np.abs(terms).sum(tuple(range(terms.ndim - 1))).max(), np.abs(own).max())
        np.testing.assert_allclose(results.fields[field].values.data[0], own, rtol=0, atol=2 * WITHIN * largest)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_below_the_change_run_what_they_pass(name, ran):
    """A gradient at `stem` passes everything above it, under the derived model's own upper part: only `stem` itself is
    shared, and the gradient is that of hooks by hand."""
    layer, _ = LAYERS[name]
    text = f"model a = net\nmodel b = a | ablate({layer}.channel[1])\n"
    text += "a:stem.channel | attribute(output) | present(bars)\n"
    text += "grads = b:stem.channel | attribute(output) | present(bars)\n"
    plan, results = check(text, blocks.adapter(name), ran)
    assert resumed(plan)["b"] == [("a", ("stem",))]
    _, values, gradient = by_hand(name, {layer: change_of(layer, "ablate({}.channel[1])")}, "stem")
    own = summed(values * gradient, "stem")
    largest = np.abs(values * gradient).sum((1, 2)).max()
    np.testing.assert_allclose(results.fields["grads"].values.data[0], own, rtol=0, atol=2 * WITHIN * largest)


def test_values_below_the_change_are_the_same(ran):
    """Nothing runs for layers below the change."""
    text = "model a = net\nmodel b = a | ablate(body.sum.channel[1])\n"
    text += "a:body.two.channel | activation | present(bars)\nb:body.two.channel | activation | present(bars)\n"
    text = text.replace("present(bars)", "present(table)")
    plan, results = check(text, blocks.adapter("residual"), ran)
    one, other = results.fields.values()
    np.testing.assert_array_equal(one.values.data, other.values.data)
    part = plan.parts[1]
    assert part.program.forwards[0].resumes.values == ("body.two",)


class Gate(nn.Module):
    """Each channel times a number made of its mean."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(6, 3), nn.Linear(3, 6)

    def forward(self, x):
        return x * torch.sigmoid(self.up(self.down(x.mean((2, 3))).relu()))[..., None, None]


class Step(nn.Module):
    """A residual block that works in place, with a sum that is no module."""

    def __init__(self):
        super().__init__()
        self.first, self.relu = nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(inplace=True)
        self.norm, self.second = nn.BatchNorm2d(6), nn.Conv2d(6, 6, 1)

    def forward(self, x):
        inside = self.second(self.norm(self.relu(self.first(x))))
        inside += x
        return torch.relu_(inside)


class Deep(nn.Module):
    """Everything that makes it hard to say what depends on what: sums, products and concatenations outside of modules,
    in-place operations, blocks in a list and in a sequence, a module that runs twice, a branch that is read late."""

    def __init__(self):
        super().__init__()
        self.stem, self.early = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(inplace=True)), nn.Conv2d(6, 2, 1)
        self.place = nn.Parameter(torch.zeros(1, 6, 6, 6))
        self.steps, self.gate = nn.Sequential(Step(), Step(), Step()), Gate()
        self.dense = nn.ModuleList([nn.Conv2d(6, 6, 1), nn.Conv2d(12, 6, 3, padding=1), nn.Conv2d(18, 6, 1)])
        self.twice, self.mix, self.out = nn.Conv2d(6, 6, 1), nn.Linear(6, 18), nn.Linear(6, 6)
        self.act, self.pool, self.head = nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        early = self.early(x)
        x = x + self.place
        x = self.gate(self.steps(x))
        seen = [self.dense[0](x)]
        for layer in self.dense[1:]:
            seen.append(layer(torch.cat([x, *seen], 1)))
        x = self.twice(self.act(self.twice(seen[-1])))
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.mix(tokens).chunk(3, -1)
        tokens = tokens + self.out((q @ k.transpose(1, 2)).softmax(-1) @ v)
        pooled = self.pool(tokens.transpose(1, 2).reshape(x.shape)).flatten(1)
        return self.head(torch.cat([pooled, early.mean((2, 3))], 1))


@pytest.fixture(scope="module")
def deep():
    torch.manual_seed(3)
    network = Deep().eval()
    network.place.data.normal_()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
    return adapt(network, (12, 12), labels=[f"class {n}" for n in range(5)], name="deep")


def taken(name, change):
    """The scores of `Deep` by hand where a layer's result is changed."""
    torch.manual_seed(3)
    network = Deep().eval()
    network.place.data.normal_()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
    handle = network.get_submodule(name).register_forward_hook(lambda m, a, result: change(result))
    with torch.no_grad():
        scores = network(blocks.image()[None])[0].numpy()
    handle.remove()
    return scores


TWICE = 2 * 2 * 36 * 6 * 6  # FLOPs of `Deep.twice`
CHANGED = ("stem", "early", "steps.0.relu", "steps.1.first", "steps.1", "steps", "gate.up", "dense.1", "mix", "out",
           "pool")  # fmt: skip


@pytest.mark.parametrize("layer", CHANGED)
def test_wherever_the_change_is(layer, deep, ran):
    """Of any layer of a network that hides what depends on what, and of every part above it."""
    atom = "channel[1]"
    text = f'model a = net\nmodel b = a | ablate("{layer}".{atom})\na:output.class | present(bars)\n'
    text += "scores = b:output.class | present(bars)\n"
    text += "b:head.channel | activation | present(bars)\nb:out.channel | attribute(output) | present(bars)\n"
    plan, results = check(text, deep, ran, twice=TWICE)
    assert resumed(plan)["b"][0][0] == "a"
    assert ran["b", 0] < ran["a", 0] or layer == "stem"

    def zeroed(result):
        result = result.clone()
        (result[..., 1] if layer in ("gate.up", "mix", "out") else result[:, 1]).zero_()
        return result

    expected = taken(layer, zeroed)
    np.testing.assert_allclose(
        results.fields["scores"].values.data[0], expected, rtol=0, atol=2 * WITHIN * np.abs(expected).max()
    )


def test_a_chain_and_siblings(deep, ran):
    """Each model goes on from the one that leaves the least to run, however they are derived."""
    text = "model a = net\nmodel b = a | steer(steps.1.channel[2], 2)\n"
    text += "model c = b | ablate(dense.1.channel[1])\nmodel d = a | ablate(dense.2.channel[0])\n"
    text += "model e = c | ablate(dense.1.channel[2]) | steer(out.channel[1], -1)\n"
    text += "".join(f"{name}:output.class | present(bars)\n" for name in "abcde")
    plan, _ = check(text, deep, ran, twice=TWICE)
    assert resumed(plan) == {
        "a": [None], "b": [("a", ("steps.1",))], "c": [("b", ("dense.1",))], "d": [("a", ("dense.2",))],
        "e": [("b", ("dense.1",))],
    }  # fmt: skip
    assert plan.parts[0].program.lent.models == ("b", "d")


def test_siblings_without_their_base(deep, ran):
    text = "model a = net\nmodel b = a | ablate(dense.1.channel[1])\nmodel c = a | ablate(dense.2.channel[1])\n"
    text += "b:output.class | present(bars)\nc:output.class | present(bars)\n"
    plan, _ = check(text, deep, ran, twice=TWICE)
    assert resumed(plan) == {"b": [None], "c": [("b", ("dense.1",))]}


def test_two_changes_of_one_layer(ran):
    """Of a sequence and of another module: neither replaces the other."""
    for layer in ("stem", "body.one"):
        text = f"model a = net\nmodel b = a | ablate({layer}.channel[1])\nmodel c = b | ablate({layer}.channel[2])\n"
        text += f"c:{layer}.channel | activation | present(table)\n"
        _, results = run(text, blocks.adapter("residual"), blocks.image())
        values = next(iter(results.fields.values())).values.data
        assert not values[..., 1:3].any() and values.any()


@pytest.mark.parametrize(
    "stage",
    [
        "set_weight(weights(steps.1.second)[to=3, from=2], 0.5)",
        "ablate(dense.1.channel[1], position_mean)",
        "isolate(steps.1.channel[1], mean, source=photos)",
        "ablate(dense.1.channel[3], mean, source=photos)",
        "steer(mix, 0.5)",
    ],
)
def test_every_way_to_change_a_network(stage, deep, ran):
    text = f'dataset photos = "sample:shapes" | sample(4)\nmodel a = net\nmodel b = a | {stage}\n'
    text += "a:output.class | present(bars)\nb:output.class | present(bars)\n"
    plan, _ = check(text, deep, ran, twice=TWICE)
    assert resumed(plan)["b"] != [None]


def test_passes_of_every_kind(deep, ran):
    """Baselines, paths, tangents, effects above and below the change: what they start from is shared, too."""
    text = "model a = net\nmodel b = a | ablate(dense.1.channel[1])\n"
    for name in "ab":
        text += f"{name}:dense.2.channel | attribute(output, method=integrated_gradients(4)) | present(bars)\n"
        text += f"{name}:steps.0.channel | ablate(zero) | effect(output) | present(bars)\n"
        text += f"{name}:dense.2.channel | ablate(zero) | effect(output) | present(bars)\n"
        text += f"{name}:steps.2.channel | attribute({name}:dense.2.channel[1]) | present(bars)\n"
        text += f"{name}:steps.0.channel | activation | present(bars)\n"
    plan, _ = check(text, deep, ran, twice=2 * TWICE, terms=0.3)  # effects are differences of such scores
    forwards = plan.parts[1].program.forwards
    assert [(f.picture, f.resumes.forward) for f in forwards] == [
        (f.picture, number) for number, f in enumerate(plan.parts[0].program.forwards)
    ]
    assert len(forwards) == 2


def test_several_pictures_and_several_lengths_of_the_batch(deep, ran):
    text = "model a = net\nmodel b = a | ablate(dense.1.channel[1])\n"
    text += "a:output.class | present(table)\nb:output.class | present(table)\n"
    program = bbilang.check(bbilang.parse(text), model=deep, input=[blocks.image(), blocks.image(1)])
    plan = bbilang.plan(bbilang.optimize(program))
    results = bbilang.execute(plan, model=deep, input=[blocks.image(), blocks.image(1)], cache=False)
    for number in (0, 1):
        _, alone = run(text, deep, blocks.image(number), optimized=False)
        for name, field in results.fields.items():
            expected = alone.fields[name].values.ordered(("input", "class")).data[0]
            found = field.values.ordered(("input", "class")).data[number]
            np.testing.assert_allclose(found, expected, rtol=0, atol=WITHIN * np.abs(expected).max())
    assert results.resumed == 1 and results.model_passes[0] == 1


class Odd(nn.Module):
    """Random even when it is evaluated, or with rows that depend on each other, or with a path that its values
    choose."""

    def __init__(self, how):
        super().__init__()
        self.how, self.first, self.second = how, nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.other, self.head = nn.Conv2d(4, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        x = self.first(x)
        if self.how == "random":
            x = x + torch.rand_like(x)
        if self.how == "rows":
            x = x - x.mean(0, keepdim=True) / 2
        y = self.second(x)
        if self.how == "values" and y.abs().max() > 5:
            x = x + 1
        return self.head((y * self.other(x)).mean((2, 3)))


@pytest.mark.parametrize("how", ["random", "rows", "values"])
def test_whatever_the_plan_expects_numbers_are_right(how):
    """Nothing is taken over where rows depend on each other, or the network is random; and where its own values choose
    the path, only what is the same."""
    torch.manual_seed(0)
    model = adapt(Odd(how).eval(), (12, 12), name="odd")
    text = "model a = net\nmodel b = a | steer(second.channel[1], 100)\n"
    text += "a:output.class | present(table)\nb:output.class | present(table)\n"
    images = [blocks.image(), blocks.image(1)]
    program = bbilang.check(bbilang.parse(text), model=model, input=images)
    found = bbilang.execute(bbilang.plan(bbilang.optimize(program)), model=model, input=images, cache=False)
    expected = bbilang.execute(bbilang.plan(program), model=model, input=images, cache=False)
    assert_same(found, expected, 0.0)
    assert found.resumed == (how == "values")


def test_numbers_from_the_cache_are_not_run_for_others(deep, tmp_path, ran):
    """A derived model whose base is in the cache runs whole; what it needs again is not stored."""
    first = "model a = net\nmodel b = a | ablate(dense.1.channel[1])\na:output.class | present(table)\n"
    run(first + "b:dense.2.channel | activation | present(bars)\n", deep, blocks.image(), cache=tmp_path)
    ran.clear()
    text = first + "b:output.class | present(bars)\n"
    plan, results = run(text, deep, blocks.image(), cache=tmp_path)
    _, expected = run(text, deep, blocks.image(), optimized=False)
    assert_same(results, expected, 0.0)
    assert resumed(plan)["b"] == [("a", ("dense.1",))]


def test_inputs_are_prepared_once(monkeypatch):
    """Models of a page that prepare pictures alike share them; others have their own."""
    from bbilang.runtime.models.adapter import Adapter

    plain, prepared = Adapter.prepare, []
    monkeypatch.setattr(Adapter, "prepare", lambda self, picture: prepared.append(self) or plain(self, picture))
    text = 'model a = "sample:marks"\nmodel b = a | ablate(first.channel[1])\nmodel c = b | ablate(first.channel[2])\n'
    text += 'input "sample:marked_disc"\n' + "".join(f"{name}:output.class | present(bars)\n" for name in "abc")
    bbilang.run(text, cache=False)
    assert len(prepared) == 1


def test_the_plan_says_it(deep):
    text = "model a = net\nmodel b = a | ablate(dense.1.channel[1])\n"
    text += "a:output.class | present(bars)\nb:output.class | present(bars)\n"
    explanation = bbilang.explain(text, model=deep, input=blocks.image())
    words = " ".join(str(explanation).split())
    assert "forward passes 4 -> 1; forward passes above a change 0 -> 1" in words
    data = explanation.to_json()
    said = {name: model["after"][0]["what"] for name, model in data["models"].items()}
    assert said == {
        "a": "scores; keeps what `b` takes from it",
        "b": "scores; what does not depend on dense.1 is that of forward 1 of `a`",
    }
    assert data["models"]["b"]["after"][0]["resumes"] == "a" and data["models"]["b"]["after"][0]["from"] == "dense.1"
    assert {"name": "forward passes above a change", "before": 0, "after": 1} in data["saved"]


def test_a_plan_in_json_runs_the_same(deep):
    text = "model a = net\nmodel b = a | ablate(dense.1.channel[1])\n"
    text += "a:output.class | present(bars)\nb:output.class | present(bars)\n"
    program = bbilang.optimize(bbilang.check(bbilang.parse(text), model=deep, input=blocks.image()))
    again = bbilang.program_from_json(bbilang.program_to_json(program))
    assert again == program and bbilang.optimize(again) == again
    data = bbilang.program_to_json(program)
    data["parts"][1]["forwards"][0]["resumes"]["spared"] = ["no such layer"]
    with pytest.raises(bbilang.BbiError, match="E132"):
        bbilang.program_from_json(data)


def test_heads(deep, ran):
    """A layer of heads is a module only where a run needs it: what one model mounts, the other may not."""
    text = "model a = net\nmodel b = a | ablate(pool.channel[1])\na:output.class | present(bars)\n"
    text += "b:out.head | activation | present(bars)\nb:output.class | present(bars)\n"
    check(text, deep, ran, twice=TWICE)
