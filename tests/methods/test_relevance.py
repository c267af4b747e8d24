"""Relevance through whole networks: targets and layers, conservation, folding, attention, refusals, passes."""

import re
from pathlib import Path

import blocks
import numpy as np
import pytest
import relevance_twins as twins
import tiny
import torch
import torch.nn.functional as F
from closeness import close_to
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.registry import registry
from bbilang.runtime import passes
from bbilang.runtime.models.adapt import adapt
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.relevance.composites import COMPOSITES, RULES
from bbilang.runtime.relevance.marks import Mark, marked

LINEAR = "lrp(convolution=epsilon, bias=false)"


def adapted(module, size=tiny.SIZE, **options):
    return adapt(module, (size, size), labels=tiny.LABELS, **options)


def relevance(adapter, images, layers, target, method="lrp", **parameters):
    """layer -> (input, *layer axes): of a class, from the passes themselves."""
    captured = passes.forward(
        adapter, images, layers, True, grad=True, around=registry().methods[method].around(parameters)
    )
    cotangent = torch.zeros(1, *captured.scores.shape)
    cotangent[0, :, target] = 1
    seed = captured.relevance.seed(captured.score_graph, cotangent, "output")
    return {layer: chunk[0] for layer, chunk in passes.vjp(captured, captured.score_graph, seed, layers).items()}


# --- beside twins -----------------------------------------------------------------------------------------------------


def chained(network, image, target, linear, pool):
    """Relevance of Tiny's layers `b` and `c`, layer by layer. ``linear``, ``pool``: (w, x, b, r) and (w, x, r) -> R."""
    network = network.double()
    with torch.no_grad():
        b = network.b(network.a(image.double()))
        c = network.c(b)
        hidden = torch.tanh(c)
        pooled = F.adaptive_avg_pool2d(hidden, 2)
        score = network.head(pooled.flatten(1))[0, target]
    head = network.head.weight[target : target + 1].detach().numpy()
    start = np.array([float(score)]) if linear is not twins_excitation else np.array([1.0])
    r = linear(head, pooled.flatten().numpy(), network.head.bias[target : target + 1].detach().numpy(), start, "linear")
    w, _ = twins.matrix_of(lambda x: F.adaptive_avg_pool2d(x, 2), tuple(hidden.shape[1:]))
    at_c = pool(w, hidden.flatten().numpy(), r)
    w, _ = twins.matrix_of(lambda x: F.conv2d(x, network.c.weight, None, 1, 1), tuple(b.shape[1:]))
    bias = network.c.bias.detach().repeat_interleave(c[0, 0].numel()).numpy()
    at_b = linear(w, b.flatten().numpy(), bias, at_c, "convolution")
    return at_b.reshape(b.shape[1:]), at_c.reshape(c.shape[1:])


def twins_plus(w, x, b, r, kind):
    return twins.epsilon(w, x, b, r) if kind == "linear" else twins.z_plus(w, x, b, r)


def twins_excitation(w, x, b, r, kind):
    return twins.excitation(w, x, r)


