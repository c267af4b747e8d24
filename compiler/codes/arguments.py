"""Codes of arguments and targets."""

from __future__ import annotations

from typing import Final

from bbilang.compiler.codes.example_texts import BARS, PHOTO
from bbilang.grammar.codes import Code

ARGUMENTS: Final[dict[str, Code]] = {
    "E211": Code(
        "unknown argument",
        "Each operation has its own parameters, listed in the reference. Most often the name is misspelled.",
        "block5c.expand.channel | attribute(output) | top(8, bye=magnitude) | present(bars)",
        "block5c.expand.channel | attribute(output) | top(8, by=magnitude) | present(bars)",
    ),
    "E212": Code(
        "missing argument",
        "This argument has no default, because no value would be right for everyone. Give one.",
        "block5c.expand.channel | attribute | top(8) | present(bars)",
        BARS,
    ),
    "E213": Code(
        "wrong kind of argument",
        "Each parameter takes one kind of value: a number, a word, a text in quotes, a target, a condition.",
        'block5c.expand.channel | attribute(output) | top("eight") | present(bars)',
        BARS,
    ),
    "E214": Code(
        "number out of range",
        "The message gives the range and its unit. Values outside it have no meaning, or need more memory than "
        "any machine has.",
        "block5c.expand.channel | attribute(output) | top(0) | present(bars)",
        "block5c.expand.channel | attribute(output) | top(1) | present(bars)",
    ),
    "E215": Code(
        "unknown word for an argument",
        "This parameter takes one of a few words, and the message lists them.",
        "block5c.expand.channel | activation(reduce=median) | top(8) | present(bars)",
        "block5c.expand.channel | activation(reduce=max) | top(8) | present(bars)",
    ),
    "E216": Code(
        "too many arguments, or one given twice",
        "Arguments without a name are assigned to the parameters in order, so one may be given twice without "
        "looking like it.",
        "block5c.expand.channel | attribute(output) | top(8, k=4) | present(bars)",
        BARS,
    ),
    "E218": Code(
        "unknown presentation style",
        "`present` draws in one of the styles of the reference.",
        "block5c.expand.channel | attribute(output) | top(8) | present(bar_chart)",
        BARS,
    ),
    "E219": Code(
        "unknown attribution method",
        "Methods have their names from the literature; the reference lists them.",
        "block5c.expand.channel | attribute(output, method=linaer) | top(8) | present(bars)",
        "block5c.expand.channel | attribute(output, method=linear) | top(8) | present(bars)",
    ),
    "E232": Code(
        "not something to attribute to",
        'A target is a score, or a sum or difference of scores: `output`, `output["name"]`, `output[a] - output[b]`.',
        'block5c.expand.channel | attribute("tabby") | top(8) | present(bars)',
        'block5c.expand.channel | attribute(output["tabby"]) | top(8) | present(bars)',
    ),
    "E233": Code(
        "not a selection",
        "`at` hands axes to the reader, and a selection says how the reader chooses: `hover`, `click`, `pick`.",
        f"{PHOTO}\nblock5c.expand.neuron | activation | at(block5c.expand.spatial) | top(4) | present(featvis)",
        f"{PHOTO}\nblock5c.expand.neuron | activation | at(hover(block5c.expand.spatial)) | top(4) | present(featvis)",
    ),
    "E234": Code(
        "not a field",
        "Pipes carry fields: numbers over axes. A pipe starts with the atoms of a layer, `input`, `output` or a "
        "name of such a field, and ends with `present`.",
        "8 | present(bars)",
        "output[top(8)] | present(bars)",
    ),
}
