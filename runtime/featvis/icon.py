"""The data types of icons: recipe, objective, result, and the cache record."""

from __future__ import annotations

import hashlib
import io
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import asdict, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bbilang.compiler.check.settings import default
from bbilang.compiler.ir.program import Program
from bbilang.compiler.optimize.cost import DREAM_MOST, octaves_of
from bbilang.grammar.frozen import frozen
from bbilang.runtime.cache.disk import canonical, key_of
from bbilang.runtime.cache.versions import version_of
from bbilang.runtime.errors import error
from bbilang.runtime.featvis.regularization import Regularization
from bbilang.runtime.featvis.transforms import Transforms
from bbilang.runtime.json_types import JsonObject

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.execution.results import Model
    from bbilang.runtime.passes.adapter import Adapter

DREAM_DRAFT = 256  # pixels of the longer side of a dream in a draft
FORMAT = 9  # part of the cache key: increment it when the same recipe gives another picture


@frozen
class Recipe:
    """How an icon is made. ``size``: pixels along each side. ``rate``: Adam's learning rate. ``deviation``: standard
    deviation of the initial coefficients. ``decay``: see `frequency_scale`. ``redirect``: number of initial steps in
    which gradients pass closed ReLUs. ``batch``: the number of slots (`ascent.py`). ``parametrization``:
    `fourier` or `maco`.

    ``steps`` sets the quality: the engine takes as many steps as it needs to reach the objective of that many plain
    steps (`schedule_of`), and stops when the objective no longer increases. ``plain`` takes exactly that many, with a
    constant rate and on the unmodified network, as the reference for tests. ``transparency`` adds an alpha channel and
    rewards transparent pixels, so that the picture keeps only what the objective needs
    (Mordvintsev, Pezzotti, Schubert, Olah, "Differentiable Image Parameterizations", Distill 2018, last section).
    ``dream_side``: pixels of the longer side of a dream by octaves, where its photo is not smaller.

    The defaults are Lucid's (`Recipe.lucid`) but for two, chosen by eye on four channels of EfficientNet-Lite0, whose
    strided depthwise convolutions cause checkerboard patterns: decay 1.5 instead of 1, scales of 0.8 to 1.2 instead of
    0.9 to 1.1. Shapes are cleaner, and on sizes of 112 to 224 px without transforms the objectives of four channels of
    `block5c.expand` are 4.33, 3.50, 4.91, 1.40 after 256 plain steps, where Lucid's give 4.06, 3.63, 4.63, 1.38. A
    decay of 2 blurs (3.77, 2.99, 4.30, 1.25); a plain rate of .02 leaves pictures pale.
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
    plain: bool = False
    transparency: bool = False
    parametrization: str = "fourier"
    dream_side: int = DREAM_MOST

    @classmethod
    def lucid(cls, **changes: Any) -> Recipe:
        """Return Lucid's defaults, for comparisons under equal conditions."""
        return replace(cls(decay=1.0, transforms=Transforms(scale=(0.9, 1.1)), plain=True), **changes)

    def draft(self) -> Recipe:
        """Return a recipe of smaller icons with fewer steps, for a draft of a page."""
        return replace(self, size=min(self.size, 64), steps=min(self.steps, 64), dream_side=DREAM_DRAFT)


def recipe_of(program: Program, draft: bool) -> Recipe:
    """Return the recipe of a program's settings; small and with few steps for a ``draft``."""
    names = ("size", "steps", "rate", "batch", "parametrization", "transparency")
    chosen = {name: program.setting(f"featvis.{name}", default(f"featvis.{name}")) for name in names}
    recipe = Recipe(**chosen, seed=program.setting("seed", 0), plain=not program.optimized)
    return recipe.draft() if draft else recipe


def words_of(recipe: Recipe, program: Program) -> str:
    """Describe the size of the icons and the number of steps."""
    shown = {id for icons in program.icons for id in icons.elements}
    dreams = {e.id for e in program.elements if octaves_of(e.node, program) > 1} & shown
    words = [f"{recipe.size} px, {recipe.steps} steps"] if dreams != shown or not shown else []
    return ", ".join([*words, *([f"dreams of up to {recipe.dream_side:,} px"] if dreams else [])])


