"""Texts as inputs, tokens as words."""

import pytest
import torch
from closeness import close_to
from torch import nn

import bbilang
from bbilang.cli.app import main
from bbilang.runtime.inputs import texts
from bbilang.runtime.models.adapt import adapt_text
from bbilang.runtime.models.sources.text_models import ABSENT, Mean, TextModel


class Letters:
    """A token a letter; its vocabulary is a to z."""

    longest = 40

    def read(self, text):
        letters = [c for c in text.lower() if c.isalpha()]
        return [ord(c) - 97 for c in letters], letters


class Reader(nn.Module):
    """Numbers of tokens -> the mean of their vectors -> three classes; it must leave out what is absent."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(26, 8)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, input_ids, attention_mask=None):
        vectors = torch.tanh(self.mix(self.embed(input_ids)))
        present = attention_mask.unsqueeze(-1)
        return self.head((vectors * present).sum(1) / present.sum(1))


@pytest.fixture
def reader():
    return adapt_text(Reader().eval(), Letters(), ["glad", "sad", "mad"], name="reader")


def test_specs(tmp_path, fails):
    (tmp_path / "b.txt").write_text("  two\n")
    (tmp_path / "a.txt").write_text("one")
    assert texts.expand("text:a*b?") == ["text:a*b?"] and texts.is_text("text:x.png") and not texts.is_text("x.png")
    assert [texts.read(name) for name in texts.expand("*.txt", tmp_path)] == [("a.txt", "one"), ("b.txt", "two")]
    assert texts.read("text: " + "word " * 40)[0].endswith("…") and len(texts.read("text:" + "w" * 99)[0]) == 60
    with fails("E411", "there is no text", "text:"):
        texts.expand("c.txt", tmp_path)
    with fails("E417"):
        texts.expand("d*.txt", tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"\xe9\xff")
    with fails("E412", "not text in UTF-8"):
        texts.read(str(tmp_path / "latin.txt"))


def test_a_description_fits_the_text(reader):
    assert reader.description.reads == "text" and reader.description.input_size == (1, 16)
    layers = reader.description_for(["text:hello you"]).by_name
    assert layers["embed"].shape == (8, 8) and layers["embed"].axes == ("token", "channel")
    assert layers["mix"].inputs == ("embed",) and layers["head"].shape == (3,)


def test_absent_tokens_do_not_count(reader):
    alone = reader.module(torch.tensor([[7.0, 4, 24]]))
    filled = reader.module(torch.tensor([[7.0, 4, 24, ABSENT, ABSENT]]))
    close_to(alone, filled)


def test_the_mean_of_the_tokens_that_are_there():
    values = torch.tensor([[[1.0], [3.0], [100.0]]])
    assert Mean()(values, torch.tensor([[True, True, False]])).tolist() == [[2.0]]


def test_an_encoder_has_a_sentence_and_no_classes():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(26, 4)

        def forward(self, input_ids):
            return self.embed(input_ids)

    adapter = adapt_text(Encoder(), Letters(), scores=False)
    assert adapter.description.classes == 0
    assert [x.name for x in adapter.description.layers] == ["embed", "model", "sentence"]
    page = bbilang.run("embed.token | present(bars)", model=adapter, input="text:abc", cache=False)
    element = page.view.interfaces[0].elements[0]
    norms = adapter.module.model.embed.weight[:3].norm(dim=1).tolist()
    assert [atom.label for atom in element.atoms] == ["a", "b", "c"]
    close_to([row[0] for row in element.panels[0].frames[0].values], norms, digits=4)


def test_scores_of_the_last_token():
    class Next(nn.Module):
        def forward(self, ids):
            return nn.functional.one_hot(ids, 26).float()

    module = TextModel(Next())
    assert module(torch.tensor([[1.0, 2, 3], [4, 5, ABSENT]])).argmax(1).tolist() == [3, 5]


def test_words_replace_tokens(reader):
    text = "mix.token | attribute(output) | present(heatmap)\nmix.token | attribute(output) | top(2) | present(bars)"
    page = bbilang.run(text, model=reader, input="text:good day", cache=False)
    words, best = page.view.interfaces[0].elements
    assert [words.atoms[a].label for a in words.panels[0].frames[0].atoms] == list("goodday")
    assert words.slot_axis == "token" and words.legend.domain[0] == -words.legend.domain[1]
    assert len(best.panels[0].frames[0].atoms) == 2


def test_a_text_of_a_file_and_of_the_text(reader, tmp_path, capsys):
    (tmp_path / "mood.txt").write_text("so sad")
    page = bbilang.run("embed.token | present(heatmap)", model=reader, input=str(tmp_path / "mood.txt"), cache=False)
    assert page.view.predictions[0].input == "mood.txt"
    with pytest.raises(bbilang.BbiError) as caught:
        bbilang.run("embed.token | present(heatmap)", model=reader, input="sample:chelsea", cache=False)
    assert caught.value.diagnostics[0].code == "E418" and "reads text" in caught.value.diagnostics[0].message
    (tmp_path / "page.bbi").write_text('model efficientnet_lite0\ninput "text:a cat"\ninput | present(image)\n')
    assert main(["check", str(tmp_path / "page.bbi")]) == 1
    said = capsys.readouterr().err
    assert "E418" in said and "takes pictures" in said and "page.bbi:2:7" in said


@pytest.mark.parametrize("text", ["text:", "text:123", "text:" + "a" * 41])
def test_texts_that_are_no_input(reader, text):
    with pytest.raises(bbilang.BbiError) as caught:
        bbilang.run("embed.token | present(bars)", model=reader, input=text, cache=False)
    assert [d.code for d in caught.value.diagnostics] == ["E418"]


def test_text_models_take_no_pictures(reader):
    for text in ("input | present(image)", "embed.token | top(2) | present(featvis)", "embed.spatial | present(bars)"):
        with pytest.raises(bbilang.BbiError) as caught:
            bbilang.run(text, model=reader, input="text:abc", cache=False)
        assert caught.value.diagnostics[0].code in ("E209", "E304"), text
