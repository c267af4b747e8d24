"""The codes of errors while a network runs."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code
from bbilang.runtime.codes.example_texts import PHOTO, RUN

RUNNING: Final[dict[str, Code]] = {
    "E501": Code(
        "a layer that runs several times",
        "A module that the network calls again and again has several results in one pass, and none of them is the "
        "layer's. Name a layer that runs once, such as the block around it.",
        '>>> bbilang.run("shared.channel | top(8) | present(bars)", model=recurrent, input=image)',
        '>>> bbilang.run("head.channel | top(8) | present(bars)", model=recurrent, input=image)',
        needs="a network that uses one module twice",
    ),
    "E502": Code(
        "a layer that does not run",
        "The layer is part of the module and takes no part in a forward pass, or gives no tensor. Name another.",
        '>>> bbilang.run("auxiliary.channel | top(8) | present(bars)", model=network, input=image)',
        '>>> bbilang.run("main.channel | top(8) | present(bars)", model=network, input=image)',
        needs="a network with a part that is left out",
    ),
    "E503": Code(
        "numbers that are not finite",
        "Activations, gradients or relevance overflowed, and every number after them would be wrong. The "
        "message says which: activations depend on the weights and the normalization of the input, gradients "
        "and relevance also on the backward pass's divisors.",
        f"{RUN} --weights half_precision.safetensors",
        f"{RUN} --weights weights.safetensors",
        needs="a network that overflows",
    ),
    "E504": Code(
        "out of memory in the network",
        "Memory grows with the number of inputs, the size of the images and the icons that are made together.",
        "$ bbi run page.bbi --set featvis.batch=4096",
        "$ bbi run page.bbi --set featvis.batch=4",
        needs="more than the machine has",
    ),
    "E505": Code(
        "no gradient leads there",
        "The target is not made of the layer's result, or `no_grad`, `detach`, rounding or `argmax` cuts gradients off "
        "in between (or a caller of `runtime.passes` has freed the graph). A zero would say that the layer does not "
        "matter.",
        '>>> bbilang.run("backbone.spatial | attribute(output[1]) | present(heatmap)", model=detached, input=image)',
        '>>> bbilang.run("head.channel | attribute(output[1]) | present(bars)", model=detached, input=image)',
        needs="a network that cuts gradients off",
    ),
    "E506": Code(
        "ranked by a class that the field does not have",
        "`by=output` ranks by the class that the network predicts, which is known when it has run. Attribute to all "
        "classes, and it is among them.",
        "$ bbi run -e 'block5c.expand.channel | attribute(output[1, 2]) | top(5, by=output) | present(bars)'",
        "$ bbi run -e 'block5c.expand.channel | attribute(output.class) | top(5, by=output) | present(bars)'",
        needs="a picture of something else",
    ),
    "E507": Code(
        "nothing to choose from",
        "The filter before the selection left no atom for this picture. Loosen it.",
        "$ bbi run -e 'block5c.expand.neuron | at(pick(block5c.expand.channel | filter(value > 1e9))) | top(3) | "
        "present(bars)'",
        "$ bbi run -e 'block5c.expand.neuron | at(pick(block5c.expand.channel | filter(value > 0.1))) | top(3) | "
        "present(bars)'",
        needs="a run",
    ),
    "E508": Code(
        "the network above a layer cannot be run alone",
        "Path and perturbation methods run only the network above the layer, on what the forward pass left "
        "below. Here that gives other numbers than the whole network: its forward may be random, or keep a "
        "state between calls. `method=linear` needs gradients only.",
        '>>> bbilang.run("a.channel | attribute(output[1], method=integrated_gradients) | present(bars)", model=noisy)',
        '>>> bbilang.run("a.channel | attribute(output[1], method=linear) | present(bars)", model=noisy)',
        needs="a network that is random when it is evaluated",
    ),
    "E515": Code(
        "a method that is not defined for this network",
        "Some methods have rules for some networks: deconvnet and guided backpropagation for ReLU and ReLU6, class "
        "activation maps for global average pooling and one linear layer, relevance for the operations in its guide. "
        "The message says what is in the way.",
        '>>> bbilang.run("input.pixel | attribute(output, method=deconvnet) | present(heatmap)", model=with_silu)',
        '>>> bbilang.run("input.pixel | attribute(output, method=gradient) | present(heatmap)", model=with_silu)',
        needs="a network of another kind",
    ),
    "E525": Code(
        "a layer of complex numbers",
        "What a page shows has a sign and an order, and complex numbers have neither: their real parts alone would be "
        "other numbers. Layers before and after are right.",
        '>>> bbilang.run("spectrum.channel | attribute(output[1]) | present(bars)", model=fourier, input=image)',
        '>>> bbilang.run("filtered.channel | attribute(output[1]) | present(bars)", model=fourier, input=image)',
        needs="a network that computes with complex numbers",
    ),
    "E526": Code(
        "a token that the model does not know",
        "A tokenizer gave a number for which the model's embedding has no row, or more tokens than it has positions: "
        "most often it is the tokenizer of another model.",
        ">>> bbilang.adapt_text(model, tokenizer_of_another_model)",
        ">>> bbilang.adapt_text(model, its_own_tokenizer)",
        needs="a tokenizer of another model",
    ),
    "E527": Code(
        "a module that cannot be copied",
        "Random weights are tried on a copy, so that the module itself stays unchanged; this module cannot be copied.",
        '>>> bbilang.run("a.channel | attribute(output[1]) | trust(random_weights) | present(bars)", model=unique)',
        '>>> bbilang.run("a.channel | attribute(output[1]) | trust(deletion) | present(bars)", model=unique)',
        needs="a module that refuses to be copied",
    ),
    "E517": Code(
        "workers that cannot be started or reached",
        "Workers are processes that receive the network and write their results to the cache. A network whose classes "
        "are defined in a notebook cannot be sent to them, and the machines of a cluster must share the folder of the "
        "cache.",
        "$ bbi run page.bbi --ray nowhere:6379",
        "$ bbi run page.bbi --ray auto",
        needs="a cluster",
    ),
    "E518": Code(
        "a unit of work that ends its workers",
        "Where a worker dies, for whatever reason, another one computes its unit again. After three deaths at the same "
        "unit the run ends, since the reason is probably in the unit itself.",
        "$ bbi run page.bbi --workers 64",
        "$ bbi run page.bbi --workers 2",
        needs="more memory than the machine has",
    ),
    "E520": Code(
        "a network that gives another result each time",
        "The same picture gave different scores in two runs, though every source of randomness was seeded: the network "
        "keeps a state between calls, and a number would say as much about earlier calls as about the picture.",
        '>>> bbilang.run("a.channel | top(8) | present(bars)", model=with_memory, input=image)',
        '>>> bbilang.run("a.channel | top(8) | present(bars)", model=reset_in_forward, input=image)',
        needs="a network that keeps a state between calls",
    ),
    "E510": Code(
        "a direction that the layer does not have",
        "An icon maximizes the response to a direction in one layer's channels. This concerns callers "
        "of `runtime.visualize`.",
        '>>> Objective("block5c.expand", [0.0, float("nan")])',
        '>>> Objective("block5c.expand", 64)',
        needs="a call of the engine itself",
    ),
    "E511": Code(
        "a factorization that does not exist",
        "Groups are independent directions of a layer's activations for this picture: a layer that does not respond "
        "has none, and there are never more than positions or channels. Request fewer, or choose another layer.",
        "$ bbi run -e 'block5c.expand | factorize(pca, 400) | present(bars)'",
        "$ bbi run -e 'block5c.expand | factorize(pca, 4) | present(bars)'",
        needs="a run",
    ),
    "E516": Code(
        "no box of what is attributed to",
        "The names of a file's categories are compared with the names of the class. Boxes are in the pixels of the "
        "picture that was annotated, and of single classes.",
        '$ bbi run -e \'input.pixel | attribute(output["tabby"]) | trust(pointing_game, boxes="dogs.json") | ...\'',
        '$ bbi run -e \'input.pixel | attribute(output["tabby"]) | trust(pointing_game, boxes="cats.json") | ...\'',
        needs="a file of boxes and a run",
    ),
    "E519": Code(
        "an atlas without bins",
        "A bin is drawn if it has as many vectors as `least=` says. With few pictures, or few positions of each, the "
        "bins of a fine grid have one or two.",
        'dataset photos = "sample:shapes" | sample(4)\nblock6a.expand.spatial | across(photos) '
        "| project(pca, 2, positions=1) | present(atlas, least=5)",
        'dataset photos = "sample:shapes" | sample(96)\nblock6a.expand.spatial | across(photos) '
        "| project(pca, 2) | present(atlas)",
        needs="a run",
    ),
    "E530": Code(
        "texts of several lengths at once",
        "Texts of one length run together and those of other lengths apart, so that nothing fills up a shorter one. "
        "What takes all inputs at once, as `factorize` and `trust` do, has no meaning for them.",
        "$ bbi run -e 'embed | factorize(pca, 2) | present(bars)' --model transformers:bert --input a.txt longer.txt",
        "$ bbi run -e 'embed | factorize(pca, 2) | present(bars)' --model transformers:bert --input a.txt",
        needs="a model that reads text, and a run",
    ),
    "E531": Code(
        "an operation on pictures, applied to a text",
        "A text is a row of numbers of tokens: it cannot be blurred, shifted or made a little noisy. A path may start "
        "at the token number 0, and noise may be added to the vectors of a layer, as `smoothgrad` does.",
        "$ bbi run -e 'embed.token | attribute(output, method=integrated_gradients(baselines=blur)) | present(bars)'",
        "$ bbi run -e 'embed.token | attribute(output, method=integrated_gradients) | present(bars)'",
        needs="a model that reads text, and a run",
    ),
    "E532": Code(
        "scores of an unclear kind",
        "Where the network does not state the kind of its scores, it is inferred from the numbers of each input; here "
        "inputs disagree, or contradict the stated kind. `set scores(kind=...)` states whether they are logits or "
        "something else.",
        f"set scores(kind=probabilities)\n{PHOTO}",
        f"set scores(kind=logits)\n{PHOTO}",
        needs="a run",
    ),
    "E533": Code(
        "the probability of a value",
        "The outputs of a regression are values, not classes, so they have no probability. Attribute to the "
        "value itself.",
        "$ bbi run -e 'head.channel | attribute(output[0, score=probability]) | present(bars)' --model my:regression",
        "$ bbi run -e 'head.channel | attribute(output[0]) | present(bars)' --model my:regression",
        needs="a network of another kind, and a run",
    ),
    "E540": Code(
        "a mean over positions that changes nothing",
        "What follows the layer reads only the mean over its positions, or the layer has a single position: to replace "
        "a part by that mean changes nothing, whatever the part does. The mean over a dataset is another one.",
        "$ bbi run -e 'head.channel | top(8) | ablate(position_mean) | effect(output) | present(bars)'",
        "$ bbi run -e 'head.channel | top(8) | ablate(zero) | effect(output) | present(bars)'",
        needs="a run",
    ),
    "E534": Code(
        "directions that cancel out",
        "The vectors of a sum are added as they are, and nothing is left of these but what rounding leaves: no icon "
        "and no number of it would mean anything.",
        "$ bbi run -e 'block5c.expand.channel[7] - block5c.expand.channel[7] | present(featvis)'",
        "$ bbi run -e 'block5c.expand.channel[7] - block5c.expand.channel[9] | present(featvis)'",
        needs="a run",
    ),
    "E900": Code(
        "something went wrong inside bbilang",
        "This is a bug in bbilang. With `BBI_DEBUG=1` the command prints a traceback; please include it in your "
        "report.",
        RUN,
        f"$ BBI_DEBUG=1 {RUN[2:]}",
        needs="a fault of bbilang",
    ),
    "E902": Code(
        "not enough memory",
        "Draft quality, smaller batches and fewer pictures need less memory.",
        f"{RUN} --input photos/",
        f"{RUN} --input photos/ --each --draft",
        needs="more than the machine has",
    ),
    "E903": Code(
        "a package is missing",
        "A feature that is used needs a package that is not installed; the message says which.",
        "$ bbi run page.bbi --input sample:chelsea",
        "$ pip install 'bbilang[demo]'",
        needs="an environment without the package",
    ),
    "E904": Code(
        "a file or folder that the system refuses",
        "The disk is full, a permission is missing, or too many files are open: the message quotes the system.",
        RUN,
        "$ bbi cache clear",
        needs="a full disk",
    ),
    "E545": Code(
        "no linear map between two layers",
        "A gate multiplies by numbers of the picture, a layer norm divides by them, and attention does both; paths of "
        "different strides have no one kernel. Take layers on the same side of it.",
        """$ bbi run -e 'weights(norm1, mixer, expanded=true) | top(8) | present(matrix)'""",
        """$ bbi run -e 'weights(norm2, mlp, expanded=true) | top(8) | present(matrix)'""",
        needs="a network with attention",
    ),
    "E546": Code(
        "weights with too many numbers",
        "Weights between layers that are far apart have a number for each pair of channels and each offset of a large "
        "kernel: more than fit into memory. Take layers that are closer to each other.",
        """$ bbi run -e 'weights(stem, block7a, expanded=true) | top(8) | present(matrix)'""",
        """$ bbi run -e 'weights(block6d, block7a, expanded=true) | top(8) | present(matrix)'""",
        needs="a network of many layers",
    ),
    "E587": Code(
        "longer than the limit",
        "Whoever makes the page allows so many seconds, from the loading of the network on. Finished icons stay in the "
        "cache; nothing else is written.",
        f"{RUN} --limit seconds=0.001",
        f"{RUN} --limit seconds=600",
        needs="a run",
    ),
    "E588": Code(
        "more memory than the limit",
        "Whoever makes the page allows so many bytes, and the process or the device took more while the page was "
        "computed. Nothing is written.",
        f"{RUN} --limit memory=1MB",
        f"{RUN} --limit memory=8GB",
        needs="a run",
    ),
    "E589": Code(
        "a page larger than the limit",
        "Pictures take most of a page: icons, photographs, maps in every state. Nothing is written.",
        f"{RUN} --limit page=1kB",
        f"{RUN} --limit page=20MB",
        needs="a run",
    ),
}
