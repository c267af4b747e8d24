"""From the place where the parser stopped to a sentence that helps: what is wrong, where, and what to do.

Lark knows which terminals could have followed; people know what they meant. So its message is thrown away and the
tokens around the place are looked at again, by a tuple of small functions that each know one kind of mistake. The first
that recognizes its own answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bbilang.grammar import codes
from bbilang.grammar.build import FORMS, RESERVED_WORDS, STATEMENT_WORDS
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.place import COMPARISONS, OPERATORS, Place, Word, find
from bbilang.grammar.source import Span


def complain(text: str, offset: int) -> Diagnostic:
    """The diagnostic for a logical line at one of whose characters the parser could not go on."""
    place = find(text, offset)
    for kind in KINDS:
        if (diagnostic := kind(place)) is not None:
            return diagnostic
    return _unexpected(place)


def _shown(word: Word) -> str:
    if word.kind == "end":
        return "the end of the statement"
    text = word.text if len(word.text) <= 40 else f"{word.text[:37]}..."
    return f"`{text}`"


def _alike(word: str, choices: frozenset[str]) -> str | None:
    """The choice that a typing error could have turned into this word."""
    errors = 1 if len(word) < 5 else 2
    from rapidfuzz import process  # seldom needed, and not quickly imported
    from rapidfuzz.distance import OSA

    found = process.extractOne(word.lower(), sorted(choices), scorer=OSA.distance, score_cutoff=errors)
    return found[0] if found else None


# --- names ----------------------------------------------------------------------------------------------------------


def reserved_word_as_name(place: Place) -> Diagnostic | None:
    word = place.at
    if place.at.text == "=":
        word = place.before
    elif place.after.text != "=" and place.before.text not in ("def", "dataset") and place.at.text != "(":
        return None
    elif place.at.text == "(" and place.before.text in RESERVED_WORDS - {"not", "and", "or"}:
        word = place.before
    if word.text not in RESERVED_WORDS:
        return None
    message = f"`{word.text}` is a word of the language and cannot be a name"
    return Diagnostic(codes.NOT_A_NAME, message, word.span, "choose another name")


def statement_word_called(place: Place) -> Diagnostic | None:
    """`output("x")`."""
    if place.at.text != "(" or place.before.text not in STATEMENT_WORDS:
        return None
    word = place.before
    if word.text == "output":
        help = 'a class is picked with brackets: `output["name"]`, `output[208]`, `output[top(5)]`'
    elif word.text in ("bbi", "model", "dataset", "set", "use", "def", "layout") and place.number == 2:
        help = f"the form of the statement is `{FORMS[word.text]}`"
    else:
        help = "an operation has another name"
    return Diagnostic(codes.NOT_CALLABLE, f"`{word.text}` cannot be called", word.span | place.at.span, help)


def number_as_name(place: Place) -> Diagnostic | None:
    """`3a = ...`, `"x" = ...`."""
    if place.at.text != "=" or place.before.kind not in ("number", "string"):
        return None
    kind = "number" if place.before.kind == "number" else "string"
    if not place.open and place.number > 2:
        return None
    message = f"a {kind} cannot be a name: {_shown(place.before)}"
    return Diagnostic(codes.NOT_A_NAME, message, place.before.span, "a name begins with a letter and has no quotes")


# --- statements -----------------------------------------------------------------------------------------------------


def statement_form(place: Place) -> Diagnostic | None:
    """A statement word, and then not what belongs to it."""
    word = place.first.text
    if word not in STATEMENT_WORDS or place.open or place.number < 2 or place.second.text == "=":
        return None
    if word in ("input", "output") and not place.second.is_value and place.second.kind != "end":
        return None
    texts = [w.text for w in place.words[1 : place.number]]
    if word == "def" and "=" in texts:
        return None
    help = f"its form is `{FORMS[word]}`"
    at = place.at
    if at.text in STATEMENT_WORDS and place.before.ends_value and place.number > 2:
        return None
    if word in ("input", "use") or (word == "dataset" and place.before.text == "="):
        if at.kind != "end" and place.before.kind != "string":
            span = at.span | place.words[-2].span
            name = place.text[span.start : span.end]
            quoted = ", ".join(f'"{part.strip()}"' for part in name.split(","))
            message, help = f"`{name}` is not a string", f"the name of a file stands in quotes: `{quoted}`"
            return Diagnostic(codes.STATEMENT_FORM, message, span, help)
    elif word == "set" and at.text == "=":
        help = f"there is no `=` in it: {help}"
    elif word == "model" and at.kind == "mark" and at.text in "-/.:" and place.before.kind in ("word", "number"):
        name = place.text[place.before.span.start : place.words[-2].span.end]
        help = f'a name with other characters than letters and digits stands in quotes: `"{name}"`'
    elif word == "model" and at.kind == "word" and place.before.kind in ("word", "string"):
        help = "several models are separated by commas: `model a = ..., b = ...`"
        if at.text in ("form", "fom", "frm", "weights", "at", "with"):
            help = "did you mean `from`?"
    if at.kind == "end":
        return Diagnostic(codes.STATEMENT_FORM, f"this `{word}` statement is not complete", _line(place), help)
    article = "an" if word[0] in "io" else "a"
    message = f"{_shown(at)} has no place in {article} `{word}` statement"
    return Diagnostic(codes.STATEMENT_FORM, message, at.span, help)


_NO_STATEMENT = "`{}` is not a statement"
_CONDITION = "the language has no conditions: `{}`"
_LOOP = "the language has no loops: `{}`"
_CHOICES = "the reader chooses with `pick(...)`, and `filter(value > 0.1)` keeps what meets a condition"
_REPEATS = "a list of layers or classes is an axis, laid out with `facet=layer`; repeated pipes are shared with `def`"
_TITLE = (
    'a page is titled by `interface "My page" { ... }` or with `--title`, an element by `present(..., title="...")`'
)
# a word of other languages at the beginning of a line -> (what is wrong, what to write)
FOREIGN: Final[dict[str, tuple[str, str]]] = {
    **dict.fromkeys(("let", "var", "const"), (_NO_STATEMENT, "drop it: `name = value` is enough")),
    **dict.fromkeys(("import", "include", "load"), (_NO_STATEMENT, f"another file comes in with `{FORMS['use']}`")),
    **dict.fromkeys(("function", "fn", "define"), (_NO_STATEMENT, f"an operation is made by `{FORMS['def']}`")),
    **dict.fromkeys(("if", "elif", "else", "when", "switch", "case", "unless"), (_CONDITION, _CHOICES)),
    **dict.fromkeys(("for", "foreach", "while", "repeat", "loop"), (_LOOP, _REPEATS)),
    **dict.fromkeys(("title", "heading", "name"), (_NO_STATEMENT, _TITLE)),
    **dict.fromkeys(
        ("text", "caption", "print", "write", "note"),
        (_NO_STATEMENT, 'words stand under an element, `present(..., caption="...")`, or in an interface\'s title'),
    ),
}


def misspelt_statement_word(place: Place) -> Diagnostic | None:
    """`modle inceptionv1`, `Input "a.jpg"`."""
    if place.number != 2 or place.first.kind != "word" or not (place.at.is_value or place.at.text == "{"):
        return None
    if found := FOREIGN.get(place.first.text.lower()):
        message, help = found[0].format(place.first.text), found[1]
    elif like := _alike(place.first.text, STATEMENT_WORDS):
        message = f"`{place.first.text}` is not a statement"
        help = f"did you mean `{like}`? Its form is `{FORMS[like]}`"
    else:
        return None
    return Diagnostic(codes.UNKNOWN_STATEMENT, message, place.first.span, help)


def _line(place: Place) -> Span:
    return place.first.span | place.words[-2].span


# --- pipes ----------------------------------------------------------------------------------------------------------


def pipe_in_the_air(place: Place) -> Diagnostic | None:
    if place.before.text != "|" or not (place.at.kind == "end" or place.at.text in (")", "]", ",", "=")):
        return None
    help = "add a stage such as `present(featvis)`, or drop the `|`"
    return Diagnostic(codes.PIPE_IN_THE_AIR, "no stage follows this `|`", place.before.span, help)


def pipe_without_head(place: Place) -> Diagnostic | None:
    if place.at.text != "|":
        return None
    if place.before.text == "|":
        message, help = "there is no stage between these two `|`", "drop one of them, or write the stage"
        return Diagnostic(codes.PIPE_WITHOUT_HEAD, message, place.before.span | place.at.span, help)
    if place.before.ends_value:
        return None
    help = "a pipe begins with what it shows: `input`, or a layer and its atoms, as in `some_layer.channel | ...`"
    if place.number == 1:
        help += "; a line that begins with `|` continues the statement above it"
    return Diagnostic(codes.PIPE_WITHOUT_HEAD, "nothing stands before this `|`", place.at.span, help)


def not_a_stage(place: Place) -> Diagnostic | None:
    if place.before.text != "|":
        return None
    help = "after `|` comes the name of an operation, such as `top(8)`"
    if place.at.kind == "string":
        help = "after `|` comes the name of an operation, without quotes"
    return Diagnostic(codes.NOT_A_STAGE, f"{_shown(place.at)} is not an operation", place.at.span, help)


def after_a_stage(place: Place) -> Diagnostic | None:
    """`... | factorize(nmf, 6).spatial`, `... | top(8)[0]`, `... | top 8`."""
    if place.before.text == "|" or not place.before.ends_value or not place.in_stage:
        return None
    stage = place.words[place.value_start]
    if place.at.kind == "attribute" or place.at.text == "[":
        what = "an atom" if place.at.kind == "attribute" else "an index"
        written = "name[...]" if place.at.text == "[" else f"name{place.at.text}"
        help = f"bind the pipe to a name first: `name = ...`, then `{written}`"
        return Diagnostic(codes.NOT_CALLABLE, f"{what} cannot follow a stage of a pipe", place.at.span, help)
    if place.at.is_value and place.before is stage:
        message = f"the arguments of `{stage.text}` stand in parentheses"
        span = place.at.span
        help = f"write `{stage.text}({place.at.text})`" if len(place.at.text) < 40 else f"write `{stage.text}(...)`"
        if place.at.text in STATEMENT_WORDS or place.after.text == "=":
            return None
        return Diagnostic(codes.ARGUMENTS_WITHOUT_PARENTHESES, message, span, help)
    if place.at.text in OPERATORS | {"->"} and place.at.text != "not":
        message = f"`{place.at.text}` cannot follow a stage of a pipe"
        help = "put the pipe in parentheses, `(a | b) - (c | d)`, or bind it to a name first"
        return Diagnostic(codes.UNEXPECTED, message, place.at.span, help)
    return None


# --- commas, values, operators --------------------------------------------------------------------------------------


def equals_sign(place: Place) -> Diagnostic | None:
    if place.at.text != "=":
        return None
    if place.before.text == "=" and place.number == 3:
        help = "a single one gives a name to a value; to compare write `==` without a space"
        return Diagnostic(codes.EQUALS_OR_EQUAL, "there is one `=` too many", place.at.span, help)
    if place.before.text in ("=", "!", "<", ">"):
        message, help = "this operator is written without a space in it", f"write `{place.before.text}=`"
        return Diagnostic(codes.EQUALS_OR_EQUAL, message, place.before.span | place.at.span, help)
    if place.before.kind == "word" and place.number == 2 and not place.open:
        return None
    message = "`=` gives a name to a value; what stands before it here is not a name"
    if place.open:
        message = "`=` names an argument; what stands before it here is not a name"
    return Diagnostic(codes.EQUALS_OR_EQUAL, message, place.at.span, "to compare write `==`")


def missing_value(place: Place) -> Diagnostic | None:
    if place.at.ends_value and place.at.text not in (")", "]"):
        return None
    if place.at.text in OPERATORS and place.before.text not in OPERATORS and not place.before.ends_value:
        message = f"no value stands before this `{place.at.text}`"
        return Diagnostic(codes.MISSING_VALUE, message, place.at.span, "write it, or drop the operator")
    if place.before.text == "=":
        help = "write the value, or drop the name and its `=`"
        if not place.open:
            help = "write what the name stands for"
        return Diagnostic(codes.MISSING_VALUE, "no value follows this `=`", place.before.span, help)
    if place.before.text in OPERATORS or place.before.text == "..":
        if place.at.text in OPERATORS | {"=", ".."}:
            message = f"a value is missing between `{place.before.text}` and `{place.at.text}`"
            return Diagnostic(codes.MISSING_VALUE, message, place.before.span | place.at.span, "write it, or drop one")
        message = f"no value follows this `{place.before.text}`"
        return Diagnostic(codes.MISSING_VALUE, message, place.before.span, "write it, or drop the operator")
    if place.before.text == "[" and place.at.text == "]" and place.words[place.number - 2].ends_value:
        help = "write what to pick, such as `[447]`, `[6, 6]` or `[top(5)]`"
        message = "there is nothing in these brackets"
        return Diagnostic(codes.MISSING_VALUE, message, place.before.span | place.at.span, help)
    if place.before.text == "(" and place.at.text == ")":
        help = "write a value between them, or drop them"
        message = "there is nothing in these parentheses"
        return Diagnostic(codes.MISSING_VALUE, message, place.before.span | place.at.span, help)
    return None


def comma(place: Place) -> Diagnostic | None:
    if place.at.text != ",":
        return None
    if place.before.text in (",", "(", "["):
        message, help = "nothing stands before this comma", "drop it, or write what is missing"
        return Diagnostic(codes.MISPLACED_COMMA, message, place.at.span, help)
    if place.opener == "(" and not place.words[place.open[-1] - 1].ends_value:
        message, help = "these parentheses hold a single value", "a list is written with `[` and `]`"
        opener = place.words[place.open[-1]].span
        return Diagnostic(codes.MISPLACED_COMMA, message, opener | place.at.span, help)
    if not place.open:
        help = "several values are a list: `[a, b]`; several statements stand on lines of their own"
        return Diagnostic(codes.MISPLACED_COMMA, "a comma has no place outside brackets", place.at.span, help)
    return None


def range_outside_list(place: Place) -> Diagnostic | None:
    near = [word for word in (place.at, place.before, place.words[max(place.number - 2, 0)]) if word.text == ".."]
    if not near or place.at.text == ",":
        return None
    mark = near[0]
    if place.opener == "[":
        message = "a range goes from one layer to another"
        help = "write `[first..last].spatial`: names of layers alone, the atom after the bracket"
    else:
        message, help = "a range of layers stands in a list", "write `[first..last]`, with the names of two layers"
    return Diagnostic(codes.RANGE_OUTSIDE_LIST, message, mark.span, help)


def chained_comparison(place: Place) -> Diagnostic | None:
    if place.at.text not in COMPARISONS or not place.before.ends_value:
        return None
    start = place.open[-1] if place.open else 0
    earlier = [word for word in place.words[start : place.number] if word.text in COMPARISONS]
    if not earlier:
        return None
    help = "join two with `and`: `0.1 < value and value < 0.5`"
    return Diagnostic(codes.CHAINED_COMPARISON, "comparisons cannot be chained", earlier[-1].span | place.at.span, help)


def what_takes_none(place: Place) -> Diagnostic | None:
    """Parentheses after something that is no name, an index after a number, a dot or a colon in the air."""
    if place.at.text == "(" and place.before.kind == "attribute" and place.words[place.number - 2].text == ")":
        message, help = (
            "the stages of a pipe are joined by `|`, not by dots",
            f"write `... | {place.before.text[1:]}(...)`",
        )
        return Diagnostic(codes.NOT_CALLABLE, message, place.before.span, help)
    if place.at.text == "(" and place.before.ends_value:
        message = f"{_shown(place.before)} cannot be called" if place.before.is_value else "this cannot be called"
        help = "only a name can: `top(8)`"
        if place.before.text in (")", "]") or place.before.is_value:
            help += "; between two values stands a comma or an operator"
        return Diagnostic(codes.NOT_CALLABLE, message, place.at.span, help)
    if place.at.text == "[" and place.before.kind == "number":
        help = "a comma may be missing before it"
        return Diagnostic(codes.NOT_CALLABLE, "a number has no index", place.at.span, help)
    if place.at.text == "." and place.before.ends_value:
        help = (
            "drop it" if place.after.text == "[" else "a path is written without spaces, such as `some_layer.channel`"
        )
        return Diagnostic(codes.UNEXPECTED, "no name follows this dot", place.at.span, help)
    if place.at.text == ":":
        if place.opener == "[" and place.words[place.open[-1] - 1].ends_value:
            return Diagnostic(codes.UNEXPECTED, "there are no slices", place.at.span, _condition(place))
        help = "a model stands before its layer without spaces: `a:some_layer.channel`"
        if place.opener == "(" and place.before.kind == "word":
            help = f"an argument is named with `=`: `{place.before.text}={place.after.text}`"
        return Diagnostic(codes.UNEXPECTED, "this `:` belongs to nothing", place.at.span, help)
    return None


def _condition(place: Place) -> str:
    """What to write instead of the slice `layer.channel[2:10]`."""
    axis = place.words[place.open[-1] - 1].text.rpartition(".")[2]
    axis = {"spatial": "y", "neuron": "y", "pixel": "y", "group": "group", "token": "token"}.get(axis, "channel")
    bounds = []
    if place.before.kind == "number" and place.before.text != "0":
        bounds.append(f"{axis} >= {place.before.text}")
    if place.after.kind == "number" or not bounds:
        bounds.append(f"{axis} < {place.after.text if place.after.kind == 'number' else 10}")
    return f"choose by a condition: `... | filter({' and '.join(bounds)})`"


def side_by_side(place: Place) -> Diagnostic | None:
    """Two values with nothing between them."""
    starts = place.at.is_value or place.at.text in ("[", "(", "not")
    if not (starts and place.before.ends_value):
        return None
    if place.open and (place.opener == "[" or place.words[place.open[-1] - 1].ends_value):
        if place.before.kind == "word" and place.at.kind == "number" and place.words[place.number - 2].text in "([,":
            name, value = place.before.text, place.at.text
            help = f"write `{name}({value})` or `{name}={value}`, or add a comma"
        else:
            help = "add the comma"
        gap = place.before.span | place.at.span
        message = f"a comma is missing between {_shown(place.before)} and {_shown(place.at)}"
        return Diagnostic(codes.MISSING_COMMA, message, gap, help)
    if not place.open and (place.at.text in STATEMENT_WORDS or place.after.text == "="):
        help = "put each statement on a line of its own"
        return Diagnostic(codes.SEVERAL_STATEMENTS, "a second statement begins here", place.at.span, help)
    message = f"nothing joins {_shown(place.before)} and {_shown(place.at)}"
    help = "between them stands a `|` or an operator; a text is a string in quotes"
    if place.at.kind == "word" and place.after.text == "(":
        help = f"is a `|` missing before `{place.at.text}(...)`?"
    return Diagnostic(codes.SIDE_BY_SIDE, message, place.before.span | place.at.span, help)


def _unexpected(place: Place) -> Diagnostic:
    if place.at.kind == "end":
        return Diagnostic(codes.UNEXPECTED, "this statement is not complete", place.before.span, None)
    return Diagnostic(codes.UNEXPECTED, f"{_shown(place.at)} cannot stand here", place.at.span, None)


KINDS: Final[tuple[Callable[[Place], Diagnostic | None], ...]] = (
    reserved_word_as_name,
    statement_word_called,
    number_as_name,
    statement_form,
    misspelt_statement_word,
    pipe_in_the_air,
    pipe_without_head,
    not_a_stage,
    after_a_stage,
    range_outside_list,
    equals_sign,
    comma,
    missing_value,
    chained_comparison,
    what_takes_none,
    side_by_side,
)
