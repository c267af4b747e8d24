"""The codes of stages that train a network: `model mended = a | discourage(...)`."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

_DATA = 'dataset marks = "sample:marks"\n'
_TRAINING = "set training(loss=cross_entropy)\n"
_SHOWN = 'model a = "sample:marks"\n'


def _text(evidence: str, training: str = _TRAINING) -> str:
    return (
        f"{_SHOWN}{_DATA}{training}model mended = a | discourage({evidence}, data=marks)\n"
        "mended:first.channel | attribute(mended:output) | top(3) | present(bars)"
    )


MENDING: Final[dict[str, Code]] = {
    "E291": Code(
        "a training that the text does not describe",
        "A stage that trains a network needs to know how: the loss, and if they shall be others than usual the "
        "optimizer, the epochs and the learning rate. A page must not train by settings that nobody chose.",
        _text('first.channel[5] -> output["square"]', ""),
        _text('first.channel[5] -> output["square"]'),
    ),
    "E292": Code(
        "no evidence that could be discouraged",
        "`discourage` takes atoms, named by their numbers, and the score of one class that they shall count less for. "
        "It is the first change of a model, since what it reports is of the network before it.",
        _text('output["square"]'),
        _text('first.channel[5] -> output["square"]'),
    ),
}
