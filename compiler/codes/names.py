"""Codes of names: of bindings, layers, classes, atoms, operations and models."""

from __future__ import annotations

from typing import Final

from bbilang.compiler.codes.example_texts import BARS
from bbilang.grammar.codes import Code

NAMES: Final[dict[str, Code]] = {
    "E201": Code(
        "unknown name",
        "The name is neither bound in this file nor a layer of the model. Bind it above, or correct its spelling.",
        "evidence | present(bars)",
        "evidence = block5c.expand.channel | attribute(output) | top(8)\nevidence | present(bars)",
    ),
    "W203": Code(
        "a name that hides an operation",
        "bbilang distinguishes the binding from the operation by position, but a reader may confuse them. Choose "
        "another name.",
        f"top = {BARS}",
        f"strongest = {BARS}",
    ),
    "E204": Code(
        "unknown layer",
        "Layers have the model's own names; `bbi layers MODEL` lists them with their shapes.",
        "block9z.expand.channel | attribute(output) | top(8) | present(bars)",
        BARS,
    ),
    "E293": Code(
        "a layer without heads",
        "`.head` is of the modules that compute attention: the outputs of its heads, side by side, are what one "
        "projection reads. `bbi layers MODEL` says which modules have heads.",
        "block5c.expand.head | attribute(output) | present(bars)",
        "block5c.expand.channel | attribute(output) | top(8) | present(bars)",
    ),
    "E294": Code(
        "attention of what is no head",
        "`attention` is of attention heads: it says which tokens each of them looks at.",
        "block5c.expand.channel | attention | present(matrix)",
        "block5c.expand.channel | attribute(output) | top(8) | present(bars)",
    ),
    "E205": Code(
        "unknown class",
        "Name a class by its full label or one of the label's synonyms, in upper or lower case. An index works too.",
        'block5c.expand.channel | attribute(output["tabbby"]) | top(8) | present(bars)',
        'block5c.expand.channel | attribute(output["tabby"]) | top(8) | present(bars)',
    ),
    "E206": Code(
        "ambiguous class name",
        "Several classes have this name, and it matters which one is meant. Use the index.",
        'block5c.expand.channel | attribute(output["crane"]) | top(8) | present(bars)',
        "block5c.expand.channel | attribute(output[134]) | top(8) | present(bars)",
    ),
    "E207": Code(
        "class index out of range, or classes without names",
        "Classes are counted from zero. Where the labels are unknown, use an index, or name them with `set "
        "labels FILE`.",
        "block5c.expand.channel | attribute(output[1000]) | top(8) | present(bars)",
        "block5c.expand.channel | attribute(output[999]) | top(8) | present(bars)",
    ),
    "E208": Code(
        "unknown atom",
        "The word after the last dot says which parts of the layer are meant: `.neuron`, `.spatial`, `.channel`.",
        "block5c.expand.chanel | attribute(output) | top(8) | present(bars)",
        BARS,
    ),
    "E209": Code(
        "a layer has no such atoms",
        "The axes of a layer decide which atoms it has: only a map has positions, only a sequence has tokens.",
        "block5c.expand.token | attribute(output) | top(8) | present(bars)",
        "block5c.expand.spatial | attribute(output) | top(8) | present(bars)",
    ),
    "E210": Code(
        "unknown operation",
        "After `|` comes an operation of the language, of a plugin, or of your own (`def`).",
        "block5c.expand.channel | atribute(output) | top(8) | present(bars)",
        BARS,
    ),
    "E235": Code(
        "fields of two models or layers mixed",
        "Channel 64 of one layer has nothing to do with channel 64 of another. Take both from the same layer.",
        "icons = block4c.expand.channel | attribute(output) | top(8) | present(featvis)\n"
        "block5c.expand.neuron | attribute(output) | only(icons) | present(heatmap, facet=channel)",
        "icons = block5c.expand.channel | attribute(output) | top(8) | present(featvis)\n"
        "block5c.expand.neuron | attribute(output) | only(icons) | present(heatmap, facet=channel)",
    ),
    "E236": Code(
        "index outside the layer",
        "Indices select atoms and count from zero, one for each axis of the atoms: `.spatial[y, x]`, `.channel[c]`.",
        "block5c.expand.channel[672] | attribute(output.class) | top(5, along=class) | present(bars)",
        "block5c.expand.channel[64] | attribute(output.class) | top(5, along=class) | present(bars)",
    ),
    "E237": Code(
        "layers in the wrong order",
        "A layer contributes to what is computed from it, so attribution goes from earlier layers to later ones.",
        "block5c.expand.channel | attribute(block3a.expand.channel[4]) | top(8) | present(bars)",
        "block3a.expand.channel | attribute(block5c.expand.channel[64]) | top(8) | present(bars)",
    ),
    "E421": Code(
        "unknown model alias",
        "Before `:` comes the name that a `model` statement gives to a model.",
        "b:block5c.expand.channel | attribute(output) | top(8) | present(bars)",
        "model b = efficientnet_lite0\nb:block5c.expand.channel | attribute(output) | top(8) | present(bars)",
    ),
}
