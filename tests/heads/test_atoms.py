"""Heads of attention as atoms, equal to hooks by hand on the input of the projection."""

import numpy as np
import pytest
import torch
from by_hand_heads import TEXT, OfTorch, Projection, Words, bert, drawn, gpt2, llama, timm_vit, vit
from libraries import need

import bbilang
from bbilang.runtime.models.describe import describe_module

PAGE = """a = {layer}.head | present(bars)
b = {layer}.head | attribute(output) | present(bars)
c = {layer}.head | ablate(zero) | effect(output, controls=2) | present(bars)
d = {layer}.head | steer(0.5) | effect(output) | present(bars)
e = {layer}.head | attribute(output) | top(2) | ablate(zero, together=true) | effect(output) | present(number)
"""
TEXTS = {
    "bert": (bert, "bert.encoder.layer.1.attention", "output.dense"),
    "gpt2": (gpt2, "transformer.h.1.attn", "c_proj"),
    "llama": (llama, "model.layers.1.self_attn", "o_proj"),
}


def numbers(page, element):
    return np.asarray(page.data(element).values, np.float64).ravel()


def compare(page, hand):
    """Compare all numbers of a page with those by hand."""
    assert np.abs(numbers(page, "a") - hand.norms()).max() < 1e-5
    attributions, few = hand.attributions(), 1e-6 * max(1.0, float(hand.scores().detach().abs().max()))
    assert np.abs(numbers(page, "b") - attributions).max() < few
    assert np.abs(numbers(page, "c") - hand.effects(lambda values: 0 * values)).max() < few
    assert np.abs(numbers(page, "d") - hand.effects(lambda values: 1.5 * values)).max() < few
    two = np.argsort(-attributions)[:2]

    def without(values):
        values[:, :, two.tolist()] = 0
        return values

    before = hand.scores().detach()
    after = hand.scores(without).detach()
    assert abs(numbers(page, "e")[0] - float((after - before)[int(before.argmax())])) < few


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", TEXTS)
def test_heads_of_transformers(name, attention):
    need("transformers")
    make, layer, projection = TEXTS[name]
    model, words = make(attention), Words()
    adapter = bbilang.adapt_text(model, words, ["a", "b", "c"] if name == "bert" else [str(n) for n in range(50)])
    page = bbilang.run(PAGE.format(layer=layer), model=adapter, input=f"text:{TEXT}", cache=False)
    ids = torch.tensor([words.read(TEXT)[0]])
    compare(page, Projection(model.get_submodule(f"{layer}.{projection}"), 4, lambda: model(ids)))


@pytest.mark.parametrize("make", [
    lambda: (vit("sdpa"), "vit.layers.1.attention", "o_proj", 4),
    lambda: (vit("eager"), "vit.layers.1.attention", "o_proj", 4),
    lambda: (timm_vit(True), "blocks.1.attn", "proj", 3),
    lambda: (timm_vit(False), "blocks.1.attn", "proj", 3),
])  # fmt: skip
def test_heads_of_vision_transformers(make):
    need("transformers", "timm")
    model, layer, projection, heads = make()
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    adapter = bbilang.adapt(model, input_size=(32, 32))
    page = bbilang.run(PAGE.format(layer=layer), model=adapter, input=image, cache=False)
    normalized = adapter.normalize(image)
    compare(page, Projection(model.get_submodule(f"{layer}.{projection}"), heads, lambda: model(normalized)))


class Explicit(OfTorch):
    """The same network, with the projection called as a module after matrix products."""

    def forward(self, x):
        tokens, attn = self.stem(x).flatten(2).transpose(1, 2), self.attn
        q, k, v = (tokens @ attn.in_proj_weight.T + attn.in_proj_bias).chunk(3, -1)
        if attn.bias_k is not None:
            nothing = torch.zeros(1, 1, 16)
            k, v = torch.cat([k, attn.bias_k, nothing], 1), torch.cat([v, attn.bias_v, nothing], 1)
        q, k, v = (part.unflatten(-1, (4, 4)).transpose(1, 2) for part in (q, k, v))
        values = (q @ k.transpose(2, 3) / 2).softmax(-1) @ v
        tokens = tokens + attn.out_proj(values.transpose(1, 2).flatten(2))
        return self.head(self.norm(tokens).mean(1))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("options", [{}, {"add_bias_kv": True, "add_zero_attn": True}])
def test_heads_of_torchs_own_attention(batch_first, options):
    model, twin = drawn(OfTorch(batch_first, **options)), drawn(Explicit(True, **options))
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    adapter = bbilang.adapt(model, input_size=(32, 32))
    before, fast = dict(vars(model.attn)), torch.backends.mha.get_fastpath_enabled()
    page = bbilang.run(PAGE.format(layer="attn"), model=adapter, input=image, cache=False)
    assert vars(model.attn) == before and not dict(model.attn.out_proj.named_children())
    assert torch.backends.mha.get_fastpath_enabled() == fast
    normalized = adapter.normalize(image)
    compare(page, Projection(twin.attn.out_proj, 4, lambda: twin(normalized)))


