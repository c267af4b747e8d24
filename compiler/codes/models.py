"""Codes of texts with several models."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

_A = "model a = efficientnet_lite0"
_TWO = f"{_A}, b = inceptionv1"
_CHANGED = f"{_A}\nmodel b = a | ablate(block5c.expand.channel[447])"
_PAIR = f"{_A}, b = efficientnet_lite0"
_RUNS = 'model runs = "sample:marks" from "sample:marks"\ninput "sample:marked_disc"'
_FIRST = "first.channel | attribute(output)"
_BARS = "block5c.expand.channel | attribute(output) | top(8) | present(bars)"

MODELS: Final[dict[str, Code]] = {
    "E268": Code(
        "what cannot be matched",
        "`match` pairs the channels of one layer with all channels of one layer, of another network or of the same. "
        "Each channel has one partner, so channels that differ between inputs or classes have none.",
        f"{_PAIR}\na:block5c.expand.spatial | match(b:block5c.expand.channel) | present(bars)",
        f"{_PAIR}\na:block5c.expand.channel | match(b:block5c.expand.channel) | top(8) | present(bars)",
    ),
    "E269": Code(
        "weights that do not correspond",
        "Matching weights permutes the channels of a network of the same architecture, so the two layers are of one "
        "name in two networks. What channels do can be correlated between any two layers.",
        f"{_PAIR}\na:block5c.expand.channel | match(b:block5b.expand.channel, by=weight_matching) | present(bars)",
        f"{_PAIR}\na:block5c.expand.channel | match(b:block5c.expand.channel, by=weight_matching) | top(8) | "
        "present(bars)",
    ),
    "E277": Code(
        "an argument that matching weights does not have",
        "Matching weights needs no examples, and permutes channels, so that none is taken twice. `source=` and "
        "`pairs=best` are for correlations.",
        f"{_PAIR}\na:block5c.expand.channel | match(b:block5c.expand.channel, by=weight_matching, pairs=best) | "
        "present(bars)",
        f"{_PAIR}\na:block5c.expand.channel | match(b:block5c.expand.channel, pairs=best) | top(8) | present(bars)",
    ),
    "E347": Code(
        "what is no layer to compare",
        "`similarity` compares layers as they are, each with each of another list. Single atoms of two networks do not "
        "correspond: `match` says which channels do.",
        f'{_PAIR}\ndataset photos = "sample:shapes" | sample(64)\nlayers = [block1a, block5c]\n'
        "layers | activation | similarity(b:layers, source=photos) | present(matrix)",
        f'{_PAIR}\ndataset photos = "sample:shapes" | sample(64)\nlayers = [block1a, block5c]\n'
        "layers | similarity(b:layers, source=photos) | present(matrix)",
    ),
    "E348": Code(
        "too many examples for a similarity",
        "`by=rsa`, `by=procrustes` and `positions=each` compare every example with every other one: 4,096 examples "
        "at most. `cka` of means over positions draws batches at random from all of them, whose means take 2 GiB of "
        "memory at most.",
        f'{_A}\ndataset photos = "photos/" | sample(20000)\nblock1a | similarity(block5c, by=rsa, source=photos) | '
        "present(bars)",
        f'{_A}\ndataset photos = "sample:shapes"\nblock1a | similarity(block5c, by=rsa, source=photos) | present(bars)',
        needs="20,000 pictures",
    ),
    "E288": Code(
        "a stage that does not change a network",
        "The stages of a `model` statement change the network before them: `ablate`, `isolate`, `steer`. "
        "What is random, or of several layers, is no single network: such changes stand in a pipe.",
        f"{_A}\nmodel b = a | top(8)\nb:{_BARS}",
        f"{_CHANGED}\nb:{_BARS}",
    ),
    "E289": Code(
        "a model that is there already, or has no name",
        "Each of several models has a name. A derived one begins with the name of a model above it, and has at least "
        "one change. Weights belong where a network is named first.",
        f"{_A}\nmodel b = a\nb:{_BARS}",
        f"{_CHANGED}\nb:{_BARS}",
    ),
    "E290": Code(
        "a network that depends on the picture",
        "A model is the same for all pictures, so the atoms that change are named by their numbers, or by a concept of "
        "a dataset. In a pipe, `ablate` and `effect` change those that a picture chooses.",
        f"{_A}\nmodel b = a | ablate(block5c.expand.channel | attribute(output) | top(8))\nb:{_BARS}",
        f"{_CHANGED}\nb:{_BARS}",
    ),
    "E317": Code(
        "classes of another model",
        "A target is scored by the model of its pipe. What another network predicts can only be scored where both have "
        "the same classes.",
        f"{_TWO}\ncat = output\nb:mixed4d.channel | attribute(cat) | top(8) | present(bars)",
        f"{_TWO}\na:{_BARS}\nb:mixed4d.channel | attribute(b:output) | top(8) | present(bars)",
    ),
    "E318": Code(
        "atoms of two models mixed",
        "Channel 7 of one network is another thing in an unrelated network. Pipes of models that are derived from each "
        "other may share atoms; others stand side by side, each in elements of its own.",
        f"{_TWO}\nsame = a:{_BARS}\nb:mixed4d.channel | activation | only(same) | present(bars)",
        f"{_CHANGED}\nsame = a:{_BARS}\nb:block5c.expand.channel | activation | only(same) | present(bars)",
    ),
    "E319": Code(
        "models that see different inputs",
        "The inputs of a text are those of all of its models, so these take inputs of one kind. Each network "
        "resizes and crops pictures in its own way: numbers are drawn over the picture as their own model sees it.",
        f"{_TWO}\nphoto = input | present(image)\nb:mixed4d.neuron | activation | sum(channel) | "
        "present(heatmap, over=photo)",
        f"{_TWO}\na:{_BARS}\nphoto = b:input | present(image)\nb:mixed4d.neuron | activation | sum(channel) | "
        "present(heatmap, over=photo)",
    ),
    "E320": Code(
        "no weight that could be set",
        "`set_weight` sets what multiplies one channel on the way to another: a stored number, or one at each offset. "
        "Expanded weights are computed from many parameters, and a row or a list of weights is not one.",
        f"{_A}\nmodel b = a | set_weight(weights(block5c.project)[to=3], 0)\nb:{_BARS}",
        f"{_A}\nmodel b = a | set_weight(weights(block5c.project)[to=3, from=447], 0)\nb:{_BARS}",
    ),
    "E321": Code(
        "two models that need numbers of each other",
        "The models of a page run one after the other, so that one network at a time has to fit into memory. Pipes of "
        "one may read numbers of another that ran before it, and not both of each other.",
        f"{_CHANGED}\none = a:{_BARS}\ntwo = b:{_BARS}\na:block5c.expand.channel | activation | only(two) | "
        "present(bars)\nb:block5c.expand.channel | activation | only(one) | present(bars)",
        f"{_CHANGED}\none = a:{_BARS}\ntwo = b:{_BARS}\nb:block5c.expand.channel | activation | only(one) | "
        "present(bars)",
    ),
    "E340": Code(
        "no checkpoints of that name",
        'A pattern names files of weights of one network beside the text, as in `from "runs/*.safetensors"`. There are '
        "at most 64. They need a name, which stands before their layers.",
        f'model runs = efficientnet_lite0 from "nowhere/*.safetensors"\nruns:{_BARS}',
        f"{_RUNS}\nruns:{_FIRST} | top(3) | present(bars)",
    ),
    "E341": Code(
        "a stage that runs the network behind a choice for all checkpoints",
        "What chooses atoms chooses the same ones for all checkpoints, when the numbers of all are known: by then no "
        "network is loaded any more.",
        f"{_RUNS}\nruns:{_FIRST} | top(3) | gradient(output) | present(bars)",
        f"{_RUNS}\nruns:{_FIRST} | top(3) | present(bars)",
    ),
    "E342": Code(
        "what checkpoints do not have in common",
        "Groups that were factorized from the activations of one checkpoint are others than those of the next, and a "
        "change or an icon is of one network. Numbers of the same atoms stand side by side.",
        f"{_RUNS}\nruns:second | factorize(nmf, 3) | present(bars)",
        f"{_RUNS}\nruns:{_FIRST} | top(3) | present(bars)",
    ),
    "E344": Code(
        "weights given for checkpoints",
        "The weights of checkpoints are those of the files that the text names. Another network, or other weights, "
        "cannot stand for all of them.",
        '>>> bbilang.run("training.bbi", weights="last.safetensors")',
        '>>> bbilang.run("training.bbi")',
        needs="a text with several checkpoints",
    ),
    "E363": Code(
        "a model given for no model of the text",
        '`--model a=...` and `model={"a": ...}` give the networks that a text names. A derived model follows from '
        "what it is derived from.",
        '>>> bbilang.run("a.bbi", model={"b": network})',
        '>>> bbilang.run("a.bbi", model={"a": network})',
        needs="a text that names the model `a`",
    ),
    "E482": Code(
        "what another model predicts of each example",
        "In a pipe of a derived model, `output` is what the network predicts that it comes from. Examples run through "
        "one network, which does not know that: take its own prediction, or name a class.",
        f'{_CHANGED}\ndataset photos = "sample:shapes"\n'
        "b:block6a.channel | attribute(output) | across(photos) | mean(example) | top(8) | present(bars)",
        f'{_CHANGED}\ndataset photos = "sample:shapes"\n'
        "b:block6a.channel | attribute(b:output) | across(photos) | mean(example) | top(8) | present(bars)",
    ),
    "W204": Code(
        "a model that nothing is shown of",
        "No element needs the model, so it is not loaded.",
        f"{_CHANGED}\na:{_BARS}",
        f"{_CHANGED}\na:{_BARS}\nb:{_BARS}",
    ),
}
