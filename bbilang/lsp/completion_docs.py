"""Documentation of a completion item, sent when the editor resolves the item."""

from __future__ import annotations

from collections.abc import Iterable

from bbilang.lsp.document import Document
from bbilang.lsp.markdown import (
    ATOM_WORDS,
    STATEMENTS,
    layer_words,
    method_words,
    model_words,
    operation_words,
    parameter_list,
    selection_words,
    statement_words,
    style_words,
    value_words,
)


def documentation_of(documents: Iterable[Document], group: str, name: str) -> str | None:
    """Return Markdown about a topic (`Choice.topic`), or None where there is none."""
    from bbilang.compiler.check.settings import SETTINGS

    for document in documents:
        registry = document.registry
        if group == "operation" and name in registry.operations:
            return operation_words(registry.operations[name])
        if group == "style" and name in registry.styles:
            return style_words(registry.styles[name])
        if group == "method" and name in registry.methods:
            return method_words(registry.methods[name])
        if group == "model" and registry.describe is not None and name in registry.models():
            return model_words(registry.describe(name))
        if group == "layer":
            description = document.description_at(len(document.text))
            if description is not None and name in description.by_name:
                return f"layer **{name}**: {layer_words(description.by_name[name])}"
        if group == "name" and (binding := document.names_at(len(document.text)).get(name)) is not None:
            return f"**{value_words(binding.value)}**"
    if group == "statement" and name in STATEMENTS:
        return statement_words(name)
    if group == "selection":
        return selection_words(name)
    if group == "atom" and name in ATOM_WORDS:
        return ATOM_WORDS[name]
    if group == "setting" and name in SETTINGS:
        return parameter_list(SETTINGS[name])
    return None
