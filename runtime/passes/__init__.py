"""The only package that runs a model or hangs a hook.

One forward captures every demanded layer and stops at the deepest; one backward per target serves every layer, from
the target down to the earliest layer, and never computes a weight's gradient; targets go in batches. The network above
a layer can be run alone, and tangents pushed through it. Whatever happens on the way, the model is given back as it was
found: hooks, training mode, ``requires_grad`` and ``.grad``.

An adapter (``runtime/model.py``) is anything with ``module``, ``normalize(images)``, ``module_of(layer)``, ``device``
and ``description.output``. Layers go by name; ``"input"`` is the images in [0, 1] themselves.

Errors: E501 a layer ran twice, E502 a layer never ran, E503 not finite, E504 out of memory, E505 no gradient leads
there, E508 what is above a layer cannot be run alone, E520 another result each time.
"""

from bbilang.runtime.memory import is_out_of_memory
from bbilang.runtime.passes.backward import gradients, scores_of, vjp, vjp_chunks
from bbilang.runtime.passes.borrow import INPUT
from bbilang.runtime.passes.capture import Captured, forward
from bbilang.runtime.passes.conduct import Conduct, conduct_of, look, same_conduct
from bbilang.runtime.passes.count import Passes
from bbilang.runtime.passes.cut import Cut
from bbilang.runtime.passes.remember import one_run
from bbilang.runtime.passes.rerun import rerun_gradient_chunks, rerun_gradients
from bbilang.runtime.passes.runner import Runner, run_to
from bbilang.runtime.passes.scores import score_chunks, value_chunks
from bbilang.runtime.passes.tangent import tangent_chunks, tangents
from bbilang.runtime.passes.upper import Upper, above
from bbilang.runtime.passes.watch import Trace, trace
from bbilang.runtime.passes.way import all_zero, check_way

__all__ = [
    "INPUT",
    "Captured",
    "Conduct",
    "Cut",
    "Passes",
    "Runner",
    "Trace",
    "Upper",
    "above",
    "all_zero",
    "check_way",
    "conduct_of",
    "forward",
    "gradients",
    "is_out_of_memory",
    "look",
    "one_run",
    "rerun_gradient_chunks",
    "rerun_gradients",
    "run_to",
    "same_conduct",
    "score_chunks",
    "scores_of",
    "tangent_chunks",
    "tangents",
    "trace",
    "value_chunks",
    "vjp",
    "vjp_chunks",
]
