"""`present`: the end of a pipe. Every axis must be spent: drawn, laid out, or handed to the reader."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bbilang.compiler.check import subsets
from bbilang.compiler.check.arguments.binding import SOME_LAYER, CheckError, at, bind, describe
from bbilang.compiler.check.arguments.checkpoints import stacked
from bbilang.compiler.check.arguments.kinds import ArgumentReader
from bbilang.compiler.check.captions import reference_errors
from bbilang.compiler.check.datasets import MOST_EXAMPLES
from bbilang.compiler.check.fields import FieldReader
from bbilang.compiler.check.scope import Scope
from bbilang.compiler.check.settings import default
from bbilang.compiler.contract import Drawn, Fail, IconsOf, Parameter, Style, did_you_mean
from bbilang.compiler.contract.parameters import ANY
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.models import CHECKPOINT_AXIS, is_stack
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.source import Span

INPUT_PICKER = "input"
OVER_STATES = 100  # a page may carry this many times the numbers that it may show at once
PARAMETERS = (
    Parameter(
        "style", "style", "how to draw: `featvis`, `image`, `heatmap`, `bars`, `swatches`, `matrix`, `masks` ..."
    ),
    Parameter("over", "element", "the element to draw into", None),
    Parameter("size", "word", "what the area of a mark shows", None, choices=("value", "norm", "magnitude")),
    Parameter("color", "word", "what the colour of a mark shows", None, choices=("value", "sign")),
    Parameter("opacity", "number", "opacity of what is drawn over another element", None, minimum=0, maximum=1),
    Parameter("facet", "axis", "the axis that is laid out as small multiples", None, candidates=(ANY,)),
    Parameter("title", "text", "a title above the element", None),
    Parameter("caption", "text", "words under the element; `[words](channel 447)` points at an atom", None),
)


@dataclass
class Presentation:
    """The arguments of one `present(...)`, and the spans of those that were given."""

    call: ast.Call
    style: Style
    arguments: dict[str, Any]
    spans: dict[str, Span]

    def span_of(self, name: str) -> Span:
        return self.spans.get(name, self.call.span)


class PresentReader:
    """Types `present(...)`, and checks that every axis is spent."""

    def __init__(self, scope: Scope, fields: FieldReader, arguments: ArgumentReader):
        self.scope, self.fields, self.arguments = scope, fields, arguments

    def present(self, field: Node, call: ast.Call, span: Span) -> Node:
        """Return the element that shows a field. ``span``: of the whole pipe. Raises CheckError E211-E218,
        E303-E310."""
        if field.type.content == "substrate":
            field = self.fields.with_content(field, call.span)
        presentation = self._bind(field, call)
        self._check_caption(presentation, field, span)
        arguments, style, over = presentation.arguments, presentation.style, presentation.arguments["over"]
        if over is not None and arguments["facet"] is None and over["facet"] and field.type.axis(over["facet"]):
            arguments["facet"] = over["facet"]  # what is drawn over an element matches its facets
        if arguments["facet"] is None and field.type.axis(CHECKPOINT_AXIS) and not self._spends_models(field, style):
            arguments["facet"] = CHECKPOINT_AXIS  # a row of checkpoints
        drawn = self._spend(field.type, presentation)
        subsets.check_style(
            field, style, arguments["facet"], arguments["size"], presentation.spans, self.scope.registry
        )
        type = _with_input_states(field.type, arguments["facet"], drawn)
        self._check_states(type, call.span)
        self._check_marks(field, presentation, drawn, type.state_count)
        if arguments["size"] == "norm":
            arguments["size_of"] = self._norms(field, presentation.spans["size"])
        if arguments["color"] is not None and not style.coloured:
            help = "`bars` and `featvis` can show a number's value or sign by colour"
            raise at(presentation.spans["color"], "E215", f"`{style.name}` has colours of its own", help)
        if over is not None:
            self._check_overlay(presentation, over, field.type)
        node = self.scope.make("present", (field,), arguments, type, span)
        if any(isinstance(demand, IconsOf) for demand in style.demands(node)):
            self._check_checkpoints(field, style, presentation.spans["style"])
            self._check_icons(self.scope.context(type.model, span).description, style, presentation.spans["style"])
            self._check_icon_count(node, presentation)
        return node

    def _bind(self, field: Node, call: ast.Call) -> Presentation:
        """Read the arguments: those of every style, and the style's own."""

        def read(value: ast.Expression, parameter: Parameter) -> Any:
            if parameter.kind == "style":
                return self._style(value)
            if parameter.kind == "element":
                return self._element(value)
            pairs = field.type.partner and not field.type.axis(CHECKPOINT_AXIS)
            if parameter.name == "facet" and pairs and value == ast.Path("model", span=value.span):
                return None  # matched channels are drawn in pairs, one of each network
            return self.arguments.argument(value, parameter, field)

        if not call.arguments:
            help = "as in `present(featvis)`, `present(heatmap)`, `present(bars)`"
            raise at(call.span, "E212", "`present` needs a style", help)
        styles = self.scope.registry
        first = next((a.value for a in call.arguments if a.name in (None, "style")), None)
        known = styles.find("styles", first.name) if isinstance(first, ast.Path | ast.Call) else None
        parameters = (*PARAMETERS, *(known.parameters if known is not None else ()))
        self._check_names(call, {p.name for p in parameters})
        arguments, spans = bind("present", call.span, call.arguments, parameters, read)
        return Presentation(call, styles.styles[arguments["style"]], arguments, spans)

    def _check_caption(self, presentation: Presentation, field: Node, span: Span) -> None:
        """Report E250 for references in the caption that mean no atom."""
        if not presentation.arguments["caption"]:
            return
        arguments = presentation.call.arguments
        caption = next(
            a.value for a in arguments if a.value.span == presentation.spans["caption"] or a.name == "caption"
        )
        if isinstance(caption, ast.String):
            self.scope.notes += reference_errors(caption, self.scope.context(field.type.model, span).description)

    def _spend(self, type: FieldType, presentation: Presentation) -> Drawn:
        """Return what the style draws along the axes that are not laid out.

        Raises CheckError E303, and what `Style.spend` raises.
        """
        call, style, facet = presentation.call, presentation.style, presentation.arguments["facet"]
        panel = type.panel(facet)
        if type.atom == "list" and not style.draws_lists:
            lists = ", ".join(f"`{name}`" for name, each in self.scope.registry.styles.items() if each.draws_lists)
            message = f"`{style.name}` draws one field, and this is a list of several"
            raise at(presentation.span_of("style"), "E304", message, f"a linked list is drawn by {lists}")
        try:
            drawn = style.spend(panel)
        except Fail as fail:
            raise CheckError(fail, presentation.span_of(fail.argument or "style")) from fail
        self._check_all_spent(panel, drawn, style, call.span)
        beside = set(drawn.spent) & set(panel.names)
        for axis in type.axes:
            other = next((v for v in axis.varies if v in beside), None)
            own = drawn.named and drawn.series is not None and axis.name == drawn.series.name
            if other is not None and not drawn.joined and not own:
                message = f"the atoms along `{axis.name}` differ along `{other}`, so they have no common row"
                raise at(call.span, "E303", message, f"lay it out: `facet={other}`")
        return drawn

    def _check_names(self, call: ast.Call, known: set[str]) -> None:
        """Raise CheckError E211 for an argument that belongs to an earlier stage of the pipe, naming that stage."""
        for argument in call.arguments:
            if argument.name is None or argument.name in known:
                continue
            if argument.name == "score":
                help = "it belongs to the target: `output[top(5), score=probability]`"
            else:
                operations = self.scope.registry.operations.values()
                takers = [o.name for o in operations if any(p.name == argument.name for p in o.parameters)]
                if not takers:
                    continue
                help = f"`{takers[0]}(...)` takes it"
            raise at(argument.span, "E211", f"`present` has no argument `{argument.name}`", help)

    def _spends_models(self, field: Node, style: Style) -> bool:
        """Return whether a style draws checkpoints itself."""
        try:
            return CHECKPOINT_AXIS in style.spend(field.type.panel(None)).spent
        except Fail:
            return False

    def _check_checkpoints(self, field: Node, style: Style, span: Span) -> None:
        """Raise CheckError E342 for icons of several checkpoints that are of no single one."""
        if not self.scope.context(field.type.model, span).slot.members:
            return
        if field.type.axis(CHECKPOINT_AXIS) is None:
            message = (
                f"`{style.name}` draws what excites atoms of one network, and these numbers are of all checkpoints"
            )
            raise at(span, "E342", message, "draw numbers: `bars`; or keep the axis `model`")
        if field.type.partner:
            message = "the partner of a channel is another one in each checkpoint"
            raise at(span, "E342", message, "draw numbers: `bars`")

    def _check_icons(self, description: ModelDescription, style: Style, span: Span) -> None:
        """Raise CheckError E304 for icons of a model that takes no pictures."""
        what = f"`{style.name}` draws pictures, and the model"
        if description.reads == "text":
            raise at(span, "E304", f"{what} reads text", "draw numbers: `bars`, or tokens as words: `heatmap`")
        if description.reads == "audio":  # icons are clips
            return
        if description.reads != "image":
            raise at(span, "E304", f"{what} takes {description.reads}s", "draw numbers: `bars`")
        if description.channels not in (1, 3):
            what = f"`{style.name}` draws icons in colours, and the model takes {description.channels} channels"
            raise at(span, "E304", what, "draw numbers: `bars`, or positions: `heatmap`")

    def _check_icon_count(self, node: Node, presentation: Presentation) -> None:
        """Raise CheckError E316 for a style that would need more icons than an element may have."""
        limit = self.scope.settings.get("icons", default("icons"))
        try:
            count = presentation.style.icon_bound(node)
        except Fail as fail:
            raise CheckError(fail, presentation.span_of(fail.argument or "style")) from fail
        if any(axis.size == MOST_EXAMPLES and not axis.exact for axis in node.inputs[0].type.axes):
            return  # as in `_check_marks`
        if count is not None and count > limit:
            message = f"this element may need {count:,} icons, and {limit:,} is the limit"
            help = f"draw fewer: `bins=`, `least=`; or allow more: `set icons {count}`"
            raise at(presentation.span_of("bins"), "E316", message, help)

    def _norms(self, field: Node, span: Span) -> Node:
        """Return the L2 norm of each atom's part, which `size=norm` shows."""
        operation = self.scope.registry.operations["activation"]
        parameters = {"reduce": "norm"}
        if is_stack(field):
            return stacked(self.scope, [self._norms(member, span) for member in field.inputs], span)
        if field.type.model in self.scope.models and self.scope.models[field.type.model].slot.members:
            message = "`size=norm` runs the network, and the stage before it chooses for all checkpoints together"
            raise at(span, "E341", message, "leave it out, or draw all atoms")
        try:
            type = operation.type(field.type, parameters)
        except Fail as fail:
            raise CheckError(fail, span) from fail
        return self.scope.make("activation", (field,), parameters, type, span)

    def _style(self, value: ast.Expression) -> str:
        name = value.name if isinstance(value, ast.Path | ast.Call) else ""
        registry = self.scope.registry
        if not name or registry.find("styles", name) is None:
            listing = f"styles are {', '.join(f'`{name}`' for name in registry.styles)}"
            near = did_you_mean(name, registry.styles, listing) if name else listing
            raise at(value.span, "E218", f"{describe(value)} is not a style", near)
        if isinstance(value, ast.Call) and value.arguments:
            raise at(value.span, "E213", f"the parameters of `{name}` go to `set {name}(...)`")
        return name

    def _element(self, value: ast.Expression) -> Node:
        element = self.scope.value(value)
        if isinstance(element, Node) and element.op == "present":
            if element not in self.scope.drawn:
                message = f"{describe(value)} is an element of another interface"
                raise at(value.span, "E307", message, "draw over an element of the same interface")
            return element
        message = f"`over` is the name of an element, and {describe(value)} is none"
        raise at(value.span, "E307", message, "bind one first: `photo = input | present(image)`")

    def _check_all_spent(self, type: FieldType, drawn: Drawn, style: Style, span: Span) -> None:
        left = [axis for axis in type.axes if axis.name not in drawn.spent and axis.name != "input"]
        if not left:
            return
        names, one, first = ", ".join(f"`{type.called(axis.name)}`" for axis in left), len(left) == 1, left[0]
        written = type.called(first.name) if first.name.replace(".", "_").isidentifier() else f'column("{first.name}")'
        help = f"lay {'it' if one else 'one'} out: `facet={written}`"
        if first.name in ("y", "x"):
            help = f"draw a map: `present(heatmap, ...)`, or sum: `sum({first.name})`"
        if first.name == "example":
            raise at(span, "E303", f"{_left_words(names, one)}: `{style.name}` spends {style.spends}",
                     "reduce it: `mean(example)`, or show the examples: `present(image)`")  # fmt: skip
        if set(first.components) - {"class"}:
            help += ", or hand it to the reader: `at(hover(...))`"
        else:
            help += ", or to the reader: `at(pick(...))`"
        raise at(span, "E303", f"{_left_words(names, one)}: `{style.name}` spends {style.spends}", help)

    def _check_states(self, type: FieldType, span: Span) -> None:
        limit = self.scope.settings.get("states", default("states"))
        if type.state_count > limit:
            product = " x ".join(f"{axis.size} ({axis.name})" for axis in type.states)
            message = f"this element has {type.state_count} states ({product}), and {limit} is the limit"
            help = f"bound a selection, as in `hover(... | top(40))`, or allow more: `set states {type.state_count}`"
            raise at(span, "E305", message, help)

    def _check_marks(self, field: Node, presentation: Presentation, drawn: Drawn, states: int) -> None:
        """Raise CheckError E310 for too many marks: a page carries those of every state, and a browser draws those of
        one."""
        if any(axis.size == MOST_EXAMPLES and not axis.exact for axis in field.type.axes):
            return  # how many examples there are is not known, as in an editor that has not looked
        limit = self.scope.settings.get("marks", default("marks"))
        facet = presentation.arguments["facet"]
        panels = field.type.axis(facet) if facet else None
        count = panels.size if panels is not None else 1
        shown, carried = (count * marks for marks in presentation.style.marks(field, drawn))
        help = "keep the strongest: `top(...)`, or name the classes: `output[top(5)]`; or allow more: `set marks {}`"
        if shown > limit:
            axes = (drawn.slots, drawn.series, panels)
            product = " x ".join(f"{axis.size} ({axis.name})" for axis in axes if axis is not None)
            message = f"this element has {shown:,} marks{f' ({product})' if product else ''}"
            raise at(
                presentation.span_of("style"), "E310", f"{message}, and {limit:,} is the limit", help.format(shown)
            )
        if carried * states > limit * OVER_STATES:
            message = f"this element has {carried * states:,} numbers ({states:,} states of {carried:,})"
            needed = -(-carried * states // OVER_STATES)
            message = f"{message}, and {limit * OVER_STATES:,} is the limit"
            raise at(presentation.span_of("style"), "E310", message, help.format(needed))

    def _check_overlay(self, presentation: Presentation, over: Node, type: FieldType) -> None:
        """Raise CheckError E307 where the style cannot be drawn over the element ``over``."""
        style, span, facet = presentation.style, presentation.spans["over"], presentation.arguments["facet"]
        if not self.scope.alike(over.type.model, type.model):
            message = f"this picture is as `{over.type.model}` sees it, and the numbers are of `{type.model}`"
            raise at(span, "E319", message, f"draw over its own: `photo = {type.model}:input | present(image)`")
        base = self.scope.registry.styles[over["style"]]
        if not style.overlays:
            raise at(span, "E307", f"`{style.name}` cannot be drawn over another element", "a `heatmap` can")
        shown = over.type.panel(over["facet"])
        if not base.carries and base.spend(shown).cells is None:  # icons at every position carry, icons in a row do not
            help = "draw over an `image`, a `heatmap` or a `grid`"
            raise at(span, "E307", f"nothing can be drawn over `{base.name}`", help)
        if over["facet"] is None and facet is not None and base.shows_input:
            self._check_repeated(over, facet, type, span)
        elif over["facet"] != facet:
            message = f"the two have different facets: {over['facet'] or 'none'} and {facet or 'none'}"
            raise at(span, "E307", message, "what is drawn over an element matches its facets")

    def _check_repeated(self, over: Node, facet: str, type: FieldType, span: Span) -> None:
        """Raise CheckError E307 where the photo ``over``, repeated for each panel of ``facet``, is already repeated for
        another facet."""
        beside = [element for element in self.scope.drawn if element["over"] == over and element["facet"]]
        fields = [(element["facet"], element.inputs[0].type) for element in beside]
        sizes = {(name, axis.size) for name, field in fields if (axis := field.axis(name)) is not None}
        own = type.axis(facet)
        if own is not None and sizes - {(facet, own.size)}:
            name, size = next(iter(sizes))
            message = f"the picture is repeated already, for {size} panels along `{name}`"
            raise at(span, "E307", message, "draw it again: `again = input | present(image)`, and this over that")


def _with_input_states(type: FieldType, facet: str | None, drawn: Drawn) -> FieldType:
    """Return the type with the axis of several inputs as states, unless it is laid out or drawn: the reader picks
    one."""
    if "input" in drawn.spent:
        return type
    inputs = [axis for axis in type.axes if axis.name == "input" != facet and axis.size > 1]
    shown = replace(type, axes=tuple(axis for axis in type.axes if axis not in inputs))
    return shown.with_states(*(replace(axis, name=INPUT_PICKER) for axis in inputs))


def _left_words(names: str, one: bool) -> str:
    return f"{'the axis' if one else 'the axes'} {names} of this field {'is' if one else 'are'} left over"


def one_atom_axis(type: FieldType, style: str, spare: tuple[str, ...] = ()) -> Axis:
    """Return the one axis of atoms that a row of marks spends. Raises `Fail` where there is none, or more than one."""
    own = [axis for axis in type.atom_axes if axis.name not in spare]
    if len(own) == 1:
        return own[0]
    if not own and (checkpoints := type.axis(CHECKPOINT_AXIS)) is not None:
        return checkpoints
    if not own:
        message = f"`{style}` draws one axis of atoms, and this field has none left"
        raise Fail("E304", message, f"start from atoms, as in `{SOME_LAYER}.channel`, or attribute to several classes")
    names = ", ".join(f"`{axis.name}`" for axis in own)
    if any(axis.name == "example" for axis in own):
        raise Fail("E303", f"the axes {names} are left over: `{style}` spends one axis of atoms",
                   "reduce the examples: `mean(example)`, or show one atom's: `present(image)`")  # fmt: skip
    raise Fail(
        "E303",
        f"the axes {names} are left over: `{style}` spends one axis of atoms",
        "lay layers out: `facet=layer`, or choose atoms of all jointly: `top(8)`"
        if "layer" in type.names
        else "choose atoms jointly: `top(8)`, or hand positions to the reader: `at(hover(...))`",
    )
