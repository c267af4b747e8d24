"""What operations, styles and methods declare about themselves. Imports grammar and compiler/ir."""

from bbilang.compiler.contract.batch import Batch, TensorField
from bbilang.compiler.contract.demands import (
    Activations,
    Again,
    Changes,
    Demand,
    ExamplesOf,
    Gradients,
    IconsOf,
    MethodCall,
    Reruns,
    RerunWork,
    Rule,
    Scores,
    Trains,
    Trials,
)
from bbilang.compiler.contract.method import AXIOMS, Method, Parameters, bound, named_method, spelled
from bbilang.compiler.contract.model_change import ATOMS, LayerChange, ModelChange, NetworkChange, NewParameters
from bbilang.compiler.contract.operation import Arguments, Make, Operation, Writer, Written
from bbilang.compiler.contract.parameters import REQUIRED, Fail, Parameter
from bbilang.compiler.contract.registry import Registry, did_you_mean, suggest
from bbilang.compiler.contract.run import Run, Scanned
from bbilang.compiler.contract.style import ENCODINGS, ColourScale, Drawn, Encoding, Redraw, Style

__all__ = [
    "ATOMS",
    "AXIOMS",
    "ENCODINGS",
    "REQUIRED",
    "Activations",
    "Again",
    "Arguments",
    "Batch",
    "Changes",
    "ColourScale",
    "Demand",
    "Drawn",
    "Encoding",
    "ExamplesOf",
    "Fail",
    "Gradients",
    "IconsOf",
    "LayerChange",
    "Make",
    "Method",
    "MethodCall",
    "ModelChange",
    "NetworkChange",
    "NewParameters",
    "Operation",
    "Parameter",
    "Parameters",
    "Redraw",
    "Registry",
    "RerunWork",
    "Reruns",
    "Rule",
    "Run",
    "Scanned",
    "Scores",
    "Style",
    "TensorField",
    "Trains",
    "Trials",
    "Writer",
    "Written",
    "bound",
    "did_you_mean",
    "named_method",
    "spelled",
    "suggest",
]
