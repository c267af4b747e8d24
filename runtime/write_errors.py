"""Create the error for a file that cannot be written."""

from __future__ import annotations

import os

from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.files import short
from bbilang.runtime.files import PARENTS, NoFolder

MAKES = f"`{PARENTS}` makes it"


def unwritten(path: str | os.PathLike[str], error: OSError, makes: str = MAKES, else_: str = "") -> BbiError:
    """E431. makes: how a missing folder is made; else_: what to do about anything else."""
    help = makes if isinstance(error, NoFolder) else else_ or "nothing was written; choose another location with `-o`"
    return BbiError(Diagnostic("E431", f"{short(path)} cannot be written: {error.strerror or error}", help=help))
