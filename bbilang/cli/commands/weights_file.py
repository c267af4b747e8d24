"""`bbi export model`: the weights of a derived model as safetensors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from bbilang.cli.console import result, size
from bbilang.cli.errors import FINE, misuse
from bbilang.cli.files import is_folder, writable, write
from bbilang.cli.progress_bar import ProgressBar
from bbilang.cli.request import CommandLine, reported
from bbilang.compiler.contract import ModelChange
from bbilang.compiler.ir.program import ModelSlot, Program
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.registry import registry

if TYPE_CHECKING:
    from bbilang.pipeline import Pipeline
    from bbilang.runtime.models.adapter import Adapter


def export_model(line: CommandLine, name: str, output: str, overwrite: bool, parents: bool = False) -> int:
    """Write the weights of a model of the text. Raises BbiError E440 for a file that is there, E490 for a model that
    weights alone do not make."""
    if not name or not output:
        misuse(
            "which model, and into which file?", "as in `bbi export model page.bbi --name mended -o mended.safetensors`"
        )
    if is_folder(output) or not output.endswith(".safetensors"):
        misuse(f"{output} is no name of a safetensors file", "as in `-o mended.safetensors`")
    path = writable(output, parents)
    if path.exists() and not overwrite:
        misuse(f"{path} is there already", "choose another name, or write over it with --force")
    with ProgressBar(line.quiet) as bar:
        pipeline = line.pipeline(listener=bar)
        slot = _slot(reported(pipeline, line.source), name)
        data = _weights(_network(pipeline, slot), slot)
    write(path, data, parents)
    result(f"{path}  {size(len(data))}")
    return FINE


def _slot(program: Program, name: str) -> ModelSlot:
    """Return the model of that name. Raises BbiError E490."""
    slot = next((slot for slot in program.models if slot.alias == name), None)
    if slot is None:
        known = ", ".join(f"`{slot.alias}`" for slot in program.models if slot.base) or "none"
        _refused(f"the text derives no model `{name}`", f"those that it derives: {known}")
    if slot.base is None:
        _refused(f"`{name}` has the weights that it was given", "name a model that is derived from it")
    for change in (change for part in slot.lineage for change in part.changes):
        operation = registry().operations[change.op]
        if not (isinstance(operation, ModelChange) and operation.only_weights):
            what = f"`{change.op}` changes what a layer gives, and weights alone do not say so"
            _refused(what, "export the model before that change")
    return slot


def _network(pipeline: Pipeline, slot: ModelSlot) -> Adapter:
    from bbilang.runtime.execution.derived import network_of

    job = pipeline.job
    program = replace(job.program, models=(slot,), parts=())
    return network_of(job.part(replace(job.plan, program=program), {}, {}))


def _weights(network: Adapter, slot: ModelSlot) -> bytes:
    from safetensors.torch import save

    from bbilang.runtime.models.score_output import own

    state = own(network.module).state_dict()
    words = [registry().operations[change.op].in_words(change) for change in slot.changes]  # type: ignore[attr-defined]
    about = {"format": "pt", "model": slot.name, "from": network.weights, "change": "; ".join(words)}
    return save({name: value.detach().cpu().clone().contiguous() for name, value in state.items()}, about)


def _refused(message: str, help: str) -> NoReturn:
    raise BbiError(Diagnostic("E490", message, help=help))
