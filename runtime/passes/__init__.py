"""Runs of a model: forward, vjp, jvp, hooks. Nothing else runs one. Imports runtime/{device,inputs,fields,cache}.

One forward captures every demanded layer and stops at the deepest; one backward per target serves every layer, from
the target down to the earliest layer, and never computes a weight's gradient; targets go in batches. The network above
a layer can be run alone, and tangents pushed through it. Whatever happens on the way, the model is given back as it was
found: hooks, training mode, ``requires_grad`` and ``.grad``.

An adapter is anything with ``module``, ``normalize(images)``, ``module_of(layer)``, ``device``
and ``description.output``. Layers go by name; ``"input"`` is the images in [0, 1] themselves.

Errors: E501 a layer ran twice, E502 a layer never ran, E503 not finite, E504 out of memory, E505 no gradient leads
there, E508 what is above a layer cannot be run alone, E520 another result each time.
"""

from bbilang.runtime.device.memory import is_out_of_memory
from bbilang.runtime.passes.above import NetworkAbove, above
from bbilang.runtime.passes.above_gradients import rerun_gradient_chunks, rerun_gradients
from bbilang.runtime.passes.above_values import score_chunks, value_chunks
from bbilang.runtime.passes.boundary import Cut
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.forward import Captured, forward
from bbilang.runtime.passes.gradient_path import all_zero, check_gradient_path
from bbilang.runtime.passes.hooks import INPUT
from bbilang.runtime.passes.jvp import tangent_chunks, tangents
from bbilang.runtime.passes.module.behaviour import Behaviour, behaviour_of, copy_behaviour, probe
from bbilang.runtime.passes.module.memo import module_unchanged
from bbilang.runtime.passes.run_to_layer import Runner, run_to
from bbilang.runtime.passes.trace import Trace, trace
from bbilang.runtime.passes.vjp import gradients, scores_of, vjp, vjp_chunks

__all__ = [
    "INPUT",
    "Behaviour",
    "Captured",
    "Cut",
    "NetworkAbove",
    "Passes",
    "Runner",
    "Trace",
    "above",
    "all_zero",
    "behaviour_of",
    "check_gradient_path",
    "copy_behaviour",
    "forward",
    "gradients",
    "is_out_of_memory",
    "module_unchanged",
    "probe",
    "rerun_gradient_chunks",
    "rerun_gradients",
    "run_to",
    "score_chunks",
    "scores_of",
    "tangent_chunks",
    "tangents",
    "trace",
    "value_chunks",
    "vjp",
    "vjp_chunks",
]
