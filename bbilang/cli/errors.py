"""Convert every exception to diagnostics and an exit code, so that users never see a traceback."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from bbilang.cli.console import report, result_json, tell
from bbilang.grammar.diagnostic import BbiError, Diagnostic

MISUSES = ("E440", "E430", "E433")  # of the command line alone
FINE, WRONG, MISUSE, INTERRUPTED, CLOSED = 0, 1, 2, 130, 141

PACKAGES = {  # the module -> what pip calls it, where the two differ
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "vl_convert": "vl-convert-python",
}


def fail(code: str, message: str, help: str | None = None) -> NoReturn:
    raise BbiError(Diagnostic(code, message, help=help))


def misuse(message: str, help: str | None = None) -> NoReturn:
    """Raise an error of the command line: exit code 2."""
    fail("E440", message, help)


def exit_code(diagnostics: Any) -> int:
    """Return 2 for errors of the command line, 1 for any other error, 0 for warnings."""
    errors = [d for d in diagnostics if d.severity == "error"]
    return (MISUSE if all(d.code in MISUSES for d in errors) else WRONG) if errors else FINE


def explained(error: BaseException) -> BbiError:
    """Convert any exception to a readable error."""
    if isinstance(error, BbiError):
        return error
    return BbiError(_diagnostic(error))


def _diagnostic(error: BaseException) -> Diagnostic:
    if isinstance(error, MemoryError):
        help = "try --draft, `--set featvis.batch=2`, fewer pictures or fewer elements"
        return Diagnostic("E902", "there is not enough memory", help=help)
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("bbilang"):
        top = error.name.partition(".")[0]
        package = PACKAGES.get(top, top)
        return Diagnostic("E903", f"the package {package} is not installed", help=f"pip install {package}")
    if isinstance(error, OSError) and error.errno is not None:
        return _refused(error)
    words = str(error).strip().splitlines()
    what = f"{type(error).__name__}: {words[0]}" if words else type(error).__name__
    help = "this is a fault of bbilang, not yours; please report it with the text, the command and what it prints after BBI_DEBUG=1"  # noqa: E501
    return Diagnostic("E900", f"something went wrong inside bbilang: {what}", help=help)


def _refused(error: OSError) -> Diagnostic:
    where = f": {error.filename}" if error.filename else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return Diagnostic("E904", f"the disk is full{where}", help="`bbi cache clear` frees the space of the cache")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Diagnostic("E904", f"not allowed{where}: {error.strerror}")
        case errno.EMFILE | errno.ENFILE:
            return Diagnostic("E904", f"too many files are open{where}", help="`ulimit -n 4096` allows more")
    return Diagnostic("E904", f"the system refuses{where}: {error.strerror or error}")


def handle(error: BaseException) -> int:
    """Report an exception once, and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return interrupted(str(error))
    if isinstance(error, BrokenPipeError):
        return closed()
    if os.environ.get("BBI_DEBUG"):
        import traceback

        traceback.print_exception(error)
    reason = explained(error)
    report(reason.diagnostics, reason.source)
    return exit_code(reason.diagnostics)


def interrupted(words: str = "") -> int:
    """Handle Ctrl-C with one line; a second Ctrl-C while exiting is harmless."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tell(words or "interrupted")
    return INTERRUPTED


def closed() -> int:
    """Handle a closed pipe (`| head`): print nothing, and leave nothing to flush when Python exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (OSError, ValueError):
            pass
    return CLOSED


@contextmanager
def errors_as(json: bool) -> Iterator[None]:
    """Print errors raised inside, if ``json``, on stdout as a list of diagnostics, and raise SystemExit."""
    try:
        yield
    except BbiError as error:
        if not json:
            raise
        result_json(error.to_json())
        raise SystemExit(exit_code(error.diagnostics)) from error
