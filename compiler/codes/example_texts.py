"""Texts that the examples of several codes share."""

ICONS = "block5c.expand.channel | attribute(output) | top(8) | present(featvis)"
BARS = "block5c.expand.channel | attribute(output) | top(8) | present(bars)"
MAP = "block5c.expand.spatial | attribute(output) | present(heatmap)"
PHOTO = "photo = input | present(image)"
STATES = (
    "block5c.expand.neuron | attribute(output[class_]) | at(hover(block5c.expand.spatial)) | top(4) | present(bars)"
)
