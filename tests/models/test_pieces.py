"""What the pieces of tokenizers are shown as: spaces, accents, characters that several pieces make up."""

import libraries
import pytest

from bbilang.runtime.models.sources import pieces
from bbilang.runtime.models.sources.text_models import PlainTokenizer


def test_words_of_spans():
    text = "  A naïve  cat\nsat."
    spans = [(0, 0), (2, 3), (4, 6), (6, 9), (9, 14), (14, 15), (15, 18), (18, 19), (0, 0)]
    names = ["[CLS]", *"abcdefg", "[SEP]"]
    words = pieces.words_of_spans(text, spans, names)
    assert words == ["[CLS]", " A", " na", "ïve", " cat", "⏎", "sat", ".", " [SEP]"]


def test_pieces_of_one_character():
    text = "a 🙂!"
    assert pieces.words_of_spans(text, [(0, 1), (1, 3), (2, 3), (2, 3), (3, 4)], list("abcde")) == [
        "a", " 🙂 1/3", " 🙂 2/3", " 🙂 3/3", "!",
    ]  # fmt: skip
    bytes_ = list("שלום 🙂é".encode())
    own = PlainTokenizer(type("Bytes", (), {
        "encode": lambda self, text: list(text.encode()),
        "decode": lambda self, numbers: bytes(numbers).decode("utf-8", "replace"),
    })())  # fmt: skip
    numbers, words = own.read("שלום 🙂é")
    assert numbers == bytes_ and len(words) == len(bytes_)
    assert words[:2] == ["ש 1/2", "ש 2/2"] and words[8] == "␣" and words[9:13] == [f"🙂 {k}/4" for k in (1, 2, 3, 4)]
    assert pieces.words_of_decoded([0xF0, 0x41], own.tokenizer.decode) == ["<240>", "A"]


def test_what_stands_alone_is_seen():
    assert pieces.shown("\n\t ") == "⏎⇥␣" and pieces.shown("\u0301a") == "◌\u0301a" and pieces.shown(" cat") == " cat"


@pytest.mark.parametrize("text", ["Ġcaf", "ÃĹ"])
def test_bytes_without_a_character(text):
    assert "Ã" not in pieces.text_of_bytes(text)


def test_a_byte_level_vocabulary():
    """Every piece of GPT-2's kind of vocabulary is shown as the text it stands for, as a class and in the text."""
    libraries.need("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from bbilang.runtime.models.sources.from_transformers import HubTokenizer

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)}
    merges = [("Ġ", "c"), ("Ġc", "a"), ("Ġca", "t"), ("×", "©")]
    for pair in merges:
        vocabulary["".join(pair)] = len(vocabulary)
    plain = Tokenizer(models.BPE(vocabulary, merges))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    own = HubTokenizer(PreTrainedTokenizerFast(tokenizer_object=plain), 64)
    numbers, words = own.read("a cats é🙂 ש")
    assert words[:3] == ["a", " cat", "s"] and words[-1].startswith("ש") and "🙂 4/4" in words
    assert {"é 1/2", "é 2/2"} <= {word.strip() for word in words} and len(words) == len(numbers)
    labels = own.labels(len(vocabulary))
    assert labels[vocabulary["Ġcat"]] == "cat" and labels[vocabulary["Ċ"]] == "⏎" and labels[vocabulary["Ġ"]] == "␣"
    assert labels[vocabulary["×©"]] == "…ש" and labels[vocabulary["ð"]] == "⟨F0⟩" and labels[vocabulary["s"]] == "…s"
