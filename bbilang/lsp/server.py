"""The server: one handler for each request of the protocol."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any, Protocol
from urllib.parse import unquote, urlparse

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol

import bbilang
from bbilang.lsp import protocol as answers
from bbilang.lsp.completion_docs import documentation_of
from bbilang.lsp.document import Document
from bbilang.lsp.formatting import format_edits
from bbilang.lsp.hover import hover
from bbilang.lsp.model_descriptions import Describer
from bbilang.lsp.names import RenameRefused, definition_at, references, rename_spans
from bbilang.lsp.positions import PositionMap
from bbilang.lsp.semantic_tokens import KINDS, semantic_tokens

DEBOUNCE = 0.06  # seconds without a keystroke before the text is checked
TRIGGERS = ["|", ".", "(", "[", '"', "=", ",", " ", ":", "/"]
LEGEND = types.SemanticTokensLegend(list(KINDS), [])


class BbiProtocol(LanguageServerProtocol):
    """Sends `Ready` results as they are: converting thousands of objects to JSON is slow."""

    def _serialize_message(self, data: Any) -> dict[str, Any]:
        if isinstance(result := getattr(data, "result", None), answers.Ready):
            return {"id": data.id, "jsonrpc": data.jsonrpc, "result": result.json}
        return super()._serialize_message(data)


class Server(LanguageServer):
    """``texts``: the open documents by URI."""

    def __init__(self) -> None:
        super().__init__("bbi", bbilang.__version__, max_workers=1, protocol_cls=BbiProtocol)
        self.texts: dict[str, Document] = {}
        self.pending: dict[str, asyncio.TimerHandle] = {}
        self.checked_once: set[str] = set()  # URIs that were checked at least once
        self.loop: asyncio.AbstractEventLoop | None = None
        self.describer = Describer(self.on_description)

    def document(self, uri: str) -> Document:
        """Return the document of a URI; an empty one if it was never opened."""
        if uri not in self.texts:
            self.texts[uri] = Document(path_of(uri), "", self.describer)
        return self.texts[uri]

    def positions(self, document: Document) -> PositionMap:
        return PositionMap(document.source, str(self.server_capabilities.position_encoding or "utf-16"))

    def on_description(self) -> None:
        """Recheck all texts after a subprocess has described a model."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.refresh)

    def refresh(self) -> None:
        for uri, document in self.texts.items():
            document.invalidate()
            self.publish(uri)

    def schedule_check(self, uri: str) -> None:
        """Check the text after a pause in typing."""
        if uri in self.pending:
            self.pending[uri].cancel()
        self.loop = asyncio.get_running_loop()
        self.pending[uri] = self.loop.call_later(DEBOUNCE, self.publish, uri)

    def publish(self, uri: str) -> None:
        """Send the diagnostics of a document to the editor."""
        self.pending.pop(uri, None)
        document = self.texts.get(uri)
        if document is None:
            return
        positions = self.positions(document)
        diagnostics = [answers.diagnostic(d, positions, uri) for d in document.state.diagnostics]
        version = self.workspace.get_text_document(uri).version
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, diagnostics, version))
        if uri not in self.checked_once:
            self.checked_once.add(uri)
            gc.collect()
            gc.freeze()  # keep results of the first check out of later collections


def path_of(uri: str) -> str:
    """Return the path of a file URI; `<editor>` for any other text."""
    parts = urlparse(uri)
    if parts.scheme != "file":
        return "<editor>"
    path = unquote(parts.path)
    return path[1:] if len(path) > 2 and path[0] == "/" and path[2] == ":" else path


def server() -> Server:
    """Return a server with all handlers, not started."""
    ls = Server()
    _register_text_sync(ls)
    _register_language_features(ls)
    _register_navigation(ls)
    _register_document_features(ls)
    logging.getLogger("pygls").setLevel(logging.ERROR)
    return ls


def _register_text_sync(ls: Server) -> None:
    @ls.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
        uri = params.text_document.uri
        ls.texts[uri] = Document(path_of(uri), params.text_document.text, ls.describer)
        ls.schedule_check(uri)

    @ls.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
        uri = params.text_document.uri
        ls.document(uri).update(ls.workspace.get_text_document(uri).source)
        ls.schedule_check(uri)

    @ls.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def did_save(ls: Server, params: types.DidSaveTextDocumentParams) -> None:
        for uri, document in ls.texts.items():  # they may `use` the saved file
            document.invalidate()
            ls.schedule_check(uri)

    @ls.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        ls.texts.pop(uri, None)
        if uri in ls.pending:
            ls.pending.pop(uri).cancel()
        ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))


