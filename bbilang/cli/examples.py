"""`bbi examples`: list, print and copy the texts of the gallery, which ship with the package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from bbilang.cli.console import plural, result, result_table, result_text, tell
from bbilang.cli.errors import FINE, misuse
from bbilang.cli.files import is_folder, writable, write


@cache
def texts() -> dict[str, str]:
    """Return name -> text of every interface of the gallery, in alphabetical order."""
    texts = (file for file in files("bbilang.specs").iterdir() if file.name.endswith(".bbi"))
    return {
        file.name.removesuffix(".bbi"): file.read_text(encoding="utf-8") for file in sorted(texts, key=lambda f: f.name)
    }


def about(text: str) -> str:
    """Return the description of a text: its first comment."""
    return next((line.lstrip("# ") for line in text.splitlines() if line.startswith("#")), "")


def examples(name: str | None, output: str | None, force: bool, parents: bool = False) -> int:
    """List all, print one, or copy one. Raises BbiError E440, E431."""
    if name is None:
        if output is not None:
            misuse("which example is to be copied?", "as in `bbi examples teaser -o teaser.bbi`")
        return _listed()
    text = _named(name)
    if output is None:
        result_text(text)
        return FINE
    own = f"{name.removesuffix('.bbi')}.bbi"
    path = writable(Path(output) / own if output.endswith("/") or is_folder(output) else output, parents)
    if path.is_file() and not force:
        misuse(f"{path} is there already", "choose another name, or write over it with --force")
    write(path, text.encode(), parents)
    result(str(path))
    tell(f"Now: bbi run {path}")
    return FINE


def _named(name: str) -> str:
    import difflib

    text = texts().get(name.removesuffix(".bbi"))
    if text is None:
        near = difflib.get_close_matches(name, texts(), 1)
        misuse(f"there is no example `{name}`", f"did you mean `{near[0]}`?" if near else "`bbi examples` lists them")
    return text


def _listed() -> int:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in texts().items():
        table.add_row(name, about(text))
    result_table(table)
    tell(
        f"\n{plural(len(texts()), 'example')}. `bbi examples NAME` prints one, `-o FILE` copies it for `bbi run FILE`."
    )
    return FINE
