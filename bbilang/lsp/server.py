"""The server: the protocol's requests, each answered from the document that it is about."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any
from urllib.parse import unquote, urlparse

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol

import bbilang
from bbilang.lsp import protocol as answers
from bbilang.lsp.completion_docs import about
from bbilang.lsp.document import Document
from bbilang.lsp.formatting import formatted
from bbilang.lsp.hover import hover
from bbilang.lsp.model_descriptions import Describer
from bbilang.lsp.names import Refused, definition_at, references, renamed
from bbilang.lsp.positions import Places
from bbilang.lsp.semantic_tokens import KINDS, coloured

QUIET = 0.06  # seconds without a keystroke, after which the text is checked
TRIGGERS = ["|", ".", "(", "[", '"', "=", ",", " ", ":", "/"]
LEGEND = types.SemanticTokensLegend(list(KINDS), [])


class Protocol(LanguageServerProtocol):
    """An answer of thousands of parts is made as it is sent, and goes past what turns objects into JSON."""

    def _serialize_message(self, data: Any) -> dict[str, Any]:
        if isinstance(result := getattr(data, "result", None), answers.Ready):
            return {"id": data.id, "jsonrpc": data.jsonrpc, "result": result.json}
        return super()._serialize_message(data)


class Server(LanguageServer):
    """``texts``: what the editor holds open."""

    def __init__(self) -> None:
        super().__init__("bbi", bbilang.__version__, max_workers=1, protocol_cls=Protocol)
        self.texts: dict[str, Document] = {}
        self.waiting: dict[str, asyncio.TimerHandle] = {}
        self.settled: set[str] = set()  # texts that were checked once
        self.loop: asyncio.AbstractEventLoop | None = None
        self.describer = Describer(self.described)

    def document(self, uri: str) -> Document:
        """The document of an address; an empty one for what was never opened."""
        if uri not in self.texts:
            self.texts[uri] = Document(path_of(uri), "", self.describer)
        return self.texts[uri]

    def places(self, document: Document) -> Places:
        return Places(document.source, str(self.server_capabilities.position_encoding or "utf-16"))

    def described(self) -> None:
        """A model was described, by another process: what waited for it is looked at again."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.refresh)

    def refresh(self) -> None:
        for uri, document in self.texts.items():
            document.forget()
            self.publish(uri)

    def later(self, uri: str) -> None:
        """Check the text when the keys rest."""
        if uri in self.waiting:
            self.waiting[uri].cancel()
        self.loop = asyncio.get_running_loop()
        self.waiting[uri] = self.loop.call_later(QUIET, self.publish, uri)

    def publish(self, uri: str) -> None:
        self.waiting.pop(uri, None)
        document = self.texts.get(uri)
        if document is None:
            return
        places = self.places(document)
        found = [answers.diagnostic(d, places, uri) for d in document.state.diagnostics]
        version = self.workspace.get_text_document(uri).version
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, version))
        if uri not in self.settled:
            self.settled.add(uri)
            gc.collect()
            gc.freeze()  # what was found about the text as it was opened is not looked through at every keystroke


def path_of(uri: str) -> str:
    """A file's path, for what the text names beside it; anything else is a text without a place."""
    parts = urlparse(uri)
    if parts.scheme != "file":
        return "<editor>"
    path = unquote(parts.path)
    return path[1:] if len(path) > 2 and path[0] == "/" and path[2] == ":" else path


def server() -> Server:
    """A server that has not started yet."""
    made = Server()
    for register in (_texts, _answers, _names, _whole):
        register(made)
    logging.getLogger("pygls").setLevel(logging.ERROR)
    return made


def _texts(made: Server) -> None:
    @made.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
        uri = params.text_document.uri
        ls.texts[uri] = Document(path_of(uri), params.text_document.text, ls.describer)
        ls.later(uri)

    @made.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
        uri = params.text_document.uri
        ls.document(uri).update(ls.workspace.get_text_document(uri).source)
        ls.later(uri)

    @made.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(ls: Server, params: types.DidSaveTextDocumentParams) -> None:
        for uri, document in ls.texts.items():  # others may use it
            document.forget()
            ls.later(uri)

    @made.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        ls.texts.pop(uri, None)
        if uri in ls.waiting:
            ls.waiting.pop(uri).cancel()
        ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))


