"""Codes of axes, methods, styles, selections and sizes."""

from __future__ import annotations

from typing import Final

from bbilang.compiler.codes.example_texts import BARS, MAP, PHOTO, STATES
from bbilang.grammar.codes import Code

FIELDS: Final[dict[str, Code]] = {
    "E230": Code(
        "the field has no such axis",
        "Operations consume axes: after `top(8)` over all neurons, `y` is gone. The message lists the axes that "
        "are left.",
        "block5c.expand.channel | attribute(output) | sum(y) | top(8) | present(bars)",
        "block5c.expand.neuron | attribute(output) | sum(y) | sum(x) | top(8) | present(bars)",
    ),
    "E231": Code(
        "an axis has the wrong size for the operation",
        "A difference needs exactly two entries, stacked classes cannot be subtracted again, and inputs are not "
        "ranked against each other.",
        "block5c.expand.channel | attribute(output[top(3)]) | difference(class) | top(8) | present(bars)",
        "block5c.expand.channel | attribute(output[top(2)]) | difference(class) | top(8) | present(bars)",
    ),
    "E238": Code(
        "an operation that is not defined for these atoms",
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
        "What is attributed to is one number of a vector of scores. Of several results, name what is one "
        "(`output = ...`); otherwise attribute to one entry of a layer, or wrap the network in a module that returns "
        "one. One map (class, y, x) has scores in boxes.",
        ">>> bbilang.adapt(features_and_scores, (24, 24))",
        '>>> bbilang.adapt(features_and_scores, (24, 24), output="[1]")',
        needs="a network of another kind",
    ),
    "E248": Code(
        "a probability of something that has none",
        "Values of a regression have no probability, and the softmax of one score is always 1. Attribute to the "
        "score itself, or state its kind.",
        "set scores(kind=value)\nblock5c.expand.channel | attribute(output[2, score=probability]) | present(bars)",
        "set scores(kind=value)\nblock5c.expand.channel | attribute(output[2]) | present(bars)",
    ),
    "E249": Code(
        "the prediction of a network that predicts values",
        "Values are not ranked against each other, so the largest is not a prediction. Name the one that you mean.",
        "set scores(kind=value)\nblock5c.expand.channel | attribute(output) | top(8) | present(bars)",
        "set scores(kind=value)\nblock5c.expand.channel | attribute(output[0]) | top(8) | present(bars)",
    ),
    "E343": Code(
        "a place of scores that have none",
        "Only a network whose scores are a map (class, y, x), such as one that segments, has a score of a place. "
        "A classifier has one score for each class: ask which places matter to it.",
        'input.pixel | attribute(output["tabby", at=box(0, 0, 99, 99)]) | present(heatmap)',
        'input.pixel | attribute(output["tabby"]) | present(heatmap)',
    ),
    "E345": Code(
        "a place that is no box of the picture",
        "A box is `box(y0, x0, y1, x1)`, in whole pixels of the picture as the network sees it. It contains y0 and x0, "
        "and neither y1 nor x1.",
        ">>> bbilang.run('stem | attribute(output[2, at=box(8, 8, 2, 2)]) | present(graph)', model=segmenter, input=x)",
        ">>> bbilang.run('stem | attribute(output[2, at=box(2, 2, 8, 8)]) | present(graph)', model=segmenter, input=x)",
        needs="a network of another kind",
    ),
    "E275": Code(
        "a layer that is not computed from the other",
        "Weights lead from a layer to one that reads it, directly or through others. These two are beside each other.",
        "model inceptionv1\nweights(mixed4d.conv1x1, mixed4d.conv3x3) | top(8, by=magnitude) | present(matrix)",
        "model inceptionv1\nweights(mixed4d.conv3x3_bottleneck, mixed4d.conv3x3) | top(8, by=magnitude)"
        " | present(matrix)",
    ),
    "E276": Code(
        "a nonlinearity between two layers",
        "Between the two layers is a ReLU or the like, so no one set of weights leads from one to the other. "
        "`expanded=true` multiplies the linear parts and leaves nonlinearities out; or take layers next to each other.",
        "weights(block5b, block5c.project) | top(8, by=magnitude) | present(matrix)",
        "weights(block5b, block5c.project, expanded=true) | top(8, by=magnitude) | present(matrix)",
    ),
    "E329": Code(
        "weights that are no circuit",
        "A circuit leads from layer to layer: it is of a list of `weights`, each from the layer to which the one "
        "before leads.",
        "[weights(block5b, block5c.expand), weights(block5c.project)[to=3]] | circuit(3) | present(sankey)",
        "[weights(block5b, block5c.expand), weights(block5c.expand, block5c.depthwise)[to=3]] | circuit(3)"
        " | present(sankey)",
    ),
    "E330": Code(
        "a circuit of weights that were changed or chosen before",
        "A circuit chooses channels itself, from the last layer back, by one number for each pair of channels. Only "
        "the last of its weights may be of chosen channels, of those that it leads to.",
        "[weights(block5b, block5c.expand) | top(9), weights(block5c.expand, block5c.depthwise)[to=3]] | circuit(3)"
        " | present(sankey)",
        "[weights(block5b, block5c.expand), weights(block5c.expand, block5c.depthwise)[to=3]] | circuit(3)"
        " | present(sankey)",
    ),
    "E331": Code(
        "a circuit that leads to too many channels",
        "Each channel of the last layer has a flow into it. Pick one, or a few that have the largest weights.",
        "[weights(block5c.depthwise), weights(block5c.project)] | circuit(3) | present(sankey)",
        "[weights(block5c.depthwise), weights(block5c.project) | top(2, along=to.channel, by=magnitude)] | circuit(3)"
        " | present(sankey)",
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
        MAP,
    ),
    "E305": Code(
        "too many states",
        "Everything that a reader can choose is computed beforehand, and selections multiply. Bound the choice.",
        f"{PHOTO}\nclass_ = pick(output.class)\n{STATES}",
        f"{PHOTO}\nclass_ = pick(output[top(5)])\n{STATES}",
    ),
    "E306": Code(
        "a selection that no element can drive",
        "Nobody can point at what is not shown. Show the atoms in an element, or choose by a menu: `pick`.",
        "block5c.expand.neuron | activation | at(hover(block5c.expand.spatial)) | top(4) | present(featvis)",
        f"{PHOTO}\nblock5c.expand.neuron | activation | at(hover(block5c.expand.spatial)) | top(4) | present(featvis)",
    ),
    "E307": Code(
        "an element drawn over one that cannot carry it",
        "A map is drawn over a picture or another map with the same facets. Bars have no positions to draw on.",
        f"bars = {BARS}\nblock5c.expand.spatial | attribute(output) | present(heatmap, over=bars)",
        f"{PHOTO}\nblock5c.expand.spatial | attribute(output) | present(heatmap, over=photo)",
    ),
    "E309": Code(
        "a selection over other atoms than the field has",
        "`at` takes away the axes that the selection ranges over, so the field must have them, of the same layer.",
        f"{PHOTO}\nblock5c.expand.channel | at(hover(block5c.expand.spatial)) | top(4) | present(featvis)",
        f"{PHOTO}\nblock5c.expand.neuron | at(hover(block5c.expand.spatial)) | top(4) | present(featvis)",
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
        BARS,
        needs="a text that a program wrote",
    ),
    "E314": Code(
        "definitions that expand to too much",
        "A definition is expanded where it is called. One that calls another twice, which calls a third one twice, and "
        "so on, doubles at every step: 20,000 expressions are the most. Bind what is needed twice to a name.",
        "$ bbi check generated.bbi",
        f"strong = {BARS.rpartition(' | ')[0]}\nstrong | present(bars)",
        needs="definitions that call each other twice",
    ),
    "E315": Code(
        "definitions that nest too deeply",
        "What definitions expand to has at most 160 expressions inside each other. Bind a part of it to a name.",
        "$ bbi check generated.bbi",
        BARS,
        needs="definitions that nest deeply in each other",
    ),
    "E316": Code(
        "too many icons",
        "An icon takes about a second on two cores. An atlas has one for each bin of three grids, unless a bin has too "
        "few vectors: fewer `bins=`, or more vectors to a bin, `least=`. `set icons` lifts the bound.",
        'dataset photos = "sample:shapes"\nblock6a.expand.spatial | across(photos) | project(pca, 2) | '
        "present(atlas, bins=100)",
        'dataset photos = "sample:shapes"\nblock6a.expand.spatial | across(photos) | project(pca, 2) | '
        "present(atlas, bins=12)",
    ),
}
