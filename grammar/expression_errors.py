"""Mistakes in expressions: pipes, commas, operators, and values side by side.

Each function recognizes one kind of mistake and returns its diagnostic, or None for any other.
"""

from __future__ import annotations

from bbilang.grammar import codes
from bbilang.grammar.comparisons import COMPARE
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.error_context import OPERATORS, ErrorContext
from bbilang.grammar.statement_words import STATEMENT_WORDS

# --- holes ----------------------------------------------------------------------------------------------------------


def misplaced_hole(context: ErrorContext) -> Diagnostic | None:
    """Diagnose a hole inside of a word, or the rest of a pipe where no stage stands: `layer?`, `?*(8)`, `f(?*)`."""
    at, before = context.at, context.before
    rest = at if at.kind == "rest" else before if before.kind == "rest" else None
    if at.kind == "word" and before.kind in ("word", "attribute") and before.span.end == at.span.start:
        help = "a hole is a word of its own: `?.channel` for any layer, `mixed4d.?` for any of its atoms"
        return Diagnostic(codes.HOLE_IN_A_WORD, "a hole is not a part of a word", before.span | at.span, help)
    if rest is not None and at.text == "(":
        message, help = "a hole takes no arguments: it stands for them, too", "write `?*` alone"
        return Diagnostic(codes.HOLE_CALLED, message, rest.span | at.span, help)
    if rest is not None and (rest is at or context.tokens[context.index - 2].text != "|"):
        message, help = "`?*` is the rest of a pipe, and stands after a `|`", "one value that is left open is `?`"
        return Diagnostic(codes.HOLE_MISPLACED, message, rest.span, help)
    return None


# --- pipes ----------------------------------------------------------------------------------------------------------


def pipe_without_stage(context: ErrorContext) -> Diagnostic | None:
    """Diagnose a pipe with nothing after it: `output |`."""
    if context.before.text != "|" or not (context.at.kind == "end" or context.at.text in (")", "]", ",", "=")):
        return None
    help = "add a stage such as `present(featvis)`, or drop the `|`"
    return Diagnostic(codes.PIPE_IN_THE_AIR, "no stage follows this `|`", context.before.span, help)


def pipe_without_head(context: ErrorContext) -> Diagnostic | None:
    """Diagnose a pipe with nothing before it: `| top(8)`, `a | | b`."""
    if context.at.text != "|":
        return None
    if context.before.text == "|":
        message, help = "there is no stage between these two `|`", "drop one of them, or write the stage"
        return Diagnostic(codes.PIPE_WITHOUT_HEAD, message, context.before.span | context.at.span, help)
    if context.before.ends_value:
        return None
    help = "a pipe begins with what it shows: `input`, or a layer and its atoms, as in `some_layer.channel | ...`"
    if context.index == 1:
        help += "; a line that begins with `|` continues the statement above it"
    return Diagnostic(codes.PIPE_WITHOUT_HEAD, "there is nothing before this `|`", context.at.span, help)


def not_a_stage(context: ErrorContext) -> Diagnostic | None:
    """Diagnose something other than a name after a pipe: `a | 3`."""
    if context.before.text != "|":
        return None
    help = "after `|` comes the name of an operation, such as `top(8)`"
    if context.at.kind == "string":
        help = "after `|` comes the name of an operation, without quotes"
    return Diagnostic(codes.NOT_A_STAGE, f"{context.at.quoted} is not an operation", context.at.span, help)


def after_a_stage(context: ErrorContext) -> Diagnostic | None:
    """Diagnose an atom, an index or an argument after a stage: `... | factorize(nmf, 6).spatial`, `... | top(8)[0]`,
    `... | top 8`."""
    if context.before.text == "|" or not context.before.ends_value or not context.in_stage:
        return None
    stage = context.tokens[context.value_start]
    if context.at.kind == "attribute" or context.at.text == "[":
        what = "an atom" if context.at.kind == "attribute" else "an index"
        written = "name[...]" if context.at.text == "[" else f"name{context.at.text}"
        help = f"bind the pipe to a name first: `name = ...`, then `{written}`"
        return Diagnostic(codes.NOT_CALLABLE, f"{what} cannot follow a stage of a pipe", context.at.span, help)
    if context.at.is_value and context.before is stage:
        message = f"the arguments of `{stage.text}` must be in parentheses"
        span = context.at.span
        help = f"write `{stage.text}({context.at.text})`" if len(context.at.text) < 40 else f"write `{stage.text}(...)`"
        if context.at.text in STATEMENT_WORDS or context.after.text == "=":
            return None
        return Diagnostic(codes.ARGUMENTS_WITHOUT_PARENTHESES, message, span, help)
    if context.at.text in OPERATORS | {"->"} and context.at.text != "not":
        message = f"`{context.at.text}` cannot follow a stage of a pipe"
        help = "put the pipe in parentheses, `(a | b) - (c | d)`, or bind it to a name first"
        return Diagnostic(codes.UNEXPECTED, message, context.at.span, help)
    return None


