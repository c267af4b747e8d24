"""Conversion of results to protocol types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lsprotocol import types

from bbilang.grammar.diagnostic import Diagnostic
from bbilang.lsp.completion import complete
from bbilang.lsp.document import Document
from bbilang.lsp.fixes import fixes
from bbilang.lsp.positions import PositionMap
from bbilang.lsp.signature import signature_at
from bbilang.lsp.string_completion import Choice
from bbilang.lsp.symbols import Symbol, outline


@dataclass(frozen=True)
class Ready:
    """A result that is JSON already."""

    json: Any


SOURCE = "bbi"
ITEM = types.CompletionItemKind
KINDS = {
    "keyword": ITEM.Keyword, "setting": ITEM.Property, "model": ITEM.Module, "function": ITEM.Function,
    "operation": ITEM.Method, "parameter": ITEM.Field, "word": ITEM.EnumMember, "axis": ITEM.EnumMember,
    "style": ITEM.Color, "method": ITEM.Function, "number": ITEM.Value, "variable": ITEM.Variable,
    "selection": ITEM.Event, "substrate": ITEM.Constant, "layer": ITEM.Class, "atom": ITEM.TypeParameter,
    "class": ITEM.Value, "picture": ITEM.File, "file": ITEM.File, "folder": ITEM.Folder,
}  # fmt: skip
SYMBOL = types.SymbolKind
SYMBOLS = {
    "interface": SYMBOL.Namespace, "element": SYMBOL.Object, "binding": SYMBOL.Variable, "function": SYMBOL.Function,
    "setting": SYMBOL.Property,
}  # fmt: skip


def diagnostic(d: Diagnostic, positions: PositionMap, uri: str) -> types.Diagnostic:
    """Convert a diagnostic: the same code, span and message as in `bbi check`, with the help below the message."""
    related = [
        types.DiagnosticRelatedInformation(types.Location(uri, positions.span(span)), words)
        for span, words in d.related
    ]
    return types.Diagnostic(
        positions.span(d.span) if d.span else positions.range(0, 0),
        f"{d.message}\nhelp: {d.help}" if d.help else d.message,
        types.DiagnosticSeverity.Error if d.severity == "error" else types.DiagnosticSeverity.Warning,
        d.code,
        source=SOURCE,
        related_information=related or None,
        tags=[types.DiagnosticTag.Unnecessary] if d.code == "W202" else None,
    )


def completion(document: Document, positions: PositionMap, offset: int, snippets: bool) -> types.CompletionList:
    """Return the completions at an offset, with the range that they replace. ``snippets``: whether the editor takes
    them."""
    choices, more, cursor = complete(document, offset)
    start, end = cursor.replacement
    if cursor.in_string and end < len(document.text) and document.text[end] == '"':
        end += 1
    elif cursor.frame.opener == "[" and cursor.frame.callee == "output" and cursor.word is None:
        start = end = offset
    range = positions.range(start, end)
    items = [_item(choice, number, range, snippets, cursor.in_string) for number, choice in enumerate(choices)]
    return types.CompletionList(is_incomplete=more, items=items)


def _item(choice: Choice, number: int, range: types.Range, snippets: bool, in_string: bool) -> types.CompletionItem:
    text, kind = choice.insert or choice.label, types.InsertTextFormat.PlainText
    if choice.call and not choice.insert:
        text, kind = (f"{choice.label}($1)", types.InsertTextFormat.Snippet) if snippets else (f"{choice.label}(", kind)
    return types.CompletionItem(
        choice.label,
        kind=KINDS.get(choice.kind),
        detail=choice.detail or None,
        documentation=choice.doc or None,
        sort_text=f"{choice.rank}{number:03}",
        filter_text=choice.match if in_string and choice.match else None,
        insert_text_format=kind if kind == types.InsertTextFormat.Snippet else None,
        text_edit=types.TextEdit(range, text),
        data=list(choice.topic) if choice.topic else None,
    )


def signature_help(document: Document, offset: int) -> types.SignatureHelp | None:
    """Return the signature of the call around an offset, with the parameter at the cursor; None outside a call."""
    call = signature_at(document, offset)
    if call is None:
        return None
    parameters = [types.ParameterInformation((start, end), words) for start, end, words in call.parameters]
    signature = types.SignatureInformation(call.label, parameters=parameters, active_parameter=call.active)
    return types.SignatureHelp([signature], active_signature=0, active_parameter=call.active)


def symbols(document: Document, positions: PositionMap) -> list[dict[str, Any]]:
    """Return DocumentSymbol[] as JSON."""

    def to_json(symbol: Symbol) -> dict[str, Any]:
        result: dict[str, Any] = {
            "name": symbol.name or " ", "kind": int(SYMBOLS[symbol.kind]),
            "range": positions.json_range(symbol.start, symbol.end),
            "selectionRange": positions.json_range(symbol.name_start, symbol.name_end),
        }  # fmt: skip
        if symbol.detail:
            result["detail"] = symbol.detail
        if symbol.children:
            result["children"] = [to_json(child) for child in symbol.children]
        return result

    return [to_json(symbol) for symbol in outline(document)]


def code_actions(document: Document, positions: PositionMap, uri: str, start: int, end: int) -> list[types.CodeAction]:
    """Return quick fixes for the diagnostics that overlap the range."""
    result = []
    for d in document.state.diagnostics:
        if d.span is None or d.span.end < start or d.span.start > end:
            continue
        for fix in fixes(document, d):
            edit = types.TextEdit(positions.range(fix.start, fix.end), fix.text)
            result.append(types.CodeAction(
                fix.title, types.CodeActionKind.QuickFix, [diagnostic(d, positions, uri)], fix.preferred or None,
                edit=types.WorkspaceEdit({uri: [edit]}),
            ))  # fmt: skip
    return result