@frozen
class Start:
    """A picture as a value: ``data`` are the bytes of uint8 (y, x, rgb), ``shape`` is (y, x)."""

    shape: tuple[int, int]
    data: bytes

    @classmethod
    def of(cls, picture: np.ndarray) -> Start:
        """Make a start from uint8 (y, x, rgb)."""
        rows = np.ascontiguousarray(picture, np.uint8)
        return cls((rows.shape[0], rows.shape[1]), rows.tobytes())

    def array(self) -> np.ndarray:
        """Return uint8 (y, x, rgb)."""
        return np.frombuffer(self.data, np.uint8).reshape(*self.shape, 3)


@frozen
class Grid:
    """All the cells of a coherent grid (`coherent_grid.py`): ``vectors`` (cell, channel) and the number of groups."""

    digest: str
    groups: int
    vectors: Any = field(compare=False, repr=False)

    @classmethod
    def of(cls, vectors: np.ndarray, groups: int) -> Grid:
        """Make a grid from its vectors (cell, channel) and the number of groups."""
        rows = np.ascontiguousarray(vectors, np.float32)
        return cls(hashlib.sha256(f"{rows.shape}".encode() + rows.tobytes()).hexdigest(), groups, rows)


PLAIN_FIELDS = ("kind", "negative", "number", "pictures", "search", "octaves")  # of an objective: words and numbers
KINDS = ("direction", "dream", "caricature")


@frozen
class Objective:
    """What an icon shows. Equal objectives are equal values. Sources: see `losses.py`.

    "direction": <direction, activations>, ``direction`` a channel's index (a class's, where the layer is "output") or a
    vector over the layer's channels; the mean over all positions, in the layer's own units, or with ``at`` the value at
    one position, (y, x) of the picture from 0 to 1. ``negative``: as little of it as possible. ``number`` of
    ``pictures``: one of several that are made together and differ (diversity). "dream": the mean square of all
    activations. "caricature": likeness to the activations of ``start``. ``start``: the picture to begin with, else
    noise. ``grid``: the coherent grid of which it is the ``cell``. ``regularization``: by steps on pixels, see
    `toolbox.py`; with ``search``, the ``number``-th most natural among so many random ones. ``octaves`` and ``guide``:
    of a dream, see `dream.py`.
    """

    layer: str
    direction: int | tuple[float, ...] = ()
    kind: str = "direction"
    at: tuple[float, float] | None = None
    negative: bool = False
    number: int = 0
    pictures: int = 1
    start: Start | None = None
    grid: Grid | None = None
    cell: int = 0
    regularization: Regularization | None = None
    search: int = 0
    octaves: int = 1
    guide: Start | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise error("E510", f"there is no objective `{self.kind}`", f"choose one of {', '.join(KINDS)}")
        if self.kind == "caricature" and self.start is None:
            raise error("E510", "a caricature needs a picture to exaggerate", "give `start`")
        if self.at is not None and not all(0 <= float(share) <= 1 for share in self.at):
            raise error("E510", f"the position {self.at} is outside of the picture", "y and x go from 0 to 1")
        if self.pictures > 1 and self.regularization is not None and not self.search:
            raise error("E510", "regularizers of pixels and `diversity=` do not go together", "leave out one of them")
        if not 0 <= self.number < self.pictures:
            raise error("E510", f"picture {self.number} of {self.pictures} does not exist", "they count from 0")
        if isinstance(self.direction, int | np.integer):
            object.__setattr__(self, "direction", int(self.direction))
            return
        values = np.asarray(self.direction, dtype=np.float32).reshape(-1) + np.float32(0)  # -0.0 becomes 0.0
        if not np.isfinite(values).all():
            raise error("E510", f"a direction in `{self.layer}` is not finite", "check what it was computed from")
        object.__setattr__(self, "direction", tuple(values.tolist()))

    @property
    def on_pixels(self) -> bool:
        """Whether the pixels themselves are optimized (`toolbox.py`), with one or several settings."""
        return self.regularization is not None or self.search > 0

    def vector(self, channels: int) -> Tensor:
        """Return the direction as (channel,), negated if its sign is negative. Raises BbiError E510 if it does not
        fit."""
        import torch
        import torch.nn.functional as F

        sign = -1.0 if self.negative else 1.0
        if isinstance(self.direction, int):
            if not 0 <= self.direction < channels:
                text = f"channel {self.direction} of `{self.layer}` does not exist"
                raise error("E510", text, f"it has {channels} channels, 0 to {channels - 1}")
            return F.one_hot(torch.tensor(self.direction), channels).float() * sign
        if len(self.direction) != channels:
            text = f"a direction of {len(self.direction)} numbers in `{self.layer}`, which has {channels} channels"
            raise error("E510", text, "use a direction from the same layer")
        return torch.tensor(self.direction) * sign

    def description(self) -> list[object]:
        """Describe the objective for keys and seeds: layer and direction, then the options that are not default."""
        default_objective = Objective(self.layer, 0)
        names = (*PLAIN_FIELDS, "at")
        rest = {name: getattr(self, name) for name in names if getattr(self, name) != getattr(default_objective, name)}
        if self.start is not None:
            rest["start"] = [*self.start.shape, hashlib.sha256(self.start.data).hexdigest()]
        if self.guide is not None:
            rest["guide"] = [*self.guide.shape, hashlib.sha256(self.guide.data).hexdigest()]
        if self.regularization is not None:
            rest["regularization"] = asdict(self.regularization)
        if self.grid is not None:
            rest["grid"] = [self.grid.digest, self.grid.groups, self.cell]
        return [self.layer, self.direction, *([rest] if rest else [])]


