"""Completion: the choices that an editor offers at an offset in the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bbilang.compiler.check.datasets import MEASURED, SCORED
from bbilang.compiler.check.present import PARAMETERS as PRESENT
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.scope import Layers
from bbilang.compiler.check.selections import SELECTIONS
from bbilang.compiler.check.settings import SETTINGS
from bbilang.compiler.check.targets import SCORE
from bbilang.compiler.contract import Parameter
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.spelling import layer_text
from bbilang.compiler.ir.types import ATOMS, FieldType
from bbilang.lsp.applicable import can_follow, presentation
from bbilang.lsp.calls import argument_text, parameters_of
from bbilang.lsp.cursor import Cursor, cursor_at
from bbilang.lsp.document import Document
from bbilang.lsp.hole_completion import complete_hole
from bbilang.lsp.markdown import ATOM_WORDS, DATASET, STATEMENTS, kind_words, layer_words, value_words
from bbilang.lsp.string_completion import Choice, string_choices

MAX_CHOICES = 150  # per answer: sending more takes longer than typing on
SPLIT = "split"  # the parameter that names a column of two values
LAYOUTS = {"row": "side by side", "column": "one above the other"}
Choices = Iterator[Choice]


def complete(document: Document, offset: int) -> tuple[list[Choice], bool, Cursor]:
    """Return the choices at an offset, whether the list was cut off, and the cursor there."""
    cursor = cursor_at(document.text, offset)
    if cursor.comment or (cursor.word is not None and cursor.word.kind == "number"):
        return [], False, cursor
    if (at_hole := complete_hole(document, cursor, MAX_CHOICES)) is not None:
        return at_hole
    completer = _Completer(document, cursor)
    typed = cursor.typed.lower().strip('"')
    seen: set[tuple[str, str]] = set()
    choices: list[Choice] = []
    for choice in string_choices(document, cursor) if cursor.in_string else completer.choices():
        if (choice.label, choice.kind) not in seen and _matches(typed, choice):
            seen.add((choice.label, choice.kind))
            choices.append(choice)
        if len(choices) > 4 * MAX_CHOICES:
            break
    choices.sort(key=lambda choice: (choice.rank, not choice.label.lower().startswith(typed)))
    return choices[:MAX_CHOICES], len(choices) > MAX_CHOICES, cursor


def _matches(typed: str, choice: Choice) -> bool:
    """Return whether the typed characters occur in the choice in their order; for a class name, as one substring."""
    if choice.kind == "class":
        return typed in choice.label.lower()
    letters = iter((choice.match or choice.label).lower())
    return all(letter in letters for letter in typed)


class _Completer:
    """Completes at one position of a document."""

    def __init__(self, document: Document, cursor: Cursor):
        self.document, self.cursor = document, cursor
        self.registry = document.registry
        self.resolver: Resolver | None = document.resolver_at(cursor.start)

    def choices(self) -> Choices:
        cursor, frame = self.cursor, self.cursor.frame
        if self._after_dot():
            yield from self._atoms_after_value()
        elif cursor.is_stage:
            yield from self._stages()
        elif len(cursor.frames) == 1 or frame.opener == "{":
            yield from self._at_statement()
        elif frame.opener == "[":
            yield from self._in_index() if frame.callee else self._values()
        elif cursor.first == "layout":
            yield from self._elements()
            yield from self._layouts()
        elif frame.callee:
            yield from self._in_call()
        else:
            yield from self._values()

    # --- statements ---

    def _at_statement(self) -> Choices:
        cursor, frame = self.cursor, self.cursor.frame
        if frame.name is not None or frame.pipes or (frame.tokens and frame.tokens[-1].kind == "operator"):
            yield from self._values()
        elif not frame.tokens:
            words = ("set", "model", "input", "use") if cursor.text[: cursor.start].strip() == "" else ()
            for word, (form, about) in STATEMENTS.items():
                rank = "2" if word in words else "3"
                yield Choice(word, "keyword", form, about, rank=rank, insert=f"{word} ", topic=("statement", word))
            yield from self._values()
        elif cursor.first == "set" and len(frame.tokens) == 1:
            for name, parameters in SETTINGS.items():
                bare = parameters[0].name == "value"
                form = name if bare else f"{name}({', '.join(p.name for p in parameters)})"
                doc, insert = (parameters[0].doc, f"{name} ") if bare else ("", name)
                yield Choice(name, "setting", form, doc, insert=insert, call=not bare, topic=("setting", name))
        elif cursor.first == "model" and len(frame.tokens) == 1:
            yield from self._models()
        elif cursor.first == "model":
            yield Choice("from", "keyword", 'from "weights.pt"', "a weights file", insert="from ")
        elif cursor.first == "layout" and len(frame.tokens) == 1:
            yield from self._layouts()
        elif cursor.first == "name" and len(frame.tokens) == 1:
            yield from self._channels()

    def _channels(self) -> Choices:
        description = self.document.description_at(self.cursor.start)
        for layer in description.layers if description is not None else ():
            if "channel" in layer.axes:
                path, detail = f"{layer_text(layer.name)}.channel", f"{layer.sizes['channel']} channels"
                yield Choice(path, "layer", detail, insert=f"{path}[", topic=("layer", layer.name))

    def _models(self) -> Choices:
        for name in self.registry.models():
            yield Choice(name, "model", "of the registry", topic=("model", name))

    def _layouts(self) -> Choices:
        for name, words in LAYOUTS.items():
            yield Choice(name, "function", words, call=True)

    # --- stages ---

    def _stages(self) -> Choices:
        field = self.document.field(self.cursor.before, self.cursor.start)
        for operation in self.registry.operations.values():
            if operation.head:
                continue
            if field is not None and self.resolver is not None and not can_follow(field, operation, self.resolver):
                continue
            rank = "1" if operation.content or operation.name in ("top", "present", "at") else "2"
            parameters = PRESENT if operation.name == "present" else operation.parameters
            needs = ", ".join(p.name if p.required else f"{p.name}=" for p in parameters[:4])
            yield Choice(operation.name, "operation", f"({needs})" if needs else "", rank=rank,
                         call=any(p.required for p in parameters), topic=("operation", operation.name))  # fmt: skip
        yield from self._macros()

    def _macros(self) -> Choices:
        for name, macro in (self.resolver.macros if self.resolver else {}).items():
            if macro is not None:
                parameters = ", ".join(p.name for p in macro.parameters())
                yield Choice(name, "function", f"def {name}({parameters})", rank="2", call=True, topic=("name", name))

    # --- arguments ---

    def _in_call(self) -> Choices:
        cursor, frame = self.cursor, self.cursor.frame
        if frame.callee == "top" and self._in_output():
            return
        parameters = parameters_of(self.document, cursor, frame)
        field = self.document.field(cursor.piped(frame), cursor.start) if frame.stage else None
        if frame.name is not None:
            yield from self._argument(next((p for p in parameters if p.name == frame.name), None), field)
            return
        if frame.tokens:  # inside an expression
            current = parameters[frame.argument] if frame.argument < len(parameters) and not frame.given else None
            if current is not None and current.kind == "condition":
                yield from self._argument(current, field)
            yield from self._values()
            return
        if frame.argument < len(parameters) and not frame.given:
            yield from self._argument(parameters[frame.argument], field)
        elif not parameters:
            yield from self._values()
        given = {*frame.given, *(p.name for p in parameters[: frame.argument - len(frame.given)])}
        for parameter in parameters:
            if parameter.name not in given:
                name, words = parameter.name, kind_words(parameter)
                yield Choice(name, "parameter", words, parameter.doc, rank="4", insert=f"{name}=")

    def _in_output(self) -> bool:
        frames = self.cursor.frames
        return len(frames) > 1 and frames[-2].opener == "[" and frames[-2].callee == "output"

    def _argument(self, parameter: Parameter | None, field: Node | None) -> Choices:
        if parameter is None:
            yield from self._values()
            return
        choices_of: dict[str, Callable[[Parameter, FieldType | None], Choices]] = {
            "axis": self._axes, "flag": self._flags, "style": self._styles, "method": self._methods,
            "condition": self._condition, "element": self._elements, "contents": self._contents,
            "dataset": self._datasets, "datasets": self._datasets, "column": self._columns,
            "selection": self._selection_argument, "target": self._targets, "evidence": self._targets,
        }  # fmt: skip
        for choice in parameter.choices:
            yield Choice(choice, "word", parameter.name, parameter.doc, rank="0")
        if parameter.kind == "style" and field is not None:
            yield from self._fitting_styles(field)
        elif parameter.kind in choices_of:
            yield from choices_of[parameter.kind](parameter, field.type if field else None)
        elif parameter.kind in ("atoms", "linked", "fit", "compatible", "layer", "expression"):
            yield from self._values()
        elif parameter.kind == "ranking":
            yield from self._output("2")
            yield from self._bindings()
        elif parameter.kind in ("integer", "number", "numbers"):
            yield from self._numbers(parameter)
        if parameter.default is None and parameter.kind not in ("text", "element"):
            yield Choice("none", "word", "nothing", rank="5")

    def _axes(self, parameter: Parameter, type: FieldType | None) -> Choices:
        for axis in type.axes if type else ():
            if axis.name != "input" or axis.size > 1:
                yield Choice(axis.name, "axis", str(axis), parameter.doc, rank="0")

    def _flags(self, parameter: Parameter, type: FieldType | None) -> Choices:
        for word in ("true", "false"):
            yield Choice(word, "word", parameter.name, parameter.doc, rank="0")

    def _styles(self, parameter: Parameter, type: FieldType | None) -> Choices:
        for name, style in self.registry.styles.items():
            yield Choice(name, "style", f"spends {style.spends}", rank="1", topic=("style", name))

    def _fitting_styles(self, field: Node) -> Choices:
        for name, style in self.registry.styles.items():
            if self.resolver is not None:
                how = presentation(field, style, self.resolver)
                if how is None:
                    yield Choice(name, "style", f"spends {style.spends}", rank="6", topic=("style", name))
                elif how[0]:
                    yield Choice(name, "style", f"with facet={how[1]}", rank="1", insert=f"{name}, facet={how[1]}",
                                 topic=("style", name))  # fmt: skip
                else:
                    yield Choice(name, "style", f"spends {style.spends}", rank="0", topic=("style", name))

    def _methods(self, parameter: Parameter, type: FieldType | None) -> Choices:
        for name, method in self.registry.methods.items():
            if not (method.input_only and type is not None and type.layers != ("input",)):
                parameters = ", ".join(f"{p.name}=" for p in method.parameters)
                yield Choice(name, "method", f"({parameters})" if parameters else "", rank="0", topic=("method", name))

    def _condition(self, parameter: Parameter, type: FieldType | None) -> Choices:
        yield from self._columns(parameter, type)
        if type is None or type.content != "dataset":
            yield Choice("value", "word", "the signed number", rank="0")
            yield Choice("magnitude", "word", "its absolute value", rank="0")
        for axis in type.axes if type else ():
            if axis.name != "input" or axis.size > 1:
                yield from (Choice(c, "axis", "a position on the axis", rank="1") for c in axis.components)
        for word in ("and", "or", "not"):
            yield Choice(word, "keyword", rank="2")

    def _elements(self, parameter: Parameter | None = None, type: FieldType | None = None) -> Choices:
        for choice in self._bindings():
            if choice.detail.startswith("element"):
                yield choice

    def _contents(self, parameter: Parameter, type: FieldType | None) -> Choices:
        for name in ("activation", "gradient", "attribute"):
            yield Choice(name, "operation", "a content", rank="0", call=name != "activation",
                         topic=("operation", name))  # fmt: skip

    def _datasets(self, parameter: Parameter, type: FieldType | None) -> Choices:
        for choice in self._bindings():
            if choice.detail.startswith(DATASET):
                yield choice

    def _columns(self, parameter: Parameter, type: FieldType | None) -> Choices:
        """Columns of the examples of a dataset: of the field's, or of another argument's."""
        if parameter.of:
            known = parameters_of(self.document, self.cursor, self.cursor.frame)
            words = argument_text(self.cursor, known, parameter.of)
            given = self.document.value(words.lstrip("[ ").split(",")[0].rstrip("] "), self.cursor.start)
            type = given.type if isinstance(given, Node) else None
        halves = parameter.name == SPLIT  # two values say which examples are searched, and which measured
        for name, count in type.columns if type else ():
            if name.isidentifier() and not (halves and (name in (*SCORED, *MEASURED) or count not in (0, 2))):
                yield Choice(name, "word", f"a column, {count:,} values" if count else "a column", rank="0")

    def _selection_argument(self, parameter: Parameter, type: FieldType | None) -> Choices:
        yield from self._selections("0")
        for choice in self._bindings():
            if choice.detail.startswith(SELECTIONS):
                yield choice

    def _targets(self, parameter: Parameter, type: FieldType | None) -> Choices:
        yield from self._output("0")
        yield from self._values()

    def _numbers(self, parameter: Parameter) -> Choices:
        if not parameter.required and isinstance(parameter.default, int | float):
            yield Choice(f"{parameter.default:g}", "number", "the default", parameter.doc, rank="0")
        if parameter.slides:
            yield Choice("slider", "selection", "(from, to, step)", "a number that the reader chooses", rank="1",
                         call=True, topic=("selection", "slider"))  # fmt: skip
        for name, binding in self.document.names_at(self.cursor.start).items():
            value = binding.value
            is_slider = isinstance(value, Node) and value.op == "slider"
            if (isinstance(value, int | float) and not isinstance(value, bool)) or is_slider:
                yield Choice(name, "variable", value_words(value), rank="1", topic=("name", name))

    # --- values ---

    def _in_index(self) -> Choices:
        frame = self.cursor.frame
        if frame.callee != "output":
            yield from self._numbers(Parameter("index", "integer", "", slides=False))
            return
        if frame.name == "score":
            yield from (Choice(word, "word", SCORE.doc, rank="0") for word in SCORE.choices)
            return
        yield Choice("top", "function", "the k most probable classes", rank="0", call=True)
        for choice in self._bindings():
            if "class" in choice.detail and choice.detail.startswith(SELECTIONS):
                yield choice
        yield from self._selections("2")
        yield Choice("score", "parameter", "logit or probability", rank="4", insert="score=")
        description = self.document.description_at(self.cursor.start)
        if description is not None and description.scores_map:
            yield Choice("at", "parameter", "where in the picture: box(y0, x0, y1, x1)", rank="0", insert="at=box(")
        for choice in string_choices(self.document, self.cursor):
            yield choice

    def _values(self) -> Choices:
        yield from self._path_atoms()
        yield from self._bindings()
        yield from self._output("2")
        yield Choice("input", "substrate", "the picture", rank="2")
        yield Choice("input.pixel", "substrate", "the RGB of every position", rank="3")
        yield from self._selections("4")
        yield from self._macros()
        yield from self._layers()

    def _output(self, rank: str) -> Choices:
        description = self.document.description_at(self.cursor.start)
        if description is not None and description.classes:
            yield Choice("output", "substrate", "the class that the model predicts", rank=rank)
            yield Choice("output.class", "substrate", f"all {description.classes} classes", rank=rank)

    def _selections(self, rank: str) -> Choices:
        for name in SELECTIONS:
            if name != "slider" or self.cursor.frame.name is not None:
                yield Choice(name, "selection", "what the reader chooses", rank=rank, call=True,
                             topic=("selection", name))  # fmt: skip

    def _bindings(self) -> Choices:
        for name, binding in self.document.names_at(self.cursor.start).items():
            yield Choice(name, "variable", value_words(binding.value), rank="1", topic=("name", name))

    def _layers(self) -> Choices:
        description, prefix = self.document.description_at(self.cursor.start), ""
        head = self.cursor.typed.rpartition(":")[0]
        if head and self.resolver is not None and head in self.resolver.models:
            description, prefix = self.resolver.models[head].description, f"{head}:"
        if description is None:
            return
        for layer in description.layers:
            yield Choice(f"{prefix}{layer.name}", "layer", layer_words(layer), rank="5", topic=("layer", layer.name))
        for alias, name in description.aliases.items():
            yield Choice(f"{prefix}{alias}", "layer", f"is {name}", rank="6", topic=("layer", name))

    def _path_atoms(self) -> Choices:
        """Complete `block5c.expand.` with the atoms of the layer, layers or groups before the dot."""
        head, dot, _ = self.cursor.typed.rpartition(".")
        if not dot or not head:
            return
        for atom in self._atoms_of(head):
            yield Choice(f"{head}.{atom}", "atom", ATOM_WORDS[atom], rank="0", topic=("atom", atom))

    def _after_dot(self) -> bool:
        last = self.cursor.frame.tokens[-1] if self.cursor.frame.tokens else None
        start = self.cursor.word.start if self.cursor.word else self.cursor.offset
        return last is not None and last.text == "." and last.end == start

    def _atoms_after_value(self) -> Choices:
        frame = self.cursor.frame
        for atom in self._atoms_of(self.cursor.text[frame.begin : frame.tokens[-1].start]):
            yield Choice(atom, "atom", ATOM_WORDS[atom], rank="0", topic=("atom", atom))

    def _atoms_of(self, words: str) -> list[str]:
        if words.strip() == "output":
            return ["class"]
        value = self.document.value(words, self.cursor.start)
        if isinstance(value, Node) and value.op not in ("factorize", "input"):
            return []
        if not isinstance(value, Layers | Node) or self.resolver is None:
            return []
        return [atom for atom in ATOMS if self.document.value(f"({words.strip()}).{atom}", self.cursor.start)]
