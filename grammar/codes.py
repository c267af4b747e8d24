"""The codes of syntax errors, one constant each, and what they mean. The checker's begin at E200."""

from __future__ import annotations

from typing import Final

TOO_LARGE: Final = "E101"
TOO_DEEP: Final = "E102"
UNKNOWN_CHARACTER: Final = "E103"
WRONG_QUOTES: Final = "E104"
OPEN_STRING: Final = "E105"
BAD_ESCAPE: Final = "E106"
NOT_A_NUMBER: Final = "E107"
OPEN_BRACKET: Final = "E108"
STRAY_CLOSER: Final = "E109"
BAD_BLOCK: Final = "E110"
SEVERAL_STATEMENTS: Final = "E111"
PIPE_IN_THE_AIR: Final = "E112"
PIPE_WITHOUT_HEAD: Final = "E113"
WRONG_OPERATOR: Final = "E114"
NOT_A_STAGE: Final = "E115"
NOT_A_NAME: Final = "E116"
STATEMENT_FORM: Final = "E117"
MISSING_COMMA: Final = "E118"
MISPLACED_COMMA: Final = "E119"
MISSING_VALUE: Final = "E120"
EQUALS_OR_EQUAL: Final = "E121"
ARGUMENTS_WITHOUT_PARENTHESES: Final = "E122"
CHAINED_COMPARISON: Final = "E123"
RANGE_OUTSIDE_LIST: Final = "E124"
SIDE_BY_SIDE: Final = "E125"
UNKNOWN_VERSION: Final = "E126"
VERSION_NOT_FIRST: Final = "E127"
NOT_CALLABLE: Final = "E128"
NAMED_TWICE: Final = "E129"
UNKNOWN_STATEMENT: Final = "E130"
UNEXPECTED: Final = "E131"
MALFORMED_TREE: Final = "E132"
UNWRITABLE_TREE: Final = "E133"

CODES: Final[dict[str, str]] = {
    TOO_LARGE: "the source is larger than 256 kB",
    TOO_DEEP: "something is nested deeper than 64",
    UNKNOWN_CHARACTER: "a character that the language does not use",
    WRONG_QUOTES: 'a string in quotes other than ""',
    OPEN_STRING: "a string without its closing quote",
    BAD_ESCAPE: "a character or an escape that a string cannot hold",
    NOT_A_NUMBER: "something that begins like a number and is none",
    OPEN_BRACKET: "a bracket or a block that is never closed",
    STRAY_CLOSER: "a closing bracket that closes nothing, or something else",
    BAD_BLOCK: "braces without an interface, an interface without braces or inside another",
    SEVERAL_STATEMENTS: "more than one statement on a line",
    PIPE_IN_THE_AIR: "a pipe that ends in `|`",
    PIPE_WITHOUT_HEAD: "a `|` with nothing before it",
    WRONG_OPERATOR: "an operator of another language",
    NOT_A_STAGE: "something after `|` that is not an operation",
    NOT_A_NAME: "a word that cannot be a name here",
    STATEMENT_FORM: "a statement that does not have the form of its kind",
    MISSING_COMMA: "two arguments or items without a comma between them",
    MISPLACED_COMMA: "a comma too many, or outside brackets",
    MISSING_VALUE: "a value is missing",
    EQUALS_OR_EQUAL: "`=` where `==` is meant, or the other way round",
    ARGUMENTS_WITHOUT_PARENTHESES: "the arguments of an operation without parentheses",
    CHAINED_COMPARISON: "a comparison of a comparison",
    RANGE_OUTSIDE_LIST: "a range of layers that is not an item of a list",
    SIDE_BY_SIDE: "two values with nothing between them",
    UNKNOWN_VERSION: "a version of the language that this program does not know",
    VERSION_NOT_FIRST: "the version stands behind other statements",
    NOT_CALLABLE: "parentheses, an index or an atom after something that takes none",
    NAMED_TWICE: "an argument or a parameter given twice",
    UNKNOWN_STATEMENT: "a line that begins with an unknown statement word",
    UNEXPECTED: "something that cannot stand at this place",
    MALFORMED_TREE: "the JSON form of a syntax tree is malformed",
    UNWRITABLE_TREE: "a syntax tree that no source text can spell",
}
