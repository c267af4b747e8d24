"""Codes of the tokens of transformers."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

_LENS = "layers.2.token | logit_lens | top(5, along=class) | present(table)"

TOKENS: Final[dict[str, Code]] = {
    "E282": Code(
        "no final norm and unembedding",
        "The lens applies what stands between a network's last block and its scores to the tokens of earlier blocks. "
        "An encoder has no scores, and a convolutional network reads them from no tokens.",
        "block5c.expand.spatial | logit_lens | top(5, along=class) | present(table)",
        "block5c.expand.spatial | activation | present(heatmap)",
    ),
    "E283": Code(
        "a lens on what the scores cannot be read from",
        "The last layers of a network take tokens as the last block gives them. Tokens of another width, channels and "
        "heads are no such vectors, and neither are scores of another network.",
        "$ bbi run -e 'layers.2.mlp.act_fn.token | logit_lens | top(5, along=class) | present(table)'",
        f"$ bbi run -e '{_LENS}'",
        needs="a language model",
    ),
    "E284": Code(
        "a lens with too many numbers",
        "The lens computes a number for each token, layer and class of the vocabulary: more than fit into memory. Name "
        "fewer layers, or the classes that are meant: `logit_lens(of=output[top(3)])` of a shorter text.",
        "$ bbi run -e '[layers.0..layers.31].token | logit_lens | top(5, along=class) | present(table, facet=layer)'",
        f"$ bbi run -e '{_LENS}'",
        needs="a language model with many layers and a large vocabulary",
    ),
    "E365": Code(
        "arcs without words at both ends",
        "Arcs lead from every word of a text to every word: of attention, whose axes `query` and `key` are left. With "
        "one query, draw a heatmap of the keys.",
        "block5c.expand.channel | attribute(output) | top(8) | present(arcs)",
        "block5c.expand.channel | attribute(output) | top(8) | present(bars)",
    ),
    "E366": Code(
        "a rollout of some heads",
        "Attention rollout takes the mean over all heads of each layer. A choice of heads has no such mean.",
        "$ bbi run -e 'layer.1.attention.head | attribute(output) | top(2) | rollout | present(arcs)'",
        "$ bbi run -e '[layer.0.attention, layer.1.attention].head | rollout | present(arcs)'",
        needs="a network with attention",
    ),
}
