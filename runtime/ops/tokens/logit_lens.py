"""`logit_lens(of=, score=)`: what the tokens of a layer would say if the network ended there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Activations, Arguments, Demand, Fail, Operation, Parameter, Registry, Run, Scores
from bbilang.compiler.ir.model_description import LayerDescription, ModelDescription, in_text
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.readout import readout_of
from bbilang.compiler.ir.score_kinds import VALUE, unit_of
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.errors import NotKept
from bbilang.runtime.fields.atoms import gather
from bbilang.runtime.fields.field import TERM, Field, Named, combine
from bbilang.runtime.ops.activation import CLASSES, content_type, rebuilt, require_layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 64_000_000  # numbers, of four bytes each


class LogitLens(Operation):
    """What each token of a layer would say if the network ended there (nostalgebraist 2020): the network's own last
    layers, as the final norm and the unembedding of a language model, applied to the token's vector in that layer.

    A language model's token speaks of the next one. `top(5, along=class)` keeps the most likely classes of each token
    and layer. `of=` follows the classes of a target instead of all. Numbers are probabilities; `score=logit` gives the
    scores before the softmax. The last layers were trained for the last block's tokens, so early layers may
    know more than the lens shows.
    """

    name = "logit_lens"
    content = True
    decomposable = False
    example_needs = "a transformer"
    parameters = (
        Parameter("of", "target", "the classes whose scores are read; by default all", None),
        Parameter("score", "word", "`probability`, or `logit`: the scores before the softmax", "probability",
                  choices=("probability", "logit")),
    )  # fmt: skip
    example = (
        'model "transformers:my_language_model"\ninput "text:Once upon a time"\n'
        "layers.2.token | logit_lens | top(5, along=class) | present(table)"
    )

    def within(self, arguments: Arguments, description: ModelDescription) -> Arguments:
        found = readout_of(description)
        if isinstance(found, str):
            help = "the tokens of a language model or a vision transformer say something through its last layers"
            raise Fail("E282", f"no final norm and unembedding can be applied to other layers: {found}", help)
        if arguments["score"] == "probability" and description.scores == VALUE:
            raise Fail("E248", f"the scores of {description.name} are values, and have no probability",
                       "read the values: `logit_lens(score=logit)`", "score")  # fmt: skip
        wide = description.by_name[found.stream].sizes["channel"]
        facts = (found.stream, found.above, description.classes, wide, description.scores)
        return {**arguments, "readout": facts}

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        require_layer(field, self.name)
        if field.atom not in ("token", "spatial"):
            help = "as in `layers.2.token | logit_lens | top(5, along=class) | present(table)`"
            raise Fail("E283", f"`logit_lens` is of tokens, and these are of the kind `{field.atom}`", help)
        _, _, classes, _, kind = arguments["readout"]
        unit = "probability" if arguments["score"] == "probability" else unit_of(kind)
        type = content_type(field, "prediction", unit != "probability", unit=unit)
        of = arguments["of"]
        if of is None:
            return replace(type, axes=(*type.axes, Axis("class", classes)))
        if of.type.content != "score" or of.type.model != field.model:
            raise Fail("E283", "the lens reads scores of the pipe's own network", 'as in `of=output["Lily"]`', "of")
        own = of.type.axis("class")
        return replace(type, axes=(*type.axes, own) if own else type.axes).with_states(*of.type.states)

    def shaped(self, type: FieldType, arguments: Arguments, layers: Sequence[LayerDescription]) -> FieldType:
        stream, _, classes, wide, _ = arguments["readout"]
        for layer in layers:
            if layer.axes != ("token", "channel") or layer.sizes["channel"] != wide:
                message = (
                    f"the tokens of `{layer.name}` are no vectors like those that scores are read from, of `{stream}`"
                )
                raise Fail("E283", message, f"name a layer with tokens of {wide} channels, such as a block")
        inputs = type.axis("input")
        count = math.prod((layers[0].sizes["token"], len(layers), classes, inputs.size if inputs else 1))
        if count > MOST:
            message = f"scores of {classes:,} classes for each token of {len(layers)} layers are {count:,} numbers"
            raise Fail("E284", message, f"at most {MOST:,} are computed: fewer layers or inputs, or shorter texts")
        return type

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return (Activations(tuple(dict.fromkeys((*node.type.layers, node["readout"][0])))), Scores())

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        if not run.has_network:
            raise NotKept
        (frame,) = inputs
        layers = {name: run.layer(name) for name in node.type.layers}
        maps, miss = _scores(node, layers, run)
        if node.type.atom == "spatial":
            maps = {name: _patches(values, layers[name]) for name, values in maps.items()}
        values = gather(frame, maps, layers, ("class*", "input"))
        if node["of"] is None:
            values = values.renamed({"class*": "class"})
            words = np.array([run.label(i) for i in range(values.sizes["class"])], object)
            result = rebuilt(frame, node.type, values, {"class": Named(("class",), words)})
            result.coords["class"] = Named(("class",), np.arange(len(words)))
        else:
            target = run.value(node["of"])
            assert target.index is not None and target.weight is not None
            terms = combine(np.multiply, values.take("class*", target.index), target.weight)
            result = rebuilt(frame, node.type, terms.summed(TERM), target.names)
            result.coords |= {c: target.coords[c] for c in CLASSES if c in target.coords}
        result.notes += _notes(node, layers, miss)
        return result


def _scores(
    node: Node, layers: Mapping[str, LayerDescription], run: Run
) -> tuple[dict[str, NDArray[np.float32]], float]:
    """Return layer -> (class, input, token), NaN beyond the end of a shorter text; and by how much the network's own
    scores differ from what its last layers give for its last tokens."""
    import torch

    from bbilang.runtime.models.score_output import shown
    from bbilang.runtime.passes.readout import check_scores, read_scores

    stream, above, classes, _, _ = node["readout"]
    tokens, count = next(iter(layers.values())).sizes["token"], len(run.images)
    whole = {name: np.full((classes, count, tokens), np.nan, np.float32) for name in layers}
    miss = 0.0
    for part in run.parts or (run,):
        rows = getattr(part, "rows", np.arange(count)) if run.parts else np.arange(count)
        last = read_scores(part.adapter, above, part.activation(node, stream))
        miss = max(miss, check_scores(last, torch.as_tensor(part.scores, device=last.device), above))
        for name in layers:
            own = last if name == stream else read_scores(part.adapter, above, part.activation(node, name))
            read = own.float().cpu()
            values = shown(read, run.kind) if node["score"] == "probability" else read.numpy()
            whole[name][:, rows, : read.shape[1]] = np.moveaxis(values, -1, 0)
    return whole, miss


def _patches(values: NDArray[np.float32], layer: LayerDescription) -> NDArray[np.float32]:
    """Return (class, input, y, x) of the tokens that stand for patches."""
    end = layer.prefix + math.prod(layer.grid)
    return values[..., layer.prefix : end].reshape(*values.shape[:-1], *layer.grid)


def _notes(node: Node, layers: Mapping[str, LayerDescription], miss: float) -> tuple[str, ...]:
    stream, above, *_ = node["readout"]
    words = " and ".join(in_text(name).strip('"') for name in above)
    close = f"to within {miss:.1g}" if miss else "exactly"
    notes = [f"{words} of the network, applied to each token of the layer; applied to {stream}, they give the "
             f"network's own scores, {close}"]  # fmt: skip
    inner = [name for name, layer in layers.items() if layer.kind == "inner"]
    if inner:
        notes.append(f"{inner[0]} is a part of a block: its tokens are read without what they are added to")
    return tuple(notes)


OPERATIONS = (LogitLens(),)
