"""Models that take sounds: what they hear of one, and how a caller's module is adapted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.inputs import arguments
from bbilang.runtime.models.adapt import module_of, with_score_kind
from bbilang.runtime.models.adapter import Adapter, describe_module
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.sound.clip import HIGHEST, LOWEST, frames_of
from bbilang.runtime.sound.files import seconds_of
from bbilang.runtime.sound.names import is_sound

if TYPE_CHECKING:
    from bbilang.compiler.ir.model_description import ModelDescription

NO_PICTURE = Preprocess(1, (1, 1))
SECONDS = 1.0  # of the sound that a description is of, until there is one


@dataclass
class AudioAdapter(Adapter):
    """An adapter of a module that takes (input, channel, y, frame), sample y of each frame. ``fixed``: whether the
    number of samples cannot change.

    A description holds for one length; `description_for` returns that of the longest of some sounds."""

    fixed: bool = False

    def normalize(self, images: Tensor) -> Tensor:
        from bbilang.runtime.passes.module.precision import input_type

        return images.to(input_type(self.module))

    def prepare(self, picture: object) -> NoReturn:
        raise error(
            "E418", f"{self.description.name} takes sounds, and this is a picture", 'as in `input "violin.wav"`'
        )

    def with_preprocess(self, **changes: object) -> Adapter:
        """Apply `set preprocess(rate=, window=, hop=)`. Raises BbiError E370 for what the model does not take."""
        known = self.description
        if wrong := [name for name in ("size", "crop", "mean", "std") if changes.get(name) is not None]:
            raise error("E407", f"`{wrong[0]}` is of pictures, and {known.name} takes sounds",
                        "`set preprocess(rate=, window=, hop=)` is about sounds")  # fmt: skip
        rate, hop = int(str(changes.get("rate") or known.rate)), int(str(changes.get("hop") or known.input_size[0]))
        samples = round(known.seconds * (known.rate if self.fixed else rate))
        if self.fixed and samples % hop:
            what = f"{known.name} takes {samples:,} samples, which are no whole number of frames of {hop}"
            raise error("E370", what, "set a `hop` that divides them")
        frames = samples // hop if self.fixed else max(1, -(-samples // hop))
        return self.described_as(replace(described(self, (hop, frames)), rate=rate))

    def description_for(self, inputs: Iterable[object]) -> ModelDescription:
        """Return the description for the longest sound: names of files and samples, arrays of a clip."""
        known = self.description
        lengths = [seconds_of(spec) for spec in inputs if isinstance(spec, str) and is_sound(spec)]
        lengths += [spec.seconds for spec in inputs if hasattr(spec, "seconds") and hasattr(spec, "samples")]
        lengths += [_time(spec) / known.rate for spec in inputs if getattr(spec, "ndim", 0) in (1, 2)]
        if not lengths or self.fixed:
            return known
        hop = known.input_size[0]
        return described(self, (hop, frames_of(max(lengths), known.rate, hop)))


def _time(values: object) -> int:
    return int(getattr(values, "shape", (0,))[-1])


def described(adapter: AudioAdapter, size: tuple[int, int]) -> ModelDescription:
    """Return the adapter's description for another (samples of a frame, frames): the same layers with new shapes and
    costs."""
    old = adapter.description
    if old.input_size == size:
        return old
    from bbilang.runtime.models import score_output as scored

    description = describe_module(
        scored.own(adapter.module), size, old.name, old.channels, output=old.output or old.part, title=old.title,
        labels=old.labels, names={layer.name: layer.module for layer in old.layers}, aliases=old.aliases,
        kinds={layer.name: layer.kind for layer in old.layers}, reads="audio",
    )  # fmt: skip
    return replace(description, rate=old.rate, window=old.window, scores=old.scores, absent=old.absent, heads=old.heads)


class AudioModel(nn.Module):
    """Wraps a module that takes (input, channel, time): (input, channel, y, frame) -> its result. Of scores over time,
    (input, class, time), the mean over time."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, sound: Tensor) -> Tensor:
        result = self.model(sound.transpose(2, 3).flatten(2))
        return result.mean(2) if isinstance(result, Tensor) and result.ndim == 3 else result


def adapt_audio(
    module: nn.Module,
    rate: int,
    channels: int = 1,
    length: int | None = None,
    hop: int | None = None,
    labels: Iterable[object] | Mapping[object, object] | None = None,
    output: str = "",
    name: str = "model",
    scores: str | None = None,
) -> Adapter:
    """Adapt a caller's module that takes sounds, (input, channel, time) in [-1, 1], and gives scores (input, class), or
    (input, class, time), of which the mean over time is taken.

    ``rate``: samples per second that it takes; sounds are resampled. ``length``: how many samples it takes, where that
    cannot vary: a longer sound is cut off, a shorter one ends in silence. ``hop``: samples of a frame, the atoms of the
    input; by default a hundredth of a second. ``labels``, ``output``, ``scores``: as in `adapt`. Raises BbiError E408
    if it cannot be described, E423 for an argument of another kind, E426 for a rate that sounds cannot have.
    """
    module_of(module)
    per_second = arguments.count("rate", rate) or 0
    if not LOWEST <= per_second <= HIGHEST:
        raise error("E426", f"`rate` is {per_second:,}", f"sounds have {LOWEST:,} to {HIGHEST:,} samples per second")
    whole, count = arguments.count("length", length), arguments.count("channels", channels) or 1
    step = arguments.count("hop", hop) or _frame(per_second, whole)
    if whole is not None and whole % step:
        help = "choose a `hop` that divides the length"
        raise error("E423", f"`length` is {whole:,}, which is no whole number of frames of {step:,}", help)
    frames = (whole or round(SECONDS * per_second)) // step
    output, name = arguments.words("output", output), arguments.words("name", name)
    wrapped = AudioModel(module)
    paths = [path for path, _ in module.named_modules() if path]
    description = describe_module(wrapped, (step, frames), name, count, output=output and f"model.{output}",
                                  labels=arguments.names_of(labels), reads="audio")  # fmt: skip
    description = renamed(description, {f"model.{path}": path for path in paths})
    description = with_score_kind(replace(description, rate=per_second), scores)
    kind, stated = type(module), f"those of the {type(module).__name__} given"
    definition = f"{kind.__module__}.{kind.__qualname__}"
    fixed = whole is not None
    adapter = AudioAdapter(description, wrapped, NO_PICTURE, stated, definition, fixed=fixed)
    return adapter.described_as(description)


def _frame(rate: int, length: int | None) -> int:
    """Return about a hundredth of a second in samples; of a fixed length the largest divisor not above it."""
    step = max(1, rate // 100)
    return step if length is None else next(n for n in range(min(step, length), 0, -1) if length % n == 0)


def renamed(description: ModelDescription, names: Mapping[str, str]) -> ModelDescription:
    """Return a description whose layers are called by other names: path -> name; others are left out."""
    new = {layer.name: names[layer.module] for layer in description.layers if layer.module in names}

    def inputs(known: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(new.get(one, one) for one in known if one in new or one == "input"))

    layers = tuple(
        replace(layer, name=new[layer.name], inputs=inputs(layer.inputs))
        for layer in description.layers
        if layer.name in new
    )
    parts = tuple(replace(part, layers=inputs(part.layers)) for part in description.parts)
    absent = {names[path]: why for path, why in description.absent.items() if path in names}
    aliases = {names.get(alias, alias): new[own] for alias, own in description.aliases.items() if own in new}
    return replace(
        description, layers=layers, parts=parts, ends=inputs(description.ends), absent=absent, aliases=aliases
    )
