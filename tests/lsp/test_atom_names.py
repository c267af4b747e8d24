"""The language server knows `name` statements."""

from __future__ import annotations

from bbilang.lsp.completion import complete
from bbilang.lsp.document import Document
from bbilang.lsp.formatting import formatted_text
from bbilang.lsp.hover import hover
from bbilang.lsp.semantic_tokens import line_tokens
from bbilang.lsp.symbols import outline

NAME = 'name block5c.expand.channel[447] "stripes"\n'
TEXT = NAME + "block5c.expand.channel[447] | attribute(output) | present(number)\n"


def labels(text: str) -> set[str]:
    return {choice.label for choice in complete(Document("page.bbi", text.replace("^", "")), text.index("^"))[0]}


def test_mistakes_are_said_while_typing():
    document = Document("page.bbi", TEXT)
    assert not [d for d in document.state.diagnostics if d.severity == "error" and d.code != "E420"]
    document.update(TEXT.replace('"stripes"', '""'))
    assert "E252" in [d.code for d in document.state.diagnostics]
    document.update(NAME.replace("stripes", "grass") + TEXT)
    (error,) = [d for d in document.state.diagnostics if d.code == "E253"]
    assert document.text[error.span.start : error.span.end] == '"stripes"'


def test_completion_offers_the_statement_and_channels():
    assert "name" in labels("na^")
    assert {"block5c.expand.channel", "head.channel"} <= labels("name ^") | labels("name head^")
    assert "channel" in {label.rpartition(".")[2] for label in labels("name block5c.expand.^")}


def test_hover_of_an_atom_says_its_name():
    document = Document("page.bbi", TEXT)
    words = hover(document, len(NAME) + 3)
    assert words is not None and words[0].startswith('**"stripes"**')
    assert "What you call a channel" in hover(document, 1)[0]
    other = Document("page.bbi", TEXT.replace("[447] |", "[448] |"))
    assert "stripes" not in (hover(other, len(NAME) + 3) or ("",))[0]


def test_colours_outline_and_format():
    assert line_tokens(NAME.strip(), False)[0].kind == line_tokens('input "a.jpg"', False)[0].kind
    (symbol,) = [s for s in outline(Document("page.bbi", TEXT)) if s.name == "stripes"]
    assert symbol.detail == "block5c.expand.channel[447]"
    assert formatted_text(Document("page.bbi", NAME.replace("[447]", "[ 447 ]"))) == NAME