NOT_FINITE = "its activations or gradients were not finite"
NO_GRADIENT = "no gradient reached the picture"


@frozen
class Check:
    """Whether an icon may mislead (`dissociation/`). ``photographs``: how many it was checked against. ``words``: why
    it may mislead, or why it could not be checked; empty if neither."""

    photographs: int
    misleads: bool = False
    words: str = ""


@frozen
class Icon:
    """A finished icon: ``picture`` uint8 (y, x, rgb), with alpha where it has transparency; ``objective`` measured on
    the picture itself, without transforms; ``dead`` where nothing could be optimized, then the picture is grey and
    ``reason`` says why. ``check``: where `set featvis(check=...)` requests one. ``sound``: (samples per second, int16
    (channel, time)) of a clip, whose spectrogram the picture is."""

    picture: np.ndarray
    objective: float
    dead: bool = False
    reason: str = ""
    check: Check | None = None
    sound: tuple[int, np.ndarray] | None = None

    @classmethod
    def grey(cls, like: np.ndarray, reason: str, objective: float = 0.0) -> Icon:
        """Make a dead icon of the shape and type of a picture."""
        return cls(np.full_like(like, 128), objective, True, reason)


def seed_of(recipe: Recipe, objective: Objective) -> int:
    """Derive an icon's own seed from the recipe's and the objective alone."""
    text = canonical([recipe.seed, *objective.description()])
    return int.from_bytes(hashlib.sha256(text).digest()[:7], "big")


