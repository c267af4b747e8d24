"""Templates of `bbi new`: what a model can show, and a commented text for each choice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

from bbilang.compiler.ir.spelling import layer_text, name_text, quoted

if TYPE_CHECKING:
    from bbilang.compiler.ir.model_description import LayerDescription, ModelDescription

PICTURES = 'a file, a folder, or several like "photos/*.jpg"'
SOUNDS = 'a sound file, several like "notes/*.wav", or a sample: melody, note, plucked, chord'
TEXTS = "a text after `text:`, or the name of a .txt file"
FINEST = 10  # positions along a side from which a map says where

HEAD = """bbi 1
# $title: $words.
#
# `bbi run $file` makes the page; `bbi check $file` lists the errors in this text.
# Change something and run it again: results computed before are reused.

# The network. `bbi models` lists all of them.
model $model
# Its input: $inputs.
input $input
$settings
"""
ICONS = """# The size of icons in pixels, and the number of optimization steps of each: more is better, but slower.
set featvis(size=64, steps=64)
"""
PHOTO = """    # The picture itself.
    photo = input | present(image)
"""
OTHERS = """    # Other layers to try instead of $layer:
    # $others.
    # `bbi layers $name` lists all layers with their sizes.
"""

CHANNELS = """
interface "What is the evidence for the prediction?" {
$photo
    # Read a pipe from left to right: the channels of a layer, how much each contributed to the predicted class, the six
    # that contributed most, each drawn as the image that activates it most.
$layers    icons = $layer.channel
        | attribute(output, method=integrated_gradients)
        | top(6)
        | present(featvis)

    # Point at an icon to see where in the picture its channel is active.
    where = $layer.neuron | activation | at(hover(icons)) | present(heatmap, over=photo)

    layout row(photo, icons)
}
"""
CLASSES = """
interface "Why one class and not another?" {
$photo
    # Two menus of the six most likely classes. The second starts at the second most likely.
    one = pick(output[top(6)], title="Why")
    another = pick(output[top(6)], start=1, title="and not")

    # The channels with the most evidence for one class over the other: three for one, three for the other.
$layers    icons = $layer.channel
        | attribute([output[one], output[another]], method=integrated_gradients)
        | both(3, by=difference)
        | present(featvis)

    layout row(photo, icons)
}
"""
EVIDENCE = """
interface "Where is the evidence?" {
    # A menu of the five most likely classes.
    class_asked = pick(output[top(5)], title="Class")
$photo
    # How much each position of a layer contributed to the class in the menu, drawn over the picture.
$layers    where = $layer.spatial
        | attribute(output[class_asked], method=integrated_gradients)
        | present(heatmap, over=photo)
}
"""
PLACES = """
interface "What does the network see here?" {
$photo
    # Point at a position of the picture; the page starts in the middle.
    place = hover($layer.spatial, start=[$y, $x])

    # The four channels that are most active there, each drawn as the image that activates it most.
$layers    icons = $layer.neuron | activation | at(place) | top(4) | present(featvis, size=value)

    layout row(photo, icons)
}
"""
GROUPS = """
interface "Which channels work together?" {
$photo
    # The number of groups: a slider from 2 to 6.
    number = slider(2, 6, 1, start=4, title="Number of groups")
$layers    groups = $layer | factorize(nmf, number)

    # Where in the picture each group is active, and what it responds to.
    where = groups.spatial | present(masks, over=photo)
    icons = groups | present(featvis)

    layout row(photo, icons)
}
"""
PATCHES = """
interface "What is the evidence for the prediction?" {
$photo
    # How much each patch of the picture contributed to the predicted class.
$layers    where = $layer.spatial
        | attribute(output, method=integrated_gradients)
        | present(heatmap, over=photo)

    # The channels that contributed most, as bars.
    channels = $layer.channel
        | attribute(output, method=integrated_gradients)
        | top(8)
        | present(bars)

    layout row(photo, channels)
}
"""
TOKENS = """
interface "Which words matter?" {
    # How much each token of the text contributed to the prediction.
$layers    words = $layer.token
        | attribute(output, method=integrated_gradients)
        | present(heatmap)
}
"""
HEARD = """
interface "What does it hear, and where?" {
    # The channels of a layer that contributed most to the predicted class, each with a sound that activates it most.
$layers    icons = $layer.channel
        | attribute(output)
        | top(4)
        | present(featvis)

    # How much each frame of the sound contributed, over its waveform and its spectrogram.
    where = input.frame
        | attribute(output, method=integrated_gradients(n_steps=16))
        | present(heatmap)
}
"""
FRAMES = """
interface "Which part of the sound matters?" {
    # A menu of the five most likely classes.
    class_asked = pick(output[top(5)], title="Class")

