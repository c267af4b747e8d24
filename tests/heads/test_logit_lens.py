"""The lens: equal to the unembedding by hand, refused where a network's last layers cannot be applied."""

import numpy as np
import pytest
import torch
from by_hand_heads import TEXT, Words, bert, drawn, gpt2, llama, timm_vit
from libraries import need
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError

LABELS = [f"word {n}" for n in range(50)]
PAGE = """lens = [{layers}].token | logit_lens(score=logit) | present(table, facet=layer)
best = [{layers}].token | logit_lens | top(2, along=class) | present(table, facet=layer)
last = [{layers}].token | logit_lens(of=output) | present(heatmap, facet=layer)"""


def values(page, element):
    return np.asarray(page.data(element).values, np.float64)


def refused(code, text, adapter, words="", **options):
    with pytest.raises(BbiError) as raised:
        bbilang.run(text, model=adapter, cache=False, **options)
    assert {d.code for d in raised.value.diagnostics} == {code}, raised.value
    assert words in raised.value.diagnostics[0].message


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_equal_to_the_unembedding_by_hand(name):
    need("transformers")
    model = {"gpt2": gpt2, "llama": llama}[name]("eager")
    adapter = bbilang.adapt_text(model, Words(), LABELS)
    layers = {"gpt2": "wte, h.0, h.1", "llama": "embed_tokens, layers.0, layers.1"}[name]
    page = bbilang.run(PAGE.format(layers=layers), model=adapter, input=f"text:{TEXT}", cache=False)
    hidden, ids = {}, torch.tensor([Words().read(TEXT)[0]])

    def keep(layer):
        return lambda module, arguments, out: hidden.update({layer: out[0] if isinstance(out, tuple) else out})

    names = [part.strip() for part in layers.split(",")]
    for layer in names:
        adapter.module_of(layer).register_forward_hook(keep(layer))
    with torch.no_grad():
        scores = model(ids).logits[0, -1]
        norm = model.transformer.ln_f if name == "gpt2" else model.model.norm
        hand = torch.stack([model.lm_head(norm(hidden[layer]))[0] for layer in names]).numpy()
    assert np.abs(values(page, "lens") - hand).max() < 1e-5
    assert np.abs(hand[-1, -1] - scores.numpy()).max() < 1e-5  # the last layer says what the network says
    shares = torch.tensor(hand).softmax(-1).numpy()
    assert np.abs(values(page, "best") - np.sort(shares, -1)[..., :-3:-1]).max() < 1e-6
    assert np.abs(values(page, "last") - shares[..., int(scores.argmax())]).max() < 1e-6
    frame = page.view.interfaces[0].elements[1].panels[2].frames[0]
    order = np.argsort(-shares[2], -1, kind="stable")[:, :2]
    assert [list(row) for row in frame.words] == [[LABELS[i] for i in row] for row in order]
    assert page.view.interfaces[0].elements[1].answers[0]


def test_stories(shared_networks):
    tokenizer = shared_networks.StoriesTokenizer()
    model = shared_networks.stories260k()
    adapter = bbilang.adapt_text(model, tokenizer, [tokenizer.decode([n]) for n in range(512)])
    text = "Once upon a time, there was a little girl named"
    pipe = "lens = layers.2.token | logit_lens | top(5, along=class) | present(table)"
    page = bbilang.run(pipe, model=adapter, input=f"text:{text}", cache=False)
    x = model.tok_embeddings(torch.tensor([tokenizer.encode(text)]))
    for layer in model.layers[:3]:
        x = layer(x)
    hand = (model.norm(x) @ model.tok_embeddings.weight.T).softmax(-1)[0].detach().topk(5).values.numpy()
    assert np.abs(values(page, "lens") - hand).max() < 1e-6


def test_texts_of_two_lengths_are_as_each_alone():
    need("transformers")
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), LABELS)
    pipe = "a = h.0.token | logit_lens(of=output[3], score=logit) | present(heatmap, facet=input)"
    texts = [f"text:{TEXT}", "text:a dog ran"]
    both = values(bbilang.run(pipe, model=adapter, input=texts, cache=False), "a")
    each = [values(bbilang.run(pipe, model=adapter, input=text, cache=False), "a").ravel() for text in texts]
    assert np.abs(both[0] - each[0]).max() < 1e-6 and np.abs(both[1, :3] - each[1]).max() < 1e-6
    assert np.isnan(both[1, 3:]).all()


def test_patches_and_classifiers():
    """Of a vision transformer the lens reads classes from patches, of a classifier of texts from each token."""
    need("timm", "transformers")
    model = timm_vit(True)
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    adapter = bbilang.adapt(model, input_size=(32, 32))
    pipe = """photo = input | present(image)
a = blocks.0.spatial | logit_lens(of=output[2], score=logit) | present(heatmap, over=photo)"""
    page = bbilang.run(pipe, model=adapter, input=image, cache=False)
    with torch.no_grad():
        x = model.blocks[0](model._pos_embed(model.patch_embed(adapter.normalize(image))))
        hand = model.head(model.norm(x))[0, 1:, 2].numpy()
    assert np.abs(values(page, "a").ravel() - hand).max() < 1e-5
    reader = bert("eager")
    page = bbilang.run("a = layer.0.token | logit_lens(score=logit) | present(table)", input=f"text:{TEXT}",
                       model=bbilang.adapt_text(reader, Words(), ["a", "b", "c"]), cache=False)  # fmt: skip
    with torch.no_grad():
        ids = torch.tensor([Words().read(TEXT)[0]])
        tokens = reader.bert(ids, output_hidden_states=True).hidden_states[1][0]
        hand = reader.classifier(torch.tanh(reader.bert.pooler.dense(tokens))).numpy()
    assert np.abs(values(page, "a") - hand).max() < 1e-5


class Capped(nn.Module):
    """A language model that bounds its scores after the unembedding, as Gemma 2 does."""

    def __init__(self, model):
        super().__init__()
        self.inner = model

    def forward(self, input_ids):
        return 0.1 * torch.tanh(10 * self.inner(input_ids).logits)


def test_what_is_refused(monkeypatch):
    need("transformers")
    from bbilang.runtime.ops.tokens import logit_lens

    text = f"text:{TEXT}"
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), LABELS)
    lens = "{} | logit_lens | top(5, along=class) | present(table)"
    refused("E283", lens.format("h.1.attn.head"), adapter, "of the kind `head`", input=text)
    refused("E283", lens.format("h.1.mlp.act.token"), adapter, "no vectors like those", input=text)
    encoder = bbilang.adapt_text(bert("eager").bert, Words(), scores=False)
    refused("E282", lens.format("layer.0.token"), encoder, "has no scores", input=text)
    plain = drawn(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)))
    refused("E282", "lens = \"1\".spatial | logit_lens | present(table)", bbilang.adapt(plain, input_size=(8, 8)),
            "no sum of blocks", input=torch.zeros(1, 3, 8, 8))  # fmt: skip
    capped = bbilang.adapt_text(Capped(gpt2("sdpa")), Words(), LABELS)
    layer = next(x.name for x in capped.description.layers if x.name.endswith("h.0"))
    refused("E579", lens.format(f"{layer}.token"), capped, "does more with its last tokens", input=text)
    monkeypatch.setattr(logit_lens, "MOST", 100)
    refused("E284", lens.format("h.0.token"), adapter, "300 numbers", input=text)
