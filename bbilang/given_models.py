"""The models that a call or the command line gives, in place of those of the text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from os import PathLike
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from bbilang.compiler.check.options import GivenModel
from bbilang.compiler.check.statements.models import ORIGINAL
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.frozen import frozen
from bbilang.grammar.parse import parse_recovering
from bbilang.grammar.source import Source
from bbilang.grammar.statement_words import is_free_name
from bbilang.runtime.inputs import arguments as givens

if TYPE_CHECKING:
    from bbilang.compiler.ir.model_description import ModelDescription
    from bbilang.runtime.models.adapter import Adapter

WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")  # a model of such a name is a file of the text's model
NAMED = re.compile(r"([A-Za-z_]\w*)=(.+)", re.S)
AS_IN = 'as in `model={"a": network, "b": "resnet50"}`'


Model: TypeAlias = "str | dict[str, str] | None"  # of a command line: one, or those of names of the text


@frozen
class Given:
    """One model: a name of the registry, or a caller's module as an adapter; with weights, or weights alone."""

    name: str | None = None
    weights: str | None = None
    adapter: Adapter | None = None

    def for_checker(self, inputs: Sequence[object]) -> GivenModel:
        """Return what the checker needs to know of the model, for these inputs."""
        if self.adapter is None:
            return GivenModel(self.name, self.weights)
        description = self.adapter.description_for(inputs)
        sounds = description.reads == "audio"  # with another hop they stay as long as they are
        described = self.adapter.described_as(description) if sounds else self.adapter
        return GivenModel(None, self.weights, description, partial(_redescribed, described))


def given_models(model: object, weights: object, input: object, input_size: object) -> dict[str, Given]:
    """Return what `model=` and `weights=` give, by names of the text; under "" for its only or first model. A caller's
    module is described. Raises BbiError E408, E423."""
    names = _by_name(model)
    own = dict(weights) if isinstance(weights, Mapping) else {} if weights is None else {"": weights}
    if isinstance(model, Mapping) and "" in own:
        givens.wrong("weights", weights, "a dict, where `model` is one", 'as in `weights={"a": "a.safetensors"}`')
    found = {}
    for name in dict.fromkeys([*names, *own]):
        value, file = names.get(name), givens.file_name("weights", own.get(name))
        if value is None or isinstance(value, str):
            found[name] = Given(value, file)
            continue
        from bbilang.runtime.models.program_model import adapter_of

        found[name] = Given(None, file, adapter_of(value, input, input_size))
    return found


def _by_name(model: object) -> dict[str, object]:
    if not isinstance(model, Mapping) or any(hasattr(value, "detach") for value in model.values()):  # or weights alone
        return {} if model is None else {"": named(model)}
    for name, value in model.items():
        if not isinstance(name, str):
            givens.wrong("model", name, "names of models in the text", AS_IN)
        if not is_free_name(name):
            givens.wrong(f"model[{name!r}]", name, "names as in a text: letters, digits and underscores", AS_IN)
        if value is None or isinstance(value, Mapping):
            givens.wrong(f"model[{name!r}]", value, "a name, a torch.nn.Module or an adapter", AS_IN)
    return {name: named(value) for name, value in model.items()}


def named(model: object) -> object:
    """Convert a path to a name; names and modules stay as they are."""
    return givens.file_name("model", model) if isinstance(model, PathLike) else model


def modules_of(given: Mapping[str, Given], text: Source | ast.File) -> dict[str, Adapter]:
    """Return the callers' modules by the names that the models have in the text."""
    adapters = {name: one.adapter for name, one in given.items() if one.adapter is not None}
    if "" in adapters:
        adapters = {_first(text): adapters[""]}
    return adapters


def _first(text: Source | ast.File) -> str:
    """Return the name of the text's first model, "" where it has none."""
    file = text if isinstance(text, ast.File) else parse_recovering(text)[0]
    first = next((item for one in file.statements if isinstance(one, ast.Model) for item in one.items), None)
    if first is None or first.alias is None:
        return ""
    return ORIGINAL if first.stages else first.alias.text


def _redescribed(adapter: Adapter, texts: Sequence[str] = (), **changes: object) -> ModelDescription:
    """Describe a caller's model for the texts or sounds that a text names, and with another preprocessing."""
    changed = adapter.with_preprocess(**changes) if changes else adapter
    return changed.description_for(texts) if texts else changed.description


def of_words(models: Sequence[str] | None, weights: Sequence[str] | None = None) -> tuple[Model, Model]:
    """Read the values of `--model` and `--weights`: one, or `a=resnet50` for a name of the text. A file of weights as a
    model is a checkpoint of the text's own. Returns (model, weights) of a request. Raises BbiError E440."""
    names, files = _named_words(models, "--model"), _named_words(weights, "--weights")
    for name, value in list(names.items()):
        if value.lower().endswith(WEIGHTS):
            if name in files:
                _misuse(
                    f"--model {value} is a file of weights, and --weights gives {files[name]}", "leave one of them out"
                )
            files[name] = names.pop(name)
    if "" in files and len(names.keys() - {""}):
        _misuse(f"--weights {files['']} does not say of which model", f"as in `--weights a={files['']}`")
    return _plain(names), _plain(files)


def alternatives(models: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the values of `--model` of each run of `bbi test`: those for one name of the text are tried one after the
    other, with every value for another."""
    by_name: dict[str, list[str]] = {}
    for words in models:
        by_name.setdefault(_split(words)[0], []).append(words)
    return list(product(*by_name.values()))


def _split(words: str) -> tuple[str, str]:
    match = NAMED.fullmatch(words)
    return (match[1], match[2]) if match else ("", words)


def _named_words(given: Sequence[str] | None, option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for words in given or ():
        name, value = _split(words)
        if name in found:
            whose = f" for `{name}`" if name else ""
            _misuse(f"{option} is given twice{whose}", f"name the models of the text: `{option} a=... {option} b=...`")
        found[name] = value
    if "" in found and len(found) > 1:
        _misuse(f"{option} {found['']} does not say for which model", f"as in `{option} a={found['']}`")
    return found


def _plain(found: dict[str, str]) -> Model:
    return found.get("") or found or None


def _misuse(message: str, help: str) -> NoReturn:
    raise BbiError(Diagnostic("E440", message, help=help))