class Small(tiny.Tiny):
    """Tiny with few channels: a twin goes pair by pair."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 3, 3, 4, 1), nn.ReLU(inplace=True))
        self.b = nn.Sequential(nn.Conv2d(3, 3, 3, 2, 1), nn.ReLU(inplace=True))
        self.c = nn.Conv2d(3, 2, 3, 1, 1)
        self.head = nn.Linear(2 * 4, len(tiny.LABELS))


@pytest.mark.parametrize(
    ("method", "linear", "pool"),
    [
        ("lrp", twins_plus, twins.proportion),
        ("excitation_backprop", twins_excitation, lambda w, x, r: twins.proportion(w, x, r, 0)),
    ],
)
def test_a_network_layer_by_layer(method, linear, pool):
    module = tiny.build(Small)
    text = f"b.channel | attribute(output[3], method={method}) | present(bars)\n" \
           f"c.spatial | attribute(output[3], method={method}) | present(heatmap)"  # fmt: skip
    results = tiny.run(text, model=adapted(module))
    at_b, at_c = chained(tiny.build(Small), tiny.images(), 3, linear, pool)
    channels, positions = (f.values.data[0] for f in results.fields.values())
    close_to(channels, at_b.sum((1, 2)))
    close_to(positions, at_c.sum(0))
    assert results.model_passes == (2, 1)  # the page's own, and one forward and backward for both layers


def test_the_opposite_of_a_class_is_the_class_with_negated_weights():
    """Contrastive excitation backprop, as TorchRay does it: twice excitation backprop, once with -w in the classifier,
    subtracted; its map is the positive part of the sum over channels."""
    module = tiny.build(Small)
    adapter, layers = adapted(module), ["a", "b", "c"]
    actual = relevance(adapter, tiny.images(), layers, 3, "contrastive_excitation_backprop")
    own = relevance(adapter, tiny.images(), layers, 3, "excitation_backprop")
    opposite = tiny.build(Small)
    with torch.no_grad():
        opposite.head.weight.neg_()
    against = relevance(adapted(opposite), tiny.images(), layers, 3, "excitation_backprop")
    for layer in layers:
        close_to(actual[layer], own[layer] - against[layer])
        assert float(actual[layer].abs().max()) > 1e-3


# --- conservation -----------------------------------------------------------------------------------------------------

CONVOLUTIONAL = tuple(name for name in blocks.BLOCKS if name != "batch_norm")


def score_of(name, target, bias=False):
    return float(blocks.block(name, bias)(blocks.image()[None])[0, target])


@pytest.mark.parametrize("name", blocks.BLOCKS)
@pytest.mark.parametrize("at", ["input.pixel", "stem.spatial", "body.channel"])
def test_without_biases_relevance_adds_up_to_the_score(name, at):
    if at == "body.channel" and name in ("linear", "attention"):
        at = "stem.channel"
    draw = "bars" if at.endswith("channel") else "heatmap"
    actual = blocks.attributed(f"{at} | attribute(output[2], method={LINEAR}) | present({draw})", name, False)
    close_to(actual.sum(), score_of(name, 2), terms=np.abs(actual).sum(), roundings=4e3, because="ratios")


def test_biases_take_a_share_unless_they_are_left_out():
    def total(method):
        text = f"stem.channel | attribute(output[2], method={method}) | present(bars)"
        return blocks.attributed(text, "convolution").sum()

    score = score_of("convolution", 2, True)
    close_to(total("lrp(convolution=epsilon, bias=false)"), score)
    assert abs(total("lrp(convolution=epsilon)") - score) > 0.05 * abs(score)


@pytest.mark.parametrize("name", ["linear", "convolution", "max_pool", "residual"])
def test_chances_add_up_to_1(name):
    text = "{} | attribute(output[2], method=excitation_backprop(sums=positive)) | present(heatmap)"
    for at in ("input.pixel", "stem.spatial"):
        actual = blocks.attributed(text.format(at), name)
        close_to(float(actual.sum()), 1)
        assert actual.min() >= 0


# --- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lrp", "excitation_backprop", "contrastive_excitation_backprop"])
def test_differences_and_lists_are_made_of_classes(method):
    def values(to, name="residual"):
        return blocks.attributed(f"stem.channel | attribute({to}, method={method}) | present(bars)", name)

    one, two = values("output[1]"), values("output[2]")
    close_to(values("output[1] - output[2]"), one - two)
    text = f"stem.channel | attribute(output[1, 2], method={method}) | present(bars)"
    listed = blocks.attributed(text, "residual", True, 0, "class", "channel")
    close_to(listed, np.stack([one, two]))


def test_relevance_of_a_hidden_channel_adds_up_to_its_activation():
    text = f"stem.channel | attribute(body.channel, method={LINEAR}) | top(24) | present(bars)"
    actual = blocks.attributed(text, "convolution", False)
    network, image = blocks.block("convolution", False), blocks.image()[None]
    body = network.body(network.stem(image))
    close_to(actual.sum(), float(body.sum()), terms=np.abs(actual).sum(), roundings=4e3, because="ratios")


def test_chances_of_a_hidden_channel_start_in_proportion_to_its_activation():
    module = tiny.build(Small)
    captured = passes.forward(
        adapted(module), tiny.images(), ["a", "c"], False, grad=True,
        around=registry().methods["excitation_backprop"].around({}),
    )  # fmt: skip
    cotangent = torch.zeros(1, *captured["c"].shape)
    cotangent[0, :, 1] = 1
    seed = captured.relevance.seed(captured.graph["c"], cotangent, "c")
    active = captured["c"][0, 1].clamp_min(0)
    close_to(seed[0, 0, 1], active / active.sum())
    close_to(float(seed.sum()), 1)
    assert float(seed[0, 0, 0].abs().sum()) == 0


def test_many_targets_in_one_pass_as_one_by_one():
    text = "\n".join(
        f"{at} | attribute(output[0, 1, 2, 3, 4, 5], method=lrp) | present({draw})"
        for at, draw in (
            ("a.spatial", "heatmap, facet=class"),
            ("b.channel", "bars"),
            ("input.pixel", "heatmap, facet=class"),
        )
    )
    together, alone = (tiny.run(text, inputs=2, optimized=flag) for flag in (True, False))
    for one, two in zip(together.fields.values(), alone.fields.values(), strict=True):
        close_to(one.values.data, two.values.ordered(one.values.dims).data)
    assert together.model_passes == (2, 6) and alone.model_passes == (7, 18)  # of classes, in batches


def test_pictures_are_independent():
    text = 'a.channel | attribute(output[1], method=lrp(composite="epsilon_gamma_box")) | present(bars)'
    both = tiny.run(text, inputs=2).fields["element-1"].values.data
    one = tiny.run(text, inputs=1).fields["element-1"].values.data
    close_to(both[:1], one)


# --- how a network is written does not matter -------------------------------------------------------------------------


class Normed(nn.Module):
    """Batch norms after a convolution, one in groups, a transposed one and a linear layer; each also as folded."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4, eps=1e-2), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.BatchNorm2d(4), nn.ReLU6(inplace=True))
        self.c = nn.Sequential(nn.ConvTranspose2d(4, 6, 2, 2, groups=2), nn.BatchNorm2d(6, affine=False), nn.ReLU())
        self.d = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.SiLU())
        self.head = nn.Linear(5, len(tiny.LABELS))

    def forward(self, x):
        x = self.c(self.b(self.a(x)))
        return self.head(self.d(F.adaptive_avg_pool2d(x, 1).flatten(1)))