# --- commas, values, operators --------------------------------------------------------------------------------------


def equals_sign(context: ErrorContext) -> Diagnostic | None:
    """Diagnose an `=` where none can be: `a = = b`, `a < = b`, `f(1) = 2`."""
    if context.at.text != "=":
        return None
    if context.before.text == "=" and context.index == 3:
        help = "a single one gives a name to a value; to compare write `==` without a space"
        return Diagnostic(codes.EQUALS_OR_EQUAL, "there is one `=` too many", context.at.span, help)
    if context.before.text in ("=", "!", "<", ">"):
        message, help = "this operator is written without a space in it", f"write `{context.before.text}=`"
        return Diagnostic(codes.EQUALS_OR_EQUAL, message, context.before.span | context.at.span, help)
    if context.before.kind == "word" and context.index == 2 and not context.open:
        return None
    message = "`=` gives a name to a value, and what is before it is not a name"
    if context.open:
        message = "`=` names an argument, and what is before it is not a name"
    return Diagnostic(codes.EQUALS_OR_EQUAL, message, context.at.span, "to compare write `==`")


def missing_value(context: ErrorContext) -> Diagnostic | None:
    """Diagnose an operator, an `=` or a bracket without a value: `a +`, `f(x=)`."""
    if context.at.ends_value and context.at.text not in (")", "]"):
        return None
    if context.at.text in OPERATORS and context.before.text not in OPERATORS and not context.before.ends_value:
        message = f"there is no value before this `{context.at.text}`"
        return Diagnostic(codes.MISSING_VALUE, message, context.at.span, "write it, or drop the operator")
    if context.before.text == "=":
        help = "write the value, or drop the name and its `=`"
        if not context.open:
            help = "write what the name stands for"
        return Diagnostic(codes.MISSING_VALUE, "no value follows this `=`", context.before.span, help)
    if context.before.text in OPERATORS or context.before.text == "..":
        if context.at.text in OPERATORS | {"=", ".."}:
            message = f"a value is missing between `{context.before.text}` and `{context.at.text}`"
            return Diagnostic(
                codes.MISSING_VALUE, message, context.before.span | context.at.span, "write it, or drop one"
            )
        message = f"no value follows this `{context.before.text}`"
        return Diagnostic(codes.MISSING_VALUE, message, context.before.span, "write it, or drop the operator")
    if context.before.text == "[" and context.at.text == "]" and context.tokens[context.index - 2].ends_value:
        help = "write what to pick, such as `[447]`, `[6, 6]` or `[top(5)]`"
        message = "there is nothing in these brackets"
        return Diagnostic(codes.MISSING_VALUE, message, context.before.span | context.at.span, help)
    if context.before.text == "(" and context.at.text == ")":
        help = "write a value between them, or drop them"
        message = "there is nothing in these parentheses"
        return Diagnostic(codes.MISSING_VALUE, message, context.before.span | context.at.span, help)
    return None


def comma(context: ErrorContext) -> Diagnostic | None:
    """Diagnose a comma with nothing before it, or outside of brackets: `[, a]`, `(a, b)`, `a, b`."""
    if context.at.text != ",":
        return None
    if context.before.text in (",", "(", "["):
        message, help = "there is nothing before this comma", "drop it, or write what is missing"
        return Diagnostic(codes.MISPLACED_COMMA, message, context.at.span, help)
    if context.opener == "(" and not context.tokens[context.open[-1] - 1].ends_value:
        message, help = "these parentheses hold a single value", "a list is written with `[` and `]`"
        opener = context.tokens[context.open[-1]].span
        return Diagnostic(codes.MISPLACED_COMMA, message, opener | context.at.span, help)
    if not context.open:
        help = "several values are a list: `[a, b]`; each statement needs a line of its own"
        return Diagnostic(codes.MISPLACED_COMMA, "a comma is only allowed inside brackets", context.at.span, help)
    return None


def range_outside_list(context: ErrorContext) -> Diagnostic | None:
    """Diagnose a range that is not of layers in a list: `a..b`, `[a.spatial..b]`."""
    near = (context.at, context.before, context.tokens[max(context.index - 2, 0)])
    dots = next((token for token in near if token.text == ".."), None)
    if dots is None or context.at.text == ",":
        return None
    if context.opener == "[":
        message = "a range goes from one layer to another"
        help = "write `[first..last].spatial`: names of layers alone, the atom after the bracket"
    else:
        message, help = "a range of layers must be in a list", "write `[first..last]`, with the names of two layers"
    return Diagnostic(codes.RANGE_OUTSIDE_LIST, message, dots.span, help)