def test_an_encoder_that_takes_the_fast_path():
    model = drawn(torch.nn.TransformerEncoderLayer(16, 4, 32, batch_first=True))

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.layer, self.head = torch.nn.Conv2d(3, 16, 8, 8), model, torch.nn.Linear(16, 5)

        def forward(self, x):
            return self.head(self.layer(self.stem(x).flatten(2).transpose(1, 2)).mean(1))

    network = drawn(Net())
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    adapter = bbilang.adapt(network, input_size=(32, 32))
    page = bbilang.run("a = layer.self_attn.head | ablate(zero, together=true) | effect(output) | present(number)",
                       model=adapter, input=image, cache=False)  # fmt: skip
    normalized = adapter.normalize(image)
    before, bias = network(normalized)[0].detach(), model.self_attn.out_proj.bias
    model.self_attn.forward = lambda query, *rest, **named: (bias.expand_as(query), None)
    after = network(normalized)[0].detach()
    assert abs(numbers(page, "a")[0] - float((after - before)[int(before.argmax())])) < 1e-6


def test_patch_takes_the_outputs_of_another_text():
    need("transformers")
    model, words = gpt2("sdpa"), Words()
    adapter = bbilang.adapt_text(model, words, [str(n) for n in range(50)])
    text = (f'input a = "text:{TEXT}", b = "text:a dog ran to a tree"\n'
            "patched = transformer.h.0.attn.head | patch(source=b) | effect(output[7]) | present(bars)")  # fmt: skip
    page = bbilang.run(text, model=adapter, cache=False)
    one, two = (torch.tensor([words.read(words_)[0]]) for words_ in (TEXT, "a dog ran to a tree"))
    module = model.transformer.h[0].attn.c_proj
    source = Projection(module, 4, lambda: model(two)).outputs()
    hand = Projection(module, 4, lambda: model(one))
    before, expected = hand.scores().detach(), []
    for head in range(4):

        def change(values, head=head):
            values[0, :, head] = source[:, head]
            return values

        expected.append(float((hand.scores(change).detach() - before)[7]))
    assert np.abs(numbers(page, "patched")[:4] - expected).max() < 1e-6


@pytest.mark.parametrize("optimized", [True, False])
def test_methods_and_layers_beyond(optimized):
    """Integrated gradients add up to the difference of the scores; a later head is a target."""
    need("transformers")
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), [str(n) for n in range(50)])
    text = """a = [transformer.h.0.attn, transformer.h.1.attn].head | attribute(output) | top(3) | present(bars)
b = transformer.h.0.attn.head | attribute(transformer.h.1.attn.head[2]) | present(bars)
c = transformer.h.1.attn.head | attribute(output, method=integrated_gradients(n_steps=64)) | present(bars)"""
    page = bbilang.run(text, model=adapter, input=f"text:{TEXT}", cache=False, optimized=optimized)
    module, words = adapter.module.model, Words()
    projection = module.transformer.h[1].attn.c_proj
    own = Projection(projection, 4, lambda: module(torch.tensor([words.read(TEXT)[0]])))
    nothing = Projection(projection, 4, lambda: module(torch.zeros(1, 6, dtype=torch.long))).outputs()
    before = own.scores().detach()
    difference = float((before - own.scores(lambda values: nothing[None]).detach())[int(before.argmax())])
    assert abs(numbers(page, "c").sum() - difference) < 1e-3 * abs(difference)  # from the activation for token 0
    seen = {}

    def before(projection, arguments):
        seen["from"] = arguments[0].detach().requires_grad_()
        return (seen["from"],)

    handles = [
        module.transformer.h[0].attn.c_proj.register_forward_pre_hook(before),
        module.transformer.h[1].attn.c_proj.register_forward_pre_hook(lambda m, a: seen.update(to=a[0])),
    ]
    module(torch.tensor([words.read(TEXT)[0]]))
    for handle in handles:
        handle.remove()
    target = seen["to"].unflatten(-1, (4, 4))[0, :, 2].norm()
    (gradient,) = torch.autograd.grad(target, seen["from"])
    expected = (gradient * seen["from"].detach()).unflatten(-1, (4, 4)).sum((0, 1, 3))
    assert np.abs(numbers(page, "b") - expected.numpy()).max() < 1e-6


