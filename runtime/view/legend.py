"""The legend of an element: quantity, unit, scale and notes in words; its title where the text gives none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Style
from bbilang.compiler.ir.model_description import HEADS
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import DIFFERENCE, MADE, SIMILARITY
from bbilang.runtime.factorization.layer import atom_noun, share_sentence
from bbilang.runtime.fields.field import Linked, Named
from bbilang.runtime.fields.prose import PLURALS, singular
from bbilang.runtime.ops.datasets.columns import dataset_of
from bbilang.runtime.view import model as vm
from bbilang.runtime.view.answers.alike import other_model
from bbilang.runtime.view.answers.alike import title as alike_title
from bbilang.runtime.view.answers.explained import ends_of, explained, target_of, target_words
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.error_bars import with_error_bars
from bbilang.runtime.view.points.following import MEAN, reached
from bbilang.runtime.view.scales import scale_ends


def remarked(drawing: Drawing, panels: tuple[vm.Panel, ...]) -> tuple[vm.Panel, ...]:
    """Return the panels with a remark on each state: differences, missing atoms, and shares over states and facets."""
    shares = [(words, drawing.grid(share)) for words, share, _ in own_shares(drawing)]
    pairs = [drawing.grid(words) for words in _differences(drawing).values() if words.dims]
    remarked_panels = []
    for facet, panel in enumerate(panels):
        frames = []
        for frame, state in zip(panel.frames, drawing.each_state(), strict=True):
            at = drawing.index(state, facet)
            known = [frame.remark] if frame.remark else []  # the style's own
            known += [f"the difference is {own[at]}" for own in pairs if own[at]]
            known += [_nothing(frame, bool(pairs))] if frame.atoms and max(frame.atoms) < 0 else []
            known += [share_sentence(words, own[at]) for words, own in shares if own[at] == own[at]]
            frames.append(replace(frame, remark="; ".join(known)))
        remarked_panels.append(replace(panel, frames=tuple(frames)))
    return tuple(remarked_panels)


def _nothing(frame: vm.Frame, difference: bool) -> str:
    """Return why a state has no atoms."""
    if len(frame.series) == 2 and frame.series[0] == frame.series[1] != "":
        return f"{frame.series[0]} compared with itself: there is no difference to show"
    return "it is zero everywhere, so there is nothing to show" if difference else "there are no atoms to show"


def own_shares(drawing: Drawing) -> list[tuple[str, Named, str]]:
    """Return the field's shares that have one number for each state and facet."""
    known = {axis.name for axis in (*drawing.states, *([drawing.facet] if drawing.facet else []))}
    lone = {"input"} if len(drawing.results.pictures) == 1 else set()
    return [share for share in drawing.field.shares if set(share[1].dims) <= known | lone]


PREPOSITIONS = {"attribution": "to", "gradient": "of", "effect": "on"}
BETWEEN = "of the later atom's score"  # the unit of `link`


def legend_of(drawing: Drawing, style: Style) -> vm.Legend:
    """Make the legend of an element: its scale and colours, and the notes that the field and the style add."""
    type = drawing.field.type
    scope = type.scope or ("same scale whatever you select" if drawing.states else "")
    replaced = {note for _, _, note in own_shares(drawing)}
    notes = [note for note in drawing.field.notes if note not in replaced]
    if type.content == "loading" and type.steps:
        notes.insert(0, f"the components are of: {', '.join(_steps(drawing))}")
    gap = drawing.drawn.slots.gap if drawing.drawn.slots else 0
    if gap:
        notes.append("the dots stand for everything between the two ends")
    if drawing.node["size"] is not None:
        what = "the L2 norm of its part" if drawing.node["size"] == "norm" else "the size of its number"
        notes.append(f"the area of a picture shows {what}")
    values = drawing.field.values.data
    if isinstance(drawing.field, Linked):
        values = np.concatenate([pair.values.data.ravel() for pair in drawing.field.pairs] or [np.zeros(1)])
    values = with_error_bars(drawing.field, values)
    if (followed := drawing.results.followed.get(drawing.element.id)) is not None:
        values = np.concatenate([values.ravel(), reached(followed, style.clips)])
        if style.clips and followed["reduction"] == MEAN:
            notes.append("the scale holds the mean of any half of the examples; colours of fewer may stay at its end")
        scope = scope or "same scale whatever you select"
    if style.draws_controls and (controls := drawing.field.beside.get("controls")) is not None:
        values = np.concatenate([values.ravel(), controls.data.ravel()])
    ends = scale_ends(values, type.signed)
    if (
        type.signed
        and drawing.drawn.cells is None
        and not style.zero_centred
        and not np.nanmin(values, initial=0.0) < 0 < np.nanmax(values, initial=0.0)
    ):
        # Lengths of one sign need no room for the other; colours keep their zero in the middle.
        ends = (0.0, ends[1]) if np.nanmax(values, initial=0.0) > 0 else (ends[0], 0.0)
    if not type.signed and (type.unit == "probability" or type.content == SIMILARITY):
        ends = (0.0, 1.0)
    unit = f"units {BETWEEN}" if type.unit == BETWEEN else type.unit
    own, of_numbers = style.scale(drawing), None
    if own is not None:
        ends = own[0]
        if own[1] != type.unit:
            unit, of_numbers = own[1], unit
    own_words = style.quantity(drawing)
    unit = "" if own_words else unit
    quantity = own_words or quantity_of(drawing)
    return vm.Legend(quantity, unit, scope, ends, type.signed, tuple(notes), own_unit=of_numbers)


