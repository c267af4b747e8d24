"""`model mended = a | discourage(atoms -> score, data=photos)`: a network in which that evidence counts less."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from bbilang.compiler.contract import Arguments, Fail, Make, ModelChange, NewParameters, Parameter, Run
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node, PerExample, source_dataset
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.prose import PLURALS, singular
from bbilang.runtime.ops.datasets.splits import check_split, split_of, split_parameter

if TYPE_CHECKING:
    from bbilang.runtime.data.dataset import Dataset
    from bbilang.runtime.execution.context import Run as FullRun
    from bbilang.runtime.mending.engine import Mended, Recent

FORM = 'as in `discourage(some_layer.channel[7] -> output["tabby"], data=photos)`'
TRAINING = "`set training(loss=cross_entropy, epochs=10)` says how; nothing is trained without it"

_recent: Recent = {}  # a page needs a network twice: for what it shows of it, and for the report


class Discourage(ModelChange):
    """Fine-tunes the weights above some atoms so that what they contribute to a score counts less (Ross et al. 2017).

    The loss is that of `set training(...)`, plus the contributions' mean square as a share of the score's variance,
    plus by how much the predictions differ from those of the original network (distillation, Hinton et al. 2015). A
    part of the examples is held out; the page shows the evidence, the accuracy and another method's opinion on it,
    before and after. The weights of the original stay as they are.
    """

    name = "discourage"
    only_in_models = True
    discourages = True
    only_weights = True
    model_settings = "training"
    reported_by = "mended"
    measures = ("before", "before, from", "before, to", "after", "after, from", "after, to")
    model_parameters = (
        Parameter("evidence", "evidence", "atoms of a layer `->` the score of one class, or of the label"),
        Parameter("data", "dataset", "examples with labels, of which a part is held out"),
        split_parameter("a column with two values: which examples are trained on, and which are held out", of="data"),
        Parameter("test", "dataset", "another dataset on which both networks are measured", None),
        Parameter("method", "method", "the attribution method that the training makes small", "linear"),
    )
    example = (
        'model a = "sample:marks"\ninput "sample:marked_disc"\ndataset marks = "sample:marks"\n'
        "set training(loss=cross_entropy, epochs=20)\n"
        'model mended = a | discourage(first.channel[5] -> output["square"], data=marks)\n'
        'mended:first.channel | attribute(output["square"]) | top(3) | present(bars)'
    )

    def in_model(
        self, arguments: Arguments, model: ModelDescription, make: Make
    ) -> tuple[tuple[Node, ...], Arguments, FieldType]:
        evidence: Node = arguments["evidence"]
        if evidence.op != "chain":
            raise Fail("E292", "`discourage` takes evidence: atoms and the score that they speak for", FORM, "evidence")
        atoms, to = evidence.inputs
        if atoms.op not in ("substrate", "pick_atom") or to.type.states:
            what = "which atoms or classes these are depends on the picture or the reader, and a network does not"
            raise Fail("E292", what, FORM, "evidence")
        if arguments["settings"] is None:
            raise Fail("E291", "`discourage` trains a network, and the text does not say how", TRAINING)
        shown = make("attribute", atoms, to=to, method=arguments["method"])
        check_split(arguments["split"], (arguments["data"],))
        own = {
            "evidence": PerExample(shown), "data": arguments["data"], "split": arguments["split"],
            "test": arguments["test"], "training": arguments["settings"],
        }  # fmt: skip
        return (), own, FieldType("intervention", atoms.type.atom, atoms.type.layers, (), model=atoms.type.model)

    def change(self, node: Node, run: Run) -> NewParameters:
        network = mended_by(node, run)
        own = dict(network.adapter.module.named_parameters())
        return NewParameters({name: own[name] for name in network.report.tensors})

    def changed_layers(self, node: Node, model: ModelDescription) -> tuple[str, ...]:
        (low,) = node.type.layers
        return tuple(layer.name for layer in model.layers if layer.name != low and model.leads(low, layer.name))

    def rows(self, node: Node) -> int:
        return 3 if node["test"] is None else 6  # the evidence, the effect and the accuracy, on each dataset

    def in_words(self, node: Node) -> str:
        return f"{atoms_of(node)} discouraged"


def mended_by(node: Node, run: Run) -> Mended:
    """Train the network of a run as a stage says, or recall it."""
    from bbilang.runtime.mending.engine import Task, mend
    from bbilang.runtime.mending.recipe import Recipe

    full = cast("FullRun", run)
    dataset, measured = _examples(node["data"], full), None
    if node["split"] is not None:
        split = split_of(node["split"], (node["data"],), run)
        sides = split.sides(np.asarray(run.value(node["data"]).columns[node["split"]].data))
        dataset, measured = dataset.subset(sides >= 0), sides[sides >= 0] == 1
    test: Node | None = node["test"]
    task = Task(
        node["evidence"].node, Recipe(**dict(node["training"])), dataset, measured,
        None if test is None else _examples(test, full), called(node["data"]),
        "" if test is None else called(test),
    )  # fmt: skip
    cache = None if full.shared.scans is None else full.shared.scans.cache
    return mend(full.adapter, task, full.registry, cache, full.report_progress, _recent)


def called(dataset: Node) -> str:
    """Return what a text calls a dataset."""
    return str(dataset.get("called") or "the dataset")


def atoms_of(node: Node) -> str:
    """Describe the atoms of a stage: "channel 5 of first"."""
    shown: Node = node["evidence"].node
    (atoms,) = shown.inputs
    (layer,) = atoms.type.layers
    if atoms.op != "pick_atom":
        return f"all {PLURALS.get(atoms.type.atom, 'atoms')} of {layer}" if atoms.type.atom != "whole" else layer
    return f"{singular(atoms.type.atom)} {', '.join(map(str, atoms['index']))} of {layer}"


def _examples(dataset: Node, run: FullRun) -> Dataset:
    numbers = np.asarray(run.value(dataset).coords["example"].data)
    return run.dataset(source_dataset(dataset)).subset(numbers)


OPERATIONS = (Discourage(),)