def normed():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        module = Normed().eval()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                part.running_mean.uniform_(-0.3, 0.3)
                part.running_var.uniform_(0.3, 2)
                if part.affine:
                    nn.init.uniform_(part.weight, -1, 2)
                    nn.init.uniform_(part.bias, -0.5, 0.5)
    return module


def folded(module):
    for part in (module.a, module.b, module.c, module.d):
        linear, norm = part[0], part[1]
        fuse = torch.nn.utils.fuse_linear_bn_eval if isinstance(linear, nn.Linear) else None
        if isinstance(linear, nn.ConvTranspose2d):
            scale = (norm.running_var + norm.eps).rsqrt()
            with torch.no_grad():  # (from, to in its group, ...): group 0 gives channels 0 to 2
                linear.weight[:2] *= scale[:3].view(1, -1, 1, 1)
                linear.weight[2:] *= scale[3:].view(1, -1, 1, 1)
                linear.bias.copy_((linear.bias - norm.running_mean) * scale)
        else:
            part[0] = (fuse or torch.nn.utils.fuse_conv_bn_eval)(linear, norm)
        part[1] = nn.Identity()
    return module


@pytest.mark.parametrize(
    ("method", "options"),
    [("lrp", {}), ("lrp", {"composite": "epsilon_gamma_box"}), ("lrp", {"composite": "epsilon_alpha2_beta1_flat"}),
     ("excitation_backprop", {}), ("contrastive_excitation_backprop", {})],
)  # fmt: skip
def test_batch_norms_are_folded(method, options):
    layers = ["input", "a", "b", "c"]
    actual = relevance(adapted(normed()), tiny.images(2), layers, 3, method, **options)
    expected = relevance(adapted(folded(normed())), tiny.images(2), layers, 3, method, **options)
    for layer in layers:
        scale = float(expected[layer].abs().max())
        assert float((actual[layer] - expected[layer]).abs().max()) <= 1e-4 * scale, layer
    if method == "lrp":
        apart = relevance(adapted(normed()), tiny.images(2), layers, 3, method, canonize=False, **options)
        assert float((apart["a"] - expected["a"]).abs().max()) > 1e-2 * float(expected["a"].abs().max())


