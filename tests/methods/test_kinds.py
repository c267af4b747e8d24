"""The kinds of methods: plug-ins that predate them still run, and a new kind needs no change in the compiler."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

from bbilang.compiler.contract import Method, Parameter, Reruns, RerunWork
from bbilang.compiler.ir.serialize import from_json, to_json
from bbilang.compiler.op import Method as FormerMethod
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan
from bbilang.grammar.diagnostic import BbiError
from bbilang.registry import registry
from bbilang.runtime.attribution.slots import Slots, requested_keys, tables_of
from bbilang.runtime.attribution.target_scores import scores_at, value_at
from bbilang.runtime.methods.integrated_gradients import quadrature
from bbilang.runtime.methods.meaningful_perturbation import MeaningfulPerturbation
from bbilang.runtime.methods.occlusion import Occlusion
from bbilang.runtime.passes import forward


class FormerLinear(FormerMethod):
    name, linear = "former_linear", True

    def contribution(self, activation, gradient):
        return activation * gradient


class FormerPath(FormerMethod):
    name, reruns, completes = "former_path", True, True
    parameters = (Parameter("n_steps", "integer", "steps", 4), Parameter("tolerance", "number", "error", 0.01))

    def baseline(self, parameters):
        return "zero"

    def visits(self, parameters):
        return parameters["n_steps"]

    def visit(self, parameters, start, stop, activation, baseline):
        along = activation.new_tensor(quadrature(parameters["n_steps"])[0][start:stop])
        return baseline + along.view(-1, *[1] * activation.dim()) * (activation - baseline)

    def weights(self, parameters):
        return quadrature(parameters["n_steps"])[1]

    def finish(self, parameters, total, activation, baseline):
        return total * (activation - baseline)


class FormerMasks(FormerMethod):
    name, reruns, finds, maps_only, atoms = "former_masks", True, "values", True, ("pixel", "spatial")
    parameters = Occlusion.parameters
    suits, baseline, masks, mask = Occlusion.suits, Occlusion.baseline, Occlusion.masks, Occlusion.mask
    credit, settle = Occlusion.credit, Occlusion.settle


class FormerLearned(FormerMethod):
    name, reruns, finds, maps_only, input_only = "former_learned", True, "masks", True, True
    atoms, parameters = ("pixel",), MeaningfulPerturbation.parameters
    suits, masks = MeaningfulPerturbation.suits, MeaningfulPerturbation.steps
    bytes_each, learn = MeaningfulPerturbation.bytes_each, MeaningfulPerturbation.learn

    def additive(self, parameters):
        return False


class Dimming(Method):
    """How much of the score is lost when the layer is halved, the same for every entry: no kind that is built in."""

    name = "dimming"

    def demand(self, node, layers, call, parameters):
        return Reruns(node["to"], layers, call)

    def work(self, parameters, layer, classes):
        return RerunWork("halves", 1, returns=False, noun="half")

    def execute(self, run, step):
        requested = tables_of(run, step)
        slots = Slots.of(requested_keys((table for _, table in requested), len(run.images)))
        captured = run.forward(step.forward)
        half = captured[step.layer] / 2
        again = forward(run.adapter, run.images, [step.layer], replace={step.layer: half}, counter=run.passes)
        lost = scores_at(run, step.target_layer, slots.keys, value_at(captured, step.target_layer)) - scores_at(
            run, step.target_layer, slots.keys, value_at(again, step.target_layer)
        )
        shape = run.kept_shape(step.requests[0].node, step.layer)
        spread = lost.reshape(*lost.shape, *[1] * len(shape)).expand(*lost.shape, *shape)
        for _, table in requested:
            table.put(step.layer, slots.positions(table), spread.numpy())


@pytest.fixture
def methods(monkeypatch):
    for method in (FormerLinear(), FormerPath(), FormerMasks(), FormerLearned(), Dimming()):
        monkeypatch.setitem(registry().methods, method.name, method)


PAIRS = [
    ("b.channel", "former_linear", "linear", "bars"),
    ("b.channel", "former_path", "integrated_gradients(n_steps=4)", "bars"),
    ("b.channel", "smoothgrad(n_samples=2, of=former_linear)", "smoothgrad(n_samples=2, of=linear)", "bars"),
    ("b.channel", "vargrad(n_samples=2, of=former_path)", "vargrad(n_samples=2, of=integrated_gradients(n_steps=4))",
     "bars"),
    ("b.spatial", "former_masks(window=3)", "occlusion(window=3)", "heatmap"),
    ("input.pixel", "former_learned(steps=2)", "meaningful_perturbation(steps=2)", "heatmap"),
]  # fmt: skip


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("head, former, method, style", PAIRS)
def test_a_plug_in_of_before_gives_what_its_kind_gives(head, former, method, style, optimized, methods):
    texts = [f"{head} | attribute(output[1], method={each}) | present({style})" for each in (former, method)]
    programs = [tiny.check(text) for text in texts]
    a, b = (tiny.run_program(program, optimized=optimized) for program in programs)
    (own,), (want,) = a.fields.values(), b.fields.values()
    assert np.array_equal(own.values.data, want.values.data) and own.values.dims == want.values.dims
    assert (a.model_passes, a.reruns, a.tangents) == (b.model_passes, b.reruns, b.tangents)
    costs = [[(s.kind, s.passes, s.flops, s.bound) for s in plan(optimize(program)).steps] for program in programs]
    assert costs[0] == costs[1]


def test_a_plug_in_of_before_is_refused_where_its_kind_is(methods):
    text = "b.channel | attribute(output[1], method=smoothgrad(of={})) | present(bars)"
    for method in ("former_masks", "occlusion"):
        with pytest.raises(BbiError, match="no method of gradients"):
            tiny.check(text.format(method))


@pytest.mark.parametrize("optimized", [True, False])
def test_a_new_kind_says_itself_what_it_costs_and_how_it_runs(optimized, methods):
    text = "b.channel | attribute([output[1], output[4]], method=dimming) | present(bars, facet=class)"
    program = optimize(tiny.check(text))
    step, removal = [step for step in plan(program).steps if step.kind == "reruns"]
    assert (
        removal.words.startswith("removal")
        and step.passes == 1
        and "1 half x 2 targets" in step.words
        and not step.bound
    )
    assert from_json(to_json(program)) == program
    results = tiny.run_program(tiny.check(text), optimized=optimized)
    adapter = tiny.adapter()
    with torch.inference_mode():
        captured = forward(adapter, tiny.images(), ["b"])
        half = forward(adapter, tiny.images(), ["b"], replace={"b": captured["b"] / 2})
    want = (captured.scores - half.scores)[0, [1, 4]].numpy()
    (field,) = results.fields.values()
    values = field.values.ordered(("input", "class", "channel")).data
    assert np.allclose(values, want[None, :, None], atol=1e-6)
