"""Add to a text the line by which a reader of its page objects to evidence, and take it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from bbilang.compiler.ir.spelling import name_text
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.registry import registry
from bbilang.runtime.files import write
from bbilang.texts import read

LONGEST = 2000  # letters of a line
TRAINING = "set training(loss=cross_entropy)"
BASE = "a"  # what a network without a name is called


class Objections:
    """The lines that a reader adds to a file, and takes back. ``check``: raises the errors of a text."""

    def __init__(self, path: str, check: Callable[[Source], object]):
        self.path, self.check = path, check
        self._added: list[tuple[str, str, str]] = []  # of each its lines, the text before and the text after

    def add(self, line: str) -> str:
        """Add a line, unless the text would then have errors. Returns what was added. Raises BbiError E557 for a line
        that is no objection; OSError."""
        before = read(self.path)
        text, added = with_objection(before.text, line)
        self._put(Source(text, before.name))
        self._added.append((added, before.text, text))
        return added

    def undo(self) -> str:
        """Take back what was added last, and leave alone what was written since. Returns it. Raises BbiError E557 where
        it is not there any more, and the errors that the text would have; OSError."""
        if not self._added:
            raise BbiError(Diagnostic("E557", "nothing was added to the text that could be taken back"))
        added, before, after = self._added[-1]
        now = read(self.path)
        if now.text.count(f"{added}\n") != 1:
            self._added.pop()
            help = "delete the line yourself, with what uses the model"
            raise BbiError(Diagnostic("E557", "the text was changed where the line was added", help=help))
        self._put(Source(before if now.text == after else now.text.replace(f"{added}\n", ""), now.name))
        self._added.pop()
        return added

    def _put(self, text: Source) -> None:
        self.check(text)
        write(self.path, text.text.encode())


def with_objection(text: str, line: str) -> tuple[str, str]:
    """Return the text with the line, and with `set training` where it sets none; and what was added. Raises BbiError
    E557, and those of the text."""
    item = _objection(line)
    assert item.alias is not None
    file = parse(Source(text, "page.bbi"))
    text = file.source.text if file.source else text  # what spans refer to: without a byte order mark
    models = [model for statement in file.statements if isinstance(statement, ast.Model) for model in statement.items]
    names = {model.alias.text for model in models if model.alias}
    alias = next(name for name in _names(item.alias.text) if name not in names)
    base = line[item.name.span.start : item.name.span.end]
    nameless = next((model for model in models if model.alias is None), None)
    if nameless is not None:
        base = next(name for name in _names(BASE) if name not in names)
    stages = line[item.name.span.end :]
    lines = [f"model {name_text(alias)} = {base}{stages}"]
    if not any(isinstance(one, ast.Set) and one.name.text == "training" for one in file.statements):
        lines.insert(0, TRAINING)
    added = "\n".join(lines)
    whole = _inserted(text, added, file)
    if nameless is not None:
        at = nameless.name.span.start
        whole = f"{whole[:at]}{base} = {whole[at:]}"
    return whole, added


def _inserted(text: str, added: str, file: ast.File) -> str:
    """Put lines behind the models, datasets and settings, whose names they use; else before everything that shows."""
    before = [one.span.end for one in file.statements if isinstance(one, ast.Model | ast.Dataset | ast.Set)]
    if before:
        at = text.find("\n", max(before))
        at = len(text) if at < 0 else at + 1
        gap = "" if at == 0 or text[at - 1] == "\n" else "\n"
        return f"{text[:at]}{gap}{added}\n{text[at:]}"
    first = next((one.span.start for one in file.statements if not isinstance(one, ast.Version)), len(text))
    at = text.rfind("\n", 0, first) + 1
    return f"{text[:at]}{added}\n{text[at:]}"


def _objection(line: str) -> ast.ModelItem:
    """Parse the line. Raises BbiError E557 for any other text."""
    if len(line) <= LONGEST and line.isprintable():
        try:
            (statement,) = parse(Source(line, "<line>")).statements
            (item,) = statement.items if isinstance(statement, ast.Model) else ()
            (stage,) = item.stages
            if item.alias is not None and registry().operations[stage.name].discourages:
                return item
        except (BbiError, ValueError, KeyError):
            pass
    help = "as in `model mended = a | discourage(some_layer.channel[7] -> output, data=photos)`"
    raise BbiError(Diagnostic("E557", "this is no line by which a network is mended", help=help))


def _names(first: str) -> Iterator[str]:
    yield first
    yield from (f"{first}{number}" for number in count(2))
