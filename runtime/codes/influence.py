"""The codes of errors about the influence of training examples."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

PHOTOS = 'dataset photos = "sample:shapes"\n'
TRAINED = "set training(loss=cross_entropy, epochs=20, lr=0.01)\n"
FEW = 'dataset photos = "sample:shapes" | sample(80)\n'
SMALL = "a network that the text was trained for"
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
    "E354": Code(
        "training again without saying how",
        "`trust(lds)` trains the network again on random halves of the examples. A network file does not say how it "
        "was trained, so the text has to: the loss, the epochs and the learning rate.",
        f"{FEW}output | influence(photos) | trust(lds) | {SHOWN}",
        f"{TRAINED}{FEW}output | influence(photos) | trust(lds) | {SHOWN}",
        needs=SMALL,
    ),
    "E355": Code(
        "training again for atoms",
        "A network that is trained again from new weights has other channels: the one with the same number is another. "
        "So `trust(lds)` is of scores, whose classes stay the same.",
        f"{TRAINED}{FEW}first.channel[5] | influence(photos) | trust(lds) | {SHOWN}",
        f"{TRAINED}{FEW}output | influence(photos) | trust(lds) | {SHOWN}",
        needs=SMALL,
    ),
    "E356": Code(
        "more training than this measure is for",
        "`trust(lds)` trains the network as many times as it draws halves. The passes of all trainings together are "
        "bounded, and so is the memory of the examples; `bbi explain` says how many passes there are.",
        f"{TRAINED}{FEW}output | influence(photos) | trust(lds, n=2000) | {SHOWN}",
        f"{TRAINED}{FEW}output | influence(photos) | trust(lds) | {SHOWN}",
        needs="a network that takes long to train",
    ),
    "E357": Code(
        "weights that cannot be drawn anew",
        "To train a network again, its weights begin as PyTorch draws them: `reset_parameters` of each part. A part "
        "with weights of its own, and without that method, does not say how they begin.",
        ">>> self.scale = nn.Parameter(torch.ones(8))  # in a module's __init__",
        ">>> def reset_parameters(self): nn.init.ones_(self.scale)",
        needs="a module with parameters of its own",
    ),
    "E358": Code(
        "too few examples to draw halves of",
        "Of fewer than 16 examples with labels, random halves say nothing about a training.",
        f'{TRAINED}dataset photos = "sample:marks" | sample(8)\noutput | influence(photos) | trust(lds) | {SHOWN}',
        f'{TRAINED}dataset photos = "sample:marks" | sample(80)\noutput | influence(photos) | trust(lds) | {SHOWN}',
        needs=SMALL,
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
        "The loss of an example is the cross-entropy of exclusive classes, unless the text says with which one the "
        "network was trained. Scores of independent classes and other numbers were trained with another.",
        f"{PHOTOS}output | influence(photos) | {SHOWN}",
        f"set training(loss=binary_cross_entropy)\n{PHOTOS}output | influence(photos) | {SHOWN}",
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
