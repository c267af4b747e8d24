"""The codes of syntax errors, one constant each, with their documentation. The checker's codes begin at E200."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from bbilang.grammar.frozen import frozen


@frozen
class Code:
    """The documentation of a code.

    ``why``: one or two sentences on why it is a mistake and what to do. ``wrong`` and ``right``: .bbi texts on the
    demo's network and picture, unless they name others or begin with `# without --input`. A line that begins with `$ `
    is typed in a shell, one with `>>> ` in Python. ``needs``: what else ``wrong`` needs, where checking the text
    alone does not give the error. ``files``: texts in the same folder, by name.
    """

    title: str
    why: str
    wrong: str
    right: str
    needs: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


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
HOLE_IN_A_WORD: Final = "E146"
HOLE_CALLED: Final = "E147"
HOLE_MISPLACED: Final = "E148"

_PHOTO = "photo = input | present(image)"
_EVIDENCE = "block5c.expand.channel | attribute(output) | top(8) | present(bars)"

CODES: Final[dict[str, Code]] = {
    TOO_LARGE: Code(
        "the source is larger than 256 kB",
        "A text this long was probably not written by hand, and is refused before it costs time. Move parts of "
        "it into files of their own and include them with `use`.",
        "$ bbi check huge.bbi",
        'use "parts.bbi"\nevidence | present(bars)',
        needs="a text of over 256 kB",
        files={"parts.bbi": "evidence = block5c.expand.channel | attribute(output) | top(8)\n"},
    ),
    TOO_DEEP: Code(
        "something is nested deeper than 64",
        "Brackets, sums and blocks may be nested at most 64 deep. Bind an inner part to a name and use the name.",
        f"deep = {'[' * 65}1{']' * 65}",
        f'cats = [output["tabby"], output["tiger cat"]]\n{_EVIDENCE.replace("(output)", "(cats)")}',
    ),
    UNKNOWN_CHARACTER: Code(
        "a character that the language does not use",
        "Outside strings and comments, the language uses letters, digits and a few symbols. Text that is copied "
        "from a web page may contain invisible characters.",
        "block5c.expand.channel | attribute(output) | top(20%) | present(bars)",
        "block5c.expand.channel | attribute(output) | top(20) | present(bars)",
    ),
    WRONG_QUOTES: Code(
        'a string in quotes other than ""',
        'Strings are written in straight double quotes, `"`. Word processors turn them into typographic ones.',
        "photo = input | present(image, title=“The photo”)",
        'photo = input | present(image, title="The photo")',
    ),
    OPEN_STRING: Code(
        "a string without its closing quote",
        "A string ends on the line that it begins on; a line end inside it is written `\\n`.",
        'photo = input | present(image, title="The photo)',
        'photo = input | present(image, title="The photo")',
    ),
    BAD_ESCAPE: Code(
        "a character or an escape that a string cannot hold",
        "A backslash in a string begins an escape, as in JSON. Paths can be written with `/` on every system.",
        'photo = input | present(image, title="photos\\day one")',
        'photo = input | present(image, title="photos/day one")',
    ),
    NOT_A_NUMBER: Code(
        "something that starts like a number but is not one",
        "Numbers are written 8, 0.5 or 1e-3, without units: the documentation of a parameter names its unit.",
        "set featvis(size=96px)",
        f"set featvis(size=96)\n{_PHOTO}",
    ),
    OPEN_BRACKET: Code(
        "a bracket or a block that is never closed",
        "Lines continue inside brackets, so everything that follows would be part of it. Close it where its "
        "content ends.",
        "block5c.expand.channel | attribute(output | top(8) | present(bars)",
        _EVIDENCE,
    ),
    STRAY_CLOSER: Code(
        "a closing bracket without a matching opening bracket",
        "Each `(`, `[` and `{` is closed by its own kind, in reverse order of opening.",
        "block5c.expand.channel | attribute(output)) | top(8) | present(bars)",
        _EVIDENCE,
    ),
    BAD_BLOCK: Code(
        "braces without an interface, an interface without braces or inside another",
        'Braces have one use: they hold the statements of an interface, `interface "title" { ... }`. Interfaces '
        "follow one another and cannot be nested.",
        f'interface "Cats"\n{_PHOTO}',
        f'interface "Cats" {{\n    {_PHOTO}\n}}',
    ),
    SEVERAL_STATEMENTS: Code(
        "more than one statement on a line",
        "The end of a line ends a statement, so each begins on a line of its own and no `;` is needed.",
        f"{_PHOTO}; {_EVIDENCE}",
        f"{_PHOTO}\n{_EVIDENCE}",
    ),
    PIPE_IN_THE_AIR: Code(
        "a pipe that ends in `|`",
        "A `|` passes a field to the next stage. To continue on the next line, begin that line with the `|`.",
        "block5c.expand.channel |\n    attribute(output) | top(8) | present(bars)",
        "block5c.expand.channel\n    | attribute(output) | top(8) | present(bars)",
    ),
    PIPE_WITHOUT_HEAD: Code(
        "a `|` with nothing before it",
        "A pipe starts from what is explained: the atoms of a layer, `input`, `output`, or a name.",
        "evidence = | attribute(output) | top(8) | present(bars)",
        "evidence = block5c.expand.channel | attribute(output) | top(8) | present(bars)",
    ),
    WRONG_OPERATOR: Code(
        "an operator of another language",
        "The words are `and`, `or`, `not`; comparisons are `<` `<=` `>` `>=` `==` `!=`; stages are joined by one `|`.",
        "block5c.expand.channel || top(8) || present(bars)",
        "block5c.expand.channel | top(8) | present(bars)",
    ),
    NOT_A_STAGE: Code(
        "something after `|` that is not an operation",
        "After `|` comes the name of an operation, with its arguments in parentheses. Sums, indices and atoms belong "
        "to what the pipe starts from.",
        'block5c.expand.channel | "attribute" | present(bars)',
        _EVIDENCE,
    ),
    NOT_A_NAME: Code(
        "a word that cannot be a name here",
        "A name begins with a letter and has letters, digits and `_`. Words that begin statements are taken.",
        "layout = input | present(image)",
        _PHOTO,
    ),
    STATEMENT_FORM: Code(
        "a statement that does not have the form of its kind",
        "Each statement word has one form, which the message shows. Names of files are strings, and `set` has no `=`.",
        "set seed = 7",
        f"set seed 7\n{_PHOTO}",
    ),
    MISSING_COMMA: Code(
        "two arguments or items without a comma between them",
        "Arguments and items of lists are separated by commas.",
        'photo = input | present(image title="The photo")',
        'photo = input | present(image, title="The photo")',
    ),
    MISPLACED_COMMA: Code(
        "a comma too many, or outside brackets",
        "A comma separates two arguments or items; several values together are a list in brackets, `[a, b]`.",
        'block5c.expand.channel | attribute(output["tabby"],, method=linear) | top(8) | present(bars)',
        'block5c.expand.channel | attribute(output["tabby"], method=linear) | top(8) | present(bars)',
    ),
    MISSING_VALUE: Code(
        "a value is missing",
        "A value is needed after `=` and on both sides of an operator.",
        "block5c.expand.channel | attribute(output, method=) | top(8) | present(bars)",
        "block5c.expand.channel | attribute(output, method=linear) | top(8) | present(bars)",
    ),
    EQUALS_OR_EQUAL: Code(
        "`=` where `==` is meant, or the other way round",
        "A single `=` gives a name to a value or a value to an argument; `==` compares.",
        "block5c.expand.channel | filter(value > 0 and channel = 64) | present(bars)",
        "block5c.expand.channel | filter(value > 0 and channel == 64) | present(bars)",
    ),
    ARGUMENTS_WITHOUT_PARENTHESES: Code(
        "the arguments of an operation without parentheses",
        "Arguments are written in parentheses, even a single one.",
        "block5c.expand.channel | top 8 | present(bars)",
        "block5c.expand.channel | top(8) | present(bars)",
    ),
    CHAINED_COMPARISON: Code(
        "a comparison of a comparison",
        "A comparison is true or false, and there is no more or less of that. Join two comparisons with `and`.",
        "block5c.expand.channel | filter(0.1 < value < 0.5) | present(bars)",
        "block5c.expand.channel | filter(value > 0.1 and value < 0.5) | present(bars)",
    ),
    RANGE_OUTSIDE_LIST: Code(
        "a range of layers that is not an item of a list",
        "`a..b` is every layer from a to b, and several layers are a list: `[a..b]`, whose atoms then have an axis "
        "`layer`.",
        "block3a..block5a.channel | top(8) | present(bars)",
        "[block3a..block5a].channel | top(8) | present(bars)",
    ),
    SIDE_BY_SIDE: Code(
        "two values with nothing between them",
        "Two values need a `|`, an operator or a comma between them. Words with spaces are a string in quotes.",
        "block5c.expand.channel attribute(output) | top(8) | present(bars)",
        _EVIDENCE,
    ),
    UNKNOWN_VERSION: Code(
        "a version of the language that this program does not know",
        "`bbi 1` declares that a text is written in version 1 of the language. A text of a later version needs a later "
        "bbilang.",
        f"bbi 2\n{_PHOTO}",
        f"bbi 1\n{_PHOTO}",
    ),
    VERSION_NOT_FIRST: Code(
        "the version is not the first statement",
        "The version determines how the rest is read, so it is the first statement, or left out.",
        f"{_PHOTO}\nbbi 1",
        f"bbi 1\n{_PHOTO}",
    ),
    NOT_CALLABLE: Code(
        "parentheses, an index or an atom after something that takes none",
        "Parentheses call operations and selections, brackets pick atoms and classes. A class is picked by "
        '`output["name"]`.',
        'block5c.expand.channel | attribute(output("tabby")) | top(8) | present(bars)',
        'block5c.expand.channel | attribute(output["tabby"]) | top(8) | present(bars)',
    ),
    NAMED_TWICE: Code(
        "an argument or a parameter given twice",
        "Which of the two would win? Leave out the one that is not meant.",
        'photo = input | present(image, title="The photo", title="A cat")',
        'photo = input | present(image, title="The photo", caption="A cat")',
    ),
    UNKNOWN_STATEMENT: Code(
        "a line that begins with an unknown statement word",
        "Statements begin with `bbi model input output dataset name claim set use def interface layout`; everything "
        "else is `name = value` or a pipe.",
        f"modle efficientnet_lite0\n{_PHOTO}",
        f"model efficientnet_lite0\n{_PHOTO}",
    ),
    UNEXPECTED: Code(
        "something that is not allowed here",
        "The line is correct up to the underlined part, and nothing of this kind can follow there.",
        'photo = input | present(image, title: "The photo")',
        'photo = input | present(image, title="The photo")',
    ),
    MALFORMED_TREE: Code(
        "the JSON form of a syntax tree is malformed",
        "Tools that write syntax trees as JSON keep to `grammar/ast.schema.json`: every node has its kind, its fields "
        "and a span.",
        '>>> from_json({"kind": "File"})',
        ">>> from_json(to_json(parse(text)))",
        needs="a tree that another program wrote",
    ),
    UNWRITABLE_TREE: Code(
        "a syntax tree that no source text can spell",
        "A tree that a program made may hold what the grammar cannot express, such as a name with a space. Make its "
        "parts from text with `parse`.",
        '>>> tree["statements"][0]["name"]["text"] = "two words"\n>>> from_json(tree)',
        '>>> tree["statements"][0]["name"]["text"] = "two_words"\n>>> from_json(tree)',
        needs="a tree that a program made",
    ),
    HOLE_IN_A_WORD: Code(
        "a hole that is a part of a word",
        "A hole stands for a whole word: a layer, an atom, an operation or one of its arguments. `bbi complete` lists "
        "what fits.",
        "block5c? | attribute(output) | top(8) | present(bars)",
        "$ bbi complete -e '?.channel | attribute(output) | top(8) | present(bars)'",
    ),
    HOLE_CALLED: Code(
        "a hole with arguments",
        "A hole stands for an operation with its arguments. To leave one argument open, write the operation and a hole "
        "for the argument.",
        "block5c.expand.channel | attribute(output) | ?(8) | present(bars)",
        "$ bbi complete -e 'block5c.expand.channel | attribute(output) | top(?) | present(bars)'",
    ),
    HOLE_MISPLACED: Code(
        "a hole where none can be filled",
        "Holes stand in pipes that are shown or bound: for a layer, for an atom, for an operation, for one of its "
        "arguments, or, as `?*`, for a rest of up to three stages. Everything else is written out.",
        'name block5c.expand.channel[?] "stripes"\nphoto = input | present(image)',
        'name block5c.expand.channel[447] "stripes"\nphoto = input | present(image)',
    ),
}