def test_between_a_convolution_and_its_norm_stands_the_relevance_of_both():
    adapter = adapted(normed())
    actual = relevance(adapter, tiny.images(), ["a", "a.0", "a.1"], 3)
    close_to(actual["a.0"], actual["a.1"])


def test_a_convolution_that_others_read_too_keeps_its_own_weights():
    class Forked(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.norm = nn.Conv2d(3, 4, 3, 4, bias=False), nn.BatchNorm2d(4)
            self.head = nn.Linear(8, len(tiny.LABELS))

        def forward(self, x):
            y = self.a(x)
            return self.head(torch.cat([y, self.norm(y)], 1).relu().mean((2, 3)))

    module = tiny.build(Forked).eval()
    module.norm.running_var.fill_(0.1)
    actual = relevance(adapted(module), tiny.images(), ["input"], 3)["input"]
    again = relevance(adapted(module), tiny.images(), ["input"], 3, canonize=False)["input"]
    close_to(actual, again)


def test_the_box_is_the_range_of_the_pixels():
    """The preprocessing of the model says it, and a network that prepares its picture itself is the same network."""

    class Inside(tiny.Tiny):
        def forward(self, x):
            return super().forward((x - torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)) / 0.25)

    said = Preprocess(tiny.SIZE, (tiny.SIZE, tiny.SIZE), mean=(0.4, 0.5, 0.6), std=(0.25,) * 3)
    outside = adapted(tiny.build(), preprocess=said)
    layers, options = ["input", "a"], {"composite": "epsilon_gamma_box"}
    one = relevance(outside, tiny.images(), layers, 3, **options)
    two = relevance(adapted(tiny.build(Inside)), tiny.images(), layers, 3, **options)
    for layer in layers:
        close_to(one[layer], two[layer])
    first = outside.module.a[0]
    x = outside.normalize(tiny.images()).double()
    low, high = (outside.normalize(torch.full_like(tiny.images(), end)).double() for end in (0.0, 1.0))
    w, b = first.weight.double(), first.bias.double()

    def part(value, weight, bias):
        return F.conv2d(value, weight, bias, 2, 1)

    z = part(x, w, b) - part(low, w.clamp_min(0), b.clamp_min(0)) - part(high, w.clamp_max(0), b.clamp_max(0))
    s = one["a"].double() / torch.where(z >= 0, z + 1e-6, z - 1e-6)

    def back(weight):
        return F.conv_transpose2d(s, weight, None, 2, 1, 1)

    expected = x * back(w) - low * back(w.clamp_min(0)) - high * back(w.clamp_max(0))
    close_to(one["input"], expected, roundings=8e3, because="ratios")


# --- gates and attention ----------------------------------------------------------------------------------------------


class Heads(nn.Module):
    """The same attention, as a module of torch's, by its function, or written out."""

    def __init__(self, way):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 8, 8)
        self.norm, self.attend = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, len(tiny.LABELS))
        self.way = way

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        y = self.norm(x)
        if self.way == "module":
            mixed_values = self.attend(y, y, y, need_weights=False)[0]
        else:
            wide = F.linear(y, self.attend.in_proj_weight, self.attend.in_proj_bias)
            q, k, v = (part.unflatten(2, (2, 4)).transpose(1, 2) for part in wide.chunk(3, 2))
            if self.way == "function":
                mixed = F.scaled_dot_product_attention(q, k, v)
            else:
                mixed = (q @ k.transpose(2, 3) / 2).softmax(-1) @ v
            mixed_values = self.attend.out_proj(mixed.transpose(1, 2).flatten(2))
        return self.head((x + mixed_values).mean(1))


