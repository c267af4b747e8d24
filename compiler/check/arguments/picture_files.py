"""Read `guide="flowers.jpg"`: the name of a picture beside the text, and a digest of what is in it."""

from __future__ import annotations

import hashlib

from bbilang.compiler.check.arguments.bounding_boxes import SAMPLE, FileContext
from bbilang.compiler.contract import Fail
from bbilang.grammar.files import beside, inside, read_bytes, short

LARGEST = 1024**3


def read(name: str, parameter: str, context: FileContext) -> tuple[str, str]:
    """Return (the name as written in the text, the digest of its bytes), so that the program changes with the picture.
    Of a sample only the name is known. Raises `Fail` E411, and the errors of expanding the name."""
    sample = name.startswith(SAMPLE)
    try:
        path = beside(context.folder, name)
        if not sample and not inside(path, context.root):
            _fail(f"{short(name)} lies outside of the folder given with `--root`", parameter)
        files = context.expand(name if sample or "://" in name else str(path))
        if len(files) != 1:
            _fail(f"{short(name)} is {len(files)} pictures, and `{parameter}` is one", parameter)
        return name, "" if sample else hashlib.sha256(read_bytes(files[0], LARGEST)).hexdigest()
    except FileNotFoundError as error:
        raise Fail("E411", f"there is no picture {short(name)}", argument=parameter) from error
    except OSError as error:
        text = f"{short(name)} cannot be opened: {error.strerror or error}"
        raise Fail("E411", text, argument=parameter) from error


def _fail(message: str, parameter: str) -> None:
    raise Fail("E411", message, "names are relative to the folder of the text", parameter)
