"""`bbi extract`: extract the text that a page was made from."""

from __future__ import annotations

import sys

from bbilang.cli.console import result, result_text
from bbilang.cli.errors import FINE, fail, misuse
from bbilang.cli.files import is_folder, writable, write
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.files import path_of, read_bytes, short

MOST_PAGE = 1 << 30  # bytes


def extract(page: str, output: str | None, parents: bool = False) -> int:
    """Extract the text that a page contains."""
    from bbilang.runtime.page.html import extract as extract_text

    if page == "-":
        data = sys.stdin.buffer.read(MOST_PAGE + 1)
        if len(data) > MOST_PAGE:
            fail("E441", f"standard input is larger than {MOST_PAGE >> 30} GB, and no page is")
    else:
        try:
            data = read_bytes(page, MOST_PAGE)
        except FileNotFoundError:
            fail("E441", f"there is no file {short(page)}")
        except IsADirectoryError:
            fail("E441", f"{page} is a folder")
        except OSError as error:
            message = f"{short(page)} cannot be read: {error.strerror or error}"
            help = "`-` reads standard input" if "a pipe" in str(error.strerror) else None
            raise BbiError(Diagnostic("E441", message, help=help)) from error
    try:
        text = extract_text(data.decode("utf-8", "replace"))
    except ValueError as error:
        help = "only HTML pages carry their text" if page.endswith((".png", ".svg", ".pdf", ".csv", ".json")) else None
        message = f"{page} carries no .bbi text: it is not a page made by bbi"
        raise BbiError(Diagnostic("E442", message, help=help)) from error
    if output is None:
        result_text(text)
        return FINE
    if is_folder(output):
        misuse(f"{output} is a folder", "name a file with `-o`")
    target = writable(output, parents)
    if target.exists() and page != "-" and target.samefile(path_of(page)):
        misuse("the text would overwrite the page", "choose another name with `-o`")
    write(target, text.encode("utf-8", "surrogatepass"), parents)
    result(str(target))
    return FINE
