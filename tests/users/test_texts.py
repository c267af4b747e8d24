"""Texts of several lengths on one page: each has the same numbers as alone."""

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to
from torch import nn

import bbilang
from bbilang.runtime.models.adapt import adapt_text

TEXTS = ("good", "abcdefgh", "hers", "xylophones")
LINES = {
    "linear": "embed.token | attribute(output[1])",
    "gradient": "embed.token | gradient(output[1])",
    "paths": "embed.token | attribute(output[1], method=integrated_gradients(n_steps=3))",
    "noise": "embed.token | attribute(output[1], method=smoothgrad(n_samples=3))",
    "activation": "embed.token | activation",
    "channels": "embed.channel | activation(reduce=mean)",
    "later atoms": "embed.token | attribute(mix.channel[2])",
    "along a path": "embed.token | attribute(mix.channel[1] -> output[0])",
    "strongest": "mix.token | attribute(output[1]) | top(3)",
    "forward": "embed.channel | attribute(output[0])",
}


class Letters:
    longest = 40

    def read(self, text):
        letters = [c for c in text.lower() if c.isalpha()]
        return [ord(c) - 97 for c in letters], letters


class Mood(nn.Module):
    """The mean of its tokens' vectors, all that it is given: what fills up takes part."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.mix, self.head = nn.Embedding(26, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, ids):
        return self.head(torch.tanh(self.mix(self.embed(ids).cumsum(1))).mean(1))


class Masked(Mood):
    """The same, of the tokens that are there."""

    def forward(self, input_ids, attention_mask):
        vectors = torch.tanh(self.mix(self.embed(input_ids)))
        present = attention_mask.unsqueeze(-1).to(vectors.dtype)
        return self.head((vectors * present).sum(1) / present.sum(1))


class Last(nn.Module):
    """A recurrent network that reads what its last step gives."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.embed, self.mix, self.head = nn.Embedding(26, 6), nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, ids):
        return self.head(self.mix(self.embed(ids))[0][:, -1])


NETWORKS = {"mean": Mood, "mask": Masked, "last step": Last}


def values(page):
    return page.data("element-1").values


def compared(adapter, line, optimized=True):
    """Yield each text's values on the shared page, with those of a page of its own."""
    given = [f"text:{text}" for text in TEXTS]
    text = f"{line} | present(bars)"
    together = values(bbilang.run(text, model=adapter, input=given, cache=False, optimized=optimized))
    for number, one in enumerate(given):
        alone = values(bbilang.run(text, model=adapter, input=one, cache=False, optimized=optimized))
        yield together[number], alone.reshape(alone.shape[-1:])


@brings("Texts", "several texts of different lengths", "works: texts of equal length run together")
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("line", LINES)
def test_a_text_in_company(network, line):
    for actual, alone in compared(adapt_text(NETWORKS[network](), Letters(), ["glad", "sad"]), LINES[line]):
        count = min(len(alone), len(actual))
        close_to(actual[:count], alone[:count])
        assert np.isnan(actual[count:]).all() and np.isnan(alone[count:]).all(), "tokens that are not there"


def test_a_text_in_company_without_the_optimizer():
    for line in ("linear", "paths", "noise"):
        for actual, alone in compared(adapt_text(Mood(), Letters()), LINES[line], optimized=False):
            close_to(actual[: len(alone)], alone)


def test_the_numbers_are_those_of_autograd():
    """linear: the vectors times the gradient of the text's own score, nothing else given to the network."""
    network = Mood()
    given = [f"text:{text}" for text in TEXTS]
    page = bbilang.run("embed.token | attribute(output[1]) | present(bars)", model=adapt_text(network, Letters()),
                       input=given, cache=False)  # fmt: skip
    for number, text in enumerate(TEXTS):
        ids = torch.tensor([Letters().read(text)[0]])
        vectors = network.embed(ids).detach().requires_grad_()
        score = network.head(torch.tanh(network.mix(vectors.cumsum(1))).mean(1))[0, 1]
        (gradient,) = torch.autograd.grad(score, vectors)
        expected = (gradient * vectors).sum(-1)[0].detach()
        terms = (gradient * vectors).abs().sum(-1)[0].max()
        close_to(values(page)[number][: len(text)], expected, terms=terms)
        scores = network(ids)[0].softmax(0)
        close_to(page.view.predictions[number].top[0][1], float(scores.detach().max()))


def test_what_fills_up_is_not_drawn():
    text = (
        "embed.token | attribute(output) | present(heatmap)\nembed.token | attribute(output) | top(6) | present(bars)"
    )
    page = bbilang.run(text, model=adapt_text(Mood(), Letters()), input=["text:good", "text:abcdefgh"], cache=False)
    for element in page.view.interfaces[0].elements:
        short, long = (frame for panel in element.panels for frame in panel.frames)
        assert sum(atom >= 0 for atom in short.atoms) == 4
        assert all(v == (None,) for atom, v in zip(short.atoms, short.values, strict=True) if atom < 0)
        assert all(atom >= 0 for atom in long.atoms)