def test_attention_however_it_is_written():
    actual = [
        relevance(adapted(tiny.build(lambda way=way: Heads(way))), tiny.images(2), ["input", "patch"], 3)["patch"]
        for way in ("module", "function", "loop")
    ]
    close_to(actual[0], actual[2])
    close_to(actual[1], actual[2])


def test_attention_and_scale_are_taken_as_given():
    """Ali et al. 2022: input x gradient of the network with attention weights and the norm's scale held fixed."""
    module = tiny.build(lambda: Heads("loop"))
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    actual = relevance(adapted(module), tiny.images(), ["patch"], 3, epsilon=0.0, stabilizer=0.0)["patch"]
    maps = module.patch(tiny.images()).detach()
    x = maps.clone().requires_grad_()
    tokens = x.flatten(2).transpose(1, 2)
    scale = (tokens.detach().var(2, unbiased=False, keepdim=True) + 1e-5).rsqrt()
    y = (tokens - tokens.mean(2, keepdim=True)) * scale * module.norm.weight
    q, k, v = (p.unflatten(2, (2, 4)).transpose(1, 2) for p in (y @ module.attend.in_proj_weight.T).chunk(3, 2))
    mixed = (q @ k.transpose(2, 3) / 2).softmax(-1).detach() @ v
    score = module.head((tokens + module.attend.out_proj(mixed.transpose(1, 2).flatten(2))).mean(1))[0, 3]
    (gradient,) = torch.autograd.grad(score, x)
    close_to(actual, maps * gradient)


def test_a_gate_gives_all_to_its_signal():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(3, 6, 3, 2)
            self.squeeze, self.excite = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1)
            self.head = nn.Linear(6, len(tiny.LABELS))

        def forward(self, x):
            x = self.a(x).relu()
            gate = torch.sigmoid(self.excite(self.squeeze(x.mean((2, 3), keepdim=True)).relu()))
            return self.head((x * gate).mean((2, 3)))

    module = tiny.build(Gated)
    actual = relevance(adapted(module), tiny.images(), ["a", "squeeze"], 3)
    x = module.a(tiny.images()).relu().detach()
    gate = torch.sigmoid(module.excite(module.squeeze(x.mean((2, 3), keepdim=True)).relu())).detach()
    mean = (x * gate).mean((2, 3))
    scores = module.head(mean)[0, 3].detach()
    r = mean * module.head.weight[3] * scores / (scores + scores.sign() * 1e-6)
    expected = (x * gate) / x[0, 0].numel() / (mean + 1e-6)[:, :, None, None] * r[:, :, None, None]
    close_to(actual["a"], expected.detach())
    assert float(actual["squeeze"].abs().max()) == 0


# --- what has no rule is refused --------------------------------------------------------------------------------------


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(context, gradient):
        return 3 * context.saved_tensors[0] ** 2 * gradient


class Odd(nn.Module):
    """A layer, an operation in a module of its own, another layer, the scores."""

    def __init__(self, operation):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, 4)
        self.odd = Applied(operation)
        self.b = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, len(tiny.LABELS))

    def forward(self, x):
        return self.head(self.b(self.odd(self.a(x))).relu().mean((2, 3)))


class Applied(nn.Module):
    def __init__(self, operation):
        super().__init__()
        self.operation = operation

    def forward(self, x):
        return self.operation(x)


ODD = {
    "`mul` in `odd`": lambda x: x * x.flip(1),
    "`pow` in `odd`": lambda x: x**2,
    "`exp` in `odd`": torch.exp,
    "`softmax` in `odd`": lambda x: x.softmax(1),
    "`div` in `odd`": lambda x: x / x.norm(),
    "`Cube`": Cube.apply,
    "`einsum` in `odd`": lambda x: torch.einsum("ncyx,nkyx->ncyx", x, x),
}


