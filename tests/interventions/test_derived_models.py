"""A derived model equals the network with a hook by hand: its scores, activations, gradients, effects, and its base."""

from __future__ import annotations

import blocks
import numpy as np
import pytest
import torch
from by_hand import mask, positions

import bbilang
from bbilang.grammar.diagnostic import BbiError

LAYERS = {  # network -> the layer that changes, and one above it
    "residual": ("body.two", "body.sum"),
    "concatenation": ("body.left", "body.join"),
    "attention": ("body.out", "body.sum"),
    "batch_norm": ("body.1", "body.3"),
}
STAGES = {
    "ablate({}.channel[1])": ("zero", "channel", (1,)),
    "ablate({}.channel[1], position_mean)": ("position_mean", "channel", (1,)),
    "steer({}.channel[2], 2)": ("steer 2", "channel", (2,)),
    "ablate({})": ("zero", "whole", ()),
}


def by_hand(name, changes, layer, target=None):
    """The scores of a network with changes (layer -> function of one image's result) and the result of a layer with
    the gradient of a score there: the predicted class of the network as it is, or ``target``."""
    network, image = blocks.block(name), blocks.image()
    with torch.no_grad():
        predicted = int(network(image[None]).argmax())
    kept = []

    def hook(module, arguments, result):
        path = paths[module]
        if path in changes:
            result = torch.stack([changes[path](one) for one in result])
        if path == layer:
            result = result.detach().clone().requires_grad_()
            kept.append(result)
        return result

    paths = {network.get_submodule(path): path for path in {layer, *changes}}
    handles = [module.register_forward_hook(hook) for module in paths]
    scores = network(image[None])
    scores[0, predicted if target is None else target].backward()
    for handle in handles:
        handle.remove()
    return scores.detach()[0].numpy(), kept[0].detach()[0].numpy(), kept[0].grad[0].numpy()


def change_of(layer, stage):
    """The change as a function of one image's result, with its graph."""
    how, atom, index = STAGES[stage]

    def change(values):
        dims = positions(layer)
        other = torch.zeros_like(values)
        if how == "position_mean":
            other = values.mean(dims, keepdim=True).expand_as(values)
        elif how != "zero":
            other = values + float(how.split()[1]) * values.square().mean(dims, keepdim=True).sqrt()
        chosen = torch.as_tensor(mask(tuple(values.shape), layer, atom, index)).to(values)
        return values + chosen * (other - values)

    return change


def models(stage, layer):
    return f"model a = net\nmodel b = a | {stage.format(layer)}\n"


def summed(values, layer):
    """The sum over positions, (channel,)."""
    return values.sum(0) if layer.startswith("body.") and values.ndim == 2 else values.sum((1, 2))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", LAYERS)
def test_scores_activations_and_attributions(name, stage):
    layer, above = LAYERS[name]
    change = {layer: change_of(layer, stage)}
    scores, values, gradient = by_hand(name, change, above)
    text = models(stage, layer)
    found = blocks.attributed(text + "b:output.class | present(bars)", name)
    np.testing.assert_allclose(found, scores, atol=1e-6)
    found = blocks.attributed(text + f"b:{above}.channel | activation | present(bars)", name)
    np.testing.assert_allclose(found, summed(values, above), atol=1e-5, rtol=1e-6)
    found = blocks.attributed(text + f"b:{above}.channel | attribute(output) | present(bars)", name)
    np.testing.assert_allclose(found, summed(values * gradient, above), atol=1e-5, rtol=1e-6)
    _, values, gradient = by_hand(name, change, "stem")  # below the change
    found = blocks.attributed(text + "b:stem.channel | attribute(output) | present(bars)", name)
    np.testing.assert_allclose(found, summed(values * gradient, "stem"), atol=1e-5, rtol=1e-6)


def test_the_base_stays_as_it_is():
    text = models("ablate({}.channel[1])", "body.two")
    both = text + "b:body.two.channel | activation | present(bars)\na:output.class | present(bars)"
    alone = blocks.attributed("output.class | present(bars)", "residual")
    np.testing.assert_array_equal(blocks.attributed(both, "residual"), alone)


def test_changes_follow_each_other():
    text = "model b = net | ablate(body.one.channel[0])\nmodel c = b | steer(body.two.channel[1], 2)\n"
    changes = {
        "body.one": change_of("body.one", "ablate({}.channel[1])"),
        "body.two": change_of("body.two", "steer({}.channel[2], 2)"),
    }
    text = text.replace("channel[0]", "channel[1]").replace("two.channel[1]", "two.channel[2]")
    found = blocks.attributed(text + "c:output.class | present(bars)", "residual")
    np.testing.assert_allclose(found, by_hand("residual", changes, "stem")[0], atol=1e-6)
    one = text.replace("\nmodel c = b ", " ").replace("c:", "b:")
    np.testing.assert_array_equal(blocks.attributed(one + "b:output.class | present(bars)", "residual"), found)


