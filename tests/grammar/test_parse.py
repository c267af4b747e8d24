"""What parses, and to which tree; sources at the limits; recovery."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bbilang.grammar import ast, codes
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.parse import CODES, lost_names, parse, parse_line, parse_recovering
from bbilang.grammar.source import Source
from bbilang.grammar.walk import walk

SPECS = sorted((Path(__file__).parent / "specs").glob("*.bbi"))


def value(text: str) -> ast.Expression:
    (statement,) = parse(text).statements
    assert isinstance(statement, ast.Show)
    return statement.value


def refused(text: str) -> list[str]:
    with pytest.raises(BbiError) as error:
        parse(text)
    return [diagnostic.code for diagnostic in error.value.diagnostics]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_parse_and_spans_cover_their_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    file = parse(Source(text, path.name))
    assert len(file.statements) >= 2
    assert len(file.comments) == text.count("#")
    for node in walk(file):
        covered = text[node.span.start : node.span.end]
        assert (covered and covered == covered.strip()) or isinstance(node, ast.File)
        if isinstance(node, ast.Name):
            assert covered == node.text
        elif isinstance(node, ast.Path):
            assert covered == (f"{node.model}:{node.name}" if node.model else node.name)
        elif isinstance(node, ast.Call):
            assert text[node.name_span.start : node.name_span.end] == node.name
        elif isinstance(node, ast.Parameter | ast.Argument) and node.name is not None:
            assert covered.startswith(node.name)
        if isinstance(node, ast.Attribute | ast.Index | ast.Pipe | ast.List | ast.Unary | ast.Number | ast.String):
            assert parse(f"x = {covered}").statements[0].value == node


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ast.Path("a")),
        ("layer3.0.conv2.channel", ast.Path("layer3.0.conv2.channel")),
        ("a:mixed4d.channel", ast.Path("mixed4d.channel", "a")),
        ("input", ast.Path("input")),
        ("output.class", ast.Path("output.class")),
        ("model.22.cv2", ast.Path("model.22.cv2")),
        ("andy", ast.Path("andy")),
        ("nothing", ast.Path("nothing")),
        ("-3", ast.Number(-3)),
        ("-(3)", ast.Unary("-", ast.Number(3))),
        ("--3", ast.Unary("-", ast.Number(-3))),
        (".5", ast.Number(0.5)),
        ("1e-3", ast.Number(0.001)),
        ("true", ast.Constant(True)),
        ("none", ast.Constant(None)),
        ('"\\u00e9\\n"', ast.String("é\n")),
        ('"a.channel".neuron', ast.Attribute(ast.String("a.channel"), "neuron")),
        ("(a).b", ast.Attribute(ast.Path("a"), "b")),
        ("a - b - c", ast.Binary("-", ast.Binary("-", ast.Path("a"), ast.Path("b")), ast.Path("c"))),
        ("a + b * -2", ast.Binary("+", ast.Path("a"), ast.Binary("*", ast.Path("b"), ast.Number(-2)))),
        ("a -3", ast.Binary("-", ast.Path("a"), ast.Number(3))),
        ("a -> b + c", ast.Binary("->", ast.Path("a"), ast.Binary("+", ast.Path("b"), ast.Path("c")))),
        ("not a and b", ast.Binary("and", ast.Unary("not", ast.Path("a")), ast.Path("b"))),
        ("[a..b, c].x", ast.Attribute(ast.List((ast.Range(ast.Path("a"), ast.Path("b")), ast.Path("c"))), "x")),
        ("[a,]", ast.List((ast.Path("a"),))),
        ("[]", ast.List(())),
        ("f()", ast.Call("f")),
        ("a | f | g()", ast.Pipe(ast.Path("a"), (ast.Call("f"), ast.Call("g")))),
        ("(a | f) | g", ast.Pipe(ast.Pipe(ast.Path("a"), (ast.Call("f"),)), (ast.Call("g"),))),
        ("f(from=model, class=2)", ast.Call("f", (
            ast.Argument(ast.Path("model"), "from"), ast.Argument(ast.Number(2), "class")))),
        ('output["x", score=probability]', ast.Index(ast.Path("output"), (
            ast.Argument(ast.String("x")), ast.Argument(ast.Path("probability"), "score")))),
    ],
)  # fmt: skip
def test_values(text: str, expected: ast.Expression) -> None:
    assert value(text) == expected


def test_words_of_statements_are_told_from_values() -> None:
    text = 'output = "head.logits"\noutput | present(bars)\noutput["x"] | f\noutput.class | f\ninput "a"\ninput | f\n'
    kinds = [type(statement) for statement in parse(text).statements]
    assert kinds == [ast.Output, ast.Show, ast.Show, ast.Show, ast.Input, ast.Show]


def test_lines_go_on() -> None:
    text = "a = b\n\n  # why\n\n  | f(1,\n\n  2) # here\n| g\nc = (\n d )\n"
    one, two = parse(text).statements
    assert [stage.name for stage in one.value.stages] == ["f", "g"]
    assert two == ast.Bind(ast.Name("c"), ast.Path("d"))
    assert [comment.text for comment in parse(text).comments] == ["# why", "# here"]
    assert [comment.alone for comment in parse(text).comments] == [True, False]


def test_blocks() -> None:
    expected = ast.Interface(ast.String("t"), (ast.Bind(ast.Name("a"), ast.Number(1)),))
    for text in ('interface "t" { a = 1 }', 'interface "t"\n# why\n{\na = 1\n}', 'interface "t" {a = 1\n}\n'):
        assert parse(text).statements == (expected,)
    assert parse("interface {}").statements == (ast.Interface(None, ()),)


@pytest.mark.parametrize("text", ["", "\n", "# a comment", "  \r\n\t# a\r\n", "\ufeff"])
def test_empty_files(text: str) -> None:
    assert parse(text).statements == ()


def test_byte_order_mark_and_crlf_keep_columns() -> None:
    file = parse('\ufeffmodel x\r\na = "é" # c\r\n')
    assert file.source.position(file.statements[0].span.start) == (1, 1)
    assert file.source.position(file.statements[1].value.span.start) == (2, 5)
    assert file.comments[0].text == "# c"


def test_errors_come_together_in_order_and_the_rest_is_parsed() -> None:
    text = "a = = 1\nb = 2\nc = f(\nd = “x”\ne = 1 2\n"
    file, diagnostics = parse_recovering(text)
    assert [d.code for d in diagnostics] == [
        codes.EQUALS_OR_EQUAL, codes.OPEN_BRACKET, codes.WRONG_QUOTES, codes.SIDE_BY_SIDE]  # fmt: skip
    assert [statement.name.text for statement in file.statements] == ["b", "d"]
    assert lost_names(file) == {"a", "c", "e"}


def test_statements_of_a_broken_block_stay_inside() -> None:
    file, _ = parse_recovering('interface "a" {\n  x = f(\n  y = 1\n}\ninterface "b" {\n  z = 1\n')
    assert [len(interface.statements) for interface in file.statements] == [1, 1]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("# " + "x" * 256 * 1024, codes.TOO_LARGE),
        ("é" * 140_000, codes.TOO_LARGE),
        ("a = " + "(" * 65 + "b" + ")" * 65, codes.TOO_DEEP),
        ("a = " + "[" * 60_000, codes.TOO_DEEP),
        ("a = " + "+".join("b" * 1_000), codes.TOO_DEEP),
        ("a = " + "-" * 1_000 + "b", codes.TOO_DEEP),
        ("a = " + "not " * 1_000 + "b", codes.TOO_DEEP),
        ("a = b" + "[0]" * 1_000, codes.TOO_DEEP),
        ("a = " + "f(b | " * 40 + "c" + ")" * 40, codes.TOO_DEEP),
    ],
)
def test_limits(text: str, code: str) -> None:
    assert refused(text) == [code]


def test_nesting_at_the_limit_parses() -> None:
    assert parse("a = " + "f(" * 63 + "b" + ")" * 63)
    assert parse("a = " + "(" * 64 + "b" + ")" * 64)
    assert parse("a = b" + " | f" * 5_000)


# Texts in which a scanner that looks ahead or back could take quadratic time.
LONG_TEXTS = {
    "comments": "#\n" * 30_000,
    "comments before a pipe": "a\n" + "#\n" * 30_000 + "|",
    "open brackets on lines": "f(\n" * 20_000,
    "open brackets": "[" * 50_000,
    "open braces": "{" * 50_000,
    "open interfaces": "interface {" * 20_000,
    "open interfaces on lines": "interface {\n" * 20_000,
    "closed braces": "}\n" * 30_000,
    "pipes on lines": "a = b" + "\n|" * 30_000,
    "pipes at line ends": "a |\n" * 3_000,
    "quotes": '"' * 200_000,
    "typographic quotes": "“" * 30_000,
    "semicolons": ";" * 99_999,
    "digits": "a = " + "1" * 200_000,
    "carriage returns": "\r" * 50_000,
    "spaces": "a" + " " * 250_000 + "b",
    "backslashes": '"' + "\\" * 200_000,
    "a long list": "a = [" + "b," * 5_000 + "]",
}


@pytest.mark.parametrize("text", LONG_TEXTS.values(), ids=LONG_TEXTS)
def test_no_text_takes_long(text: str) -> None:
    """The language's own bar is five seconds of work for any text below the limit; these take a tenth of one."""
    began = time.process_time()
    parse_recovering(text)
    assert time.process_time() - began < 5


def test_a_line_that_was_parsed_is_not_parsed_again() -> None:
    lines = (f"e{i} = mixed4d.channel | attribute(output) | top({i}) | present(featvis)\n" for i in range(1_000))
    text = "".join(lines)
    parse(text)
    before = parse_line.cache_info().misses
    parse(text + "one = more\n")
    assert parse_line.cache_info().misses == before + 1


def test_every_code_has_a_title_and_is_used() -> None:
    golden = (Path(__file__).parent / "mistakes.txt").read_text(encoding="utf-8")
    elsewhere = {codes.TOO_LARGE, codes.TOO_DEEP, codes.MALFORMED_TREE, codes.UNWRITABLE_TREE}
    constants = {name: code for name, code in vars(codes).items() if isinstance(code, str) and code.startswith("E1")}
    assert set(constants.values()) == set(CODES)
    assert len(set(constants.values())) == len(constants)
    assert [code for code in CODES if f"[{code}]" not in golden and code not in elsewhere] == []
