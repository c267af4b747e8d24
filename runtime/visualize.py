"""The feature visualization engine: pictures that most excite a channel or a direction of a layer.

An icon maximizes the mean over all positions of <direction, activations> by gradient ascent on Fourier coefficients,
seen through random transforms (Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017). Seeds and
transforms belong to the icon and batches have one fixed size, so an icon comes out the same, bit for bit, in any
company. The forward pass stops at the layer, parameters get no gradient, and icons of one layer share batches.
"""

from __future__ import annotations

import hashlib
import io
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.runtime import passes
from bbilang.runtime.cache import Cache, canonical, key_of
from bbilang.runtime.fold import folded
from bbilang.runtime.parametrization import Fourier, initial_spectrum
from bbilang.runtime.transforms import Transforms, affine, resample

FORMAT = 1  # raise it when the same recipe gives another picture: it is part of the cache key
_ADAM = (0.9, 0.999, 1e-8)

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Recipe:
    """How an icon is made. ``size`` pixels a side; ``rate`` is Adam's; ``deviation`` that of the first coefficients;
    ``decay`` see `frequency_scale`; ``redirect`` counts the first steps in which gradients pass shut ReLUs; ``batch``
    is fixed, see the module.

    The defaults are Lucid's (`Recipe.lucid`) but for two, found by eye and by measure on EfficientNet-Lite0, whose
    strided depthwise convolutions invite checkerboards that InceptionV1 does not: decay 1.5 for 1, scales .8 to 1.2 for
    .9 to 1.1. Shapes are cleaner, and on sizes of 112 to 224 px without transforms the objectives of four channels of
    `block5c.expand` are 4.33, 3.50, 4.91, 1.40 after 256 steps, where Lucid's give 4.06, 3.63, 4.63, 1.38. A decay of 2
    blurs (3.77, 2.99, 4.30, 1.25); a rate of .02 leaves pictures pale.
    """

    size: int = 128
    steps: int = 512
    rate: float = 0.05
    seed: int = 0
    batch: int = 8
    decorrelate: bool = True
    deviation: float = 0.01
    decay: float = 1.5
    redirect: int = 16
    transforms: Transforms = field(default_factory=Transforms)

    @classmethod
    def lucid(cls, **changes: Any) -> Recipe:
        """Lucid's defaults throughout, for comparisons like for like."""
        return replace(cls(decay=1.0, transforms=Transforms(scale=(0.9, 1.1))), **changes)

    def draft(self) -> Recipe:
        """Small and quick, for a first look at a page."""
        return replace(self, size=min(self.size, 64), steps=min(self.steps, 64))


@dataclass(frozen=True)
class Objective:
    """What an icon shows: a channel's index, or a vector over the layer's channels. Equal objectives are equal values.

    The objective's value is the mean over all positions of <direction, activations>, in the layer's own units.
    """

    layer: str
    direction: int | tuple[float, ...]

    def __post_init__(self) -> None:
        if isinstance(self.direction, int | np.integer):
            object.__setattr__(self, "direction", int(self.direction))
            return
        values = np.asarray(self.direction, dtype=np.float32).reshape(-1) + np.float32(0)  # -0.0 becomes 0.0
        if not np.isfinite(values).all():
            raise _error("E510", f"a direction in `{self.layer}` is not finite", "look at what it was computed from")
        object.__setattr__(self, "direction", tuple(values.tolist()))

    def vector(self, channels: int) -> Tensor:
        """The direction as (channel,). Raises BbiError E510 if it does not fit the layer."""
        if isinstance(self.direction, int):
            if not 0 <= self.direction < channels:
                text = f"channel {self.direction} of `{self.layer}` does not exist"
                raise _error("E510", text, f"it has {channels} channels, 0 to {channels - 1}")
            return F.one_hot(torch.tensor(self.direction), channels).float()
        if len(self.direction) != channels:
            text = f"a direction of {len(self.direction)} numbers in `{self.layer}`, which has {channels} channels"
            raise _error("E510", text, "take the direction from the same layer")
        return torch.tensor(self.direction)


@dataclass(frozen=True)
class Icon:
    """A finished icon: ``picture`` uint8 (y, x, rgb); ``objective`` measured on the picture itself, without transforms;
    ``dead`` where nothing could be optimized, then the picture is grey and ``reason`` says why."""

    picture: np.ndarray
    objective: float
    dead: bool = False
    reason: str = ""


