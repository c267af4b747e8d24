"""Read `checkpoints="runs/*.safetensors"`: files of weights beside the text, and digests of what is in them."""

from __future__ import annotations

import glob
import hashlib

from bbilang.compiler.check.arguments.bounding_boxes import FileContext
from bbilang.compiler.contract import Fail
from bbilang.grammar.files import MOST_WEIGHTS, beside, inside, opened, short

MOST = 64


def read(name: str, parameter: str, context: FileContext) -> tuple[tuple[str, str], ...]:
    """Return (path, digest of its bytes) of each file, in the order of the names, so that the program changes with
    them. Raises `Fail` E280."""
    try:
        path = beside(context.folder, name)
        files = [str(path)] if path.exists() else sorted(glob.glob(str(path)))
        if not files:
            _fail(f"there is no file {short(name)}", parameter)
        if len(files) > MOST:
            _fail(f"{short(name)} is {len(files)} files, and {MOST} are the most", parameter)
        return tuple((each, _digest(each, name, parameter, context)) for each in files)
    except OSError as error:
        raise Fail("E280", f"{short(name)} cannot be opened: {error.strerror or error}", argument=parameter) from error


def _digest(file: str, name: str, parameter: str, context: FileContext) -> str:
    if not inside(beside(context.folder, file), context.root):
        _fail(f"{short(name)} lies outside of the folder given with `--root`", parameter)
    with opened(file, MOST_WEIGHTS) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _fail(message: str, parameter: str) -> None:
    raise Fail("E280", message, "names are relative to the folder of the text", parameter)
