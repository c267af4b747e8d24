"""`bbilang.penalty`: a pipe as a loss of the network that is being trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bbilang.compiler.check.check import check_names
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source, Span
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry
from bbilang.runtime.inputs import arguments as givens

if TYPE_CHECKING:
    from torch import nn

    from bbilang.runtime.losses.penalty import Penalty, Stage
    from bbilang.runtime.models.adapter import Adapter

REGIONS = ("inside", "outside")
PART = "_part{}"


def penalty(text: str, *, model: nn.Module | Adapter, input_size: int | Sequence[int] | None = None) -> Penalty:
    """Make a differentiable loss of a pipe, for training a network to have the right evidence.

        penalty = bbilang.penalty("input.pixel | attribute(output) | outside(boxes) | norm", model=net)
        loss = cross_entropy(net(x), y) + 10 * penalty(x, y, boxes=boxes)

    text: one pipe that ends in one number. `output` is the label of each example; `outside(boxes)` and `inside(boxes)`
    keep the part of a map that lies there; a `norm` without an axis is over everything that is left. Methods with a
    second derivative: `linear`, `input_x_gradient`, `gradient`, `integrated_gradients`. model: a torch.nn.Module or an
    adapter; used itself, in the mode it is in. input_size: as in `bbilang.run`. Raises `BbiError` with every error of
    the text, E480 for a stage without a second derivative, E481 for an axis that is left over.
    """
    from bbilang.runtime.losses.penalty import Penalty
    from bbilang.runtime.models.program_model import adapter_of

    source = Source(givens.words("text", text), "<penalty>")
    if isinstance(model, str) or model is None:
        givens.wrong("model", model, "a torch.nn.Module or an adapter: the network that is trained")
    adapter = adapter_of(model, None, input_size)
    pipe = _pipe(source)
    stages = _stages(pipe, source, adapter)
    return Penalty(adapter, stages, source, registry())


def _pipe(source: Source) -> ast.Pipe:
    """Return the one pipe of the text. Raises BbiError E481."""
    statements = parse(source).statements
    match statements:
        case (ast.Show(value=ast.Pipe() as pipe),):
            return pipe
    raise _refused("E481", "a penalty is one pipe", statements[0].span if statements else None, source,
                   "as in `input.pixel | attribute(output) | outside(boxes) | norm`")  # fmt: skip


def _stages(pipe: ast.Pipe, source: Source, adapter: Adapter) -> list[Stage]:
    """Type the stages of the language, and put those that only a penalty has between them. Raises BbiError."""
    from bbilang.runtime.losses.regions import Region

    parts = list(_parts(pipe, source))
    bound = _typed([calls for calls, _ in parts], pipe, source, adapter)
    stages: list[Stage] = []
    done: set[Node] = set()
    left: FieldType | None = None
    for number, (_, own) in enumerate(parts):
        if (last := bound.get(PART.format(number))) is not None:
            fresh = [node for node in _chain(last) if node not in done]
            done.update(fresh)
            stages += [(node, _span_of(node, pipe)) for node in fresh]
            left = last.type
        if own is not None:
            if own.name in REGIONS and left is not None and not {"y", "x"} <= set(left.names):
                help = "put it before they are summed, or take `.spatial`, `.neuron` or `.pixel`"
                raise _refused("E481", f"`{own.name}` keeps positions, and this field has no axes `y`, `x`", own.span,
                               source, help)  # fmt: skip
            stages.append((None if own.name == "norm" else Region(own.name == "inside"), own.span))
    axes = () if left is None or stages[-1][0] is None else tuple(n for n in left.names if n != "input")
    if axes:
        raise _refused("E481", f"a penalty is one number, and the axes {', '.join(map(quoted, axes))} are left",
                       pipe.span, source, "end it with `norm`, or with `sum` or `mean` over each axis")  # fmt: skip
    return stages


def _parts(pipe: ast.Pipe, source: Source) -> Iterator[tuple[tuple[ast.Call, ...], ast.Call | None]]:
    """Split a pipe at the stages that only a penalty has, each of which ends a part. Raises BbiError E481."""
    calls: list[ast.Call] = []
    for number, stage in enumerate(pipe.stages):
        bare = stage.name == "norm" and not stage.arguments
        if stage.name in REGIONS:
            words = [a.value.name for a in stage.arguments if isinstance(a.value, ast.Path)]
            if words != ["boxes"] or len(stage.arguments) != 1:
                raise _refused("E481", f"`{stage.name}` takes the boxes that each call gives", stage.span, source,
                               f"write `{stage.name}(boxes)`, and call the penalty with `boxes=`")  # fmt: skip
        elif bare and number + 1 < len(pipe.stages):
            raise _refused("E481", "nothing comes after a `norm` over everything", stage.span, source,
                           "name an axis: `norm(channel)`")  # fmt: skip
        elif not bare:
            calls.append(stage)
            continue
        yield tuple(calls), stage
        calls = []
    yield tuple(calls), None


def _typed(parts: Sequence[tuple[ast.Call, ...]], pipe: ast.Pipe, source: Source, adapter: Adapter) -> dict[str, Node]:
    """Type the parts by the compiler, each bound to a name that the next begins with."""
    head: ast.Expression = pipe.head
    statements: list[ast.Statement] = []
    for number, calls in enumerate(parts):
        if calls or number == 0:
            content = calls if number or _has_content(calls) else (ast.Call("activation", span=pipe.head.span), *calls)
            name = PART.format(number)
            statements.append(ast.Bind(ast.Name(name, span=pipe.span), ast.Pipe(head, content, span=pipe.span)))
            head = ast.Path(name, span=pipe.span)
    file = ast.File(tuple(statements), source=source)
    options = replace(Pipeline(Request(file, model=adapter)).options, inputs=("picture 1",))
    return check_names(file, registry(), options)


def _span_of(node: Node, pipe: ast.Pipe) -> Span:
    """Return where a stage is written; the head of the pipe for what no stage wrote."""
    return next((call.span for call in pipe.stages if call.name == node.op), pipe.head.span)


def _has_content(calls: Sequence[ast.Call]) -> bool:
    return bool(calls) and calls[0].name in registry().operations and registry().operations[calls[0].name].content


def _chain(node: Node) -> list[Node]:
    """Return the stages of a pipe from its head on."""
    chain = [node]
    while chain[-1].inputs:
        chain.append(chain[-1].inputs[0])
    return chain[::-1]


def quoted(word: str) -> str:
    return f"`{word}`"


def _refused(code: str, message: str, span: Span | None, source: Source, help: str) -> BbiError:
    return BbiError(Diagnostic(code, message, span, help), source)
