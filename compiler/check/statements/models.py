"""`model` statements: the networks of a text, and those that are derived from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from bbilang.compiler.check.arguments.binding import at
from bbilang.compiler.check.class_names import listed
from bbilang.compiler.check.options import GivenModel
from bbilang.compiler.check.scope import ModelContext
from bbilang.compiler.check.settings import SETTINGS
from bbilang.compiler.check.statements.checkpoints import is_several
from bbilang.compiler.check.statements.scores import ScoreStatements
from bbilang.compiler.contract import ModelChange, Registry, did_you_mean
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import ModelSlot, Node, Program
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.files import path_of
from bbilang.grammar.source import NOWHERE, Span

DEFAULT_MODEL = "efficientnet_lite0"
ORIGINAL = "original"  # what a network without a name is called once another is derived from it
FOLDERS, FILE = ("transformers:",), ".pt2"  # prefixes of models that are folders; suffix of a model that is a file

T = TypeVar("T")


class ModelStatements(ScoreStatements):
    """Describes the models of a text, wherever their statements are. What changes derived ones is read later, where the
    statement stands (`compiler.check.statements.changes`), since it may use names of the text."""

    reads: str | None = None  # what the models take, "image", "text", "signal" ...; None until it is known
    channels: int = 3  # of their input

    def _texts(self) -> tuple[str, ...]:
        """Return the inputs that are texts."""
        raise NotImplementedError

    def _sounds(self) -> tuple[str, ...]:
        """Return the inputs that are sounds."""
        raise NotImplementedError

    def _models(self, statements: Iterable[ast.Model]) -> dict[str, ModelContext]:
        items = [item for statement in statements for item in statement.items]
        models: dict[str, ModelContext] = {}
        if not items:
            return self._without_statement()
        for item in items:
            alias = item.alias.text if item.alias else ""
            if not alias and len(items) > 1:
                help = "write `model a = ...`, and `model b = ...`; layers are then `a:some_layer` and `b:some_layer`"
                raise at(item.span, "E289", "each of several models needs a name", help)
            if alias in models:
                span = item.alias.span if item.alias else item.span
                raise at(span, "E221", f"two models are called `{alias}`", "choose another name")
            if item.stages and (several := self.several(item, models)):
                message = f"a change is of one network, and `{several}` is several checkpoints"
                raise at(
                    item.name.span, "E342", message, 'name the checkpoint that is changed: `from "last.safetensors"`'
                )
            base = item.name.name if isinstance(item.name, ast.Path) and item.name.name in models else ""
            if item.stages:
                base = base or self._original(item, models)
                models[alias] = self._derived(item, alias, models[base])
            elif base:
                help = f"a derived model has a change: `model {alias} = {base} | ablate(some_layer.channel[7])`"
                raise at(item.name.span, "E289", f"`{base}` is a model of this text already", help)
            elif is_several(item.weights.value if item.weights else None, self._folder()):
                models |= self.checkpoints_of(item, alias, first=not models)
            else:
                models[alias] = self._root(item, alias, first=not models)
        self._check_given(models)
        return models

    def _check_given(self, models: dict[str, ModelContext]) -> None:
        """Raise CheckError E363 where the command line or a call gives a model that the text does not name."""
        roots = [alias for alias, context in models.items() if context.slot.base is None and not context.slot.of]
        for alias in self.options.models:
            if alias in models and alias not in roots:
                base = models[alias].slot.lineage[-1].alias
                raise at(NOWHERE, "E363", f"a model is given for `{alias}`, which is derived from `{base}`",
                         f"give that of `{base}`")  # fmt: skip
            if alias not in roots:
                names = [name for name in roots if name]
                help = did_you_mean(alias, names) or (
                    f"the text names {listed(names)}" if names else "its only model has no name: give it without one"
                )
                raise at(NOWHERE, "E363", f"a model is given for `{alias}`, which the text does not name", help)

    def _without_statement(self) -> dict[str, ModelContext]:
        """Return the models of a text that names none."""
        options = self.options
        if options.models:
            return {alias: self._given(alias, given, NOWHERE) for alias, given in options.models.items()}
        if options.description is not None:
            given = GivenModel(None, options.weights, options.description, options.described)
            return {"": self._given("", given, NOWHERE)}
        context = self._model("", options.model or DEFAULT_MODEL, options.weights, NOWHERE)
        return {context.slot.alias: context}

    def _root(self, item: ast.ModelItem, alias: str, first: bool) -> ModelContext:
        """Return the model of a name of the registry, or what the command line or a call gives for it."""
        options, weights = self.options, item.weights.value if item.weights else None
        name, span = item.name.value if isinstance(item.name, ast.String) else item.name.name, item.name.span
        if item.weights and weights == "download":
            message = "a text cannot request a download: nothing is fetched unless the command line allows it"
            raise at(item.weights.span, "E446", message, "use the command line: `--weights download`")
        if item.weights and weights != "random":
            self._stays(str(weights), item.weights.span)
        if (given := options.models.get(alias)) is not None:
            return self._given(alias, given, span, name, weights)
        if first and options.description is not None:
            own = GivenModel(None, options.weights, options.description, options.described)
            return self._given(alias, own, NOWHERE)
        if first and options.model is not None:  # the command line wins over the text
            name, weights, span = options.model, None, NOWHERE
        if first and options.weights:
            weights = options.weights
        is_file = (prefix := next((p for p in FOLDERS if name.startswith(p)), "")) or name.endswith(FILE)
        if is_file and span != NOWHERE:
            self._stays(self._located(name).removeprefix(prefix), span)
        return self._model(alias, name, weights, span)

    def _given(
        self, alias: str, given: GivenModel, span: Span, name: str = DEFAULT_MODEL, weights: str | None = None
    ) -> ModelContext:
        """Return a model that the command line or a call gives. ``name`` and ``weights``: those of the text."""
        if given.description is not None:
            return self._own_model(alias, given, given.description)
        if given.name is not None:
            name, weights, span = given.name, None, NOWHERE
        return self._model(alias, name, given.weights or weights, span)

    def _original(self, item: ast.ModelItem, models: dict[str, ModelContext]) -> str:
        """Add the network that a model is derived from, where the text gives it no name of its own."""
        if models:
            name = item.name.value if isinstance(item.name, ast.String) else item.name.name
            help = f"name the network first: `model other = {name}`, and then `model ... = other | ...`"
            near = did_you_mean(name, models)
            raise at(item.name.span, "E289", f"`{name}` is none of the models above", near or help)
        models[ORIGINAL] = self._root(item, ORIGINAL, first=True)
        return ORIGINAL

    def _derived(self, item: ast.ModelItem, alias: str, base: ModelContext) -> ModelContext:
        """Return a model that is derived from another. Raises CheckError E289."""
        if item.weights is not None and base.slot.alias != ORIGINAL:
            message = f"`{base.slot.alias}` has its weights already"
            raise at(
                item.weights.span, "E289", message, f"give them where it is named: `model {base.slot.alias} = ...`"
            )
        slot = replace(base.slot, alias=alias, base=base.slot, changes=())
        return ModelContext(slot, base.description)

    def _reads_alike(self, alias: str, description: ModelDescription, span: Span) -> None:
        """Note what a model takes. Raises CheckError E319 where another takes something else."""
        if self.reads is not None and self.reads != description.reads:
            message = f"`{alias}` takes {description.reads}s, and the models above take {self.reads}s"
            raise at(span, "E319", message, "the inputs of a text are of one kind: take two texts")
        self.reads = description.reads
        if self.channels in (1, 3):
            self.channels = description.channels

    def _check_settings(self, description: ModelDescription) -> None:
        """Check the settings about the input against the model.

        Raises CheckError E407 for a preprocessing that gives no picture, E213 and E214 for numbers of channels.
        """
        known, channels = self.settings.get, description.channels
        self._check_kind(description.reads == "audio")
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

    def _check_kind(self, sound: bool) -> None:
        """Raise CheckError E407 for a setting about pictures of a model that takes sounds, and the other way round."""
        for name in ("size", "crop", "mean", "std") if sound else ("rate", "window", "hop"):
            if self.settings.get(f"preprocess.{name}") is not None:
                of, takes = ("pictures", "sounds") if sound else ("sounds", "none")
                message = f"`{name}` is of {of}, and the model takes {takes}"
                help = (
                    "`set preprocess(rate=, window=, hop=)` is of sounds, and `size=, crop=, mean=, std=` of pictures"
                )
                raise at(self._set_at(f"preprocess.{name}"), "E407", message, help)

    def _check_hearing(self, known: ModelDescription) -> None:
        """Raise CheckError E370 for a rate or a window that a trained network of sounds does not take."""
        rate, window, hop = (self.settings.get(f"preprocess.{name}") for name in ("rate", "window", "hop"))
        looks = f"{known.name} looks at windows of {known.window:,} samples"
        if rate not in (None, known.rate):
            message = f"{known.name} was trained at {known.rate:,} samples per second, and `rate` is {rate:,}"
            raise at(self._set_at("preprocess.rate"), "E370", message, "leave it out: sounds are resampled")
        if known.window and window not in (None, known.window):
            help = "leave it out: `hop=` says how far one window is from the next"
            raise at(self._set_at("preprocess.window"), "E370", f"{looks}, and `window` is {window:,}", help)
        if known.window and hop is not None and hop > known.window:
            message = f"{looks}, and `hop` is {hop:,}: samples between two windows would not be heard"
            raise at(self._set_at("preprocess.hop"), "E370", message, "set a smaller hop")

    def _own_model(self, alias: str, given: GivenModel, description: ModelDescription) -> ModelContext:
        """Return the module that a caller passes."""
        self._reads_alike(alias, description, NOWHERE)
        self._check_settings(description)
        slot = ModelSlot(alias, description.name, given.weights)
        if description.reads == "audio":
            return self._in_context(slot, self._listening(given, description))
        size, crop = self.settings.get("preprocess.size"), self.settings.get("preprocess.crop")
        if (describe := given.described) is not None and (size is not None or crop is not None):
            span = self._set_at("preprocess.crop" if crop else "preprocess.size")
            description = self._with_span(span, lambda: describe(size=size, crop=crop))
        elif describe is not None and description.reads == "text" and (texts := self._texts()):
            description = describe(texts=texts)
        return self._in_context(slot, description)

    def _listening(self, given: GivenModel, description: ModelDescription) -> ModelDescription:
        """Return the description of a caller's model for the sounds and the settings of the text."""
        names = ("rate", "window", "hop")
        changes = {name: value for name in names if (value := self.settings.get(f"preprocess.{name}")) is not None}
        sounds, describe = self._sounds(), given.described
        if describe is None or not (changes or sounds):
            return description
        span = next((self._set_at(f"preprocess.{name}") for name in changes), NOWHERE)
        return self._with_span(span, lambda: describe(texts=sounds, **changes))

    def _in_context(self, slot: ModelSlot, description: ModelDescription) -> ModelContext:
        return ModelContext(slot, self.scored(description))

    def _model(self, alias: str, name: str, weights: str | None, span: Span) -> ModelContext:
        """Return the model of a registry name. ``span``: of that name, or NOWHERE."""
        assert self.registry.describe is not None, "the registry describes models"
        describe, name = self.registry.describe, self._located(name)

        def described() -> ModelDescription:
            description = describe(name)
            if description.reads == "audio":
                self._check_hearing(description)
                return describe(name, self.settings.get("preprocess.hop"), texts=self._sounds())
            texts = self._texts() if description.reads == "text" else ()
            return describe(name, texts=texts) if texts else description

        description = self._with_span(span, described)
        self._reads_alike(alias, description, span)
        self._check_settings(description)
        slot = ModelSlot(alias, description.name, weights)
        if description.reads in ("text", "audio"):
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


def unused_models(
    program: Program, slots: Iterable[ModelSlot], file: ast.File, registry: Registry
) -> Iterator[Diagnostic]:
    """Yield a warning W204 for each model that no element needs, nor says what became of. ``slots``: all models of the
    text, of which a program of one part has not all."""
    used = {slot.alias for part in program.parts or (program,) for slot in part.models[0].lineage}
    used |= {slot.alias for slot in slots if any(_reports(change, registry) for change in slot.changes)}
    for statement in file.statements:
        for item in statement.items if isinstance(statement, ast.Model) else ():
            if item.alias is not None and item.alias.text not in used:
                name = item.alias.text
                message, help = f"nothing is shown of the model `{name}`", f"as in `{name}:some_layer.channel`"
                yield Diagnostic("W204", message, item.alias.span, help, severity="warning")


def _reports(change: Node, registry: Registry) -> bool:
    operation = registry.operations[change.op]
    return isinstance(operation, ModelChange) and bool(operation.reported_by)
