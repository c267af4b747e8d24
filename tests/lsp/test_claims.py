"""The language server knows `claim` statements."""

from __future__ import annotations

from bbilang.lsp.completion import complete
from bbilang.lsp.document import Document
from bbilang.lsp.hover import hover
from bbilang.lsp.symbols import outline

CLAIM = 'claim "It is a cat" = output["tabby"] > 3\n'
TEXT = 'input "sample:chelsea"\n' + CLAIM


def errors(document: Document) -> list[str]:
    return [d.code for d in document.state.diagnostics if d.severity == "error"]


def test_mistakes_are_said_while_typing():
    document = Document("page.bbi", TEXT)
    assert errors(document) == []
    document.update(TEXT + "# claims alone are a page\n")
    assert errors(document) == []
    document.update(TEXT.replace(" > 3", ""))
    assert errors(document) == ["E285"]
    few = 'claim "a" = block5c.expand.channel[3] | ablate(zero) | effect(output, controls=25) < 0\n'
    document.update(TEXT + few)
    assert errors(document) == []
    document.update(TEXT + few + few.replace('"a"', '"b"'))
    assert errors(document) == ["E287"], "two claims need more"


def test_completion_hover_and_outline():
    assert "claim" in {choice.label for choice in complete(Document("page.bbi", "cl"), 2)[0]}
    document = Document("page.bbi", TEXT)
    assert "`bbi test` fails" in hover(document, TEXT.index("claim") + 1)[0]
    (symbol,) = [s for s in outline(document) if s.name == "It is a cat"]
    assert symbol.detail == "claim"
