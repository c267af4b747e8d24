"""Codes of attention and of the tokens of transformers."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

TOKENS: Final[dict[str, Code]] = {
    "E560": Code(
        "attention that cannot be laid out",
        "Attention is a number for each head, token that looks, and token that it looks at. The layers of a pipe have "
        "the same tokens, `query=` is one of them, `keys=patches` is of a picture's, and all numbers fit into memory.",
        "$ bbi run -e 'blocks.3.attn.head | attention(query=900) | present(matrix)' --model timm:vit_tiny_patch16_224",
        "$ bbi run -e 'blocks.3.attn.head | attention(query=0) | present(matrix)' --model timm:vit_tiny_patch16_224",
        needs="a network with attention",
    ),
    "E561": Code(
        "attention that is not of tokens to tokens",
        "The module attends to something else than the tokens of its layer, as to those of another layer, to learned "
        "keys, or over channels. Its heads have outputs all the same.",
        """$ bbi run -e 'cross.head | attention | present(matrix, facet=head)'""",
        """$ bbi run -e 'cross.head | attribute(output) | present(bars)'""",
        needs="a network with attention to something else",
    ),
    "E579": Code(
        "last layers that do not give the network's scores",
        "The lens applies the layers above the last block to other tokens, and first to the last block's own: there "
        "they must give the network's scores. Where a network scales or bounds its scores besides, they do not.",
        "$ bbi run -e 'layers.2.token | logit_lens | top(5, along=class) | present(table)' --model transformers:capped",
        "$ bbi run -e 'layers.2.token | attribute(output) | present(heatmap)' --model transformers:capped",
        needs="a language model that does more with its scores",
    ),
}
