"""`present`: the end of a pipe. Every axis must be spent: drawn, laid out, or handed to the reader."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bbilang.compiler.check.arguments import SOME_LAYER, At, at, bind, describe
from bbilang.compiler.check.captions import meaningless
from bbilang.compiler.check.settings import default
from bbilang.compiler.contract import Drawn, Fail, IconsOf, Parameter, Style, did_you_mean
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.source import Span

if TYPE_CHECKING:
    from bbilang.compiler.check.resolve import Resolver

INPUT_PICKER = "input"
OVER_STATES = 100  # a page may carry so many times the numbers that it may show at once
PARAMETERS = (
    Parameter(
        "style", "style", "how to draw: `featvis`, `image`, `heatmap`, `bars`, `swatches`, `matrix`, `masks` ..."
    ),
    Parameter("over", "element", "the element to draw into", None),
    Parameter("size", "word", "what the area of a mark shows", None, choices=("value", "norm", "magnitude")),
    Parameter("color", "word", "what the colour of a mark shows", None, choices=("value", "sign")),
    Parameter("opacity", "number", "opacity of what is drawn over another element", None, minimum=0, maximum=1),
    Parameter("facet", "axis", "the axis that is laid out as small multiples", None),
    Parameter("title", "text", "a title above the element", None),
    Parameter("caption", "text", "words under the element; `[words](channel 447)` points at an atom", None),
)


class Presenter:
    """Types `present(...)` and the rule that every axis must be spent."""

    def __init__(self, resolver: Resolver):
        self.resolver = resolver

    def present(self, field: Node, call: ast.Call, span: Span) -> Node:
        resolver = self.resolver
        if field.type.content == "substrate":
            field = resolver.with_content(field, call.span)

        def read(value: ast.Expression, parameter: Parameter) -> Any:
            if parameter.kind == "style":
                return self._style(value)
            if parameter.kind == "element":
                return self._element(value)
            return resolver.reader.argument(value, parameter, field)

        if not call.arguments:
            raise at(
                call.span,
                "E212",
                "`present` needs a style",
                "as in `present(featvis)`, `present(heatmap)`, `present(bars)`",
            )
        first = next((a.value for a in call.arguments if a.name in (None, "style")), None)
        known = resolver.registry.find("styles", first.name) if isinstance(first, ast.Path | ast.Call) else None
        own = known.parameters if known is not None else ()
        self._of_another(call, {p.name for p in (*PARAMETERS, *own)})
        arguments, spans = bind("present", call.span, call.arguments, (*PARAMETERS, *own), read)
        if arguments["caption"]:
            written = next(a.value for a in call.arguments if a.value.span == spans["caption"] or a.name == "caption")
            if isinstance(written, ast.String):
                resolver.notes += meaningless(written, resolver.context(field.type.model, span).description)
        style: Style = resolver.registry.styles[arguments["style"]]
        type = field.type
        over = arguments["over"]
        if over is not None and arguments["facet"] is None and over["facet"] and type.axis(over["facet"]):
            arguments["facet"] = over["facet"]  # what is drawn over an element matches its facets
        if arguments["facet"] is not None:
            type = type.without(arguments["facet"])
        try:
            drawn = style.spend(type)
        except Fail as fail:
            raise At(fail, spans.get(fail.argument or "style", call.span)) from fail
        self._nothing_left(type, drawn, style, call.span)
        beside = set(drawn.spent) & set(type.names)  # without the facet
        clash = next((axis for axis in field.type.axes if set(axis.varies) & beside), None)
        if clash is not None:
            other = next(v for v in clash.varies if v in beside)
            raise at(
                call.span,
                "E303",
                f"the atoms along `{clash.name}` differ along `{other}`, so they have no common row",
                f"lay it out: `facet={other}`",
            )
        states = [axis for axis in type.axes if axis.name == "input" and axis.size > 1]
        type = replace(field.type, axes=tuple(a for a in field.type.axes if a not in states))
        type = type.with_states(*(replace(axis, name=INPUT_PICKER) for axis in states))
        self._bounded(type, call.span)
        self._drawable(field, style, drawn, arguments["facet"], type.state_count, spans.get("style", call.span))
        if arguments["size"] == "norm":
            arguments["size_of"] = self._norms(field, spans["size"])
        if arguments["color"] is not None and not style.coloured:
            help = "`bars` and `featvis` can show a number's value or sign by colour"
            raise at(spans["color"], "E215", f"`{style.name}` has colours of its own", help)
        if over is not None:
            self._fits(arguments, style, over, spans["over"])
        node = resolver.make("present", (field,), arguments, type, span)
        if any(isinstance(demand, IconsOf) for demand in style.demands(node)):
            self._pictured(resolver.context(type.model, span).description, style, spans["style"])
        return node

    def _of_another(self, call: ast.Call, known: set[str]) -> None:
        """E211 for an argument that belongs elsewhere in the pipe: where."""
        for argument in call.arguments:
            if argument.name is None or argument.name in known:
                continue
            if argument.name == "score":
                help = "it belongs to the target: `output[top(5), score=probability]`"
            else:
                operations = self.resolver.registry.operations.values()
                takers = [o.name for o in operations if any(p.name == argument.name for p in o.parameters)]
                if not takers:
                    continue
                help = f"`{takers[0]}(...)` takes it"
            raise at(argument.span, "E211", f"`present` has no argument `{argument.name}`", help)

    def _pictured(self, description: ModelDescription, style: Style, span: Span) -> None:
        """Icons are pictures that the network could be shown. Raises E304 where it is shown none."""
        what = f"`{style.name}` draws pictures, and the model"
        if description.reads == "text":
            raise at(span, "E304", f"{what} reads text", "draw numbers: `bars`, or tokens as words: `heatmap`")
        if description.reads != "image":
            raise at(span, "E304", f"{what} takes {description.reads}s", "draw numbers: `bars`")
        if description.channels not in (1, 3):
            what = f"`{style.name}` draws icons in colours, and the model takes {description.channels} channels"
            raise at(span, "E304", what, "draw numbers: `bars`, or positions: `heatmap`")

    def _norms(self, field: Node, span: Span) -> Node:
        """The L2 norm of each atom's part, for the same atoms: what `size=norm` shows."""
        operation = self.resolver.registry.operations["activation"]
        parameters = {"reduce": "norm"}
        try:
            type = operation.type(field.type, parameters)
        except Fail as fail:
            raise At(fail, span) from fail
        return self.resolver.make("activation", (field,), parameters, type, span)

    def _style(self, value: ast.Expression) -> str:
        name = value.name if isinstance(value, ast.Path | ast.Call) else None
        registry = self.resolver.registry
        if name is None or registry.find("styles", name) is None:
            listing = f"styles are {', '.join(f'`{n}`' for n, style in registry.styles.items() if style.available)}"
            near = did_you_mean(name, registry.styles, listing) if name else listing
            raise at(value.span, "E218", f"{describe(value)} is not a style", near)
        if isinstance(value, ast.Call) and value.arguments:
            raise at(value.span, "E213", f"the parameters of `{name}` go to `set {name}(...)`")
        if not registry.styles[name].available:
            here = ", ".join(f"`{n}`" for n, style in registry.styles.items() if style.available)
            self.resolver.unavailable(value.span, f"the style `{name}`", f"available are {here}")
        return name

    def _element(self, value: ast.Expression) -> Node:
        found = self.resolver.value(value)
        if isinstance(found, Node) and found.op == "present":
            if found not in self.resolver.drawn:
                message = f"{describe(value)} is an element of another interface"
                raise at(value.span, "E307", message, "draw over an element of the same interface")
            return found
        raise at(
            value.span,
            "E307",
            f"`over` is the name of an element, and {describe(value)} is none",
            "bind one first: `photo = input | present(image)`",
        )

    def _nothing_left(self, type: FieldType, drawn: Drawn, style: Style, span: Span) -> None:
        left = [axis for axis in type.axes if axis.name not in drawn.spent and axis.name != "input"]
        if not left:
            return
        names = ", ".join(f"`{axis.name}`" for axis in left)
        one = len(left) == 1
        first = left[0].name
        ways = f"lay {'it' if one else 'one'} out: `facet={first}`"
        if first in ("y", "x"):
            ways = f"draw a map: `present(heatmap, ...)`, or sum: `sum({first})`"
        hover = (
            ", or hand it to the reader: `at(hover(...))`"
            if set(left[0].components) - {"class"}
            else ", or to the reader: `at(pick(...))`"
        )
        raise at(
            span,
            "E303",
            f"{'the axis' if one else 'the axes'} {names} of this field {'is' if one else 'are'} left over: "
            f"`{style.name}` spends {style.spends}",
            ways + hover,
        )

    def _bounded(self, type: FieldType, span: Span) -> None:
        limit = self.resolver.settings.get("states", 4096)
        if type.state_count > limit:
            product = " x ".join(f"{axis.size} ({axis.name})" for axis in type.states)
            raise at(
                span,
                "E305",
                f"this element has {type.state_count} states ({product}), and {limit} is the limit",
                f"bound a selection, as in `hover(... | top(40))`, or allow more: `set states {type.state_count}`",
            )

    def _drawable(self, field: Node, style: Style, drawn: Drawn, facet: str | None, states: int, span: Span) -> None:
        """A page carries every mark in every state, and its reader's browser draws those of one state."""
        limit = self.resolver.settings.get("marks", default("marks"))
        panels = field.type.axis(facet).size if facet else 1
        shown, carried = (panels * count for count in style.marks(field, drawn))
        help = "keep the strongest: `top(...)`, or name the classes: `output[top(5)]`; or allow more: `set marks {}`"
        if shown > limit:
            named = (drawn.slots, drawn.series, field.type.axis(facet) if facet else None)
            product = " x ".join(f"{axis.size} ({axis.name})" for axis in named if axis is not None)
            message = (
                f"this element has {shown:,} marks{f' ({product})' if product else ''}, and {limit:,} is the limit"
            )
            raise at(span, "E310", message, help.format(shown))
        if carried * states > limit * OVER_STATES:
            message = f"this element has {carried * states:,} numbers ({states:,} states of {carried:,})"
            bound = -(-carried * states // OVER_STATES)
            raise at(span, "E310", f"{message}, and {limit * OVER_STATES:,} is the limit", help.format(bound))

    def _fits(self, arguments: dict[str, Any], style: Style, over: Node, span: Span) -> None:
        base = self.resolver.registry.styles[over["style"]]
        if not style.overlays:
            raise at(span, "E307", f"`{style.name}` cannot be drawn over another element", "a `heatmap` can")
        shown = over.type.without(over["facet"]) if over["facet"] else over.type
        if not base.carries and base.spend(shown).cells is None:  # icons at every position carry, icons in a row do not
            help = "draw over an `image`, a `heatmap` or a `grid`"
            raise at(span, "E307", f"nothing can be drawn over `{base.name}`", help)
        if over["facet"] != arguments["facet"]:
            raise at(
                span,
                "E307",
                f"the two have different facets: {over['facet'] or 'none'} and {arguments['facet'] or 'none'}",
                "what is drawn over an element matches its facets",
            )


def one_atom_axis(type: FieldType, style: str, spare: tuple[str, ...] = ()) -> Axis:
    """The one axis of atoms that a row of marks spends. Raises `Fail` where there is none or a choice."""
    own = [axis for axis in type.atom_axes if axis.name not in spare]
    if len(own) == 1:
        return own[0]
    if not own:
        message = f"`{style}` draws one axis of atoms, and this field has none left"
        raise Fail("E304", message, f"start from atoms, as in `{SOME_LAYER}.channel`, or attribute to several classes")
    names = ", ".join(f"`{axis.name}`" for axis in own)
    raise Fail(
        "E303",
        f"the axes {names} are left over: `{style}` spends one axis of atoms",
        "lay layers out: `facet=layer`, or choose atoms of all jointly: `top(8)`"
        if "layer" in type.names
        else "choose atoms jointly: `top(8)`, or hand positions to the reader: `at(hover(...))`",
    )
