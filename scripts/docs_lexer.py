"""Colours for .bbi texts in the documentation: a Pygments lexer, which its highlighter finds after `register`."""

from pygments.lexer import RegexLexer, bygroups
from pygments.lexers._mapping import LEXERS
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Text,
)

__all__ = ["BbiLexer"]  # what Pygments loads from here

STATEMENTS = "bbi|model|input|set|interface|layout|def|use|dataset"


class BbiLexer(RegexLexer):
    """Good enough to read by; the grammar decides what is right."""

    name = "bbilang"
    aliases = ("bbi",)
    filenames = ("*.bbi",)
    tokens = {
        "root": [
            (r"#.*$", Comment.Single),
            (r'"(\\.|[^"\\\n])*"', String),
            (r"(\|)(\s*)([a-z_]+)", bygroups(Operator, Text, Name.Function)),
            (rf'\b({STATEMENTS})\b(?= +["\w])', Keyword),
            (r"\b(from|row|column|and|or|not|true|false|none)\b", Keyword),
            (r"\b(hover|click|pick|slider)(?=\()", Name.Builtin),
            (r"[a-z_]\w*(?=\()", Name.Function),
            (r"([A-Za-z_]\w*)(\s*)(=)(?!=)", bygroups(Name.Attribute, Text, Operator)),
            (r"(\.)(neuron|spatial|channel|group|whole|pixel|class|token)\b", bygroups(Punctuation, Keyword.Type)),
            (r"[A-Za-z_]\w*", Name),
            (r"\d+(\.\d+)?([eE][-+]?\d+)?", Number),
            (r"->|\.\.|[<>!=]=|[-+*/<>=|]", Operator),
            (r"[()\[\]{},.]", Punctuation),
            (r"\s+", Text),
        ]
    }


def register() -> None:
    """Let Pygments find the lexer by its name; where Pygments is asked twice, twice the same."""
    LEXERS["BbiLexer"] = (__name__, BbiLexer.name, BbiLexer.aliases, BbiLexer.filenames, ())