def model_key(adapter: Adapter | Model) -> str:
    """Return the adapter's fingerprint, else a sha256 of names, kinds, weights and normalization."""
    own = getattr(adapter, "fingerprint", None)
    if own is not None:
        return str(own() if callable(own) else own)
    adapter = cast("Adapter", adapter)  # a `Model` has a fingerprint
    import torch

    from bbilang.runtime.passes.module.tensor_bytes import content, state_of

    digest = hashlib.sha256()
    for name, module in adapter.module.named_modules():
        digest.update(f"{name} {type(module).__qualname__} {module.extra_repr()}\n".encode())
    for name, value in state_of(adapter.module):
        digest.update(f"{name}\n".encode())
        pieces = content(value)
        for piece in (secrets.token_bytes(16),) if pieces is None else pieces:
            digest.update(piece)
    ramp = torch.linspace(0, 1, 3 * 4 * 4).view(1, 3, 4, 4).to(adapter.device)
    digest.update(adapter.normalize(ramp).detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def device_type(adapter: Adapter | Model) -> str:
    """Return "cpu", "cuda" or "mps"; ``adapter.device`` is torch's device, or its name."""
    return str(adapter.device).partition(":")[0]


def icon_key(model: str | None, objective: Objective, recipe: Recipe, batch: int, adapter: Adapter | Model) -> str:
    """Hash everything that an icon's bits depend on, except the number of threads. Imports no torch."""
    of = _description(model, objective, recipe)
    return key_of({**of, "batch": batch, "torch": version_of("torch"), "device": device_type(adapter)})


def shared_key(model: str | None, objective: Objective, recipe: Recipe) -> str:
    """Return the key of an icon independent of maker, device, batch and version of torch; imported icons have this
    key."""
    return key_of({**_description(model, objective, recipe), "shared": True})


def _description(model: str | None, objective: Objective, recipe: Recipe) -> JsonObject:
    excluded = ("batch",) if objective.octaves > 1 else ("batch", "dream_side")
    how = {name: value for name, value in asdict(recipe).items() if name not in excluded}
    return {"what": "icon", "format": FORMAT, "model": model, "objective": objective.description(), "recipe": how}


def store_icon(
    cache: Cache, icon: Icon, model: str | None, objective: Objective, recipe: Recipe, batch: int, adapter: Adapter
) -> None:
    """Store an icon in the cache, with what another machine needs to look it up and to name its maker."""
    data, metadata = pack(icon)
    made = {"device": device_type(adapter), "torch": version_of("torch")}
    metadata |= {"kind": "icon", "shared": shared_key(model, objective, recipe), "made": made}
    cache.put(icon_key(model, objective, recipe, batch, adapter), data, metadata)


def look_up(
    cache: Cache, objectives: Iterable[Objective], recipe: Recipe, adapter: Adapter | Model
) -> tuple[dict[Objective, Icon], list[str]]:
    """Return (the icons in the cache; the maker of each of those from another machine). Imports no torch if the adapter
    knows its fingerprint."""
    model, icons, foreign = model_key(adapter), {}, []
    for objective in objectives:
        key = icon_key(model, objective, recipe, recipe.batch, adapter)
        record, imported = cache.get(key), False
        if record is None:
            key, imported = shared_key(model, objective, recipe), True
            record = cache.imported(key)
        if record is None:
            continue
        try:
            icons[objective], made = unpack(*record), record[1].get("made", {})
        except (ValueError, KeyError, TypeError, AttributeError, OSError):  # an invalid record: the icon is made again
            cache.drop(key)
            continue
        if imported:
            foreign.append(f"{made.get('device', 'another device')} with torch {made.get('torch', 'unknown')}")
    return icons, foreign


def pack(icon: Icon) -> tuple[bytes, JsonObject]:
    """Return the PNG of an icon and the metadata of its record."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(icon.picture).save(stream, "PNG")
    metadata: JsonObject = {"objective": icon.objective, "dead": icon.dead, "reason": icon.reason}
    if icon.sound is not None:
        rate, samples = icon.sound
        metadata["sound"] = [rate, len(samples), b64encode(np.ascontiguousarray(samples, "<i2").tobytes()).decode()]
    return stream.getvalue(), metadata


def unpack(data: bytes, metadata: JsonObject) -> Icon:
    """Return the icon of a record. Raises ValueError, KeyError, TypeError, OSError for an invalid one."""
    from PIL import Image

    opened = Image.open(io.BytesIO(data))
    picture = np.array(opened.convert("RGBA" if opened.mode == "RGBA" else "RGB"))
    sound = None
    if "sound" in metadata:
        rate, channels, samples = metadata["sound"]
        sound = int(rate), np.frombuffer(b64decode(samples), "<i2").reshape(int(channels), -1)
    return Icon(picture, float(metadata["objective"]), bool(metadata["dead"]), str(metadata["reason"]), sound=sound)
