"""Adapt a caller's module: infer its input, describe it by one forward, and wrap it in an adapter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NoReturn

from torch import Tensor, nn

from bbilang.compiler.ir.model_description import NOT_PICTURES, ModelDescription
from bbilang.compiler.ir.score_kinds import KINDS, resolved_kind
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error
from bbilang.runtime.inputs import arguments
from bbilang.runtime.models.adapter import Adapter, describe_module
from bbilang.runtime.models.input_probe import MOST_TRIES, InputForm, likely_form, other_forms
from bbilang.runtime.models.preprocess import Preprocess

NO_PICTURE = Preprocess(1, (1, 1))


@dataclass
class ValuesAdapter(Adapter):
    """An adapter of a module that takes a signal (channel, x), a sequence (x, channel) or a vector (channel,), without
    preprocessing."""

    def normalize(self, images: Tensor) -> Tensor:
        return images

    def prepare(self, picture: object) -> NoReturn:
        raise error("E418", not_a_picture(self.description), "give a tensor")

    def with_preprocess(self, **changes: object) -> Adapter:
        raise error("E407", f"{not_a_picture(self.description)}; `set preprocess` is about pictures")


def not_a_picture(description: ModelDescription) -> str:
    axes = ", ".join(description.input.axes)
    return f"{description.name} takes {description.reads}s ({axes}), and no pictures"


def adapt(
    module: nn.Module,
    input_size: int | Sequence[int] | None = None,
    preprocess: Preprocess | None = None,
    labels: Iterable[object] | Mapping[object, object] | None = None,
    description: ModelDescription | None = None,
    output: str = "",
    name: str = "model",
    channels: int | None = None,
    columns: Iterable[object] | None = None,
    scores: str | None = None,
) -> Adapter:
    """Adapt a caller's module, which is used itself, in eval mode while it runs, and never changed.

    ``input_size``: (y, x) in pixels, which is also the crop, one number for a square; (x,) for a module that takes
    signals (channel, x), () for one that takes vectors (channel,). ``channels``: of the input. By default both follow
    from the configuration of the module's library, its first layer, or what runs. ``preprocess``: without one, the
    shorter side of a picture is resized to fit, or both where y and x differ, and RGB in [0, 1] is passed on unchanged.
    ``labels``: names of the classes, a list or a dict from number to name. ``output``: where the scores (input, class)
    are, if the module's own result is not one such vector: the path of a module, or a part of the result such as
    ``logits`` or ``[1]``; a model without any has no classes. ``columns``: names of the entries of a vector, or of the
    channels. ``scores``: their kind, ``logits``, ``probabilities``, ``independent`` or ``value`` (`set scores`);
    inferred by default. Raises BbiError E408 if it cannot be described, E423 for an argument of another kind.
    """
    size = arguments.size_of(input_size)
    return adapted(module, size, preprocess, labels, description, output, name, channels, columns, scores=scores)


def adapt_text(
    module: nn.Module,
    tokenizer: Any,
    labels: Iterable[str] | None = None,
    output: str = "",
    name: str = "model",
    scores: bool | str = True,
) -> Adapter:
    """Adapt a caller's module that reads text: token ids (input, token) -> scores (input, class), or scores of the next
    token at every position (input, token, class), of which the last is used. Without ``scores`` it returns vectors
    (input, token, channel), whose mean over the tokens is the layer ``sentence``. ``scores`` may name their kind, as in
    `adapt`.

    ``tokenizer``: ``encode(text)`` returns ids, ``decode(ids)`` text; or ``read(text)`` returns ids and words. Its
    ``longest`` is the most tokens (512). ``output``: the path of the scores where the result is not one such vector.
    Raises BbiError E408 if it cannot be described, E423 for an argument of another kind.
    """
    from bbilang.runtime.models.sources.text_models import PlainTokenizer, Tokenizer
    from bbilang.runtime.models.sources.wrap import text_adapter

    module_of(module)
    if isinstance(tokenizer, type) or not any(callable(getattr(tokenizer, call, None)) for call in ("read", "encode")):
        arguments.wrong("tokenizer", tokenizer, "an object with `encode` and `decode`, or with `read`")
    words: Tokenizer = tokenizer if hasattr(tokenizer, "read") else PlainTokenizer(tokenizer)
    output, name = arguments.words("output", output), arguments.words("name", name)
    has = isinstance(scores, str) or arguments.flag("scores", scores)
    adapter = text_adapter(module, words, arguments.names_of(labels), output, name, has)
    kind = scores if isinstance(scores, str) else None
    return adapter.described_as(with_score_kind(adapter.description, kind))


def adapted(
    module: object,
    size: tuple[int, ...] | None,
    preprocess: Preprocess | None = None,
    labels: object = None,
    description: ModelDescription | None = None,
    output: str = "",
    name: str = "model",
    channels: int | None = None,
    columns: Iterable[object] | None = None,
    *,
    shape: tuple[int, ...] | None = None,
    picture: bool = False,
    scores: str | None = None,
) -> Adapter:
    """Implement `bbilang.adapt`. ``shape``: of the tensor that will be given; ``picture``: whether an image will be
    given."""
    module = module_of(module)
    if preprocess is not None and not isinstance(preprocess, Preprocess):
        arguments.wrong("preprocess", preprocess, "a Preprocess")
    if description is not None and not isinstance(description, ModelDescription):
        arguments.wrong("description", description, "a ModelDescription")
    output, name = arguments.words("output", output), arguments.words("name", name)
    channels, names, named = (
        arguments.count("channels", channels),
        arguments.names_of(labels),
        arguments.names_of(columns, "columns"),
    )
    if preprocess is not None:
        if channels not in (None, len(preprocess.mean)):
            message = f"`channels` is {channels}, and `preprocess` is for {len(preprocess.mean)}"
            raise error("E423", message, "leave `channels` out")
        channels, size = len(preprocess.mean), size or (None if shape else preprocess.crop)
    if description is None:
        stated_channels = channels
        description, channels = _described(
            module, likely_form(module, size, channels, shape, picture), name, output, names
        )
        if stated_channels not in (None, channels):
            raise error("E408", f"the model takes {channels} channels, and `channels` is {stated_channels}")
    else:
        channels = channels or description.channels
    if named:
        if len(named) != description.channels:
            message = f"`columns` has {len(named)} names, and {name} takes {description.channels} channels"
            raise error("E423", message)
        description = replace(description, columns=named)
    description = with_score_kind(description, scores)
    stated = f"those of the {type(module).__name__} given"
    definition = f"{type(module).__module__}.{type(module).__qualname__}"
    if description.reads in NOT_PICTURES:
        adapter: Adapter = ValuesAdapter(description, module, NO_PICTURE, stated, definition)
        return adapter.described_as(description)
    whole = description.input_size
    if preprocess is None:
        mean, std = (0.0,) * channels, (1.0,) * channels
        preprocess = Preprocess(max(whole), whole, mean=mean, std=std, squashed=whole[0] != whole[1])
    adapter = Adapter(description, module, preprocess.override(crop=whole), stated, definition)
    return adapter.described_as(description)


def with_score_kind(description: ModelDescription, scores: object) -> ModelDescription:
    """Set the kind of scores that the caller states. Raises BbiError E423 for an unknown kind."""
    if scores is not None and scores not in KINDS:
        arguments.wrong("scores", scores, f"one of {', '.join(KINDS)}")
    return replace(description, scores=resolved_kind(scores, description.scores))


def _described(
    module: nn.Module, first: InputForm, name: str, output: str, labels: tuple[str, ...]
) -> tuple[ModelDescription, int]:
    """Return (description, input channels) of the first form of input with which the module runs."""

    def described_with(form: InputForm) -> ModelDescription:
        return describe_module(module, form.size, name, form.channels, output=output, labels=labels, reads=form.reads)

    try:
        return described_with(first), first.channels
    except BbiError as e:
        if not isinstance(e.__cause__, Exception):  # it ran, and something else failed
            raise
        for other in islice(other_forms(module, first), MOST_TRIES):
            try:
                return described_with(other), other.channels
            except BbiError as again:
                if not isinstance(again.__cause__, Exception):
                    raise
        raise


def module_of(model: object) -> nn.Module:
    """Accept a torch.nn.Module. Raises BbiError E408 for anything else."""
    if isinstance(model, nn.Module):
        return model
    help = "give a name, a torch.nn.Module or `bbilang.adapt(module, ...)`"
    if isinstance(model, type):
        help = f"make one: `{model.__name__}(...)`" if issubclass(model, nn.Module) else help
    elif callable(model):
        help = "a function is no module: give the torch.nn.Module, or wrap the function in one"
    raise error("E408", f"{arguments.kind_of(model)} is no model", help)