def test_a_sequential_layer_keeps_all_of_its_changes():
    zeroed = torch.tensor([1, 0, 0, 1, 1, 1])[:, None, None]
    scores = by_hand("batch_norm", {"body": lambda values: values * zeroed}, "stem")[0]
    text = "model a = net\nmodel b = a | ablate(body.channel[1]) | ablate(body.channel[2])\n"
    found = blocks.attributed(text + "b:output.class | present(bars)", "batch_norm")
    np.testing.assert_allclose(found, scores, atol=1e-6)
    text = "model a = net\nmodel b = a | ablate(body.channel[1])\nmodel c = b | ablate(body.channel[2])\n"
    found = blocks.attributed(text + "c:output.class | present(bars)", "batch_norm")
    np.testing.assert_allclose(found, scores, atol=1e-6)


def test_effects_in_a_derived_model():
    """An effect on top of a change equals both by hand."""
    text = models("ablate({}.channel[1])", "body.two")
    found = blocks.attributed(text + "b:stem.channel | ablate(zero) | effect(b:output.class) | present(matrix)",
                              "residual", True, 0, "channel", "class")  # fmt: skip
    own = {"body.two": change_of("body.two", "ablate({}.channel[1])")}
    before = by_hand("residual", own, "stem")[0]
    for channel in range(blocks.WIDTH):

        def zeroed(values, channel=channel):
            values = values.clone()
            values[channel] = 0
            return values

        after = by_hand("residual", {**own, "stem": zeroed}, "body.sum")[0]
        np.testing.assert_allclose(found[channel], after - before, atol=2e-6)


def test_the_root_predicts_and_b_scores():
    """`output` is the class of the network as it is; `b:output` that of the changed one."""
    _, above = LAYERS["residual"]
    text = models("steer({}, -10)", "stem")
    before = blocks.attributed("output.class | present(bars)", "residual")
    after = blocks.attributed(text + "b:output.class | present(bars)", "residual")
    assert before.argmax() != after.argmax(), "the change must change the prediction"
    for target, expected in (("output", before.argmax()), ("b:output", after.argmax())):
        named = blocks.attributed(text + f"b:{above}.channel | attribute(b:output[{expected}]) | present(bars)",
                                  "residual")  # fmt: skip
        found = blocks.attributed(text + f"b:{above}.channel | attribute({target}) | present(bars)", "residual")
        np.testing.assert_array_equal(found, named)


def test_atoms_of_the_base_in_a_derived_model():
    text = models("ablate({}.channel[1])", "body.two")
    text += "best = a:body.sum.channel | activation | top(2) | present(bars)\n"
    text += "b:body.sum.channel | activation | only(best) | present(bars)\n"
    model = blocks.adapter("residual")
    results = bbilang.run(text, model=model, input=blocks.image(), cache=False)
    best, same = (results.results.fields[name] for name in ("best", "element-2"))
    np.testing.assert_array_equal(best.coords["channel"].data.ravel(), same.coords["channel"].data.ravel())
    _, values, _ = by_hand("residual", {"body.two": change_of("body.two", "ablate({}.channel[1])")}, "body.sum")
    own = summed(values, "body.sum")[best.coords["channel"].data.ravel()]
    np.testing.assert_allclose(same.values.data.ravel(), own, atol=1e-5, rtol=1e-6)


def test_an_icon_of_another_size_has_no_such_position():
    text = "model b = net | ablate(stem.spatial[1, 1])\nset featvis(size=16, steps=2)\n"
    with pytest.raises(BbiError, match="E547"):
        bbilang.run(text + "b:body.sum.channel[1] | present(featvis)", model=blocks.adapter("residual"),
                    input=blocks.image(), cache=False)  # fmt: skip


def test_weights_are_shared():
    """A derived network has the tensors of its base, and its own identity."""
    from bbilang.grammar.source import Source
    from bbilang.pipeline import Pipeline, Request

    text = models("ablate({}.channel[1])", "body.two") + "b:output.class | present(bars)"
    base = blocks.adapter("residual")
    pipeline = Pipeline(Request(Source(text), base, blocks.image()))
    derived = pipeline.job.adapter()
    for name, parameter in base.module.named_parameters():
        assert derived.module.get_parameter(name).data_ptr() == parameter.data_ptr()
    assert derived.fingerprint != base.fingerprint


DATASET = "model a = efficientnet_lite0\nmodel b = a | ablate(block5c.expand.channel[447])\n" + (
    'input "sample:chelsea"\ndataset photos = "sample:shapes"\n'
    "best = b:block6a.expand.channel | attribute(output) | top(4) | present(bars)\n"
)


@pytest.mark.parametrize(
    ("stages", "allowed"),
    [
        ("attribute(output)", False),
        ("attribute(output[top(2)])", False),
        ("ablate(zero) | effect(output)", False),
        ("attribute(b:output)", True),
        ("attribute(output[281])", True),
        ("activation | only(best)", True),  # which are chosen on the page's input
    ],
)
def test_what_the_original_predicts_of_each_example(stages, allowed):
    """A scan runs one network, and does not know what another one predicts."""
    text = DATASET + f"b:block6a.expand.channel | {stages} | across(photos) | mean(example) | present(table)"
    if allowed:
        bbilang.check(text)
        return
    with pytest.raises(BbiError, match="E482"):
        bbilang.check(text)
