"""What checks a text is light: operations, styles and methods load no numerical library until they run."""

from __future__ import annotations

import subprocess
import sys


def test_loading_every_plug_in_loads_no_numerical_library():
    code = (
        "import sys\n"
        "from bbilang.cli.lazy_import import import_lazily\n"
        "import_lazily('numpy')\n"  # as the command does
        "from bbilang.registry import registry\n"
        "registry()\n"
        "print([m for m in ('numpy._core', 'torch', 'sklearn', 'altair', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stdout + done.stderr
