"""The codes of errors about the influence of training examples."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

PHOTOS = 'dataset photos = "sample:shapes"\n'
SHOWN = "top(9, along=example) | present(image)"

INFLUENCE: Final[dict[str, Code]] = {
    "E280": Code(
        "TracIn without checkpoints",
        "TracIn sums over the weights that a network had while it was trained, which files hold: safetensors or "
        "PyTorch checkpoints of the same network. Other methods are of the network as it is.",
        f"{PHOTOS}output | influence(photos, method=tracin) | {SHOWN}",
        f"{PHOTOS}output | influence(photos, method=ekfac) | {SHOWN}",
        needs="checkpoints in runs/",
    ),
    "E590": Code(
        "a network without weights of convolutions or linear layers",
        "Influence is measured by gradients by the weights of convolutions and linear layers. A network of other "
        "parts, or whose weights are not floating-point numbers, has none of them.",
        '>>> bbilang.run("output | influence(photos) | top(9) | present(image)", model=quantized, input=image)',
        '>>> bbilang.run("output | influence(photos) | top(9) | present(image)", model=network, input=image)',
        needs="a network that is quantized",
    ),
    "E591": Code(
        "an input that a later layer overwrites",
        "The gradient by a layer's weights is made of the layer's input, which something in the network overwrites "
        "after the layer has run.",
        ">>> x.mul_(0)  # in the network's forward, after a layer has read x",
        ">>> x = x * 0",
        needs="a network that overwrites an input",
    ),
    "E592": Code(
        "scores without a cross-entropy",
        "The loss of an example is the cross-entropy of exclusive classes. Scores of independent classes and other "
        "numbers were trained with another loss, which is not known.",
        f"{PHOTOS}output | influence(photos) | {SHOWN}",
        f"set scores(logits)\n{PHOTOS}output | influence(photos) | {SHOWN}",
        needs="a network of independent classes",
    ),
    "E593": Code(
        "no last layer to leave examples out at",
        "`exact` leaves each example out at the linear layer that gives the scores, and inverts the curvature by all "
        "of its weights: 4,096 at most. `ekfac` approximates the same for all layers.",
        f"{PHOTOS}output | influence(photos, method=exact) | {SHOWN}",
        f"{PHOTOS}output | influence(photos, method=ekfac) | {SHOWN}",
        needs="a network of a thousand classes",
    ),
    "E594": Code(
        "a number that does not depend on the weights",
        "The gradient of the number by every weight is zero, so that no training example could have moved it: as the "
        "activation of a channel that is shut.",
        f"{PHOTOS}head.channel[3] | influence(photos) | {SHOWN}",
        f"{PHOTOS}head.channel[4] | influence(photos) | {SHOWN}",
        needs="a channel that is zero",
    ),
    "E595": Code(
        "no label that is a class of the network",
        "The loss of an example needs its class. Labels are compared with the names of the classes, in any case, with "
        "their synonyms, and with the numbers of the classes.",
        f"{PHOTOS}output | influence(photos) | {SHOWN}",
        "$ head -3 photos.csv",
        needs="a dataset whose labels are no classes of the network",
    ),
    "E596": Code(
        "too many numbers for the weights of this network",
        "For each number whose influences are asked for, its gradient by every weight is held in memory. Ask for fewer "
        "numbers, or for one.",
        f"{PHOTOS}head.channel | top(200) | influence(photos) | top(9, along=example) | present(image, facet=channel)",
        f"{PHOTOS}head.channel | top(2) | influence(photos) | top(9, along=example) | present(image, facet=channel)",
        needs="a large network",
    ),
}