def _differences(drawing: Drawing) -> dict[str, Named]:
    """Return the axis of each difference in the field -> its words over states and facets: "tabby − tiger cat"."""
    type, field = drawing.field.type, drawing.field
    words: dict[str, Named] = {}
    for axis in (step.removeprefix(DIFFERENCE) for step in type.steps if step.startswith(DIFFERENCE)):
        names = field.names.get(axis)
        pictures = [picture.name for picture in drawing.results.pictures]
        if names is not None and len(set(np.ravel(names.data).tolist())) > 1:
            words[axis] = names
        elif names is not None:
            words[axis] = Named((), np.asarray(np.ravel(names.data)[0], object))
        elif axis == "input" and len(pictures) == 2:
            words[axis] = Named((), np.asarray(" − ".join(pictures), object))
        else:
            words[axis] = Named((), np.asarray("the first − the second", object))
    return words


def _steps(drawing: Drawing) -> list[str]:
    """Describe the operations on the numbers; for a difference, name both sides."""
    differences = _differences(drawing)
    steps = []
    for step in drawing.field.type.steps:
        axis = step.removeprefix(DIFFERENCE)
        pair = differences.get(axis) if step.startswith(DIFFERENCE) else None
        if pair is None:
            steps.append(step)
        elif pair.dims:
            steps.append(f"the first {axis} − the second")
        elif axis != "class":  # the quantity names those already
            steps.append(str(pair.data))
    return steps


def quantity_of(drawing: Drawing) -> str:
    """Describe the quantity and its transformations: "attribution to tiger cat", "activation"."""
    type = drawing.field.type
    words = type.content
    if isinstance(drawing.field, Linked):
        return ", ".join([f"{words} {'into' if words == 'weight' else 'to'} the next column", *type.steps])
    if words == "loading":  # what the components are of is in the notes
        noun, whole = singular_of(drawing), type.atom == "spatial"
        if noun in ("concept", "direction"):
            return f"inner product with each {noun}" if whole else f"part of each {noun}'s vector"
        return f"strength of each {noun}"
    if type.partner:
        return ", ".join([f"{words} of each channel with its partner", *_steps(drawing)])
    cause = explained(drawing.node)
    if type.unit == BETWEEN or (cause is not None and cause["to"].type.content != "score"):
        starts = cause is not None and isinstance(cause.get("start"), Node)
        output = " or to the output" if starts else ""
        words = f"how much each {singular(type.atom)} contributes to the selected one{output}"
    elif type.content in PREPOSITIONS:
        preposition = PREPOSITIONS[type.content]
        if drawing.field.type.axis("class") is not None and type.atom != "class":
            words += f" {preposition} each class"
        else:
            names = drawing.field.names.get("class")
            known = sorted({str(n) for n in np.ravel(names.data)}) if names is not None else []
            several = "the predicted class" if names is not None and names.dims == ("input",) else "the chosen class"
            if len(known) > 1 and "class" in _differences(drawing):
                several = "the chosen classes"
            to = target_of(drawing.node) if len(known) != 1 and dataset_of(drawing.node) is not None else None
            if to is not None:  # of examples: each has a prediction of its own
                several = target_words(to, drawing.results.labels)
            words += f" {preposition} {known[0] if len(known) == 1 else several}"
    return ", ".join([words, *_steps(drawing)])


def singular_of(drawing: Drawing) -> str:
    """Return the name of one result of a factorization: "group", "component"."""
    return atom_noun(drawing.field.type.family.partition("-")[0]) if drawing.field.type.family else "component"


def compared_with(drawing: Drawing) -> str:
    """Return the name of the other network that an element compares its own with; empty where there is none."""
    type = drawing.field.type
    return other_model(drawing) if type.content == SIMILARITY else type.partner[0] if type.partner else ""


def title_of(drawing: Drawing) -> str:
    """Write a title for an element without one."""
    type = drawing.field.type
    if type.atom == "class":
        return "Classes"
    if not type.layers:  # a measure's curve is about no layer's atoms
        return type.content.capitalize()
    if type.content == "weight" and not isinstance(drawing.field, Linked):
        return "Weights from {} to {}".format(*ends_of(drawing))
    if type.content == SIMILARITY:
        return alike_title(drawing)
    if type.partner:
        return f"Channels of {type.layers[0]} with their partners in {': '.join(filter(None, type.partner))}"
    if isinstance(drawing.field, Linked):
        ends = [node.type.layers[0] for node in (drawing.field.nodes[0], drawing.field.nodes[-1])]
        return f"From {ends[0]} to {'the classes' if drawing.field.nodes[-1].type.atom == 'class' else ends[1]}"
    if type.atom == "whole" and len(type.layers) > 1:
        return f"Layers {type.layers[0]} to {type.layers[-1]}"
    names = [name.removesuffix(HEADS) if type.atom == "head" else name for name in type.layers]
    layers = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    if type.content == "attention":
        return f"Where heads of {layers} look"
    kinds = {c for axis in type.axes for c in axis.components} - {"input", "class", "layer"}
    if type.family and type.atom in MADE:
        return f"{atom_noun(type.family.partition('-')[0]).capitalize()}s of {layers}"
    if type.atom == "neuron" and kinds == {"channel"}:
        return f"Neurons of {layers}"
    if type.atom == "neuron" and kinds == {"y", "x"}:
        return f"Where in {layers}"
    return f"{PLURALS.get(type.atom, type.atom).capitalize()} of {layers}"