    # How much each frame contributed to the class in the menu.
    where = input.frame
        | attribute(output[class_asked], method=integrated_gradients(n_steps=16))
        | present(heatmap)
}
"""


@dataclass(frozen=True)
class Look:
    """One choice of what to look at. ``words`` continue "look at ..."; ``takes``: the atoms that a layer must have."""

    name: str
    words: str
    text: str
    takes: str  # "map", "grid" (patches of a picture), "token", "frame"
    scored: bool = True  # whether it asks for classes
    icons: bool = True


LOOKS = (
    Look("channels", "the channels that are evidence for the prediction, and where each is active", CHANNELS, "map"),
    Look("classes", "why the network predicts one class and not another", CLASSES, "map"),
    Look("evidence", "where in the picture the evidence for a class is", EVIDENCE, "map", icons=False),
    Look("places", "what the network sees at each position of the picture", PLACES, "map", scored=False),
    Look("groups", "which channels work together, and where", GROUPS, "map", scored=False),
    Look("patches", "which patches and channels are evidence for the prediction", PATCHES, "grid", icons=False),
    Look("tokens", "which words of a text matter", TOKENS, "token", icons=False),
    Look("channels", "the channels that are evidence for the prediction, and where in the sound it is", HEARD, "frame"),
    Look("frames", "which part of the sound is evidence for a class", FRAMES, "frame", icons=False),
)


def looks(model: ModelDescription) -> tuple[Look, ...]:
    """Return the choices for a model, the best one first."""
    layers = proposals(model)
    kind = _kind(layers[0]) if layers else ""
    return tuple(look for look in LOOKS if look.takes == kind and (model.classes or not look.scored))


def proposals(model: ModelDescription) -> tuple[LayerDescription, ...]:
    """Return suggested layers in forward order: the last layer of each map size, preferably a cut without negative
    values; if all sizes are equal, three from the middle to the end."""
    layers = [layer for layer in model.layers if "channel" in layer.axes]
    kinds = Counter(filter(None, map(_kind, layers)))
    kind = max(kinds, key=kinds.__getitem__, default="")
    layers = [layer for layer in layers if _kind(layer) == kind]
    layers = [layer for layer in layers if layer.kind != "pool"] or layers
    if kind == "frame":  # channels that are classes are no parts of an explanation
        layers = [layer for layer in layers if layer.every_size["channel"] != model.classes] or layers
    layers = [layer for layer in layers if layer.nonnegative] or layers
    layers = [layer for layer in layers if model.place(layer.name) == "cut"] or layers
    if kind == "map":
        last = {layer.every_size["y"]: layer for layer in layers if layer.every_size["y"] >= 4}
        if len(last) > 1:
            return tuple(layer for layer in layers if layer in last.values())
    blocks = [layer for layer in layers if layer.kind == "block"] or layers
    chosen = [blocks[round(share * (len(blocks) - 1))] for share in (0.5, 0.75, 1.0)] if blocks else []
    return tuple(dict.fromkeys(chosen))


def first(layers: tuple[LayerDescription, ...]) -> LayerDescription:
    """Return the deepest layer with useful spatial resolution: at least 10 positions along each side."""
    fine = [layer for layer in layers if min(layer.every_size.get("y", 0), layer.every_size.get("x", 0)) >= FINEST]
    return (fine or list(layers))[-1]


def text(model: ModelDescription, name: str, picture: str, look: Look, layer: LayerDescription, file: str) -> str:
    """Return the commented text, formatted."""
    from bbilang.grammar.format import format_file
    from bbilang.grammar.parse import parse
    from bbilang.grammar.source import Source

    others = [f"{layer_text(one.name)}{_size(one)}" for one in proposals(model) if one.name != layer.name]
    of = {
        "title": model.title, "words": look.words, "file": file, "name": name,
        "model": name_text(name), "input": quoted(picture),
        "inputs": {"text": TEXTS, "audio": SOUNDS}.get(model.reads, PICTURES),
        "settings": ICONS if look.icons else "", "layer": layer_text(layer.name), "others": ", ".join(others),
        "photo": PHOTO, "y": str(layer.every_size.get("y", 0) // 2), "x": str(layer.every_size.get("x", 0) // 2),
    }  # fmt: skip
    of["layers"] = Template(OTHERS).substitute(of) if others else ""
    written = Template(HEAD + look.text).substitute(of)
    return format_file(parse(Source(written, file)))


def _kind(layer: LayerDescription) -> str:
    if layer.is_heads:
        return ""
    if "frame" in layer.axes:
        return "frame"
    return "map" if "y" in layer.axes else "grid" if layer.grid else "token" if "token" in layer.axes else ""


def _size(layer: LayerDescription) -> str:
    sizes = layer.every_size
    return f" ({sizes['y']} x {sizes['x']})" if {"y", "x"} <= sizes.keys() else ""