def test_texts_of_two_lengths_are_as_each_alone(fails):
    need("transformers")
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), [str(n) for n in range(50)])
    texts = [f"text:{TEXT}", "text:a dog ran"]
    for pipe in (
        "h.1.attn.head | ablate(zero) | effect(output[7])",
        "h.1.token | ablate(zero) | effect(output[7])",
        "h.1.attn.head | attribute(output[7]) | top(2) | ablate(zero, together=true) | effect(output[7])",
    ):
        style = "number" if "together" in pipe else "bars"
        both = bbilang.run(f"a = {pipe} | present({style})", model=adapter, input=texts, cache=False)
        each = [bbilang.run(f"a = {pipe} | present({style})", model=adapter, input=text, cache=False) for text in texts]
        alone = np.concatenate([numbers(page, "a") for page in each])
        together = numbers(both, "a")
        assert np.abs(together[np.isfinite(together)] - alone).max() < 1e-6
    with fails("E530", "`patch`"):
        pipe = "h.1.attn.head | patch(source=b) | effect(output[7]) | present(bars)"
        bbilang.run(f'input a = "{texts[0]}", b = "{texts[1]}"\n{pipe}', model=adapter, cache=False)


def test_the_story_teller_has_heads(shared_networks):
    """A network whose definition is none of a library's: found by what it computes, with grouped keys."""
    tokenizer = shared_networks.StoriesTokenizer()
    model = shared_networks.stories260k()
    labels = [tokenizer.decode([number]) for number in range(512)]
    adapter = bbilang.adapt_text(model, tokenizer, labels)
    layers = [layer for layer in adapter.description.layers if layer.is_heads]
    assert [layer.sizes["head"] for layer in layers] == [8] * 5 and layers[2].name == "layers.2.attention.heads"
    text = "Once upon a time, there was a little girl named"
    page = bbilang.run(PAGE.format(layer="layers.2.attention"), model=adapter, input=f"text:{text}", cache=False)
    ids = torch.tensor([tokenizer.read(text)[0] if hasattr(tokenizer, "read") else tokenizer.encode(text)])
    compare(page, Projection(model.layers[2].attention.wo, 8, lambda: model(ids)))


# --- descriptions -----------------------------------------------------------------------------------------------------


def test_what_is_described():
    need("transformers")
    adapter = bbilang.adapt_text(bert("eager"), Words(), ["a", "b", "c"])
    description = adapter.description
    layer = description.by_name["bert.encoder.layer.0.attention.heads"]
    assert layer.axes == ("token", "head", "channel") and layer.shape[1:] == (4, 4) and layer.kind == "heads"
    assert layer.name == "layer.0.attention.heads" and layer.inputs == ("layer.0.attention.self",)
    assert description.by_name["bert.encoder.layer.0.attention.output.dense"].inputs == (layer.name,)
    assert all(description.heads[f"layer.0.attention{part}"] == layer.name for part in ("", ".self", ".output.dense"))
    assert description.place(layer.name) == "branch"
    again = type(description).from_json(description.to_json())
    assert again == description and again.heads["bert.encoder.layer.0.attention"] == layer.name
    longer = adapter.description_for(["text:" + "word " * 20])
    assert longer.by_name[layer.name].shape == (20, 4, 4) and longer.heads == description.heads


class Two(torch.nn.Module):
    """Attention whose output two projections read, so that its heads are no one layer; and softmax without values."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = torch.nn.Conv2d(3, 16, 8, 8), torch.nn.Linear(16, 5)
        self.one, self.two, self.gate = (torch.nn.Linear(16, 16) for _ in range(3))

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        y = torch.nn.functional.scaled_dot_product_attention(*[x.unflatten(-1, (4, 4)).transpose(1, 2)] * 3)
        y = y.transpose(1, 2).flatten(2)
        return self.head((self.one(y) + self.two(y) + self.gate(x).softmax(-1) * x).mean(1))


def test_attention_that_is_read_twice_has_no_layer_of_heads():
    description = describe_module(Two().eval(), (32, 32))
    assert not description.heads and not any(layer.is_heads for layer in description.layers)
    assert description.by_name["one"].inputs == ("stem",) and description.ends == ("head",)


def test_what_is_refused(fails):
    need("transformers")
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), [str(n) for n in range(50)])

    def run(text):
        bbilang.run(text, model=adapter, input=f"text:{TEXT}", cache=False)

    with fails("E293", "has no attention heads"):
        run("transformer.h.0.mlp.head | present(bars)")
    with fails("E209", "each head has channels of its own"):
        run("transformer.h.0.attn.heads.channel | present(bars)")
    plain = bbilang.adapt(drawn(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten())), input_size=(8, 8))
    with fails("E293", "has no attention heads"):
        bbilang.run('"0".head | present(bars)', model=plain, input=torch.rand(1, 3, 8, 8), cache=False)


def test_a_layer_called_head_stays_a_layer():
    need("torchvision")
    import torchvision

    model = drawn(torchvision.models.VisionTransformer(32, 8, 2, 4, 16, 32, num_classes=5))
    adapter = bbilang.adapt(model, input_size=(32, 32))
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    text = "a = heads.head | present(number)\nb = heads.head.channel | present(bars)"
    page = bbilang.run(text, model=adapter, input=image, cache=False)
    scores = model(adapter.normalize(image))[0].detach().numpy()
    assert np.abs(numbers(page, "b") - scores).max() < 1e-6