def test_a_transformer_in_company():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20,
        max_position_embeddings=40, num_labels=3, initializer_range=0.5, attn_implementation="eager",
    )  # fmt: skip
    network = transformers.BertForSequenceClassification(config).eval()
    adapter = adapt_text(network, Letters())
    name = "layer.0"
    for method in ("linear", "integrated_gradients(n_steps=3)", "smoothgrad(n_samples=3)"):
        for actual, alone in compared(adapter, f"{name}.token | attribute(output[1], method={method})"):
            close_to(actual[: len(alone)], alone, roundings=4096, because="two blocks with softmax and layer norm")


@brings("Texts", "`factorize` and `trust` of texts of different lengths", "refused with E530")
@pytest.mark.parametrize(
    "line", ["embed | factorize(pca, 2)", "embed.token | attribute(output) | trust(completeness)"]
)  # fmt: skip
def test_what_takes_all_texts_at_once(line):
    adapter = adapt_text(Mood(), Letters())
    with pytest.raises(bbilang.BbiError) as caught:
        bbilang.run(f"{line} | present(bars)", model=adapter, input=["text:good", "text:abcdefgh"], cache=False)
    assert [d.code for d in caught.value.diagnostics] == ["E530"]
    bbilang.run(f"{line} | present(bars)", model=adapter, input=["text:good", "text:hers"], cache=False)


@brings("Texts", "blurred or noisy baselines, and measures for pictures, of a text", "refused with E531")
@pytest.mark.parametrize("line", [
    "attribute(output, method=integrated_gradients(baselines=blur))",
    "attribute(output, method=integrated_gradients(baselines=noise))",
    "attribute(output) | trust(input_sensitivity)",
    "attribute(output) | trust(shift_invariance)",
])  # fmt: skip
def test_what_is_of_pictures(line):
    with pytest.raises(bbilang.BbiError) as caught:
        bbilang.run(f"embed.token | {line} | present(bars)", model=adapt_text(Mood(), Letters()), input="text:good",
                    cache=False)  # fmt: skip
    assert [d.code for d in caught.value.diagnostics] == ["E531"]


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(26, 8)
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
        self.head = nn.Linear(8, 2)

    def forward(self, ids):
        return self.head(self.enc(self.embed(ids)).mean(1))


@brings("Texts", "full layer paths with `adapt_text`", "works: with and without the wrapper's `model.`")
def test_whole_paths():
    adapter = adapt_text(Encoder(), Letters())
    actual = [
        values(bbilang.run(f"{name}.token | attribute(output[1]) | present(bars)", model=adapter, input="text:good",
                           cache=False))
        for name in ("layers.0", "enc.layers.0", "model.enc.layers.0")
    ]  # fmt: skip
    assert np.abs(actual[0]).max() > 0
    assert np.array_equal(actual[0], actual[1]) and np.array_equal(actual[0], actual[2])


class Second(nn.Module):
    """An LSTM that takes its tokens first and its texts second."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.rnn, self.head = nn.Embedding(26, 6), nn.LSTM(6, 5), nn.Linear(5, 2)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids).transpose(0, 1))[0].mean(0))


@brings("Texts", "a layer with the texts on its second axis (`batch_first=False`)", "refused with E502 and advice")
def test_a_layer_with_the_batch_second():
    adapter = adapt_text(Second(), Letters())
    with pytest.raises(bbilang.BbiError) as raised:
        bbilang.run("rnn.token | attribute(output[1]) | present(bars)", model=adapter, input="text:good")
    (error,) = raised.value.diagnostics
    assert error.code == "E502" and "batch_first=True" in error.help and (error.span.start, error.span.end) == (0, 3)
    page = bbilang.run("embed.token | attribute(output[1]) | present(bars)", model=adapter, input="text:good")
    assert np.abs(page.data("element-1").values).max() > 0


@brings("Texts", "a T5 encoder", "works: the vectors of its tokens")
def test_the_encoder_of_a_model_that_writes(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    torch.manual_seed(0)
    config = transformers.T5Config(vocab_size=30, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    transformers.T5EncoderModel(config).save_pretrained(tmp_path)
    words = {word: at for at, word in enumerate(["<pad>", "</s>", "<unk>", "a", "cat", "sat"])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", unk_token="<unk>").save_pretrained(
        tmp_path
    )
    page = bbilang.run(
        "encoder.block.1.token | activation(reduce=norm) | present(bars)",
        model=f"transformers:{tmp_path}",
        input="text:a cat sat",
    )
    network = transformers.T5EncoderModel.from_pretrained(tmp_path).eval()
    seen = []
    network.encoder.block[1].register_forward_hook(lambda module, given, result: seen.append(result[0]))
    network(torch.tensor([[3, 4, 5]]))
    close_to(page.data("element-1").values, seen[0][0].norm(dim=-1))
