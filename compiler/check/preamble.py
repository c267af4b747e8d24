"""The statements that types depend on: settings, the model and its scores, class names, inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from bbilang.compiler.check.arguments.binding import CheckError, at, bind, literal
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.settings import SETTINGS, default
from bbilang.compiler.check.statements.models import DEFAULT_MODEL as DEFAULT_MODEL
from bbilang.compiler.check.statements.models import ModelStatements
from bbilang.compiler.contract import Parameter, Registry, did_you_mean
from bbilang.compiler.ir.model_description import NOT_PICTURES
from bbilang.compiler.ir.program import Node, Program
from bbilang.compiler.ir.program import walk as walk_nodes
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.files import beside, short
from bbilang.grammar.source import NOWHERE, Span
from bbilang.grammar.walk import walk

TEXT = "text:"  # prefix of an input that is a text
PLACEHOLDER = re.compile(r"picture \d+")  # the name of a picture that a caller passes as a tensor


class Preamble(ModelStatements):
    """Checks these statements first, wherever they are in the text. Options from outside win over the text."""

    input_names: Mapping[str, int] = MappingProxyType({})  # `input cat = "a.jpg"` -> the number of the input

    def _set(self, statement: ast.Set) -> None:
        name = statement.name.text
        if name not in SETTINGS:
            listing = f"settings are {', '.join(SETTINGS)}"
            raise at(statement.name.span, "E220", f"`{name}` is not a setting", did_you_mean(name, SETTINGS, listing))
        parameters = SETTINGS[name]
        bare = len(parameters) == 1 and parameters[0].name == "value"
        if bare != (statement.value is not None):
            help = f"as in `set {name} 8`" if bare else f"as in `set {name}({parameters[0].name}=...)`"
            message = f"`{name}` is set {'without' if bare else 'with'} parentheses"
            raise at(statement.span, "E220", message, help)
        arguments = (
            (ast.Argument(statement.value, span=statement.value.span),)
            if statement.value is not None
            else statement.arguments
        )
        values, spans = bind(f"set {name}", statement.span, arguments, parameters, self._setting_value)
        names = [p.name for p in parameters]
        argument_spans = {
            argument.name or names[index]: argument.value.span for index, argument in enumerate(arguments)
        }
        for key in spans:
            self.settings[name if bare else f"{name}.{key}"] = values[key]
            self.set_at[name if bare else f"{name}.{key}"] = argument_spans.get(key, spans[key])

    def _setting_value(self, value: ast.Expression, parameter: Parameter) -> Any:
        if parameter.kind == "method":
            resolver = Resolver(self.registry, {}, 1, {})
            method = resolver.methods.method(value)
            self._drain(resolver)
            return method
        return literal(value, parameter)

    def _overrides(self) -> None:
        for key, value in self.options.settings.items():
            group, _, name = key.partition(".")
            parameters = {p.name: p for p in SETTINGS.get(group, ())}
            parameter = parameters.get(name or "value")
            if parameter is None:
                known = [g if p.name == "value" else f"{g}.{p.name}" for g, ps in SETTINGS.items() for p in ps]
                help = did_you_mean(key, known, f"settings are {', '.join(known)}")
                raise at(NOWHERE, "E220", f"`{key}` is not a setting", help)
            self.settings[key] = self._setting_value(_as_expression(value), parameter)
            self.set_at.pop(key, None)

    def _texts(self) -> tuple[str, ...]:
        """Return the inputs that are texts; `_inputs` reports errors in inputs later."""
        try:
            files = self._inputs([s for s in self.file.statements if isinstance(s, ast.Input)])
        except (BbiError, CheckError):
            return ()
        return tuple(file for file in files if _is_text(file))

    def _sounds(self) -> tuple[str, ...]:
        """Return the inputs that are sounds; `_inputs` reports errors in inputs later."""
        try:
            files = self._inputs([s for s in self.file.statements if isinstance(s, ast.Input)])
        except (BbiError, CheckError):
            return ()
        return tuple(file for file in files if self.options.is_sound(file))

    def _check_input(self, name: str, span: Span) -> None:
        """Raise CheckError E418 for an input of another kind than the model takes: pictures, texts, or numbers."""
        if self.reads is None or PLACEHOLDER.fullmatch(name):
            return
        if self.options.is_sound(name) != (self.reads == "audio"):
            sound = self.reads != "audio"
            takes = {"audio": "sounds", "text": "text", "image": "pictures"}.get(self.reads, f"{self.reads}s")
            message = f"the model takes {takes}, and this is {'a sound' if sound else 'none'}"
            help = "`model crepe_tiny` hears sounds" if sound else 'as in `input "violin.wav"`, or `"sample:melody"`'
            raise at(span, "E418", message, help)
        if self.reads == "audio":
            return
        if self.reads in NOT_PICTURES:
            axes = ", ".join(NOT_PICTURES[self.reads])
            raise at(span, "E418", f"the model takes {self.reads}s ({axes}), and this is a file",
                     f"give a tensor ({axes}) in Python: `run(..., input=tensor)`")  # fmt: skip
        if self.reads == "image" and self.channels not in (1, 3) and not _is_text(name):
            raise at(span, "E418", f"the model takes {self.channels} channels, and a picture has 3",
                     f"give a tensor ({self.channels}, y, x) in Python: `run(..., input=tensor)`")  # fmt: skip
        if _is_text(name) == (self.reads == "text"):
            return
        if self.reads == "text":
            raise at(span, "E418", "the model reads text, and this is a picture",
                     'as in `input "text:The film was good."`, or the name of a .txt file')  # fmt: skip
        raise at(span, "E418", "the model takes pictures, and this is a text", 'as in `input "sample:chelsea"`')

    def _inputs(self, statements: list[ast.Input]) -> tuple[str, ...]:
        self.input_names = {}
        if self.options.inputs is not None:
            return self._given_inputs(self.options.inputs)
        files: list[str] = []
        for called, literal_name in (pair for statement in statements for pair in _named_files(statement)):
            name = literal_name.value
            self._check_input(name, literal_name.span)
            try:
                is_file = not name.startswith(("sample:", TEXT)) and "://" not in name
                if is_file:
                    name = str(beside(self._folder(), name))
                    self._stays(name, literal_name.span)
                own = self._with_span(literal_name.span, partial(self._files, name))
                if is_file and self.options.root is not None:  # links among what a pattern finds
                    for file in self.options.expand(name):
                        self._stays(file, literal_name.span)
            except OSError as error:
                raise at(literal_name.span, "E411", f"{short(name)} cannot be opened: {error.strerror}") from error
            if called is not None:
                self._name_input(called.text, len(files), own, literal_name.span)
            files += own
        stated = any(isinstance(statement, ast.Dataset) for statement in self.file.statements)
        if not files and (stated or self.options.data or starts_without_input(self.file, self.registry)):
            return ()  # everything may be of the dataset, or of weights: `Checker.run` reports what is not
        if not files:
            help = 'add `input "cat.jpg"` to the text, or pass `--input cat.jpg`; `sample:chelsea` is a cat'
            raise at(NOWHERE, "E420", "no input: the page needs a picture to explain", help)
        return tuple(files)

    def _given_inputs(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the files of the inputs that a caller gives, with the caller's names. Without any, they have those of
        the text if it has as many."""
        stated = [
            called for one in self.file.statements if isinstance(one, ast.Input) for called, _ in _named_files(one)
        ]
        words = {number: name for name, number in self.options.called.items()} or {
            number: called.text for number, called in enumerate(stated) if called and len(stated) == len(names)
        }
        files: list[str] = []
        for number, name in enumerate(names):
            self._check_input(name, NOWHERE)
            own = self._files(name)
            if number in words and (self.options.called or len(own) == 1):
                self._name_input(words[number], len(files), own, NOWHERE)
            files += own
        return tuple(files)

    def _files(self, name: str) -> Sequence[str]:
        """Return the files of a glob or a folder, and the frames of a video."""
        every, most = self.settings.get("video.every"), self.settings.get("video.most", default("video.most"))
        return self.options.frames(self.options.expand(name), name, every, most)

    def lacks_input(self, program: Program) -> bool:
        """Report E420 where a program needs an input, which the text has none of."""
        needing = needs_input(program)
        if needing is None:
            return False
        span = self.resolver.origins[needing][0] if needing in self.resolver.origins else NOWHERE
        help = 'add `input "cat.jpg"` to the text, or pass `--input cat.jpg`; `sample:chelsea` is a cat'
        if "source" in dict(needing.parameters):
            help = f"{help}; or name a dataset: `source=photos`"
        self._report(at(span, "E420", "no input: this is computed for the picture that the page explains", help))
        return True

    def _name_input(self, name: str, number: int, files: Sequence[str], span: Span) -> None:
        """Note the name of an input. Raises CheckError E273 for a name of several files, or of two inputs."""
        if len(files) != 1:
            raise at(span, "E273", f"`{name}` names {len(files)} pictures", "a name is of one picture")
        if name in self.input_names:
            raise at(span, "E273", f"two inputs are called `{name}`", "give each a name of its own")
        self.input_names = {**self.input_names, name: number}