def chained_comparison(context: ErrorContext) -> Diagnostic | None:
    """Diagnose a comparison of a comparison: `0.1 < value < 0.5`."""
    if context.at.text not in COMPARE or not context.before.ends_value:
        return None
    start = context.open[-1] if context.open else 0
    earlier = [token for token in context.tokens[start : context.index] if token.text in COMPARE]
    if not earlier:
        return None
    help = "join two with `and`: `0.1 < value and value < 0.5`"
    return Diagnostic(
        codes.CHAINED_COMPARISON, "comparisons cannot be chained", earlier[-1].span | context.at.span, help
    )


def not_callable(context: ErrorContext) -> Diagnostic | None:
    """Diagnose parentheses after something that is not a name, an index after a number, and a stray dot or colon."""
    if context.at.text == "(" and context.before.kind == "attribute" and context.tokens[context.index - 2].text == ")":
        message, help = (
            "the stages of a pipe are joined by `|`, not by dots",
            f"write `... | {context.before.text[1:]}(...)`",
        )
        return Diagnostic(codes.NOT_CALLABLE, message, context.before.span, help)
    if context.at.text == "(" and context.before.ends_value:
        message = f"{context.before.quoted} cannot be called" if context.before.is_value else "this cannot be called"
        help = "only a name can: `top(8)`"
        if context.before.text in (")", "]") or context.before.is_value:
            help += "; two values need a comma or an operator between them"
        return Diagnostic(codes.NOT_CALLABLE, message, context.at.span, help)
    if context.at.text == "[" and context.before.kind == "number":
        help = "a comma may be missing before it"
        return Diagnostic(codes.NOT_CALLABLE, "a number has no index", context.at.span, help)
    if context.at.text == "." and context.before.ends_value:
        help = (
            "drop it" if context.after.text == "[" else "a path is written without spaces, such as `some_layer.channel`"
        )
        return Diagnostic(codes.UNEXPECTED, "no name follows this dot", context.at.span, help)
    if context.at.text == ":":
        if context.opener == "[" and context.tokens[context.open[-1] - 1].ends_value:
            return Diagnostic(codes.UNEXPECTED, "there are no slices", context.at.span, _filter_help(context))
        help = "a model is written before its layer without spaces: `a:some_layer.channel`"
        if context.opener == "(" and context.before.kind == "word":
            help = f"an argument is named with `=`: `{context.before.text}={context.after.text}`"
        return Diagnostic(codes.UNEXPECTED, "this `:` belongs to nothing", context.at.span, help)
    return None


def _filter_help(context: ErrorContext) -> str:
    """Return the help for a slice such as `layer.channel[2:10]`: write a condition."""
    axis = context.tokens[context.open[-1] - 1].text.rpartition(".")[2]
    own = ("group", "token", "head")
    axis = axis if axis in own else "y" if axis in ("spatial", "neuron", "pixel") else "channel"
    bounds = []
    if context.before.kind == "number" and context.before.text != "0":
        bounds.append(f"{axis} >= {context.before.text}")
    if context.after.kind == "number" or not bounds:
        bounds.append(f"{axis} < {context.after.text if context.after.kind == 'number' else 10}")
    return f"choose by a condition: `... | filter({' and '.join(bounds)})`"


def side_by_side(context: ErrorContext) -> Diagnostic | None:
    """Diagnose two values with neither a comma nor an operator between them."""
    starts = context.at.is_value or context.at.text in ("[", "(", "not")
    if not (starts and context.before.ends_value):
        return None
    if context.open and (context.opener == "[" or context.tokens[context.open[-1] - 1].ends_value):
        if (
            context.before.kind == "word"
            and context.at.kind == "number"
            and context.tokens[context.index - 2].text in "([,"
        ):
            name, value = context.before.text, context.at.text
            help = f"write `{name}({value})` or `{name}={value}`, or add a comma"
        else:
            help = "add the comma"
        gap = context.before.span | context.at.span
        message = f"a comma is missing between {context.before.quoted} and {context.at.quoted}"
        return Diagnostic(codes.MISSING_COMMA, message, gap, help)
    if not context.open and (context.at.text in STATEMENT_WORDS or context.after.text == "="):
        help = "put each statement on a line of its own"
        return Diagnostic(codes.SEVERAL_STATEMENTS, "a second statement begins here", context.at.span, help)
    message = f"nothing joins {context.before.quoted} and {context.at.quoted}"
    help = "write a `|` or an operator between them; a text is a string in quotes"
    if context.at.kind == "word" and context.after.text == "(":
        help = f"is a `|` missing before `{context.at.text}(...)`?"
    return Diagnostic(codes.SIDE_BY_SIDE, message, context.before.span | context.at.span, help)