def _register_language_features(ls: Server) -> None:
    @ls.feature(
        types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=TRIGGERS, resolve_provider=True)
    )
    def completion(ls: Server, params: types.CompletionParams) -> types.CompletionList:
        document, positions, offset = _at(ls, params)
        return answers.completion(document, positions, offset, _snippets(ls))

    @ls.feature(types.COMPLETION_ITEM_RESOLVE)
    def resolve(ls: Server, item: types.CompletionItem) -> types.CompletionItem:
        if isinstance(item.data, list) and len(item.data) == 2:
            words = documentation_of(ls.texts.values(), *map(str, item.data))
            if words:
                item.documentation = types.MarkupContent(types.MarkupKind.Markdown, words)
        return item

    @ls.feature(types.TEXT_DOCUMENT_HOVER)
    def on_hover(ls: Server, params: types.HoverParams) -> types.Hover | None:
        document, positions, offset = _at(ls, params)
        result = hover(document, offset)
        if result is None:
            return None
        words, start, end = result
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, words), positions.range(start, end))

    @ls.feature(
        types.TEXT_DOCUMENT_SIGNATURE_HELP,
        types.SignatureHelpOptions(trigger_characters=["(", ",", "="], retrigger_characters=[")"]),
    )
    def signature(ls: Server, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
        document, _, offset = _at(ls, params)
        return answers.signature_help(document, offset)

    @ls.feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
    )
    def actions(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
        uri = params.text_document.uri
        document = ls.document(uri)
        positions = ls.positions(document)
        start, end = positions.offset(params.range.start), positions.offset(params.range.end)
        return answers.code_actions(document, positions, uri, start, end)


def _register_navigation(ls: Server) -> None:
    @ls.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(ls: Server, params: types.DefinitionParams) -> types.Location | None:
        document, positions, offset = _at(ls, params)
        target = definition_at(document, offset)
        return types.Location(params.text_document.uri, positions.range(target.start, target.end)) if target else None

    @ls.feature(types.TEXT_DOCUMENT_REFERENCES)
    def uses(ls: Server, params: types.ReferenceParams) -> list[types.Location]:
        document, positions, offset = _at(ls, params)
        target = definition_at(document, offset)
        if target is None:
            return []
        spans = [s for s in references(document, target) if params.context.include_declaration or s[0] != target.start]
        return [types.Location(params.text_document.uri, positions.range(*span)) for span in spans]

    @ls.feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    def highlights(ls: Server, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
        document, positions, offset = _at(ls, params)
        target = definition_at(document, offset)
        spans = references(document, target) if target else []
        return [types.DocumentHighlight(positions.range(*span)) for span in spans]

    @ls.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare(ls: Server, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
        document, positions, offset = _at(ls, params)
        target = definition_at(document, offset)
        if target is None:
            return None
        here = next((s for s in references(document, target) if s[0] <= offset <= s[1]), (target.start, target.end))
        return types.PrepareRenamePlaceholder(positions.range(*here), target.name)

    @ls.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def rename(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit | None:
        document, positions, offset = _at(ls, params)
        target = definition_at(document, offset)
        if target is None:
            return None
        try:
            spans = rename_spans(document, target, params.new_name)
        except RenameRefused as refused:
            ls.window_show_message(types.ShowMessageParams(types.MessageType.Warning, str(refused)))
            return None
        edits = [types.TextEdit(positions.range(*span), params.new_name) for span in spans]
        return types.WorkspaceEdit({params.text_document.uri: edits})


def _register_document_features(ls: Server) -> None:
    @ls.feature(types.TEXT_DOCUMENT_FORMATTING)
    def format(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
        document = ls.document(params.text_document.uri)
        positions, edits = ls.positions(document), format_edits(document)
        return None if edits is None else [types.TextEdit(positions.range(a, b), text) for a, b, text in edits]

    @ls.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(ls: Server, params: types.DocumentSymbolParams) -> answers.Ready:
        document = ls.document(params.text_document.uri)
        return answers.Ready(answers.symbols(document, ls.positions(document)))

    @ls.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, LEGEND)
    def all_tokens(ls: Server, params: types.SemanticTokensParams) -> answers.Ready:
        return answers.Ready({"data": semantic_tokens(ls.document(params.text_document.uri))})

    @ls.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, LEGEND)
    def tokens_in_range(ls: Server, params: types.SemanticTokensRangeParams) -> answers.Ready:
        document = ls.document(params.text_document.uri)
        positions = ls.positions(document)
        start, end = positions.offset(params.range.start), positions.offset(params.range.end)
        return answers.Ready({"data": semantic_tokens(document, start, end)})


class _PositionParams(Protocol):
    """Parameters of every request about a position in a text."""

    text_document: types.TextDocumentIdentifier
    position: types.Position


def _at(ls: Server, params: _PositionParams) -> tuple[Document, PositionMap, int]:
    document = ls.document(params.text_document.uri)
    positions = ls.positions(document)
    return document, positions, positions.offset(params.position)


def _snippets(ls: Server) -> bool:
    capabilities = ls.client_capabilities.text_document
    completion = capabilities.completion if capabilities else None
    item = completion.completion_item if completion else None
    return bool(item and item.snippet_support)
