"""The codes of networks that are trained: `model mended = a | discourage(...)`."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

OWN = "a network of the caller's own"


def _text(
    layer: str = "first", channel: int = 5, data: str = "sample:marks", training: str = "epochs=5", sample: str = ""
) -> str:
    return (
        f"set training(loss=cross_entropy, {training})\n"
        f'dataset photos = "{data}"{sample}\n'
        'model a = "sample:marks"\n'
        f'model mended = a | discourage({layer}.channel[{channel}] -> output["square"], data=photos)\n'
        "mended:first.channel | attribute(mended:output) | top(3) | present(bars)"
    )


MENDING: Final[dict[str, Code]] = {
    "E487": Code(
        "examples without labels to train with",
        "A network is trained on examples whose label is one of its classes, of two classes or more. Labels are names "
        "of folders or a column of a table, and are compared with the names of the classes as in `output[...]`.",
        _text(data="unsorted/"),
        _text(),
        needs=OWN,
    ),
    "E488": Code(
        "too few examples to train and to measure",
        "A part of the examples is held out: no training sees it, and every number of before and after is of it. So "
        "there have to be some on both sides.",
        _text(sample=" | sample(3)"),
        _text(sample=" | sample(3000)"),
        needs=OWN,
    ),
    "E489": Code(
        "a loss that does not fit the scores",
        "`cross_entropy` is a loss of classes of which one is right, `binary_cross_entropy` of classes each by itself. "
        "A network that gives values has no classes to train with.",
        _text().replace("cross_entropy", "binary_cross_entropy"),
        _text(),
        needs=OWN,
    ),
    "E490": Code(
        "a model that is no file of weights",
        "`bbi export model` writes the weights of a model that was trained here. What a layer is changed to, as by "
        "`ablate`, is no weight; and a model that is not derived has its own file.",
        "$ bbi export model page.bbi --name a -o a.safetensors",
        "$ bbi export model page.bbi --name mended -o mended.safetensors",
        needs="a text with a mended model",
    ),
    "E553": Code(
        "nothing above a layer that could be trained",
        "Only weights above the atoms are trained. Between this layer and the scores there are none, or they are used "
        "below the layer as well.",
        _text("classes"),
        _text(),
        needs=OWN,
    ),
    "E554": Code(
        "a training that diverges",
        "The loss is no longer a finite number: the steps are too long, or the penalty pulls too hard.",
        _text(training="lr=10"),
        _text(training="lr=0.0003"),
        needs=OWN,
    ),
    "E555": Code(
        "evidence that is zero already",
        "These atoms contribute nothing to the score on any example, so there is nothing to discourage.",
        _text(channel=3),
        _text(),
        needs=OWN,
    ),
    "E557": Code(
        "a line that a page may not add",
        "`bbi watch` adds one kind of line to a text: a model in which evidence counts less. It does so only if the "
        "text then has no error.",
        _text("nothing"),
        _text(),
        needs="a live preview",
    ),
    "E556": Code(
        "more activations than are kept",
        "Examples run below the layer once, and what crosses it is kept until the training is over, at most 16 GiB in "
        "files. A later layer keeps less, and so do fewer examples.",
        _text(),
        _text(sample=" | sample(20000)"),
        needs=OWN,
    ),
}
