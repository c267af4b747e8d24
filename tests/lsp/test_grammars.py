"""Syntax highlighting in editors and in the documentation: every word of every spec has a scope."""

import json
import re
from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from bbilang.compiler.ir.types import ATOMS as KNOWN_ATOMS
from bbilang.grammar.statement_words import STATEMENT_WORDS
from bbilang.lsp.cursor import tokens
from bbilang.pygments_lexer import ATOMS, STATEMENTS, BbiLexer

ROOT = Path(__file__).parents[2]
TEXTS = sorted([*(ROOT / "specs").glob("*.bbi"), *(ROOT / "tests").rglob("specs/*.bbi")])
VSCODE = ROOT / "editors" / "vscode"
GRAMMAR = json.loads((VSCODE / "syntaxes" / "bbi.tmLanguage.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_the_lexer_knows_every_word(path):
    text = path.read_text(encoding="utf-8")
    pairs = list(BbiLexer(stripnl=False, ensurenl=False).get_tokens(text))
    assert "".join(value for _, value in pairs) == text
    assert not [value for kind, value in pairs if kind in Error]


def test_the_lexer_tells_words_apart():
    text = "set featvis(size=8)  # small\nwhy = pick(output[top(6)])\n"
    text += 'input | present(image, title="x")\na.b.channel | top(2)\n'
    actual = {value: kind for kind, value in BbiLexer().get_tokens(text) if kind not in Whitespace}
    expected = {"set": Keyword, "size": Name.Attribute, "8": Number, "# small": Comment.Single, "why": Name.Variable,
              "pick": Name.Builtin, "present": Name.Function, '"x"': String, "input": Name, "a.b": Name,
              "channel": Keyword.Type, "|": Operator, "(": Punctuation, "top": Name.Function}  # fmt: skip
    assert {word: actual[word] for word in expected} == expected


def test_pygments_finds_the_lexer():
    assert type(get_lexer_by_name("bbi")).__name__ == "BbiLexer"


def test_words_of_the_grammars_are_those_of_the_language():
    """Lexer, TextMate grammar and CodeMirror mode name the same statements and atoms."""
    mode = (ROOT / "editors" / "codemirror" / "bbi.js").read_text(encoding="utf-8")
    textmate = json.dumps(GRAMMAR)
    for words, known in ((STATEMENTS, STATEMENT_WORDS), (ATOMS, KNOWN_ATOMS)):
        assert set(words.split("|")) == set(known)
        assert words in mode and words in textmate


def scopes(line):
    """(text, scope) of one line, by the rules of the TextMate grammar in their order, as an editor applies them.

    Of a rule with `begin` and `end` this takes the whole; the grammar has none that goes over lines.
    """
    repository, scoped, position = GRAMMAR["repository"], [], 0

    def rules(patterns):
        for rule in patterns:
            if "include" in rule:
                inner = repository[rule["include"][1:]]
                yield from rules(inner["patterns"]) if "patterns" in inner and "begin" not in inner else [inner]
            else:
                yield rule

    known = list(rules(GRAMMAR["patterns"]))
    while position < len(line):
        best = None
        for rule in known:
            pattern = rule.get("match") or f'(?:{rule["begin"]})(?:[^"\\\\]|\\\\.)*?(?:{rule["end"]})'
            match = re.compile(pattern).search(line, position)
            if match and match.end() > match.start() and (best is None or match.start() < best[0].start()):
                best = match, rule
        if best is None:
            break
        match, rule = best
        if "captures" in rule:
            scoped += [(match[int(n)], scope["name"]) for n, scope in rule["captures"].items() if match[int(n)]]
        else:
            scoped.append((match[0], rule["name"]))
        position = match.end()
    return scoped


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_the_textmate_grammar_knows_every_word(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        text = "".join(words for words, _ in scopes(line))
        assert text == re.sub(r"\s+", "", line) or set(line) & set('"#'), line
        plain = [token.text for token in tokens(line) if token.kind in ("path", "string", "number", "comment")]
        coloured = "".join(words for words, _ in scopes(line))
        assert all(re.sub(r"\s", "", word) in re.sub(r"\s", "", coloured) for word in plain), line


def test_the_textmate_grammar_tells_words_apart():
    actual = dict(scopes('photo = block5c.expand.channel | top(8, by=value) | present(bars, title="a \\" b")  # x'))
    expected = {
        "photo": "variable.other.definition.bbi", "block5c.expand": "variable.other.bbi",
        "channel": "support.type.atom.bbi", "top": "entity.name.function.stage.bbi", "8": "constant.numeric.bbi",
        "by": "variable.parameter.bbi",
        '"a \\" b"': "string.quoted.double.bbi", "# x": "comment.line.number-sign.bbi",
    }  # fmt: skip
    assert {word: actual.get(word) for word in expected} == expected


def test_the_extension_is_whole():
    """What package.json names is there."""
    package = json.loads((VSCODE / "package.json").read_text(encoding="utf-8"))
    for group in package["contributes"]["languages"]:
        json.loads((VSCODE / group["configuration"]).read_text(encoding="utf-8"))
    assert [g["scopeName"] for g in package["contributes"]["grammars"]] == [GRAMMAR["scopeName"]]
    assert package["contributes"]["configuration"]["properties"]["bbi.command"]["default"] == ["bbi", "lsp"]
    source = (VSCODE / "src" / "extension.js").read_text(encoding="utf-8")
    assert 'getConfiguration("bbi").get("command")' in source
    assert f"--outfile={package['main'].removeprefix('./')} " in package["scripts"]["build"]