def _answers(made: Server) -> None:
    @made.feature(
        types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=TRIGGERS, resolve_provider=True)
    )
    def completion(ls: Server, params: types.CompletionParams) -> types.CompletionList:
        document, places, offset = _at(ls, params)
        return answers.completion(document, places, offset, _snippets(ls))

    @made.feature(types.COMPLETION_ITEM_RESOLVE)
    def resolve(ls: Server, item: types.CompletionItem) -> types.CompletionItem:
        if isinstance(item.data, list) and len(item.data) == 2:
            words = about(ls.texts.values(), *map(str, item.data))
            if words:
                item.documentation = types.MarkupContent(types.MarkupKind.Markdown, words)
        return item

    @made.feature(types.TEXT_DOCUMENT_HOVER)
    def hovered(ls: Server, params: types.HoverParams) -> types.Hover | None:
        document, places, offset = _at(ls, params)
        found = hover(document, offset)
        if found is None:
            return None
        words, start, end = found
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, words), places.range(start, end))

    @made.feature(
        types.TEXT_DOCUMENT_SIGNATURE_HELP,
        types.SignatureHelpOptions(trigger_characters=["(", ",", "="], retrigger_characters=[")"]),
    )
    def signature(ls: Server, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
        document, _, offset = _at(ls, params)
        return answers.signature_help(document, offset)

    @made.feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
    )
    def actions(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
        uri = params.text_document.uri
        document = ls.document(uri)
        places = ls.places(document)
        start, end = places.offset(params.range.start), places.offset(params.range.end)
        return answers.actions(document, places, uri, start, end)


def _names(made: Server) -> None:
    @made.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(ls: Server, params: types.DefinitionParams) -> types.Location | None:
        document, places, offset = _at(ls, params)
        found = definition_at(document, offset)
        return types.Location(params.text_document.uri, places.range(found.start, found.end)) if found else None

    @made.feature(types.TEXT_DOCUMENT_REFERENCES)
    def uses(ls: Server, params: types.ReferenceParams) -> list[types.Location]:
        document, places, offset = _at(ls, params)
        found = definition_at(document, offset)
        if found is None:
            return []
        spans = [s for s in references(document, found) if params.context.include_declaration or s[0] != found.start]
        return [types.Location(params.text_document.uri, places.range(*span)) for span in spans]

    @made.feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    def highlights(ls: Server, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
        document, places, offset = _at(ls, params)
        found = definition_at(document, offset)
        return [types.DocumentHighlight(places.range(*span)) for span in references(document, found)] if found else []

    @made.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare(ls: Server, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
        document, places, offset = _at(ls, params)
        found = definition_at(document, offset)
        if found is None:
            return None
        here = next((s for s in references(document, found) if s[0] <= offset <= s[1]), (found.start, found.end))
        return types.PrepareRenamePlaceholder(places.range(*here), found.name)

    @made.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def rename(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit | None:
        document, places, offset = _at(ls, params)
        found = definition_at(document, offset)
        if found is None:
            return None
        try:
            spans = renamed(document, found, params.new_name)
        except Refused as refused:
            ls.window_show_message(types.ShowMessageParams(types.MessageType.Warning, str(refused)))
            return None
        edits = [types.TextEdit(places.range(*span), params.new_name) for span in spans]
        return types.WorkspaceEdit({params.text_document.uri: edits})


def _whole(made: Server) -> None:
    @made.feature(types.TEXT_DOCUMENT_FORMATTING)
    def format(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
        document = ls.document(params.text_document.uri)
        places, edits = ls.places(document), formatted(document)
        return None if edits is None else [types.TextEdit(places.range(a, b), text) for a, b, text in edits]

    @made.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(ls: Server, params: types.DocumentSymbolParams) -> answers.Ready:
        document = ls.document(params.text_document.uri)
        return answers.Ready(answers.symbols(document, ls.places(document)))

    @made.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, LEGEND)
    def colours(ls: Server, params: types.SemanticTokensParams) -> answers.Ready:
        return answers.Ready({"data": coloured(ls.document(params.text_document.uri))})

    @made.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, LEGEND)
    def some_colours(ls: Server, params: types.SemanticTokensRangeParams) -> answers.Ready:
        document = ls.document(params.text_document.uri)
        places = ls.places(document)
        start, end = places.offset(params.range.start), places.offset(params.range.end)
        return answers.Ready({"data": coloured(document, start, end)})


def _at(ls: Server, params: Any) -> tuple[Document, Places, int]:
    document = ls.document(params.text_document.uri)
    places = ls.places(document)
    return document, places, places.offset(params.position)


def _snippets(ls: Server) -> bool:
    capabilities = ls.client_capabilities.text_document
    completion = capabilities.completion if capabilities else None
    item = completion.completion_item if completion else None
    return bool(item and item.snippet_support)
