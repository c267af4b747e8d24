"""The only package that runs a model or hangs a hook.

One forward captures every demanded layer and stops at the deepest; one backward per target serves every layer, from
the target down to the earliest layer, and never computes a weight's gradient. Whatever happens on the way, the model is
given back as it was found: hooks, training mode, ``requires_grad`` and ``.grad``.

An adapter (``runtime/model.py``) is anything with ``module``, ``normalize(images)``, ``module_of(layer)``, ``device``
and ``description.output``. Layers go by name; ``"input"`` is the images in [0, 1] themselves.

Errors: E501 a layer ran twice, E502 a layer never ran, E503 not finite, E504 out of memory, E505 graph already spent.
"""

from bbilang.runtime.memory import is_out_of_memory
from bbilang.runtime.passes.backward import gradients, vjp, vjp_chunks
from bbilang.runtime.passes.borrow import INPUT
from bbilang.runtime.passes.capture import Captured, forward
from bbilang.runtime.passes.count import Passes
from bbilang.runtime.passes.runner import Runner, run_to
from bbilang.runtime.passes.watch import Trace, trace

__all__ = [
    "INPUT",
    "Captured",
    "Passes",
    "Runner",
    "Trace",
    "forward",
    "gradients",
    "is_out_of_memory",
    "run_to",
    "trace",
    "vjp",
    "vjp_chunks",
]