def _error(code: str, message: str, help: str) -> BbiError:
    return BbiError(Diagnostic(code, message, help=help))


def visualize(
    adapter: Any,
    objectives: Sequence[Objective],
    recipe: Recipe | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
    counter: passes.Passes | None = None,
) -> list[Icon]:
    """One icon per objective, in their order; equal objectives are made once, cached ones not at all.

    ``progress(done icons, all icons, seconds left)`` counts distinct icons and is called about every second. Finished
    icons are in the cache at once, so an interruption (KeyboardInterrupt passes through) loses one batch at most.
    Out-of-memory halves the batch. Raises BbiError E501, E502 (layers), E504 (memory), E510 (directions).
    """
    recipe = recipe or Recipe()
    counter = counter if counter is not None else passes.Passes()
    model = _model_key(adapter) if cache is not None else None
    wanted = [_canonical(adapter, objective) for objective in objectives]
    icons: dict[Objective, Icon] = {}
    total = len(dict.fromkeys(wanted))
    batch = recipe.batch

    def look_up(keep: Iterable[Objective]) -> list[Objective]:
        """Put what the cache holds for this batch size into `icons`; gives the rest."""
        for objective in keep if cache is not None else ():
            found = cache.get(_key(model, objective, recipe, batch, adapter)) if objective not in icons else None
            if found is not None:
                icons[objective] = _unpack(*found)
        return [objective for objective in keep if objective not in icons]

    clock = _Clock(progress, total, recipe.steps)
    missing = look_up(list(dict.fromkeys(wanted)))
    groups = _by_layer(missing)
    for position, (layer, group) in enumerate(groups):
        later = sum(-(-len(g) // batch) for _, g in groups[position + 1 :])
        while group:
            try:
                with _Ascent(adapter, layer, recipe, batch, counter) as ascent:
                    while group:
                        clock.begin(len(icons), -(-len(group) // batch) + later)
                        for objective, icon in zip(group[:batch], ascent.run(group[:batch], clock), strict=True):
                            icons[objective] = icon
                            if cache is not None:
                                cache.put(_key(model, objective, recipe, batch, adapter), *_pack(icon))
                        group = group[batch:]
            except BbiError as e:
                if not passes.is_out_of_memory(e) or batch == 1:
                    raise
                batch //= 2
                group = look_up(group)
    clock.finish(len(icons))
    return [icons[objective] for objective in wanted]


def estimate(
    adapter: Any, objectives: Sequence[Objective], recipe: Recipe | None = None, cache: Cache | None = None
) -> tuple[int, float]:
    """(icons to make, seconds): what is not in the cache, at a speed measured on this machine: three steps per layer
    after a warm-up, once per process. Padded batches are counted whole."""
    recipe = recipe or Recipe()
    wanted = list(dict.fromkeys(_canonical(adapter, objective) for objective in objectives))
    if cache is not None:
        model = _model_key(adapter)
        wanted = [o for o in wanted if cache.get(_key(model, o, recipe, recipe.batch, adapter)) is None]
    seconds = 0.0
    for layer, group in _by_layer(wanted):
        batch, step = _speed(adapter, layer, recipe, group)
        seconds += step * recipe.steps * -(-len(group) // batch)
    return len(wanted), seconds


_speeds: weakref.WeakKeyDictionary[Any, dict[Any, tuple[int, float]]] = weakref.WeakKeyDictionary()


def _speed(adapter: Any, layer: str, recipe: Recipe, group: Sequence[Objective]) -> tuple[int, float]:
    """(batch that fits in memory, seconds a step), measured once per model, layer and size in this process."""
    known = _speeds.setdefault(adapter.module, {})
    key = (layer, recipe.size, recipe.batch, recipe.transforms, str(adapter.device))
    batch = recipe.batch
    while key not in known:
        try:
            with _Ascent(adapter, layer, replace(recipe, steps=3, redirect=0), batch, passes.Passes()) as ascent:
                ascent.run(group[:batch])
                start = time.perf_counter()
                ascent.run(group[:batch])
                known[key] = batch, (time.perf_counter() - start) / 3
        except BbiError as e:
            if not passes.is_out_of_memory(e) or batch == 1:
                raise
            batch //= 2
    return known[key]


class _Clock:
    """Tells the caller how far the work is, about once a second."""

    def __init__(self, progress: Progress | None, total: int, steps: int):
        self.progress, self.total, self.steps = progress, total, steps
        self.start = self.told = time.perf_counter()
        self.stepped, self.left, self.done = 0, 0, 0

    def begin(self, done: int, batches: int) -> None:
        self.done, self.left = done, batches * self.steps

    def step(self) -> None:
        self.stepped, self.left = self.stepped + 1, self.left - 1
        now = time.perf_counter()
        if self.progress and now - self.told >= 1.0:
            self.told = now
            self.progress(self.done, self.total, (now - self.start) / self.stepped * self.left)

    def finish(self, done: int) -> None:
        if self.progress:
            self.progress(done, self.total, 0.0)


class _Ascent:
    """Gradient ascent of batches of one fixed size at one layer; hooks and the folded copy live as long as it does."""

    def __init__(self, adapter: Any, layer: str, recipe: Recipe, batch: int, counter: passes.Passes):
        self.layer, self.recipe, self.batch = layer, recipe, batch
        self.device = torch.device(adapter.device)
        self.fourier = Fourier(recipe.size, recipe.decorrelate, recipe.decay, self.device)
        self.view = recipe.transforms.view_size(recipe.size)
        example = torch.rand(2, 3, self.view, self.view, generator=torch.Generator().manual_seed(0))
        self.shape, example = _network_size(adapter, layer, example.to(self.device), counter)
        self.fixed = self.shape != (self.view, self.view)
        self._run = passes.run_to(folded(adapter, layer, example, counter), layer, counter=counter, example=example)
        self.axis = _channel_axis(adapter, layer)

    def __enter__(self) -> _Ascent:
        self.runner = self._run.__enter__()
        return self

    def __exit__(self, *exception: Any) -> bool | None:
        return self._run.__exit__(*exception)

    def fit(self, pictures: Tensor) -> Tensor:
        """Pictures (batch, 3, y, x) at the size that the network is shown."""
        if pictures.shape[2:] == self.shape:
            return pictures
        return F.interpolate(pictures, self.shape, mode="bilinear", antialias=True, align_corners=False)

    def excite(self, seen: Tensor) -> Tensor:
        """(batch, 3, y, x) -> the layer's activation averaged over positions, (batch, channel)."""
        activation = self.runner(seen.contiguous(memory_format=torch.channels_last))
        return activation.movedim(self.axis, 1).flatten(2).mean(2) if activation.dim() > 2 else activation

    def run(self, objectives: Sequence[Objective], clock: _Clock | None = None) -> list[Icon]:
        """Icons of up to ``batch`` objectives; free slots are filled with copies of the first."""
        recipe, first, second = self.recipe, *_ADAM[:2]
        slots = [*objectives, *[objectives[0]] * (self.batch - len(objectives))]
        sources = [torch.Generator().manual_seed(_seed(recipe, objective)) for objective in slots]
        spectrum = torch.stack([initial_spectrum(recipe.size, recipe.deviation, s) for s in sources]).to(self.device)
        draws = torch.stack([recipe.transforms.draw(recipe.steps, s) for s in sources], 1)  # (step, batch, 6)
        maps = affine(draws.flatten(0, 1), recipe.size, self.view).view(recipe.steps, self.batch, 2, 3).to(self.device)
        mean, square = torch.zeros_like(spectrum), torch.zeros_like(spectrum)
        alive = torch.zeros(self.batch, dtype=torch.bool, device=self.device)
        sound = torch.ones_like(alive)
        directions, side = None, max(self.view, *self.shape)
        for step in range(recipe.steps):
            self.runner.through_relu = step < recipe.redirect
            spectrum.requires_grad_()
            view = resample(self.fourier(spectrum), maps[step], side)
            seen = self.excite(self.fit(view))
            if directions is None:
                directions = torch.stack([o.vector(seen.shape[1]) for o in slots]).to(seen)
                unit = directions / directions.norm(dim=1, keepdim=True).clamp_min(1e-20)
            values = (seen * unit).sum(1)
            (gradient,) = self.runner.backward(-values.sum(), [spectrum])
            spectrum = spectrum.detach()
            sound &= torch.isfinite(values.detach()) & torch.isfinite(gradient.flatten(1).sum(1))
            if step >= min(recipe.redirect, recipe.steps - 1):
                alive |= (gradient != 0).flatten(1).any(1)
            mean.mul_(first).add_(gradient, alpha=1 - first)
            square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
            size = recipe.rate * (1 - second ** (step + 1)) ** 0.5 / (1 - first ** (step + 1))
            spectrum.addcdiv_(mean, square.sqrt().add_(_ADAM[2]), value=-size)
            if clock:
                clock.step()
        with torch.no_grad():
            pictures = self.fourier(spectrum)
            measured = (self.excite(self.fit(pictures) if self.fixed else pictures) * directions).sum(1).tolist()
        rows = (pictures.clamp(0, 1) * 255).round().nan_to_num(128).byte().permute(0, 2, 3, 1).cpu().numpy()
        grey = np.full_like(rows[0], 128)
        icons = []
        for slot in range(len(objectives)):
            if not sound[slot]:
                icons.append(Icon(grey, 0.0, True, "its activations or gradients were not finite"))
            elif not alive[slot]:
                icons.append(Icon(grey, measured[slot], True, "no gradient reached the picture"))
            else:
                icons.append(Icon(rows[slot].copy(), measured[slot]))
        return icons


def _by_layer(objectives: Iterable[Objective]) -> list[tuple[str, list[Objective]]]:
    groups: dict[str, list[Objective]] = {}
    for objective in objectives:
        groups.setdefault(objective.layer, []).append(objective)
    return list(groups.items())


def _described(adapter: Any, layer: str) -> Any:
    return getattr(adapter.description, "by_name", {}).get(layer)


def _canonical(adapter: Any, objective: Objective) -> Objective:
    """The objective under the layer's first name, so that an alias asks for no second icon."""
    layer = _described(adapter, objective.layer)
    return objective if layer is None else Objective(layer.name, objective.direction)


def _channel_axis(adapter: Any, layer: str) -> int:
    """Axis of channels in the layer's result, counting the batch; -1 in a sequence layer."""
    description = _described(adapter, layer)
    return 1 + description.axes.index("channel") if description is not None else 1


def _network_size(adapter: Any, layer: str, example: Tensor, counter: passes.Passes) -> tuple[tuple[int, int], Tensor]:
    """(y, x) that the network is shown, and an example of it: the view's own size, else the only one it takes."""
    try:
        passes.forward(adapter, example[:1], [layer], want_output=False, counter=counter)
        return (example.shape[2], example.shape[3]), example
    except BbiError:
        raise
    except Exception:  # a network for one size says so in many ways
        y, x = adapter.description.input_size
        return (int(y), int(x)), F.interpolate(example, (int(y), int(x)), mode="bilinear", align_corners=False)


def _seed(recipe: Recipe, objective: Objective) -> int:
    """An icon's own seed, from the recipe's and the objective alone."""
    text = canonical([recipe.seed, objective.layer, objective.direction])
    return int.from_bytes(hashlib.sha256(text).digest()[:7], "big")


def _model_key(adapter: Any) -> str:
    """What the adapter calls its fingerprint, else a sha256 of names, kinds, weights and normalization."""
    own = getattr(adapter, "fingerprint", None)
    if own is not None:
        return str(own() if callable(own) else own)
    digest = hashlib.sha256()
    for name, module in adapter.module.named_modules():
        digest.update(f"{name} {type(module).__qualname__} {module.extra_repr()}\n".encode())
    for name, values in adapter.module.state_dict().items():
        digest.update(f"{name} {tuple(values.shape)} {values.dtype}\n".encode())
        digest.update(values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    ramp = torch.linspace(0, 1, 3 * 4 * 4).view(1, 3, 4, 4).to(adapter.device)
    digest.update(adapter.normalize(ramp).detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _key(model: str | None, objective: Objective, recipe: Recipe, batch: int, adapter: Any) -> str:
    """Everything that an icon's bits depend on, but for the number of threads."""
    return key_of(
        {
            "what": "icon",
            "format": FORMAT,
            "torch": torch.__version__,
            "device": torch.device(adapter.device).type,
            "model": model,
            "objective": [objective.layer, objective.direction],
            "recipe": asdict(replace(recipe, batch=batch)),
        }
    )


def _pack(icon: Icon) -> tuple[bytes, dict[str, Any]]:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(icon.picture).save(stream, "PNG")
    return stream.getvalue(), {"objective": icon.objective, "dead": icon.dead, "reason": icon.reason}


def _unpack(data: bytes, metadata: Mapping[str, Any]) -> Icon:
    from PIL import Image

    picture = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    return Icon(picture, float(metadata["objective"]), bool(metadata["dead"]), str(metadata["reason"]))