@pytest.mark.parametrize("words", ODD)
@pytest.mark.parametrize("method", ["lrp", "excitation_backprop"])
def test_an_operation_without_a_rule_is_named(words, method):
    adapter = adapted(tiny.build(lambda: Odd(ODD[words])))
    text = "{}.channel | attribute(output[1], method=" + method + ") | present(bars)"
    error = tiny.refused(lambda: tiny.run(text.format("a"), model=adapter))
    (diagnostic,) = error.diagnostics
    assert diagnostic.code == "E515" and f"`{method}` has no rule for {words}" in diagnostic.message
    assert diagnostic.span is not None and diagnostic.help
    above = tiny.run(text.format("b"), model=adapter).fields["element-1"].values.data
    assert np.isfinite(above).all() and abs(above).max() > 0  # a layer above it is not concerned


def test_scores_behind_a_softmax_are_refused():
    class Probable(tiny.Tiny):
        def forward(self, x):
            return super().forward(x).softmax(1)

    text = "a.channel | attribute(output[1], method=lrp) | present(bars)"
    error = tiny.refused(lambda: tiny.run(text, model=adapted(tiny.build(Probable))))
    assert error.diagnostics[0].code == "E515" and "softmax" in error.diagnostics[0].message


def test_the_model_is_given_back_as_it_was():
    module = tiny.build()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    tiny.run("a.channel | attribute(output[1], method=lrp) | present(bars)", model=adapted(module))
    with pytest.raises(BbiError):
        odd = adapted(tiny.build(lambda: Odd(torch.exp)))
        tiny.run("a.channel | attribute(output[1], method=lrp) | present(bars)", model=odd)
    for part in [*module.modules(), *odd.module.modules()]:
        assert not part._forward_hooks and not part._forward_pre_hooks
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("words", ["composite=plus", "composite=3", "alpha=0", "convolution=z_plas", "gamma=-1"])
def test_undefined_relevance_is_refused_with_a_span(words):
    text = f"a.channel | attribute(output[1], method=lrp({words})) | present(bars)"
    error = tiny.refused(lambda: tiny.check(text))
    assert error.diagnostics[0].span is not None and error.diagnostics[0].code in ("E213", "E214", "E215")


def test_the_default_is_shown_in_the_plan():
    program = bbilang.optimize(tiny.check("a.channel | attribute(output[1], method=lrp) | present(bars)"))
    assert any(f.rule and f.rule[0] == "lrp" for f in program.forwards)


def test_an_attribution_is_no_target():
    for method in ("lrp", "excitation_backprop"):
        text = f"a.channel | attribute(b.channel[1] -> output[2], method={method}) | present(bars)"
        assert tiny.refused(lambda text=text: tiny.check(text)).diagnostics[0].code == "E238"


# --- what does not hold of every network and rule (test_axioms.py has what does of most): a counterexample each -------


class Units(nn.Module):
    """A layer of rectified units, and their weighted sum, of two numbers."""

    def __init__(self, weights, biases, sums):
        super().__init__()
        self.a, self.head = nn.Linear(2, len(weights)), nn.Linear(len(weights), 1, bias=False)
        self.a.weight.data, self.a.bias.data = torch.tensor(weights), torch.tensor(biases)
        self.head.weight.data = torch.tensor([sums])

    def forward(self, x):
        return self.head(self.a(x).relu())


def shares(x, units, method="lrp", **options):
    """Relevance of two numbers."""
    mode, x = registry().methods[method].around(options), torch.tensor([x], requires_grad=True)
    marked(x, Mark(pixels=(torch.zeros(1, 2), torch.ones(1, 2))))
    for part in units.parameters():
        part.requires_grad_(False)
    with mode:
        y = units(x)
    (actual,) = torch.autograd.grad(y, x, mode.seed(y, torch.ones(1, 1, 1), "output")[0])
    return actual[0].tolist()


def test_sensitivity_a_what_alone_changed_the_score_may_get_nothing():
    units = Units([[-1.0, 0.0]], [1.0], [-1.0])  # -relu(1 - x): -1 at 0, 0 at 2
    assert shares([2.0, 0.0], units) == [0, 0] and float(units(torch.zeros(1, 2))) == -1


