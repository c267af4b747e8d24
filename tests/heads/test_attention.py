"""What heads look at: equal to transformers' own `output_attentions`, and to the equations."""

import numpy as np
import pytest
import torch
from by_hand_heads import TEXT, OfTorch, Words, bert, drawn, gpt2, llama, timm_vit
from libraries import need

import bbilang
from bbilang.runtime.passes.attention import explicit_weights

TEXTS = {
    "bert": (bert, "bert.encoder.layer.1.attention"),
    "gpt2": (gpt2, "transformer.h.1.attn"),
    "llama": (llama, "model.layers.1.self_attn"),
}


def values(page, element):
    return np.asarray(page.data(element).values, np.float64)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", TEXTS)
def test_equal_to_output_attentions(name, attention):
    need("transformers")
    make, layer = TEXTS[name]
    model, words = make(attention), Words()
    adapter = bbilang.adapt_text(model, words, ["a", "b", "c"] if name == "bert" else [str(n) for n in range(50)])
    text = f"""all = {layer}.head | attention | present(matrix, facet=head)
chosen = {layer}.head | attribute(output) | top(2) | attention(query=3) | present(heatmap, facet=head)
most = {layer}.head | attention | max(key) | mean(query) | present(bars)"""
    page = bbilang.run(text, model=adapter, input=f"text:{TEXT}", cache=False)
    twin = make("eager")
    hand = twin(torch.tensor([words.read(TEXT)[0]]), output_attentions=True).attentions[1][0].detach().numpy()
    assert np.abs(values(page, "all").reshape(hand.shape) - hand).max() < 1e-6
    assert np.abs(values(page, "most").ravel() - hand.max(2).mean(1)).max() < 1e-6
    element = page.view.interfaces[0].elements[1]
    own = [int(panel.label.split()[1]) for panel in element.panels]
    assert np.abs(values(page, "chosen").reshape(2, 6) - hand[own][:, 3]).max() < 1e-6
    drawn_words = [element.atoms[atom].label for atom in element.panels[0].frames[0].atoms]
    assert drawn_words == TEXT.split()


@pytest.mark.parametrize("batch_first", [True, False])
def test_of_torchs_own_attention(batch_first):
    model = drawn(OfTorch(batch_first))
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    adapter = bbilang.adapt(model, input_size=(32, 32))
    text = """all = attn.head | attention | present(matrix, facet=head)
where = attn.head | attention(query=5, keys=patches) | present(heatmap, facet=head)"""
    page = bbilang.run(text, model=adapter, input=image, cache=False)
    tokens = model.stem(adapter.normalize(image)).flatten(2).transpose(1, 2)
    model.attn.batch_first = True
    _, hand = model.attn(tokens, tokens, tokens, average_attn_weights=False)
    hand = hand[0].detach().numpy()
    assert np.abs(values(page, "all").reshape(hand.shape) - hand).max() < 1e-6
    assert np.abs(values(page, "where").reshape(4, 4, 4) - hand[:, 5].reshape(4, 4, 4)).max() < 1e-6


@pytest.mark.parametrize("fused", [True, False])
def test_patches_of_a_vision_transformer(fused):
    need("timm")
    model = timm_vit(fused)
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    adapter = bbilang.adapt(model, input_size=(32, 32))
    text = """photo = input | present(image)
where = blocks.1.attn.head | attention(query=0, keys=patches) | present(heatmap, over=photo, facet=head)
alone = blocks.1.attn.head | attention(query=0, keys=patches) | present(heatmap, facet=head)
tokens = blocks.1.attn.head | attention(query=0) | present(matrix)"""
    page = bbilang.run(text, model=adapter, input=image, cache=False)
    seen = {}
    handle = model.blocks[1].attn.qkv.register_forward_hook(lambda m, a, result: seen.update(qkv=result))
    model(adapter.normalize(image))
    handle.remove()
    q, k, _ = seen["qkv"].reshape(5, 3, 3, 64).permute(1, 2, 0, 3)
    hand = (q @ k.transpose(1, 2) / 8).softmax(-1)[:, 0].detach().numpy()
    assert np.abs(values(page, "tokens").reshape(3, 5) - hand).max() < 1e-6
    assert np.abs(values(page, "where").reshape(3, 4) - hand[:, 1:]).max() < 1e-6
    (element,) = (one for one in page.view.interfaces[0].elements if one.id == "alone")
    assert any("goes to tokens that are no patches" in note for note in element.legend.notes)


def test_a_word_shows_where_it_looks():
    need("transformers")
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), [str(n) for n in range(50)])
    text = """words = h.1.attn.heads.token | activation | present(heatmap)
looks = h.1.attn.head | attention | at(hover(words)) | present(heatmap, facet=head)"""
    page = bbilang.run(text, model=adapter, input=f"text:{TEXT}", cache=False)
    looks = page.view.interfaces[0].elements[1]
    assert [len(panel.frames) for panel in looks.panels] == [6] * 4
    hand = bbilang.run("all = h.1.attn.head | attention | present(matrix, facet=head)", model=adapter,
                       input=f"text:{TEXT}", cache=False)  # fmt: skip
    frames = [[[row[0] for row in frame.values] for frame in panel.frames] for panel in looks.panels]
    assert np.abs(np.array(frames) - values(hand, "all").reshape(4, 6, 6)).max() < 1e-4  # as a page rounds


def test_texts_of_two_lengths_are_as_each_alone():
    need("transformers")
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), [str(n) for n in range(50)])
    pipe = "a = h.1.attn.head | attention | max(key) | max(query) | present(bars)"
    texts = [f"text:{TEXT}", "text:a dog ran"]
    both = bbilang.run(pipe, model=adapter, input=texts, cache=False)
    each = [bbilang.run(pipe, model=adapter, input=text, cache=False) for text in texts]
    assert np.abs(values(both, "a").ravel() - np.concatenate([values(one, "a").ravel() for one in each])).max() < 1e-6


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}, {"mask": True}, {"enable_gqa": True}])
def test_weights_of_the_fused_function(options):
    generator = torch.Generator().manual_seed(0)
    heads = 2 if options.get("enable_gqa") else 4
    q = torch.randn(2, 4, 5, 8, generator=generator)
    k, v = (torch.randn(2, heads, 5, 8, generator=generator) for _ in range(2))
    options = dict(options)
    if options.pop("mask", False):
        options["attn_mask"] = torch.rand(5, 5, generator=generator) > 0.3
        options["attn_mask"].fill_diagonal_(True)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, **options)
    values_ = v.repeat_interleave(4 // heads, 1)
    assert (explicit_weights(q, k, v, **options) @ values_ - expected).abs().max() < 1e-6


def test_what_is_refused(fails):
    need("transformers")
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), [str(n) for n in range(50)])
    for code, pipe in {
        "E294": "h.1.token | attention | present(matrix)",
        "E560": "h.1.attn.head | attention(query=6) | present(matrix)",
    }.items():
        with fails(code):
            bbilang.run(pipe, model=adapter, input=f"text:{TEXT}", cache=False)
    with fails("E560", "no patches"):
        bbilang.run("h.1.attn.head | attention(query=0, keys=patches) | present(heatmap, facet=head)", model=adapter,
                    input=f"text:{TEXT}", cache=False)  # fmt: skip
    model = drawn(OfTorch(True, add_bias_kv=True))
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with fails("E561", "not of 16 tokens to 16 tokens"):
        bbilang.run("attn.head | attention(query=0) | present(matrix)", model=bbilang.adapt(model, input_size=(32, 32)),
                    input=image, cache=False)  # fmt: skip
