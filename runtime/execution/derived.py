"""The network of a job: loaded, or derived from another one by the stages of its `model` statement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bbilang.compiler.contract import ModelChange
from bbilang.compiler.ir.program import Node, Program
from bbilang.compiler.optimize.lower import with_passes
from bbilang.runtime.execution.shared import ScanStore

if TYPE_CHECKING:
    from bbilang.runtime.execution.job import Job
    from bbilang.runtime.models.adapter import Adapter


def network_of(job: Job) -> Adapter:
    """Load the model of a job, or derive it; networks that were loaded for the same page are used again."""
    from bbilang.runtime.models.program_model import load_for

    (slot,) = job.program.models
    if slot.alias not in job.networks:
        if slot.base is None:
            adapter = load_for(job.program, job.own_model, job.input, job.device)
        else:
            base = replace(job.program, models=(slot.base,))
            adapter = network_of(replace(job, plan=replace(job.plan, program=base), loaded=None))
            for change in slot.changes:
                adapter = _changed(job, replace(base, kept=(change,)), change, adapter)
        job.networks[slot.alias] = adapter
    return job.networks[slot.alias]


def _changed(job: Job, program: Program, change: Node, adapter: Adapter) -> Adapter:
    """Apply one stage to a network. Runs the scans that it needs."""
    from bbilang.runtime import passes
    from bbilang.runtime.device.accelerate import full_precision
    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.execution.verify import model_restored
    from bbilang.runtime.models.derived import derive

    bare = replace(program, interfaces=(), bindings=(), forwards=(), backwards=(), tangents=(), reruns=(), icons=(),
                   scans=(), parts=())  # fmt: skip
    operation = job.registry.operations[change.op]
    assert isinstance(operation, ModelChange)
    store = None if job.cache is None else ScanStore(job.cache)
    run = Run.of(with_passes(bare, job.registry, False), job.registry, adapter, (), job.listener, store, job.files)
    with model_restored(adapter.module), passes.module_unchanged(), full_precision():
        for scan in run.program.scans:
            run.scan(scan)
        made = run.located(change, lambda: operation.change(change, run))
        return run.located(change, lambda: derive(adapter, made, change.digest))
