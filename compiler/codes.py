"""Every code that a check can give, and what it teaches. The codes of syntax stand beside the parser."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

_ICONS = "block5c.expand.channel | attribute(output) | top(8) | present(featvis)"
_BARS = "block5c.expand.channel | attribute(output) | top(8) | present(bars)"
_MAP = "block5c.expand.spatial | attribute(output) | present(heatmap)"
_PHOTO = "photo = input | present(image)"
_STATES = (
    "block5c.expand.neuron | attribute(output[class_]) | at(hover(block5c.expand.spatial)) | top(4) | present(bars)"
)

NAMES: Final[dict[str, Code]] = {
    "E201": Code(
        "unknown name",
        "The name is neither bound in this file nor a layer of the model. Bind it above, or correct its spelling.",
        "evidence | present(bars)",
        "evidence = block5c.expand.channel | attribute(output) | top(8)\nevidence | present(bars)",
    ),
    "W203": Code(
        "a name that hides an operation",
        "The binding and the operation are told apart by where they stand, but a reader cannot tell them apart. Choose "
        "another name.",
        f"top = {_BARS}",
        f"strongest = {_BARS}",
    ),
    "E204": Code(
        "unknown layer",
        "Layers go by the model's own names, and `bbi layers MODEL` lists them with their shapes.",
        "block9z.expand.channel | attribute(output) | top(8) | present(bars)",
        _BARS,
    ),
    "E205": Code(
        "unknown class",
        "A class goes by its whole label or one of the label's synonyms, in any case of letters. An index works too.",
        'block5c.expand.channel | attribute(output["tabbby"]) | top(8) | present(bars)',
        'block5c.expand.channel | attribute(output["tabby"]) | top(8) | present(bars)',
    ),
    "E206": Code(
        "ambiguous class name",
        "Several classes have this name among their labels, and which one is meant makes a difference. Take the index.",
        'block5c.expand.channel | attribute(output["crane"]) | top(8) | present(bars)',
        "block5c.expand.channel | attribute(output[134]) | top(8) | present(bars)",
    ),
    "E207": Code(
        "class index out of range, or classes without names",
        "Classes are counted from zero. Of a model whose labels are unknown only indices work, or `set labels FILE`.",
        "block5c.expand.channel | attribute(output[1000]) | top(8) | present(bars)",
        "block5c.expand.channel | attribute(output[999]) | top(8) | present(bars)",
    ),
    "E208": Code(
        "unknown atom",
        "The word behind the last dot says which parts of the layer are meant: `.neuron`, `.spatial`, `.channel`.",
        "block5c.expand.chanel | attribute(output) | top(8) | present(bars)",
        _BARS,
    ),
    "E209": Code(
        "a layer has no such atoms",
        "Which atoms there are follows from the layer's axes: only a map has positions, only a sequence has tokens.",
        "block5c.expand.token | attribute(output) | top(8) | present(bars)",
        "block5c.expand.spatial | attribute(output) | top(8) | present(bars)",
    ),
    "E210": Code(
        "unknown operation",
        "What stands after `|` is an operation of the language, of a plugin, or of your own (`def`).",
        "block5c.expand.channel | atribute(output) | top(8) | present(bars)",
        _BARS,
    ),
    "E235": Code(
        "fields of two models or layers mixed",
        "Channel 64 of one layer has nothing to do with channel 64 of another. Take both from the same layer.",
        "icons = block4c.expand.channel | attribute(output) | top(8) | present(featvis)\n"
        "block5c.expand.neuron | attribute(output) | only(icons) | present(heatmap, facet=channel)",
        "icons = block5c.expand.channel | attribute(output) | top(8) | present(featvis)\n"
        "block5c.expand.neuron | attribute(output) | only(icons) | present(heatmap, facet=channel)",
    ),
    "E236": Code(
        "index outside the layer",
        "Indices pick atoms, count from zero and are as many as the atoms have axes: `.spatial[y, x]`, `.channel[c]`.",
        "block5c.expand.channel[672] | attribute(output.class) | top(5, along=class) | present(bars)",
        "block5c.expand.channel[64] | attribute(output.class) | top(5, along=class) | present(bars)",
    ),
    "E237": Code(
        "layers in the wrong order",
        "A layer contributes to what is computed from it, so attribution goes from earlier layers to later ones.",
        "block5c.expand.channel | attribute(block3a.expand.channel[4]) | top(8) | present(bars)",
        "block3a.expand.channel | attribute(block5c.expand.channel[64]) | top(8) | present(bars)",
    ),
    "E421": Code(
        "unknown model alias",
        "What stands before `:` is the name that a `model` statement gives to a model.",
        "b:block5c.expand.channel | attribute(output) | top(8) | present(bars)",
        "model b = efficientnet_lite0\nb:block5c.expand.channel | attribute(output) | top(8) | present(bars)",
    ),
}

ARGUMENTS: Final[dict[str, Code]] = {
    "E211": Code(
        "unknown argument",
        "Each operation has parameters of its own, and the reference lists them. Most often the name is misspelt.",
        "block5c.expand.channel | attribute(output) | top(8, bye=magnitude) | present(bars)",
        "block5c.expand.channel | attribute(output) | top(8, by=magnitude) | present(bars)",
    ),
    "E212": Code(
        "missing argument",
        "This argument has no default, since no number or target would be right for everyone. Say it.",
        "block5c.expand.channel | attribute | top(8) | present(bars)",
        _BARS,
    ),
    "E213": Code(
        "wrong kind of argument",
        "Each parameter takes one kind of value: a number, a word, a text in quotes, a target, a condition.",
        'block5c.expand.channel | attribute(output) | top("eight") | present(bars)',
        _BARS,
    ),
    "E214": Code(
        "number out of range",
        "The message names the range and its unit. Outside of it there is no meaning, or no machine has the memory.",
        "block5c.expand.channel | attribute(output) | top(0) | present(bars)",
        "block5c.expand.channel | attribute(output) | top(1) | present(bars)",
    ),
    "E215": Code(
        "unknown word for an argument",
        "This parameter takes one of a few words, and the message lists them.",
        "block5c.expand.channel | activation(reduce=median) | top(8) | present(bars)",
        "block5c.expand.channel | activation(reduce=max) | top(8) | present(bars)",
    ),
    "E216": Code(
        "too many arguments, or one given twice",
        "Arguments without a name go to the parameters in their order, so one may come twice without looking so.",
        "block5c.expand.channel | attribute(output) | top(8, k=4) | present(bars)",
        _BARS,
    ),
    "E218": Code(
        "unknown presentation style",
        "`present` draws in one of the styles of the reference.",
        "block5c.expand.channel | attribute(output) | top(8) | present(bar_chart)",
        _BARS,
    ),
    "E219": Code(
        "unknown attribution method",
        "Methods go by their names in the literature, as the reference lists them.",
        "block5c.expand.channel | attribute(output, method=linaer) | top(8) | present(bars)",
        "block5c.expand.channel | attribute(output, method=linear) | top(8) | present(bars)",
    ),
    "E232": Code(
        "not something to attribute to",
        'A target is a score, or a sum or difference of scores: `output`, `output["name"]`, `output[a] - output[b]`.',
        'block5c.expand.channel | attribute("tabby") | top(8) | present(bars)',
        'block5c.expand.channel | attribute(output["tabby"]) | top(8) | present(bars)',
    ),
    "E233": Code(
        "not a selection",
        "`at` hands axes to the reader, and a selection says how the reader chooses: `hover`, `click`, `pick`.",
        f"{_PHOTO}\nblock5c.expand.neuron | activation | at(block5c.expand.spatial) | top(4) | present(featvis)",
        f"{_PHOTO}\nblock5c.expand.neuron | activation | at(hover(block5c.expand.spatial)) | top(4) | present(featvis)",
    ),
    "E234": Code(
        "not a field",
        "Pipes carry fields: numbers over axes. A pipe starts with the atoms of a layer, `input`, `output` or a "
        "name of such a field, and ends with `present`.",
        "8 | present(bars)",
        "output[top(8)] | present(bars)",
    ),
}

STATEMENTS: Final[dict[str, Code]] = {
    "E220": Code(
        "unknown setting",
        "`set` gives defaults to a few things, and the reference lists them with their parameters.",
        f"set icons(size=96)\n{_ICONS}",
        f"set featvis(size=96)\n{_ICONS}",
    ),
    "E221": Code(
        "name bound twice",
        "A name means one thing in its block, so that a line can be read without the lines around it. Take another.",
        f"photo = input | present(image)\n{_PHOTO}",
        _PHOTO,
    ),
    "E222": Code(
        "name used before it is bound",
        "A text is read from top to bottom, so what is used stands above. Move the line up.",
        "block5c.expand.spatial | attribute(output) | present(heatmap, over=photo)\nphoto = input | present(image)",
        "photo = input | present(image)\nblock5c.expand.spatial | attribute(output) | present(heatmap, over=photo)",
    ),
    "E250": Code(
        "a caption's reference that means nothing",
        "`[words](channel 447)` points at an atom of the page: say its kind, and as many numbers as that has.",
        'input | present(image, caption="the [nose](11, 9)")',
        'input | present(image, caption="the [nose](position 6 5)")',
    ),
    "E223": Code(
        "statement in the wrong place",
        "What counts for the whole file (`model`, `input`, `set` ...) stands outside of interfaces. `layout` stands "
        "once in each.",
        f'interface "Cats" {{\n    set featvis(size=96)\n    {_ICONS}\n}}',
        f'set featvis(size=96)\ninterface "Cats" {{\n    {_ICONS}\n}}',
    ),
    "E241": Code(
        "a definition or a file that calls itself",
        "A definition is put in the place of its call, and a used file in the place of its `use`: in a circle that has "
        "no end.",
        "def again(layer) = layer.channel | attribute(output) | again()\nagain(block5c.expand) | present(bars)",
        "def evidence(layer) = layer.channel | attribute(output) | top(8)\nevidence(block5c.expand) | present(bars)",
    ),
    "E242": Code(
        "a used file that cannot be read",
        "The name in `use` starts in the folder of the file that uses it, and stays inside of `--root` where that is "
        "given.",
        f'use "part.bbi"\n{_BARS}',
        'use "parts.bbi"\nevidence | present(bars)',
        files={"parts.bbi": "evidence = block5c.expand.channel | attribute(output) | top(8)\n"},
    ),
    "E243": Code(
        "a used file with an error",
        "What the other file binds is not known before it is mended. `bbi check` of that file shows the place.",
        f'use "broken.bbi"\n{_BARS}',
        'use "parts.bbi"\nevidence | present(bars)',
        files={
            "broken.bbi": "evidence = block5c.expand.channel | attribute(output | top(8)\n",
            "parts.bbi": "evidence = block5c.expand.channel | attribute(output) | top(8)\n",
        },
    ),
    "E301": Code(
        "nothing to show",
        "A page has elements, and an element is a pipe that ends in `present`.",
        "set seed 7",
        f"set seed 7\n{_PHOTO}",
    ),
    "E302": Code(
        "a pipe that shows nothing",
        "A pipe without a name that is not drawn does nothing. End it with `present`, or give it a name to use.",
        "block5c.expand.channel | attribute(output) | top(8)",
        _BARS,
    ),
    "E308": Code(
        "layout names something that is not an element",
        "`row` and `column` arrange elements of the same interface by name, each once; what is drawn `over=` another "
        "element goes where that goes.",
        f"{_PHOTO}\nicons = {_ICONS}\nlayout row(photo, icon)",
        f"{_PHOTO}\nicons = {_ICONS}\nlayout row(photo, icons)",
    ),
    "E420": Code(
        "no input",
        "Everything on a page is about a picture: the text names it with `input`, or the command with `--input`.",
        "# without --input\ninput | present(image)",
        'input "sample:chelsea"\ninput | present(image)',
    ),
    "E422": Code(
        "labels that cannot be read",
        "`set labels` names a text file in UTF-8 with one class name a line, as many as the model has classes.",
        f'set labels "labels.txt"\n{_BARS}',
        _BARS,
        files={"labels.txt": "cat\ndog\n"},
    ),
    "W201": Code(
        "a binding hides a layer",
        "From here on the name means the binding, and the layer is out of reach. Another name keeps both.",
        f"block5c = {_BARS}",
        f"evidence = {_BARS}",
    ),
    "W202": Code(
        "a binding is never used",
        "Nothing on the page comes from this line. Often the name is misspelt where it was meant to be used.",
        f"evidence = block5c.expand.channel | attribute(output) | top(8)\n{_PHOTO}",
        f"evidence = block5c.expand.channel | attribute(output) | top(8)\nevidence | present(bars)\n{_PHOTO}",
    ),
    "W308": Code(
        "a layout leaves an element out",
        "Elements that the layout does not name follow below it. Name them, or leave the layout out.",
        f"{_PHOTO}\nicons = {_ICONS}\nlayout row(photo)",
        f"{_PHOTO}\nicons = {_ICONS}\nlayout row(photo, icons)",
    ),
}

FIELDS: Final[dict[str, Code]] = {
    "E230": Code(
        "the field has no such axis",
        "Operations use up axes: after `top(8)` of all neurons there is no `y` any more. The message lists those left.",
        "block5c.expand.channel | attribute(output) | sum(y) | top(8) | present(bars)",
        "block5c.expand.neuron | attribute(output) | sum(y) | sum(x) | top(8) | present(bars)",
    ),
    "E231": Code(
        "an axis has the wrong size for the operation",
        "A difference is of two, a stack of classes is not differed again, inputs are not ranked against each other.",
        "block5c.expand.channel | attribute(output[top(3)]) | difference(class) | top(8) | present(bars)",
        "block5c.expand.channel | attribute(output[top(2)]) | difference(class) | top(8) | present(bars)",
    ),
    "E238": Code(
        "an operation on atoms that it is not for",
        "Some operations are defined for some atoms only: `factorize` takes whole layers, `project` vectors, some "
        "methods the input.",
        "block5c.expand.channel | project(pca, 3) | top(8) | present(bars)",
        "photo = input | present(image)\nblock5c.expand.spatial | project(pca, 3) | present(rgb, over=photo)",
    ),
    "E239": Code(
        "values of both signs where none may be negative",
        "Non-negative factorization adds parts up and never subtracts. Take a layer after its ReLU, or `pca`.",
        "block5c | factorize(nmf, 6) | present(featvis)",
        "block5c.expand | factorize(nmf, 6) | present(featvis)",
    ),
    "E247": Code(
        "scores that are not one vector",
        "What is attributed to is one number of a vector of scores. A network that gives maps, boxes or several "
        "results has no such vector by itself: name the result or the layer that is one (`output = ...`), or "
        "attribute to one entry of a layer.",
        ">>> bbilang.adapt(features_and_scores, (24, 24))",
        '>>> bbilang.adapt(features_and_scores, (24, 24), output="[1]")',
        needs="a network of another kind",
    ),
    "E248": Code(
        "the probability of what has none",
        "Values of a regression have no probability, and the softmax of one score is always 1. Attribute to the score "
        "itself, or say what it is.",
        "set scores(kind=value)\nblock5c.expand.channel | attribute(output[2, score=probability]) | present(bars)",
        "set scores(kind=value)\nblock5c.expand.channel | attribute(output[2]) | present(bars)",
    ),
    "E249": Code(
        "the prediction of a network that predicts values",
        "Several values are not ranked against each other: the largest is no prediction. Name the one that is meant.",
        "set scores(kind=value)\nblock5c.expand.channel | attribute(output) | top(8) | present(bars)",
        "set scores(kind=value)\nblock5c.expand.channel | attribute(output[0]) | top(8) | present(bars)",
    ),
    "E245": Code(
        "a method whose parameters the layer cannot have",
        "A window or a grid is counted in the layer's positions, and cannot be larger than the layer. The message says "
        "how many it has.",
        "input.pixel | attribute(output, method=occlusion(window=400)) | present(heatmap)",
        "input.pixel | attribute(output, method=occlusion(window=40)) | present(heatmap)",
    ),
    "E246": Code(
        "boxes that cannot be read",
        "Boxes are a JSON file like COCO's or VOC's, beside the text, and go by the names of the pictures' files. "
        "Every box has an inside.",
        'input.pixel | attribute(output) | trust(pointing_game, boxes="cats.json") | present(heatmap)',
        'input.pixel | attribute(output) | trust(pointing_game, boxes="cat.json") | present(heatmap)',
        files={"cat.json": '[{"name": "tabby", "bndbox": {"xmin": 60, "ymin": 20, "xmax": 440, "ymax": 300}}]\n'},
    ),
    "E303": Code(
        "an axis left over",
        "Every axis of a field is drawn by the style, laid out (`facet=`), spent (`top`, `sum` ...) or handed to the "
        "reader (`at`). This one is none of it.",
        "block5c.expand.neuron | attribute(output) | present(heatmap)",
        "block5c.expand.neuron | attribute(output) | sum(channel) | present(heatmap)",
    ),
    "E304": Code(
        "the style cannot draw this field",
        "Each style draws fields of one shape: a heatmap needs `y` and `x`, bars one axis of atoms or classes.",
        "block5c.expand.channel | attribute(output) | top(8) | present(heatmap)",
        _MAP,
    ),
    "E305": Code(
        "too many states",
        "Everything that a reader can choose is computed beforehand, and selections multiply. Bound the choice.",
        f"{_PHOTO}\nclass_ = pick(output.class)\n{_STATES}",
        f"{_PHOTO}\nclass_ = pick(output[top(5)])\n{_STATES}",
    ),
    "E306": Code(
        "a selection that no element can drive",
        "Nobody can point at what is not shown. Show the atoms in an element, or choose by a menu: `pick`.",
        "block5c.expand.neuron | activation | at(hover(block5c.expand.spatial)) | top(4) | present(featvis)",
        f"{_PHOTO}\nblock5c.expand.neuron | activation | at(hover(block5c.expand.spatial)) | top(4) | present(featvis)",
    ),
    "E307": Code(
        "an element drawn over one that cannot carry it",
        "A map is drawn over a picture or another map with the same facets. Bars have no positions to draw on.",
        f"bars = {_BARS}\nblock5c.expand.spatial | attribute(output) | present(heatmap, over=bars)",
        f"{_PHOTO}\nblock5c.expand.spatial | attribute(output) | present(heatmap, over=photo)",
    ),
    "E309": Code(
        "a selection over other atoms than the field has",
        "`at` takes away the axes that the selection ranges over, so the field must have them, of the same layer.",
        f"{_PHOTO}\nblock5c.expand.channel | at(hover(block5c.expand.spatial)) | top(4) | present(featvis)",
        f"{_PHOTO}\nblock5c.expand.neuron | at(hover(block5c.expand.spatial)) | top(4) | present(featvis)",
    ),
    "E310": Code(
        "too many marks",
        "Every cell, bar and point is drawn in the reader's browser, and a page carries their numbers in every state. "
        "Keep those that matter; nobody reads a matrix of a million cells. `set marks` lifts the bound.",
        "block5c.expand.channel | attribute(output.class) | present(matrix)",
        "block5c.expand.channel | attribute(output[top(5)]) | top(12) | present(matrix)",
    ),
    "E313": Code(
        "too many operations after each other",
        "A pipe, together with the names that its parts have, is at most 256 operations long. Nobody writes a "
        "longer one by hand.",
        "$ bbi check generated.bbi",
        _BARS,
        needs="a text that a program wrote",
    ),
    "E314": Code(
        "definitions that expand to too much",
        "A definition is expanded where it is called. One that calls another twice, which calls a third one twice, and "
        "so on, doubles at every step: 20,000 expressions are the most. Bind what is needed twice to a name.",
        "$ bbi check generated.bbi",
        f"strong = {_BARS.rpartition(' | ')[0]}\nstrong | present(bars)",
        needs="definitions that call each other twice",
    ),
    "E315": Code(
        "definitions that nest too deeply",
        "What definitions expand to has at most 160 expressions inside each other. Bind a part of it to a name.",
        "$ bbi check generated.bbi",
        _BARS,
        needs="definitions that nest deeply in each other",
    ),
    "E901": Code(
        "not available yet",
        "The text is right, and this version of bbilang cannot run this part of it. All the rest of it is checked.",
        "block5c.expand.channel | attribute(output) | top(8) | ablate | present(bars)",
        _ICONS,
    ),
}

CODES: Final[dict[str, Code]] = dict(sorted((NAMES | ARGUMENTS | STATEMENTS | FIELDS).items()))
