"""The statements that types depend on: settings, the model and its scores, class names, inputs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from bbilang.compiler.check.arguments.binding import CheckError, at, bind, literal
from bbilang.compiler.check.class_names import listed
from bbilang.compiler.check.output_shapes import example_entry
from bbilang.compiler.check.reporter import Reporter
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.scope import ModelContext
from bbilang.compiler.check.settings import SETTINGS
from bbilang.compiler.contract import Parameter, Registry, did_you_mean
from bbilang.compiler.ir.model_description import NOT_PICTURES, ModelDescription
from bbilang.compiler.ir.program import ModelSlot
from bbilang.compiler.ir.score_kinds import resolved_kind
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.files import beside, path_of, read_text, short
from bbilang.grammar.source import NOWHERE, Span
from bbilang.grammar.walk import walk

DEFAULT_MODEL = "efficientnet_lite0"
LONGEST = 1000  # letters of a label
LARGEST = 4 << 20  # bytes of a file of labels
TEXT = "text:"  # prefix of an input that is a text
FOLDERS, FILE = ("transformers:",), ".pt2"  # prefixes of models that are folders; suffix of a model that is a file
PLACEHOLDER = re.compile(r"picture \d+")  # the name of a picture that a caller passes as a tensor


T = TypeVar("T")


class Preamble(Reporter):
    """Checks these statements first, wherever they are in the text. Options from outside win over the text."""

    reads: str | None = None  # what the model takes, "image", "text", "signal" ...; None until it is known
    channels: int = 3  # of the model's input
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

    def _check_settings(self, description: ModelDescription) -> None:
        """Check the settings about the input against the model.

        Raises CheckError E407 for a preprocessing that gives no picture, E213 and E214 for numbers of channels.
        """
        known, channels = self.settings.get, description.channels
        for key in ("preprocess.mean", "preprocess.std"):
            if (values := known(key)) is not None and len(values) not in (1, channels):
                each = "three for red, green and blue" if channels == 3 else f"{channels}, one a channel"
                name = key.partition(".")[2]
                doc = next(p.doc for p in SETTINGS["preprocess"] if p.name == name)
                raise at(self._set_at(key), "E213", f"`{name}` is one number, or {each}", doc)
        if (values := known("preprocess.std")) is not None and not all(value > 0 for value in values):
            message = "preprocess: mean and std have one number per channel, and std is positive"
            raise at(self._set_at("preprocess.std"), "E407", message, "pictures are divided by it")
        size, crop = known("preprocess.size"), known("preprocess.crop")
        sides = (crop, crop) if isinstance(crop, int) else crop
        if size and sides and max(sides) > size:
            pixels = " x ".join(map(str, sides))
            message = f"preprocess: a crop of {pixels} pixels does not fit in a shorter side of {size}"
            raise at(self._set_at("preprocess.crop"), "E407", message, "set size at least as large as crop")
        shown = known("show.channels")
        if shown is not None and (description.reads != "image" or max(shown) >= channels):
            has = f"0..{channels - 1}" if description.reads == "image" else "none: it takes no pictures"
            message = f"channel {max(shown)} is outside of the channels of {description.name}'s input, {has}"
            raise at(self._set_at("show.channels"), "E214", message, "channels count from zero")

    def _set_at(self, key: str) -> Span:
        """Return the span of a setting's value; NOWHERE if set on the command line."""
        return self.set_at.get(key, NOWHERE)

    def _models(self, statements: list[ast.Model]) -> dict[str, ModelContext]:
        if len(statements) > 1:
            help = "several models: `model a = ..., b = ...`"
            raise at(statements[1].span, "E223", "a file has one `model` statement", help)
        items = statements[0].items if statements else ()
        if len(items) > 1:
            self._report(at(items[1].span, "E901", "several models in one file are not available yet"))
        options = self.options
        if options.description is not None:
            return {"": self._own_model(options.description)}
        if not items:
            context = self._model("", options.model or DEFAULT_MODEL, options.weights, NOWHERE)
            return {context.slot.alias: context}
        models: dict[str, ModelContext] = {}
        for number, item in enumerate(items):
            alias = item.alias.text if item.alias else ""
            if alias in models:
                span = item.alias.span if item.alias else item.span
                raise at(span, "E221", f"two models are called `{alias}`", "choose another name")
            name, span = item.name.value if isinstance(item.name, ast.String) else item.name.name, item.name.span
            weights = item.weights.value if item.weights else None
            if item.weights and weights == "download":
                message = "a text cannot request a download: nothing is fetched unless the command line allows it"
                raise at(item.weights.span, "E446", message, "use the command line: `--weights download`")
            if number == 0 and options.model is not None:  # the command line wins over the text
                name, weights, span = options.model, None, NOWHERE
            if number == 0 and options.weights:
                weights = options.weights
            models[alias] = self._model(alias, name, weights, span)
        return models

    def _own_model(self, description: ModelDescription) -> ModelContext:
        """Return the module that a caller passes."""
        self.reads, self.channels = description.reads, description.channels
        self._check_settings(description)
        slot = ModelSlot("", description.name, self.options.weights)
        size, crop = self.settings.get("preprocess.size"), self.settings.get("preprocess.crop")
        if (describe := self.options.described) is not None and (size is not None or crop is not None):
            span = self._set_at("preprocess.crop" if crop else "preprocess.size")
            description = self._with_span(span, lambda: describe(size=size, crop=crop))
        elif describe is not None and description.reads == "text" and (texts := self._texts()):
            description = describe(texts=texts)
        return self._in_context(slot, description)

    def _in_context(self, slot: ModelSlot, description: ModelDescription) -> ModelContext:
        return ModelContext(slot, self._labelled(self._scored(description)))

    def _model(self, alias: str, name: str, weights: str | None, span: Span) -> ModelContext:
        """Return the model of a registry name. ``span``: of that name, or NOWHERE."""
        assert self.registry.describe is not None, "the registry describes models"
        describe, name = self.registry.describe, self._located(name)

        def described() -> ModelDescription:
            description = describe(name)
            texts = self._texts() if description.reads == "text" else ()
            return describe(name, texts=texts) if texts else description

        description = self._with_span(span, described)
        self.reads, self.channels = description.reads, description.channels
        self._check_settings(description)
        slot = ModelSlot(alias, description.name, weights)
        if description.reads == "text":
            return self._in_context(slot, description)
        size, crop = self.settings.get("preprocess.size"), self.settings.get("preprocess.crop")
        if size and not crop:  # a size below the crop takes the crop along
            crop = tuple(min(size, side) for side in description.input_size)
        if crop and (crop if isinstance(crop, tuple) else (crop, crop)) != description.input_size:
            at_crop = self._set_at("preprocess.crop" if self.settings.get("preprocess.crop") else "preprocess.size")
            description = self._with_span(at_crop, lambda: describe(name, crop))
        return self._in_context(slot, description)

    def _with_span(self, span: Span, work: Callable[[], T]) -> T:
        """Run ``work``, attaching ``span`` to the errors that it raises, or none for NOWHERE."""
        try:
            return work()
        except BbiError as error:
            shown = span if span != NOWHERE else None
            raise BbiError([replace(d, span=shown) for d in error.diagnostics], self.file.source) from error

    def _scored(self, description: ModelDescription) -> ModelDescription:
        """Return the description with the scores that `output = "path"` names, for a model without one class vector."""
        for statement in self.file.statements:
            if isinstance(statement, ast.Output):
                path = statement.path
                layer = description.by_name.get(path.value) or next(
                    (x for x in description.layers if x.module == path.value), None
                )
                part = next((part for part in description.parts if part.name == path.value), None)
                if layer is None and part is not None and part.vector:
                    self.output, classes = f"result {part.name}", math.prod(part.shape)
                    labels = description.labels if classes == description.classes else ()
                    description = replace(
                        description,
                        classes=classes,
                        output="",
                        part=part.name,
                        labels=labels,
                        scores=part.scores,
                        ends=part.layers,
                    )
                    continue
                if layer is None:
                    help = did_you_mean(path.value, description.by_name)
                    if help is None:
                        help = f"`bbi layers {description.name}` lists all"
                        if vectors := [part.name for part in description.parts if part.vector]:
                            help = f"parts of what it gives are {listed(vectors)}; {help}"
                    raise at(path.span, "E204", f"`{path.value}` is not a layer of {description.name}", help)
                if layer.axes != ("channel",):
                    raise at(
                        path.span,
                        "E209",
                        f"`{path.value}` has the axes {', '.join(layer.axes)}, and scores are one vector",
                        f"attribute to one entry of it, {example_entry(layer)}",
                    )
                self.output = layer.module
                labels = description.labels if layer.shape[0] == description.classes else ()
                description = replace(
                    description,
                    classes=layer.shape[0],
                    output=layer.module,
                    part="",
                    labels=labels,
                    scores=layer.scores,
                    ends=(layer.name,) if description.ends else (),  # unknown stays unknown
                )
        return replace(description, scores=resolved_kind(self.settings.get("scores.kind"), description.scores))

    def _labelled(self, description: ModelDescription) -> ModelDescription:
        """Return the description with the class names of `set labels`. Raises CheckError E422."""
        name = self.settings.get("labels")
        if name is None:
            return description
        statement = next((s for s in self.file.statements if isinstance(s, ast.Set) and s.name.text == "labels"), None)
        span = statement.value.span if statement and statement.value else NOWHERE
        try:
            lines = read_text(beside(self._folder(), name), LARGEST).removeprefix("\ufeff").splitlines()
        except OSError as error:
            raise at(
                span,
                "E422",
                f'the labels in "{short(name)}" cannot be read: {error.strerror or error}',
                "a text file in UTF-8 with one class name a line",
            ) from error
        labels = tuple(line.strip() for line in lines if line.strip())
        if long := next((label for label in labels if len(label) > LONGEST), None):
            message = f'a label in "{short(name)}" has {len(long):,} letters: {short(long)}'
            raise at(span, "E422", message, f"a label has at most {LONGEST} letters")
        if len(labels) != description.classes:
            raise at(
                span,
                "E422",
                f'"{name}" has {len(labels)} labels, and {description.name} has {description.classes} classes',
            )
        return replace(description, labels=labels)

    def _located(self, name: str) -> str:
        """Return a model's name; where it names a file or a folder beside the text, with the full path."""
        prefix = next((p for p in FOLDERS if name.startswith(p)), "")
        if not prefix and not name.endswith(FILE):
            return name
        try:
            own = path_of(name.removeprefix(prefix))
            path = self._folder() / own
            return f"{prefix}{own if own.exists() or not path.exists() else path}"
        except OSError:  # reported when the model is loaded
            return name

    def _texts(self) -> tuple[str, ...]:
        """Return the inputs that are texts; `_inputs` reports errors in inputs later."""
        try:
            files = self._inputs([s for s in self.file.statements if isinstance(s, ast.Input)])
        except (BbiError, CheckError):
            return ()
        return tuple(file for file in files if _is_text(file))

    def _check_input(self, name: str, span: Span) -> None:
        """Raise CheckError E418 for an input of another kind than the model takes: pictures, texts, or numbers."""
        if self.reads is None or PLACEHOLDER.fullmatch(name):
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

    def _folder(self) -> Path:
        """Return the folder of the text, which file names in it are relative to."""
        return self.file.source.folder if self.file.source else Path()

    def _inputs(self, statements: list[ast.Input]) -> tuple[str, ...]:
        self.input_names = {}
        if self.options.inputs is not None:
            for name in self.options.inputs:
                self._check_input(name, NOWHERE)
            return tuple(file for name in self.options.inputs for file in self.options.expand(name))
        files: list[str] = []
        for called, literal_name in (pair for statement in statements for pair in _named_files(statement)):
            name = literal_name.value
            self._check_input(name, literal_name.span)
            try:
                if not name.startswith(("sample:", TEXT)) and "://" not in name:
                    name = str(beside(self._folder(), name))
                own = self._with_span(literal_name.span, partial(self.options.expand, name))
            except OSError as error:
                raise at(literal_name.span, "E411", f"{short(name)} cannot be opened: {error.strerror}") from error
            self._name_input(called, len(files), own, literal_name.span)
            files += own
        stated = any(isinstance(statement, ast.Dataset) for statement in self.file.statements)
        if not files and (stated or self.options.data or starts_without_input(self.file, self.registry)):
            return ()  # everything may be of the dataset, or of weights: `Checker.run` reports what is not
        if not files:
            help = 'add `input "cat.jpg"` to the text, or pass `--input cat.jpg`; `sample:chelsea` is a cat'
            raise at(NOWHERE, "E420", "no input: the page needs a picture to explain", help)
        return tuple(files)

    def _name_input(self, name: ast.Name | None, number: int, files: Sequence[str], span: Span) -> None:
        """Note the name of an input. Raises CheckError E273 for a name of several files, or of two inputs."""
        if name is None:
            return
        if len(files) != 1:
            raise at(span, "E273", f"`{name.text}` names {len(files)} pictures", "a name is of one picture")
        if name.text in self.input_names:
            raise at(name.span, "E273", f"two inputs are called `{name.text}`", "give each a name of its own")
        self.input_names = {**self.input_names, name.text: number}


def _named_files(statement: ast.Input) -> Iterator[tuple[ast.Name | None, ast.String]]:
    """Iterate over the inputs of a statement, each with its name, or None."""
    names: Sequence[ast.Name | None] = statement.names or [None] * len(statement.files)
    return zip(names, statement.files, strict=True)


def starts_without_input(file: ast.File, registry: Registry) -> bool:
    """Return whether a call in the text starts a pipe that needs no input."""
    calls = (node.name for node in walk(file) if isinstance(node, ast.Call))
    found = (registry.operations.get(name) for name in calls)
    return any(operation is not None and operation.called for operation in found)


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
