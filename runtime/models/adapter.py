"""`Adapter`: a model with its layers by name, taking images in [0, 1] whatever it was trained on."""

from __future__ import annotations

import difflib
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error
from bbilang.runtime.models.preprocess import Preprocess

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL.Image import Image
    from torch import Tensor, nn


@dataclass
class Adapter:
    """A model for passes. Images are RGB in [0, 1], (input, channel, y, x), and normalized inside, so that gradients
    can be taken at the image itself.

    ``weights``: a description in words; ``random``: whether they were drawn, not trained. A caller's module is used
    itself: `evaluating` puts it in eval mode for a while.
    """

    description: ModelDescription
    module: nn.Module
    preprocess: Preprocess
    weights: str
    definition: str = ""
    random: bool = False
    derived: str = ""  # of a network that is derived from another one: what identifies its base and its changes
    _hashed: tuple[Any, Any, str] | None = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, object]:
        """Return what a worker needs: not the fingerprint, which is known by references to this process's tensors."""
        return {**self.__dict__, "_hashed": None}

    @property
    def device(self) -> torch.device:
        """The device of the parameters; the CPU for a module without any."""
        import torch

        return next((p.device for p in self.module.parameters()), torch.device("cpu"))

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of SHA-256 over the structure of the network, its code as it is loaded, its attributes,
        the names, shapes and bytes of its tensors (also of non-persistent buffers) and the preprocessing: everything
        that results depend on, independent of the model's name. Computed on first use, and again after a change, also
        through ``.data``. Where state cannot be read as bytes (`knowable`), or code and attributes cannot be digested,
        a new one each time, so that the cache never hits."""
        if self.derived:
            return hashlib.sha256(f"{self.derived} {self.preprocess}".encode()).hexdigest()[:16]
        from bbilang.runtime.passes.module.heads import heads_unmounted

        with heads_unmounted(self.module):
            return self._fingerprint()

    def _fingerprint(self) -> str:
        from bbilang.runtime.passes.module.digest import code_of
        from bbilang.runtime.passes.module.tensor_bytes import StateSnapshot, content, state_of

        if (code := code_of(self.module)) is None:
            return secrets.token_hex(8)
        state, how = list(state_of(self.module)), (self.preprocess, code)
        if self._hashed is None or self._hashed[0] != how or not self._hashed[1].same(state):
            digest = hashlib.sha256(f"{self.definition} {self.preprocess} {code}".encode())
            for path, child in self.module.named_modules():
                digest.update(f"{path} {type(child).__qualname__} {child.extra_repr()}\n".encode())
            for name, value in state:
                digest.update(f"{name}\n".encode())
                pieces = content(value)
                for piece in (secrets.token_bytes(16),) if pieces is None else pieces:
                    digest.update(piece)
            self._hashed = (how, StateSnapshot(state), digest.hexdigest()[:16])
        return self._hashed[2]

    @property
    def knowable(self) -> bool:
        """Whether all state of the module can be read as bytes, so that equal fingerprints mean equal models. False for
        the packed weights of some backends: the results of such a model are computed each time."""
        from bbilang.runtime.passes.module.tensor_bytes import content, identity, state_of

        return all(identity(value) is not None or content(value) is not None for _, value in state_of(self.module))

    def description_for(self, inputs: Iterable[object]) -> ModelDescription:
        """Return the description for these inputs; that of a text model depends on their length."""
        return self.description

    def normalize(self, images: Tensor) -> Tensor:
        """Normalize (input, channel, y, x) in [0, 1] as in training, in the model's dtype. Differentiable."""
        from bbilang.runtime.passes.module.precision import input_type

        return self.preprocess.normalize(images).to(input_type(self.module))

    def module_of(self, layer: str) -> nn.Module:
        """Return the module of a layer by its short name, an alias or a path of ``named_modules()``. Raises E204."""
        known = self.description.by_name
        path = known[layer].module if layer in known else layer
        if path:
            try:
                return self.module.get_submodule(path)
            except AttributeError:
                pass
        modules = dict(self.module.named_modules())
        name = self.description.name
        close = suggestion(layer, [*known, *modules])
        raise error("E204", f"`{layer}` is not a layer of {name}", f"{close}`bbi layers {name}` lists all")

    def prepare(self, picture: Image) -> tuple[Tensor, np.ndarray]:
        """Convert a PIL image to (channel, y, x), float32 in [0, 1] on the CPU, and uint8 (y, x, rgb) to show. A model
        of one channel gets grey. Raises BbiError E418 for one of 2 channels, or of more than 3."""
        import torch

        channels = len(self.preprocess.mean)
        if channels not in (1, 3):
            raise self.no_picture()
        shown = self.preprocess.display(picture.convert("L") if channels == 1 else picture)
        return torch.from_numpy(shown).permute(2, 0, 1)[:channels].to(torch.float32) / 255, shown

    def no_picture(self) -> BbiError:
        """Make the error E418 of a picture for a model of other channels than grey or RGB."""
        name, (channels, y, x) = self.description.name, self.description.input.shape
        help = f"give a tensor ({channels}, {y}, {x}) in [0, 1]; `set show(channels=[...])` says what to draw of it"
        return error("E418", f"{name} takes {channels} channels, and a picture has 3", help)

    def with_preprocess(self, **changes: Any) -> Adapter:
        """Apply `set preprocess(size=, crop=, mean=, std=)`; another crop changes the description of the layers."""
        from bbilang.runtime.models import score_output as scored

        preprocess = self.preprocess.override(**changes)
        adapter = replace(self, preprocess=preprocess, _hashed=None)
        if preprocess.crop != self.description.input_size:
            old, module = self.description, scored.own(self.module)
            description = describe_module(
                module, preprocess.crop, old.name, len(preprocess.mean), output=old.output or old.part, title=old.title,
                labels=old.labels, names={x.name: x.module for x in old.layers}, aliases=old.aliases,
                kinds={x.name: x.kind for x in old.layers},
            )  # fmt: skip
            description = replace(
                description, columns=old.columns, absent=old.absent, scores=old.scores, heads=old.heads
            )
            adapter = adapter.described_as(description)
        return adapter

    def described_as(self, description: ModelDescription) -> Adapter:
        """Replace the description; the module then returns the scores that it names."""
        from bbilang.runtime.models.score_output import scored

        return replace(self, description=description, module=scored(self.module, description))

    def to(self, device: str) -> Adapter:
        """Move the module itself, as ``nn.Module.to`` does; ``auto`` is CUDA, MPS or the CPU. Raises E406."""
        self.module.to(device_named(device))
        return self

    @contextmanager
    def evaluating(self) -> Iterator[nn.Module]:
        """Put the module in eval mode; afterwards every submodule has its previous mode again."""
        modes = {child: child.training for child in self.module.modules()}
        try:
            for child in modes:
                child.training = False
            yield self.module
        finally:
            for child, training in modes.items():
                child.training = training


def describe_module(
    module: nn.Module, input_size: tuple[int, int], name: str = "model", channels: int = 3, **options: Any
) -> ModelDescription:
    """Call `bbilang.runtime.models.describe.describe_module`, importing torch only now."""
    from bbilang.runtime.models import describe

    return describe.describe_module(module, input_size, name, channels, **options)


def device_named(name: str) -> torch.device:
    """Return a torch device; ``auto`` is CUDA, else MPS, else the CPU. Raises BbiError E406 for a missing device."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    count = {"cpu": 1, "mps": int(mps), "cuda": torch.cuda.device_count() if cuda else 0}.get(device.type, 0)
    if (device.index or 0) >= count:
        raise error("E406", f"there is no device `{name}` here", "choose cpu, cuda, mps or auto")
    return device


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "did you mean `x`? " with a trailing space, or "" where no known name is close."""
    lower = {n.lower(): n for n in known}
    close = difflib.get_close_matches(name.lower(), list(lower), 1, 0.6)
    return f"did you mean `{lower[close[0]]}`? " if close else ""
