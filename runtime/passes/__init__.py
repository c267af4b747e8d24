"""Runs of a model: forward, vjp, jvp, hooks. Nothing else runs one. Imports runtime/{device,inputs,fields,cache}.

One forward captures every requested layer and stops at the deepest. One backward per target serves every layer, down to
the earliest, and never computes a weight's gradient; targets go in batches. The network above a layer can run alone,
and tangents can be pushed through it. The model is always restored, after an error too: its hooks, training mode,
``requires_grad``, ``.grad`` and attributes. Layers go by name; ``"input"`` is the images in [0, 1], ``"output"`` the
scores. A faster way (an explicit derivative, a batch, a traced graph) is checked against the plain one before it is
used; where the check fails the plain one runs, and the logger ``bbilang.passes`` says why.

    adapter.py          what passes need of a model
    forward.py          one forward: activations, scores, the autograd graph, cuts
    vjp.py              gradients of targets at the layers of a forward
    explicit/           derivatives as explicit linear networks: reverse mode (vjp.py), at the values that a
                        forward saved (saved_values.py), and forward mode (jvp.py), on one graph (graph.py)
    resume.py           what a forward leaves for those of related networks, and takes from them
    boundary.py         what a forward records below a layer, so that the rest can run alone
    above.py            the network above a layer, by one of two backends:
    fx_graph.py           its traced graph, cut at the layer
    replay_above.py       the model's own code, with the results below the layer replayed
    above_check.py      checks that it equals the whole forward
    above_values.py     its values at given activations
    above_gradients.py  its gradients at given activations
    jvp.py              its Jacobian-vector products
    run_to_layer.py     repeated runs up to one layer, for optimizing the input
    autograd.py         torch's reverse mode, with a workaround for batch norms
    gradient_path.py    where the path of gradients to a layer ends (E505)
    trace.py            which modules run twice (E501), and which batch norm follows which convolution
    hooks.py            a frozen module with hooks; results that are not one tensor; checks for finite numbers
    fallback.py         which errors allow a slower way, and their log
    counters.py         how many passes ran
    module/             what is known of a module: its results, its behaviour (random? do rows depend on each other?),
                        its digest, its dtype, the layout of its input; and how it is restored

Errors: E501 a layer runs twice, E502 a layer does not run, E503 not finite, E504 out of memory, E505 no gradient path,
E508 the network above a layer cannot run alone, E520 not deterministic.
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
from bbilang.runtime.passes.module.layout import with_channels_last
from bbilang.runtime.passes.module.memo import module_unchanged
from bbilang.runtime.passes.resume import ALONE
from bbilang.runtime.passes.run_to_layer import Runner, run_to
from bbilang.runtime.passes.trace import Trace, trace
from bbilang.runtime.passes.vjp import gradients, scores_of, vjp, vjp_chunks

__all__ = [
    "ALONE",
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
    "with_channels_last",
]
