"""`claim "..." = pipe < number`: sentences, and the numbers that they stand for."""

from __future__ import annotations

from bbilang.compiler.check.arguments.binding import SOME_LAYER, at, describe
from bbilang.compiler.check.arguments.checkpoints import stacked
from bbilang.compiler.check.fields import FieldReader
from bbilang.compiler.check.scope import Scope
from bbilang.compiler.contract.claims import CASES, Claim, Condition
from bbilang.compiler.ir.models import CHECKPOINT_AXIS, is_stack
from bbilang.compiler.ir.program import Node, PerExample
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source, Span

CLAIMS = "claims"  # the id of their element
LONGEST = 200  # letters of a sentence
CONTROLS = 999  # random sets of a claim about an intervention, where it does not say how many
CONTROLS_OF_EXAMPLES = 99  # of one over the examples of a dataset, in each of which they run
PER_CLAIM = 20  # with fewer than 20 m - 1 random sets, no p-value of m claims passes Holm's correction
TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
FORM = f'as in `claim "..." = {SOME_LAYER}.channel[7] | ablate(zero) | effect(output) < -0.5`'


@frozen
class _Test:
    """A comparison as it stands in the text."""

    left: Node
    comparison: str
    right: Node | float
    text: str
    span: Span


class ClaimReader:
    """The claims of one text, in its order."""

    def __init__(self, scope: Scope, fields: FieldReader, source: Source | None):
        self.scope, self.fields, self.source = scope, fields, source
        self.tests: list[tuple[str, tuple[_Test, ...], Span]] = []

    def add(self, statement: ast.Claim) -> None:
        """Check a statement. Raises CheckError E285, E286."""
        sentence = statement.sentence.value
        if not sentence.strip() or len(sentence) > LONGEST or not sentence.isprintable():
            message = f"a claim is a sentence on one line, of at most {LONGEST} letters"
            raise at(statement.sentence.span, "E285", message, "say what should hold")
        self.tests.append((sentence, tuple(self._tests(statement.value)), statement.span))

    def _tests(self, value: ast.Expression) -> list[_Test]:
        if isinstance(value, ast.Binary) and value.operator == "and":
            return [*self._tests(value.left), *self._tests(value.right)]
        if not isinstance(value, ast.Binary) or value.operator not in TURNED:
            message = f"a claim compares a number, and {describe(value)} is no comparison"
            raise at(value.span, "E285", message, FORM)
        left, right = (self._side(side) for side in (value.left, value.right))
        comparison = value.operator
        if isinstance(left, float):
            left, right, comparison = right, left, TURNED[comparison]
        if isinstance(left, float):
            raise at(value.span, "E285", "a claim is about the network, and these are two numbers", FORM)
        if isinstance(right, Node) and _cases(left) != _cases(right):
            message = "the two sides are about different cases: their numbers cannot be paired"
            raise at(
                value.span, "E286", message, "compare each with a number, or take both of the same inputs or dataset"
            )
        text = self.source.text[value.span.start : value.span.end] if self.source is not None else ""
        return [_Test(left, comparison, right, " ".join(text.split()), value.span)]

    def _side(self, side: ast.Expression) -> Node | float:
        """Read one side of a comparison. Raises CheckError E285, E286."""
        value = self.scope.value(side)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, Node) or value.type.content in ("picture", "selection", "intervention", "dataset"):
            raise at(side.span, "E285", f"{describe(side)} is no number", FORM)
        node = self.fields.with_content(value, side.span) if value.type.content == "substrate" else value
        node = self._without_mean(node, side.span)
        left = [axis.name for axis in node.type.axes if axis.name not in (*CASES, CHECKPOINT_AXIS) and axis.size > 1]
        if left:
            axes = ", ".join(f"`{name}`" for name in left)
            message = f"a claim is about one number, and this field has the ax{'is' if len(left) == 1 else 'es'} {axes}"
            help = "spend it: `sum`, `mean`, `max`; of changed atoms `together=true`"
            raise at(side.span, "E286", message, help)
        return node

    def node(self, inputs: int) -> Node | None:
        """Return the node of all claims; None where there is none. ``inputs``: of the page. Raises CheckError E287."""
        if not self.tests:
            return None
        count = sum(any(self._compared(test.left) for test in tests) for _, tests, _ in self.tests)
        nodes: list[Node] = []
        claims = []
        for sentence, tests, _ in self.tests:
            conditions = []
            for test in tests:
                left = self._controlled(test.left, count, test.span) if isinstance(test.right, float) else test.left
                nodes.append(left)
                number = len(nodes) - 1
                right = -1
                if isinstance(test.right, Node):
                    nodes.append(test.right)
                    right = len(nodes) - 1
                bound = test.right if isinstance(test.right, float) else 0.0
                conditions.append(Condition(number, test.comparison, right, bound, test.text))
            claims.append(Claim(sentence, tuple(conditions)))
        several = inputs > 1 or any(axis.name == "example" for node in nodes for axis in node.type.axes)
        by_chance = any(self._sets(node) for node in nodes)
        measures = ("value", *(("from", "to") if several else ()), *(("p",) if by_chance else ()))
        rows = sum(len(tests) for _, tests, _ in self.tests)
        type = FieldType(
            "statistic", "class", (), (Axis("claim", rows), Axis("measure", len(measures))), model=nodes[0].type.model
        )
        parameters = {"claims": tuple(claim.plain for claim in claims), "measures": measures}
        return self.scope.make("claims", tuple(nodes), parameters, type, self.tests[0][2])

    @property
    def span(self) -> Span:
        """Where the first claim stands."""
        return self.tests[0][2]

    @property
    def style(self) -> str:
        """The name of the style that lists claims."""
        return next(name for name, style in self.scope.registry.styles.items() if style.lists_claims)

    def _compared(self, node: Node) -> tuple[Node, str] | None:
        """Return the stage of a pipe that compares its numbers with random sets, for each example where it stands last
        before `across`, and its parameter that says with how many; None where none does."""
        each = node.get("each")
        stage = each.node if isinstance(each, PerExample) else node
        name = self.scope.registry.operations[stage.op].controls_of(stage.type)
        return (stage, name) if name else None

    def _sets(self, node: Node) -> int:
        """Return with how many random sets a pipe compares its numbers."""
        found = self._compared(node)
        return int(found[0][found[1]]) if found else 0

    def _controlled(self, node: Node, count: int, span: Span) -> Node:
        """Return a field with as many random sets as ``count`` claims need. Raises CheckError E287."""
        found = self._compared(node)
        if found is None:
            return node
        stage, name = found
        needed = PER_CLAIM * count - 1
        given = int(stage[name])
        if given and given < needed:
            message = (
                f"{given} random sets are too few for {count} claim{'s' * (count > 1)}: no p-value could pass 0.05"
            )
            usual = CONTROLS if stage is node else CONTROLS_OF_EXAMPLES
            raise at(span, "E287", message, f"{needed} suffice: `{name}={needed}`; without it there are {usual}")
        if given:
            return node
        if stage is node:
            return self._with(node, name, max(CONTROLS, needed), span)
        own = self._with(stage, name, max(CONTROLS_OF_EXAMPLES, needed), span)
        return self._with(node, "each", PerExample(own), span)

    def _with(self, node: Node, name: str, value: object, span: Span) -> Node:
        """Return a node with another value of a parameter."""
        parameters = {key: own for key, own in node.parameters if key != name}
        return self.scope.make(node.op, node.inputs, {**parameters, name: value}, node.type, span)

    def _without_mean(self, node: Node, span: Span) -> Node:
        """Return what a pipe takes the mean of over the examples of a dataset: a claim takes it itself, with its
        interval."""
        if is_stack(node):  # of each checkpoint
            own = [self._without_mean(member, span) for member in node.inputs]
            return node if own == list(node.inputs) else stacked(self.scope, own, span)
        reduced = self.scope.registry.operations[node.op].reduces_examples(node)
        return node.inputs[0] if reduced == ("mean", 0.0) and node.get("per") is None else node


def _cases(node: Node) -> tuple[object, ...]:
    """Return what two numbers must share to be compared: inputs, choices of the reader, and whether they are of
    examples. Those of different examples are two groups."""
    axes = tuple(axis for axis in node.type.axes if axis.name in (*CASES, CHECKPOINT_AXIS) and axis.name != "example")
    return axes, node.type.axis("example") is not None, node.type.states
