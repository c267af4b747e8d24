"""Mistakes in statements: names that are taken, forms that do not fit, words of other languages.

Each function recognizes one kind of mistake and returns its diagnostic, or None for any other.
"""

from __future__ import annotations

from typing import Final

from bbilang.grammar import codes
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.error_context import ErrorContext
from bbilang.grammar.source import Span
from bbilang.grammar.statement_words import FORMS, RESERVED_WORDS, STATEMENT_WORDS


def _similar(word: str, choices: frozenset[str]) -> str | None:
    """Return the choice that this word may be a misspelling of, or None."""
    errors = 1 if len(word) < 5 else 2
    from rapidfuzz import process  # slow to import, and rarely needed
    from rapidfuzz.distance import OSA

    match = process.extractOne(word.lower(), sorted(choices), scorer=OSA.distance, score_cutoff=errors)
    return match[0] if match else None


def reserved_word_as_name(context: ErrorContext) -> Diagnostic | None:
    """Diagnose a word of the language where a name is needed: `show = 3`, `def model(x)`."""
    word = context.at
    if context.at.text == "=":
        word = context.before
    elif context.after.text != "=" and context.before.text not in ("def", "dataset") and context.at.text != "(":
        return None
    elif context.at.text == "(" and context.before.text in RESERVED_WORDS - {"not", "and", "or"}:
        word = context.before
    if word.text not in RESERVED_WORDS:
        return None
    message = f"`{word.text}` is a word of the language and cannot be a name"
    return Diagnostic(codes.NOT_A_NAME, message, word.span, "choose another name")


def statement_word_called(context: ErrorContext) -> Diagnostic | None:
    """Diagnose a statement word that is called: `output("x")`."""
    if context.at.text != "(" or context.before.text not in STATEMENT_WORDS:
        return None
    word = context.before
    if word.text == "output":
        help = 'a class is picked with brackets: `output["name"]`, `output[208]`, `output[top(5)]`'
    elif (
        word.text in ("bbi", "model", "dataset", "name", "claim", "set", "use", "def", "layout") and context.index == 2
    ):
        help = f"the form of the statement is `{FORMS[word.text]}`"
    else:
        help = "an operation has another name"
    return Diagnostic(codes.NOT_CALLABLE, f"`{word.text}` cannot be called", word.span | context.at.span, help)


def number_as_name(context: ErrorContext) -> Diagnostic | None:
    """Diagnose a number or text in place of a name: `3a = ...`, `"x" = ...`."""
    if context.at.text != "=" or context.before.kind not in ("number", "string"):
        return None
    kind = "number" if context.before.kind == "number" else "string"
    if not context.open and context.index > 2:
        return None
    message = f"a {kind} cannot be a name: {context.before.quoted}"
    return Diagnostic(codes.NOT_A_NAME, message, context.before.span, "a name begins with a letter and has no quotes")


def statement_form(context: ErrorContext) -> Diagnostic | None:
    """Diagnose a statement that does not continue as its first word requires."""
    word = context.first.text
    if word not in STATEMENT_WORDS or context.open or context.index < 2 or context.second.text == "=":
        return None
    if word in ("input", "output") and not context.second.is_value and context.second.kind != "end":
        return None
    texts = [token.text for token in context.tokens[1 : context.index]]
    if word == "def" and "=" in texts:
        return None
    help = f"its form is `{FORMS[word]}`"
    at = context.at
    if at.text in STATEMENT_WORDS and context.before.ends_value and context.index > 2:
        return None
    if word in ("input", "use") or (word == "dataset" and context.before.text == "="):
        unquoted = word == "input" and context.before.kind == "word" and context.index > 1  # it could have been a name
        if (at.kind != "end" or unquoted) and context.before.kind != "string":
            span = (context.before.span if unquoted else at.span) | context.tokens[-2].span
            name = context.text[span.start : span.end]
            quoted = ", ".join(f'"{part.strip()}"' for part in name.split(","))
            message, help = f"`{name}` is not a string", f"write the name of a file in quotes: `{quoted}`"
            return Diagnostic(codes.STATEMENT_FORM, message, span, help)
    elif word == "set" and at.text == "=":
        help = f"there is no `=` in it: {help}"
    elif word == "model" and at.kind == "mark" and at.text in "-/.:" and context.before.kind in ("word", "number"):
        name = context.text[context.before.span.start : context.tokens[-2].span.end]
        help = f'a name with characters other than letters and digits needs quotes: `"{name}"`'
    elif word == "model" and at.kind == "word" and context.before.kind in ("word", "string"):
        help = "several models are separated by commas: `model a = ..., b = ...`"
        if at.text in ("form", "fom", "frm", "weights", "at", "with"):
            help = "did you mean `from`?"
    if at.kind == "end":
        return Diagnostic(codes.STATEMENT_FORM, f"this `{word}` statement is not complete", _line(context), help)
    article = "an" if word[0] in "io" else "a"
    message = f"{at.quoted} does not belong in {article} `{word}` statement"
    return Diagnostic(codes.STATEMENT_FORM, message, at.span, help)


_NO_STATEMENT = "`{}` is not a statement"
_CONDITION = "the language has no conditions: `{}`"
_LOOP = "the language has no loops: `{}`"
_CHOICES = "the reader chooses with `pick(...)`, and `filter(value > 0.1)` keeps what meets a condition"
_REPEATS = "a list of layers or classes is an axis, laid out with `facet=layer`; repeated pipes are shared with `def`"
_TITLE = (
    'a page is titled by `interface "My page" { ... }` or with `--title`, an element by `present(..., title="...")`'
)
# keyword of another language at the start of a line -> (message, help)
FOREIGN: Final[dict[str, tuple[str, str]]] = {
    **dict.fromkeys(("let", "var", "const"), (_NO_STATEMENT, "drop it: `name = value` is enough")),
    **dict.fromkeys(("import", "include", "load"), (_NO_STATEMENT, f"another file comes in with `{FORMS['use']}`")),
    **dict.fromkeys(("function", "fn", "define"), (_NO_STATEMENT, f"an operation is made by `{FORMS['def']}`")),
    **dict.fromkeys(("if", "elif", "else", "when", "switch", "case", "unless"), (_CONDITION, _CHOICES)),
    **dict.fromkeys(("for", "foreach", "while", "repeat", "loop"), (_LOOP, _REPEATS)),
    **dict.fromkeys(("title", "heading"), (_NO_STATEMENT, _TITLE)),
    **dict.fromkeys(
        ("text", "caption", "print", "write", "note"),
        (_NO_STATEMENT, 'words go under an element, `present(..., caption="...")`, or in the title of an interface'),
    ),
}


def misspelt_statement_word(context: ErrorContext) -> Diagnostic | None:
    """Diagnose a misspelt statement word: `modle inceptionv1`, `Input "a.jpg"`."""
    if context.index != 2 or context.first.kind != "word" or not (context.at.is_value or context.at.text == "{"):
        return None
    if foreign := FOREIGN.get(context.first.text.lower()):
        message, help = foreign[0].format(context.first.text), foreign[1]
    elif similar := _similar(context.first.text, STATEMENT_WORDS):
        message = f"`{context.first.text}` is not a statement"
        help = f"did you mean `{similar}`? Its form is `{FORMS[similar]}`"
    else:
        return None
    return Diagnostic(codes.UNKNOWN_STATEMENT, message, context.first.span, help)


def _line(context: ErrorContext) -> Span:
    return context.first.span | context.tokens[-2].span
