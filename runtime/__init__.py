"""Plan to page: models, passes, plug-ins, execution, view and rendering. Imports compiler and grammar."""

import os
import sys

if __name__ != "bbilang.runtime":
    raise ImportError("import this package as bbilang.runtime, never as runtime")

# Where we are the ones that load torch, its threads sleep while they wait for each other; by default they spin. Beside
# two busy processes spinning made LRP take 1.8 s instead of 1.3 s; alone it makes no difference. OpenMP reads it once,
# when torch is loaded: later it would change nothing, and what somebody has chosen stays.
if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
