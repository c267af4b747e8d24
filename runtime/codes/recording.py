"""The codes of `bbilang.callbacks`: what cannot be recorded of a training."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

RECORDING: Final[dict[str, Code]] = {
    "E360": Code(
        "a network that no process has",
        "Where weights are spread over processes (FSDP, DeepSpeed stage 3), each has a part of every layer and none "
        "can run the network by itself. `bbi test` takes the checkpoints that the training writes.",
        ">>> Recorder(text, model=fsdp_network, input=picture)",
        ">>> bbilang.run(text, model=network, weights=checkpoint, input=picture)",
        needs="a network over several processes",
    ),
    "E361": Code(
        "a recorder without a network",
        "A plain loop gives the network to the recorder; callbacks of transformers and Lightning take that of their "
        "trainer.",
        ">>> Recorder(text, input=picture).record()",
        ">>> Recorder(text, model=network, input=picture).record()",
        needs="a network of the caller's own",
    ),
    "E362": Code(
        "no claims to record",
        '`write="claims"` writes the verdicts of the text\'s claims, and the text states none.',
        '>>> Recorder("output.class | top(3) | present(bars)", model=network, input=picture, write="claims")',
        '>>> Recorder(\'claim "A cat" = output["cat"] > 5\', model=network, input=picture, write="claims")',
        needs="a network of the caller's own",
    ),
}
