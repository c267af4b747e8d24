"""Codes of operations on datasets."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

_ACROSS = "block5c.expand.channel | across(photos) | mean(example) | top(8) | present(bars)"
_PHOTOS = 'dataset photos = "sample:shapes"\n'
_TWO = f"model a = efficientnet_lite0\nmodel b = a | ablate(block5c.expand.channel[447])\n{_PHOTOS}"

DATASETS: Final[dict[str, Code]] = {
    "E257": Code(
        "a column of another model",
        "`predicted`, `correct`, `loss`, `confidence` and `label_probability` are what the first of several models "
        "says, `b:predicted` what another does. A pipe knows its own model only: choose examples in a `dataset` "
        "statement.",
        f"{_TWO}a:block6a.expand.channel | across(photos) | mean(example, per=b:predicted) | top(8) | present(matrix)",
        f"{_TWO}dataset differ = photos | filter(a:predicted != b:predicted)\n"
        "a:block6a.expand.channel | across(differ) | mean(example) | top(8) | present(bars)",
    ),
    "E258": Code(
        "examples of several datasets, where one is needed",
        "`across([here, there])` puts the numbers of two folders side by side. Which file a number is of differs "
        "between them, so that they are reduced or counted: pictures, maps and conditions are of one dataset.",
        f'{_PHOTOS}dataset others = "sample:marks"\nblock5c.expand.channel[447] | across([photos, others]) '
        "| top(9) | present(image, facet=subset)",
        f'{_PHOTOS}dataset others = "sample:marks"\nblock5c.expand.channel[447] | across([photos, others]) '
        "| present(histogram, facet=subset)",
    ),
    "E260": Code(
        "a dataset where numbers are needed, or numbers where a dataset is",
        "A dataset has examples and columns, and no numbers of a layer: `across(photos)` computes these for each "
        "example. Conditions, samples and choices (`filter`, `sample`, `at`) apply to a dataset itself.",
        f"{_PHOTOS}photos | abs | present(image)",
        f"{_PHOTOS}photos | sample(100) | present(image)",
    ),
    "E261": Code(
        "a stage that is not computed for each example",
        "What stands before `across` or `examples` runs for every example: a content of a layer's atoms, scores, and "
        "arithmetic on them. Groups of activations may, as directions of their channels; their `.spatial`, and a "
        "projection, would be each example's own.",
        f"{_PHOTOS}groups = block5c.expand | factorize(nmf, 6)\n"
        "groups.spatial | across(photos) | mean(example) | present(heatmap, facet=group)",
        f"{_PHOTOS}{_ACROSS}",
    ),
    "E262": Code(
        "a choice of the reader, or of several inputs, before a dataset",
        "A dataset is scanned once, when the page is made. What the reader chooses comes after that. What `top` "
        "chooses before it is chosen on the input of the page, which must then be one.",
        f"{_PHOTOS}a = pick(output[top(5)])\n"
        "block5c.expand.channel | attribute(output[a]) | across(photos) | mean(example) | top(8) | present(bars)",
        f"{_PHOTOS}block5c.expand.channel | attribute(output) | across(photos) | mean(example) | present(bars)",
    ),
    "E263": Code(
        "a word that a column does not hold",
        "The values of a column are known when the text is checked: those of its table, or the names of its folders. A "
        "condition on a word that none of the examples has keeps nothing, or everything.",
        f'{_PHOTOS}dataset rings = photos | filter(label == "rings")\nrings | present(image)',
        f'{_PHOTOS}dataset rings = photos | filter(label == "ring")\nrings | present(image)',
    ),
    "E264": Code(
        "a column that makes no groups",
        "`per=` compares groups of examples, those of each value of a column, and `split=` two halves. A column with "
        "one value, or none, has nothing to compare: the pictures lie in one folder, or the table has no labels.",
        'dataset photos = "cats/"\n'
        "block5c.expand.channel | across(photos) | mean(example, per=label) | present(matrix)",
        f"{_PHOTOS}block5c.expand.channel | across(photos) | mean(example, per=label) | present(matrix)",
        needs="a dataset with one label",
    ),
    "E265": Code(
        "what a page cannot compute for a lasso",
        "What a reader encloses is known only in the page, which has no network: from the numbers that it keeps of "
        "each example it computes reductions, rankings of them, histograms and rows. All else stands before `at`.",
        f"{_PHOTOS}map = block5c.expand.channel | across(photos) | project(pca, 2, along=channel) | present(scatter)\n"
        "block5c.expand.channel | across(photos) | at(lasso(map)) | project(pca, 3) | present(matrix)",
        f"{_PHOTOS}map = block5c.expand.channel | across(photos) | project(pca, 2, along=channel) | present(scatter)\n"
        "block5c.expand.channel | across(photos) | at(lasso(map)) | mean(example) | top(8) | present(bars)",
    ),
}