@pytest.mark.parametrize("method", ["lrp", "excitation_backprop"])
def test_sensitivity_b_what_does_not_matter_may_get_some(method):
    """relu(x + y) - relu(x): with y = 0 nothing depends on x; one path through each unit."""
    units = Units([[1.0, 1.0], [1.0, 0.0]], [0.0, 0.0], [2.0, -1.0])
    assert shares([1.0, 1.0], units, method)[0] != 0
    flat = Units([[0.0, 1.0]], [0.0], [1.0])  # the first does not enter at all
    close_to(shares([1.0, 1.0], flat, first="flat")[0], 0.5)


@pytest.mark.parametrize(("method", "options"), [("lrp", {"linear": "z_plus"}), ("excitation_backprop", {})])
def test_implementation_invariance_two_ways_to_write_one_function(method, options):
    """relu(x - y) + y and relu(y - x) + x are both the greater of two positive numbers."""
    one = Units([[1.0, -1.0], [0.0, 1.0]], [0.0, 0.0], [1.0, 1.0])
    two = Units([[-1.0, 1.0], [1.0, 0.0]], [0.0, 0.0], [1.0, 1.0])
    at = torch.tensor([[3.0, 2.0]])
    assert float(one(at)) == float(two(at)) == 3
    assert shares([3.0, 2.0], one, method, **options) != pytest.approx(shares([3.0, 2.0], two, method, **options))


def test_symmetry_two_exchangeable_entries_may_get_different_shares():
    units = Units([[1.0, -1.0], [0.0, 1.0]], [0.0, 0.0], [1.0, 1.0])  # the greater of two
    close_to(shares([1.0, 1.0], units), [0, 1])


def test_completeness_a_bias_takes_a_share():
    units = Units([[1.0, 0.0]], [1.0], [1.0])
    close_to(shares([1.0, 0.0], units), [1, 0])
    assert float(units(torch.tensor([[1.0, 0.0]]))) == 2


def test_conservation_a_unit_that_nothing_excites_hands_nothing_on():
    units = Units([[1.0, 0.0]], [0.0], [-1.0])
    close_to(shares([1.0, 0.0], units), [-1, 0])
    assert sum(shares([1.0, 0.0], units, linear="z_plus")) == 0
    assert sum(shares([1.0, 0.0], units, "excitation_backprop")) == 0


def test_linearity_chances_do_not_grow_with_the_score():
    one, two = (Units([[1.0, 1.0]], [0.0], [factor]) for factor in (1.0, 2.0))
    assert shares([1.0, 3.0], one, "excitation_backprop") == shares([1.0, 3.0], two, "excitation_backprop")
    close_to(shares([1.0, 3.0], two), [2, 6])


def test_the_guide():
    """Its texts check, and it names every rule, composite and parameter."""
    guide = (Path(__file__).parents[2] / "docs" / "relevance.md").read_text(encoding="utf-8")
    for text in re.findall(r"^```bbi\n(.*?)^```", guide, re.M | re.S):
        assert bbilang.check(bbilang.parse(text), input="sample:chelsea").elements
    for name in (*RULES, *COMPOSITES, "canonize=false", "bias=false", "sums=positive"):
        assert f"`{name}`" in guide


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("at", ["b.channel", "input.pixel"])
@pytest.mark.parametrize(
    "method", ["lrp(composite=epsilon_gamma_box)", "excitation_backprop", "contrastive_excitation_backprop"]
)
def test_the_mean_over_copies_without_noise_is_the_method_itself(method, at, optimized):
    draw = "bars" if at == "b.channel" else "heatmap"
    own, mean = (
        tiny.run(f"{at} | attribute(output[3], method={m}) | present({draw})", inputs=2, optimized=optimized)
        .fields["element-1"]
        .values.data
        for m in (method, f"smoothgrad(of={method}, n_samples=2, noise=0)")
    )
    close_to(mean, own)
