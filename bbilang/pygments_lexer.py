"""A Pygments lexer for .bbi texts, used by the documentation, notebooks and terminals.

Pygments loads it by the name `bbi` (an entry point of `pygments.lexers`). Words are classified by their context: an
operation after `|`, a function before `(`, a parameter before `=` inside brackets.
"""

from __future__ import annotations

from typing import ClassVar

from pygments.lexer import RegexLexer, bygroups, include
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text, Whitespace

__all__ = ["BbiLexer"]  # Pygments requires it

STATEMENTS = "bbi|model|input|dataset|name|claim|output|set|use|def|interface|layout"
ATOMS = "neuron|spatial|channel|group|whole|pixel|class|token|frame|head|example"
WORD = r"[^\W\d]\w*"


class BbiLexer(RegexLexer):
    """The language of bbilang."""

    name = "bbilang"
    aliases: ClassVar[list[str]] = ["bbi"]  # type: ignore[misc]  # an instance variable in the stubs
    filenames: ClassVar[list[str]] = ["*.bbi"]  # type: ignore[misc]  # an instance variable in the stubs
    mimetypes: ClassVar[list[str]] = ["text/x-bbi"]  # type: ignore[misc]  # an instance variable in the stubs
    url = ""
    tokens: ClassVar = {
        "root": [
            (r"\s+", Whitespace),
            (r"#[^\n]*", Comment.Single),
            (rf"({STATEMENTS})\b(?=[ \t]+[\"\w]|[ \t]*\{{)(?![ \t]+=)", Keyword),
            (rf"({WORD})([ \t]*)(=)(?!=)", bygroups(Name.Variable, Whitespace, Operator)),
            include("value"),
        ],
        "value": [
            (r"\s+", Whitespace),
            (r"#[^\n]*", Comment.Single),
            (r'"(?:[^"\\\n]|\\[^\n])*"', String),
            (r"(\|)(\s*)(\?\*?)", bygroups(Operator, Whitespace, Keyword.Pseudo)),
            (rf"(\|)(\s*)({WORD})", bygroups(Operator, Whitespace, Name.Function)),
            (r"(and|or|not|true|false|none|from)\b(?!\s*[=.])", Keyword.Constant),
            (r"(row|column)(?=\()", Name.Function),
            (r"(hover|click|pick|slider)(?=\()", Name.Builtin),
            (rf"{WORD}(?=\()", Name.Function),
            (rf"(\.)({ATOMS})\b(?!\.)", bygroups(Punctuation, Keyword.Type)),
            (rf"({WORD})(:)(?={WORD})", bygroups(Name.Namespace, Punctuation)),
            (r"\(", Punctuation, "brackets"),
            (r"\[", Punctuation, "brackets"),
            (rf"{WORD}(?:\.(?!(?:{ATOMS})\b(?!\.))\w+)*", Name),
            (r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", Number),
            (r"->|\.\.|[<>!=]=|[-+*/<>=|]", Operator),
            (r"\?", Keyword.Pseudo),
            (r"[()\[\]{},.:]", Punctuation),
        ],
        "brackets": [
            (r"[)\]]", Punctuation, "#pop"),
            (rf"({WORD})([ \t]*)(=)(?!=)", bygroups(Name.Attribute, Whitespace, Operator)),
            include("value"),
            (r".", Text),
        ],
    }