def _named_files(statement: ast.Input) -> Iterator[tuple[ast.Name | None, ast.String]]:
    """Iterate over the inputs of a statement, each with its name, or None."""
    names: Sequence[ast.Name | None] = statement.names or [None] * len(statement.files)
    return zip(names, statement.files, strict=True)


def starts_without_input(file: ast.File, registry: Registry) -> bool:
    """Return whether a call in the text makes a pipe that may need no input."""
    nodes = list(walk(file))
    drawn = (node.value for node in nodes if isinstance(node, ast.Bind | ast.Show))
    if any(isinstance(value, ast.Call) and value.name == "present" for value in drawn):
        return True  # `present(space)`
    found = (registry.operations.get(node.name) for node in nodes if isinstance(node, ast.Call))
    return any(operation is not None and (operation.called or operation.without_input) for operation in found)


def needs_input(program: Program) -> Node | None:
    """Return a node that is computed for the page's own inputs; None where all is of datasets."""
    served = [node for forward in program.forwards for node in forward.serves]
    served += [node for node in walk_nodes(*program.roots) if node.type.content == "picture" and node.op == "input"]
    return next(iter(served), None)


def _is_text(name: str) -> bool:
    return name.startswith(TEXT) or name.lower().endswith(".txt")


def _as_expression(value: Any) -> ast.Expression:
    """Return a value from the command line or a call as the expression that a text would spell."""
    if isinstance(value, bool) or value is None:
        return ast.Constant(value)
    if isinstance(value, int | float):
        return ast.Number(value)
    if isinstance(value, list | tuple):
        return ast.List(tuple(_as_expression(v) for v in value))
    text = str(value)
    for kind in (int, float):
        try:
            return ast.Number(kind(text))
        except ValueError:
            pass
    if text in ("true", "false", "none"):
        return ast.Constant({"true": True, "false": False, "none": None}[text])
    if text.startswith("[") and text.endswith("]"):
        return ast.List(tuple(_as_expression(part.strip()) for part in text[1:-1].split(",")))
    return ast.Path(text) if text.isidentifier() else ast.String(text)
