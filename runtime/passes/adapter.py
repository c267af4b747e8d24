"""The interface of a model for passes: its module, its layers by name, and the preprocessing of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from bbilang.compiler.ir.model_description import ModelDescription


class Adapter(Protocol):
    """The interface of a model for passes; `bbilang.runtime.models.adapter.Adapter` is the usual implementation."""

    @property
    def module(self) -> nn.Module:
        """The module itself, not a copy: passes add hooks to it and remove them."""

    @property
    def description(self) -> ModelDescription:
        """Its layers by name, and ``output``, the path of the module that gives the scores ("" for the whole)."""

    @property
    def device(self) -> torch.device:
        """The device of its parameters."""

    def normalize(self, images: Tensor, /) -> Tensor:
        """Normalize (input, channel, y, x) in [0, 1] as the module expects it. Differentiable."""

    def module_of(self, layer: str, /) -> nn.Module:
        """Return the submodule whose result is a layer. Raises BbiError E204 where there is none of that name."""


def original_of(adapter: Adapter) -> Adapter:
    """Return the original adapter of a faster copy (`featvis.fuse_batchnorm`), or the adapter itself."""
    return getattr(adapter, "original", adapter)
