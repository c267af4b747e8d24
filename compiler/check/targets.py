"""Targets: scores of classes, by name, index, rank or selection, and their sums and differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bbilang.compiler.check.arguments.binding import SOME_LAYER, CheckError, at, describe, literal
from bbilang.compiler.check.arguments.boxes import EXAMPLE, class_in, of_the_map, read_box
from bbilang.compiler.check.class_names import check_index, class_index
from bbilang.compiler.check.directions import DirectionReader
from bbilang.compiler.check.fields import FieldReader
from bbilang.compiler.check.output_shapes import no_score_vector
from bbilang.compiler.check.scope import Scope
from bbilang.compiler.contract import Fail, Parameter
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.models import rebased
from bbilang.compiler.ir.program import Node, walk
from bbilang.compiler.ir.score_kinds import LOGITS, VALUE, unit_of
from bbilang.compiler.ir.types import MADE, Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.source import Span

SCORE = Parameter(
    "score",
    "word",
    "the score itself, or the probability after softmax (or sigmoid: `set scores`)",
    "logit",
    choices=("logit", "probability"),
)
COUNT = Parameter("k", "integer", "how many of the most probable classes", minimum=1)


RANKED = ("predicted", "top")  # classes that depend on what the network says of the input
NAMED = ("pick_atom", "substrate")  # atoms that do not
TARGET = ("target",)  # the component of an axis of sums and differences of classes: their index, not a class


class TargetReader:
    """Reads expressions for scores of the output."""

    def __init__(self, scope: Scope, fields: FieldReader):
        self.scope, self.fields, self.directions = scope, fields, DirectionReader(scope, fields)

    def target(self, expression: ast.Expression, field: Node | None = None) -> Node:
        """Resolve an argument that names an attribution target: scores, or the atoms of a layer after the field's."""
        value = self._of_pipe(self.scope.value(expression), field, expression.span)
        if isinstance(value, str):
            raise at(expression.span, "E232", f'the text "{value}" is not a target', f'write `output["{value}"]`')
        if isinstance(value, Node) and value.type.content == "score":
            chain = next((node for node in walk(value) if node.op == "chain"), None)
            if chain is not None and field is not None:
                atoms = chain.inputs[0].type
                self.fields.layers.in_order(field.type.layers, atoms.layers, atoms.model, expression.span)
            return value
        if isinstance(value, Node) and value.type.content == "selection":
            name = expression.name if isinstance(expression, ast.Path) else "selection"
            message = f"{describe(expression)} is a selection, not a target"
            raise at(expression.span, "E232", message, f"write `output[{name}]`")
        if not isinstance(value, int | float | bool | tuple | type(None)):
            node = self.fields.as_field(value, expression)
            if field is not None and node.type.atom not in ("class", "list") and node.op != "present":
                self.fields.layers.in_order(field.type.layers, node.type.layers, node.type.model, expression.span)
            return node
        help = 'targets are `output`, `output["name"]`, ...'
        raise at(expression.span, "E232", f"{describe(expression)} is not a target", help)

    def _of_pipe(self, value: object, field: Node | None, span: Span) -> object:
        """Return a target that a name stands for as a target of the pipe's model. Raises CheckError E317."""
        if not isinstance(value, Node) or field is None or not field.type.model or not value.type.model:
            return value
        own, other = field.type.model, value.type.model
        if own == other:
            return value
        if value.type.content == "score" and not any(node.op == "chain" for node in walk(value)):
            return self._scored_by(value, own, span)
        return rebased(value, own) if self.scope.alike(own, other) and value.op in NAMED else value

    def _scored_by(self, target: Node, alias: str, span: Span) -> Node:
        """Return the score that another model gives the same classes. Raises CheckError E317."""
        scope, type = self.scope, replace(target.type, model=alias)
        if target.op != "output":
            inputs = tuple(self._scored_by(child, alias, span) for child in target.inputs)
            return scope.make(target.op, inputs, dict(target.parameters), type, span)
        kind, *rest = which = target["which"]
        own, other = scope.models[alias].description, scope.models[target.type.model].description
        if kind == "classes" and own.labels != other.labels:
            which = (kind, tuple(self._same_class(index, own, other, span) for index in rest[0]))
        elif kind != "classes" and (own.labels, own.classes) != (other.labels, other.classes):
            raise self._other_classes(alias, target.type.model, span)
        if kind in RANKED:
            which = ("of", target)
        return scope.make("output", (), {"which": which, "score": target["score"]}, type, span)

    def _same_class(self, index: int, own: ModelDescription, other: ModelDescription, span: Span) -> int:
        """Return the number of a class in another model, by its name. Raises CheckError."""
        try:
            return class_index(own, other.label(index)) if other.labels else check_index(own, index)
        except Fail as fail:
            raise CheckError(fail, span) from fail

    def _other_classes(self, alias: str, other: str, span: Span) -> CheckError:
        help = f"name a class, or take what `{alias}` predicts: `{alias}:output`"
        return at(span, "E317", f"these classes are those of `{other}`, and `{alias}` has others", help)

    def chain(self, expression: ast.Binary) -> Node:
        """Build `atoms -> target`: the attribution of those atoms to the target, as a target itself."""
        atoms = self.fields.field(expression.left)
        to = self.target(expression.right, atoms)
        help = f"as in `{SOME_LAYER}.channel[7] -> output`"
        if atoms.type.atom in ("class", "list"):
            raise at(expression.left.span, "E232", "`->` needs the atoms of a layer before it", help)
        if atoms.type.atom in MADE or len(atoms.type.layers) > 1:
            what = (
                f"atoms of one layer, not its {atoms.type.atom}s" if atoms.type.atom in MADE else "atoms of one layer"
            )
            raise at(expression.left.span, "E232", f"`->` needs {what} before it", help)
        if to.type.content != "score" or to.type.axis("class") is not None or to.op in ("chain", "combine"):
            raise at(expression.right.span, "E232", "`->` needs the score of one class after it", help)
        axes, model = (self.scope.input_axis(),), atoms.type.model
        type = FieldType("score", "class", ("output",), axes, model=model, unit=to.type.unit)
        type = type.with_states(*atoms.type.states, *to.type.states)
        return self.scope.make("chain", (atoms, to), {}, type, expression.span)

    def _scores(
        self, which: tuple[Any, ...], axes: tuple[Axis, ...], span: Span, score: str, states: tuple[Axis, ...] = ()
    ) -> Node:
        """Build scores of the output. ``which``: ("predicted",), ("all",), ("top", k), ("classes", indices) or
        ("selected", selection)."""
        scope = self.scope
        kind = scope.model.description.scores
        self._check_kind(which, span, score)
        alias = scope.model.slot.alias
        if which[0] in RANKED and not scope.own and (root := scope.root(alias)) != alias:
            with scope.within(root):
                which = ("of", self._scores(which, axes, span, score))
        unit = unit_of(kind) if score == "logit" else "probability"
        type = FieldType(
            "score",
            "class",
            ("output",),
            (scope.input_axis(), *axes),
            states,
            scope.model.slot.alias,
            unit != "probability",
            unit,
        )
        return scope.make("output", (), {"which": which, "score": score}, type, span)

    def _check_kind(self, which: tuple[Any, ...], span: Span, score: str) -> None:
        """Raise CheckError E248, E249 for a probability or a prediction of a regression's values."""
        description = self.scope.model.description
        if description.scores != VALUE:
            if score == "probability" and description.classes == 1 and description.scores == LOGITS:
                help = "one logit is meaningful where its sigmoid is the probability: `set scores(kind=independent)`"
                raise at(span, "E248", "the softmax of one score is always 1", help)
            return
        if score == "probability":
            help = "attribute to the value itself"
            help += "" if description.scores_map else "; or declare its kind: `set scores(kind=independent)`"
            raise at(span, "E248", f"the scores of {description.name} are values, and have no probability", help)
        if description.classes > 1 and which[0] in ("predicted", "top"):
            if description.scores_map:
                message = f"the scores of {description.name} are a map, and no class is predicted for the whole of it"
                raise at(span, "E249", message, f"name a class and where: {EXAMPLE}; or the class alone, over the map")
            help = "name one, as in `output[0]`, or all: `output.class`; for classes `set scores(kind=logits)`"
            message = f"the {description.classes} outputs of {description.name} are values, and none is predicted"
            raise at(span, "E249", message, help)

    def output(self, path: ast.Path, atom: str) -> Node:
        """Resolve `output`, the predicted class, or `output.class`, all classes."""
        self._classes(path.span)
        if path.name == "output":
            return self._scores(("predicted",), (), path.span, "logit")
        if atom != "class":
            word = Span(path.span.end - len(atom), path.span.end)
            raise at(word, "E208", f"the output has no atom `{atom}`", "it has `output.class`")
        total = self._classes(path.span)
        if self.scope.model.description.scores_map:  # without those of boxes
            total = self.scope.model.description.map_classes
            which: tuple[Any, ...] = ("classes", tuple(range(total)))
            return self._scores(which, (Axis("class", total),) if total > 1 else (), path.span, "logit")
        return self._scores(("all",), (Axis("class", total),), path.span, "logit")

    def _classes(self, span: Span) -> int:
        """Return the number of classes. Raises CheckError E247 for a model without a vector of scores."""
        description = self.scope.model.description
        if not description.classes:
            raise CheckError(no_score_vector(description), span)
        return description.classes

    def indexed(self, index: ast.Index) -> Node:
        """Resolve `output["tabby"]`, `output[208]`, `output[top(5)]`, `output[a]`, several of them,
        `score=probability`, `at=box(0, 0, 9, 9)`."""
        score, picks, at_span, box = "logit", [], index.span, None
        total = self._classes(index.value.span)
        for argument in index.arguments:
            if argument.name is None:
                picks.append(argument.value)
            elif argument.name == "score":
                score = literal(argument.value, SCORE)
            elif argument.name == "at":
                at_span, box = argument.value.span, read_box(self.scope.model.description, argument.value)
            else:
                help = "it takes `score=` and `at=`"
                raise at(argument.span, "E211", f"`output[...]` has no argument `{argument.name}`", help)
        if not picks:
            return self._scores(("predicted",), (), index.span, score)
        if len(picks) == 1:
            pick = picks[0]
            if isinstance(pick, ast.Call) and pick.name == "top":
                if len(pick.arguments) != 1:
                    raise at(pick.span, "E212", "`top` needs how many classes", "as in `output[top(5)]`")
                k = literal(pick.arguments[0].value, COUNT)
                if k > total:
                    raise at(pick.span, "E214", f"the model has {total} classes, not {k}")
                varies = ("input",) if self.scope.input_axis().size > 1 else ()  # each has its own most likely classes
                return self._scores(("top", k), (Axis("class", k, varies=varies),), index.span, score)
            if isinstance(pick, ast.Path) and pick.name == "top" and self.scope.find("top") is None:
                raise at(pick.span, "E212", "`top` needs how many classes", "as in `output[top(5)]`")
            if not isinstance(pick, ast.Number | ast.String):
                if box is not None:
                    raise at(at_span, "E343", "`at=` is the place of named classes", f"as in {EXAMPLE}")
                return self._selected(pick, index.span, score)
        indices = tuple(self._class(pick) for pick in picks)
        if box is not None:
            indices = tuple(class_in(self.scope.model.description, index, box) for index in indices)
        axes = (Axis("class", len(indices)),) if len(indices) > 1 else ()
        return self._scores(("classes", indices), axes, index.span, score)

    def _class(self, pick: ast.Expression) -> int:
        """Return the index of one class, by name or number. Raises CheckError E205, E206, E207, E232."""
        description = of_the_map(self.scope.model.description)
        value = self.scope.value(pick) if not isinstance(pick, ast.String) else pick.value
        try:
            if isinstance(value, str):
                return class_index(description, value)
            if isinstance(value, int) and not isinstance(value, bool):
                return check_index(description, value)
        except Fail as fail:
            raise CheckError(fail, pick.span) from fail
        help = "a class is a name in quotes or a number"
        if isinstance(value, Node) and value.type.content == "selection":
            help = f"a selection must be alone, as in `[output[{getattr(pick, 'name', '...')}], output[208]]`"
        raise at(pick.span, "E232", f"{describe(pick)} is not a class", help)

    def _selected(self, pick: ast.Expression, span: Span, score: str) -> Node:
        """Return the class that a name is bound to, or the classes of a selection. Raises CheckError E233, E309."""
        value: Any = self.scope.value(pick)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return self._scores(("classes", (self._class(pick),)), (), span, score)
        if isinstance(value, Node) and value.type.content == "score":
            help = "write it without `output[...]` around it"
            raise at(pick.span, "E233", f"{describe(pick)} is a target already", help)
        if not (isinstance(value, Node) and value.type.content == "selection"):
            help = 'as in `output["tabby"]`, `output[208]`, `output[top(5)]`, `output[pick(output[top(5)])]`'
            raise at(pick.span, "E233", f"{describe(pick)} is neither a class nor a selection of classes", help)
        own, other = self.scope.model, self.scope.models[value.type.model or self.scope.model.slot.alias]
        if (own.description.labels, own.description.classes) != (other.description.labels, other.description.classes):
            raise self._other_classes(own.slot.alias, other.slot.alias, pick.span)
        if value.type.axes[0].components != ("class",):
            message = f"this selection ranges over {', '.join(value.type.axes[0].components)}, not over classes"
            raise at(pick.span, "E309", message, "select among classes: `pick(output[top(5)])`")
        return self._scores(("selected", value), (), span, score, value.type.axes)

    def stack(self, targets: list[Node], span: Span) -> Node:
        """Build `[t, u]`: an axis `class` with one entry for each target. Raises CheckError E213, E232."""
        for target in targets:
            if target.op == "chain":
                raise at(span, "E232", "an attribution (`->`) is a target by itself", "give each its own pipe")
            if target.type.axis("class") is not None:
                raise at(span, "E213", "a list of targets cannot hold a target that is several classes already")
        sums = any(target.op == "combine" for target in targets)
        type = FieldType(
            "score",
            "class",
            ("output",),
            (self.scope.input_axis(), Axis("class", len(targets), TARGET if sums else ())),
            model=targets[0].type.model,
            signed=any(t.type.signed for t in targets),
            unit=targets[0].type.unit,
        )
        if len({t.type.unit for t in targets}) > 1:
            raise at(span, "E213", "these targets have different units: logits and probability")
        type = type.with_states(*(axis for t in targets for axis in t.type.states))
        return self.scope.make("stack", tuple(targets), {}, type, span)

    def combine(self, expression: ast.Binary | ast.Unary) -> Any:
        """Combine operands: scores subtract and add; numbers do arithmetic."""
        scope = self.scope
        operands = (expression.left, expression.right) if isinstance(expression, ast.Binary) else (expression.operand,)
        values = [scope.value(operand) for operand in operands]
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            return _arithmetic(expression, values)
        if any(isinstance(v, Node) and self.directions.is_one(v) for v in values):
            return self.directions.sum(expression, values)
        if isinstance(expression, ast.Unary) or expression.operator not in "+-":
            help = 'as in `output["tabby"] - output["tiger cat"]`'
            raise at(expression.span, "E232", "scores add and subtract, and know no other arithmetic", help)
        for value, operand in zip(values, operands, strict=True):
            if not (isinstance(value, Node) and value.type.content == "score"):
                raise at(
                    operand.span,
                    "E232",
                    f"{describe(operand)} is not a score, and only scores add and subtract",
                    'as in `output["tabby"] - output["tiger cat"]`',
                )
            if any(node.op == "chain" for node in walk(value)):
                raise at(operand.span, "E232", "an attribution (`->`) is a target by itself", "give each its own pipe")
        left, right = values
        if left.type.model != right.type.model:
            message = f"these scores are of two models, `{left.type.model}` and `{right.type.model}`"
            raise at(expression.span, "E318", message, "show each in an element of its own")
        if left.type.unit != right.type.unit:
            message = "these scores have different units: logits and probability"
            raise at(expression.span, "E213", message, "give both the same `score=`")
        sizes = [t.type.axis("class") for t in values if t.type.axis("class")]
        if len(sizes) == 2 and sizes[0].size != sizes[1].size:
            raise at(expression.span, "E231", f"{sizes[0].size} classes and {sizes[1].size} classes do not pair up")
        base = left if left.type.axis("class") else right
        type = replace(base.type, signed=True, states=()).with_states(*left.type.states, *right.type.states)
        if (classes := type.axis("class")) is not None:
            type = type.swap(replace(classes, components=TARGET))
        sign = 1.0 if expression.operator == "+" else -1.0
        return scope.make("combine", (left, right), {"sign": sign}, type, expression.span)


def _arithmetic(expression: ast.Binary | ast.Unary, values: list[float]) -> float:
    if isinstance(expression, ast.Unary):
        return -values[0]
    left, right = values
    match expression.operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/" if right:
            return left / right
    raise at(expression.span, "E213", "this arithmetic has no result")
