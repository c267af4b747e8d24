"""The networks of `benchmarks.zoo`: a small member of each family, with random weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

WORDS = 12  # tokens of the text that a language model reads
TIMM = """
beit_base_patch16_224 eca_botnext26ts_256 resnext26ts cait_xxs24_224 coat_tiny convit_tiny convmixer_768_32
convnext_atto_rms cpubone_nano crossvit_tiny_240 cs3darknet_focus_s cspnext_s davit_tiny deit_tiny_patch16_224
densenet121 dla34 dpn48b edgenext_x_small efficientformer_l1 efficientformerv2_s0 tinynet_d efficientvim_m1
efficientvit_b0 efficientvit_m0 eva02_tiny_patch14_224 fasternet_t0 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny
ghostnet_050 hardcorenas_b hgnetv2_b0 hiera_tiny_224 hrnet_w18_small iformer_t inception_next_atto inception_v3
inception_v4 lcnetv2_small levit_384_s8 lowformer_b0 mambaout_femto maxvit_pico_rw_256 caformer_s18 gmlp_ti16_224
mixer_s32_224 mobilenetv3_small_050 mobilevit_xxs mvitv2_tiny nest_tiny nextvit_small nf_resnet26 pit_ti_224 pvt_v2_b0
rdnet_tiny regnetx_004_tv repghostnet_050 repvit_m1 res2next50 resnest14d resnet18 resnetv2_18 rexnet_100 selecsls42
legacy_seresnext26_32x4d sequencer2d_s shvit_s1 skresnet18 starnet_s1 swiftformer_xs swin_tiny_patch4_window7_224
swinv2_tiny_window8_256 swinv2_cr_tiny_224 tiny_vit_5m_224 tnt_s_legacy_patch16_224 tresnet_m twins_svt_small vgg11
visformer_tiny vit_tiny_patch16_224 vit_tiny_r_s16_p8_224 vit_srelpos_small_patch16_224 vitamin_small_224 volo_d1_224
ese_vovnet19b_slim_dw xception41p xcit_nano_12_p8_224
"""
TORCHVISION = """
alexnet googlenet shufflenet_v2_x0_5 squeezenet1_1 mobilenet_v2 mobilenet_v3_small mnasnet0_5 efficientnet_b0
convnext_tiny maxvit_t swin_v2_t vit_b_32 densenet121 regnet_y_400mf wide_resnet50_2 resnet18
"""
LABELS = {"num_labels": 5}
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64} | LABELS
PICTURES = {  # class of transformers -> options of its configuration
    "ViT": {**TINY, "image_size": 64, "patch_size": 16},
    "Deit": {**TINY, "image_size": 64, "patch_size": 16},
    "Dinov2": {**TINY, "image_size": 64, "patch_size": 16},
    "Beit": {**TINY, "image_size": 64, "patch_size": 16},
    "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_labels": 5},
    "ConvNext": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_labels": 5},
    "Swin": {"image_size": 64, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4} | LABELS,
}
TEXTS = {
    "Bert": TINY,
    "Roberta": {**TINY, "pad_token_id": 0},
    "Electra": {**TINY, "embedding_size": 32},
    "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "num_labels": 5},
    "Albert": {**TINY, "embedding_size": 16},
    "MobileBert": {**TINY, "embedding_size": 32, "true_hidden_size": 32, "intra_bottleneck_size": 32},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "num_labels": 5, "pad_token_id": 0},
    "Llama": {**TINY, "num_key_value_heads": 2, "pad_token_id": 0},
    "Qwen2": {**TINY, "num_key_value_heads": 2, "pad_token_id": 0},
    "XLNet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64, "num_labels": 5},
    "Longformer": {**TINY, "attention_window": 4},
    "Deberta": TINY,
}


@dataclass(frozen=True)
class Network:
    """One family. ``make``: a module with random weights; ``size``: side of the picture in pixels, 0 for a text."""

    name: str
    make: Callable[[], nn.Module]
    size: int = 224
    channels: int = 3
    target: int = 3
    vocabulary: int = 100

    @property
    def reads(self) -> str:
        return "image" if self.size else "text"

    def tensor(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return (1, channel, y, x) in [0, 1], or (1, token) of integers."""
        generator = torch.Generator().manual_seed(1)
        if not self.size:
            return torch.randint(5, self.vocabulary, (1, WORDS), generator=generator)
        return torch.rand(1, self.channels, self.size, self.size, generator=generator).to(dtype)

    def given(self) -> Any:
        """Return what a user passes."""
        if self.size:
            return self.tensor()[0]
        return "text:" + " ".join(str(n) for n in self.tensor()[0].tolist())

    def subject(self, module: nn.Module) -> Any:
        """Return the module as a user has it."""
        import bbilang

        if self.size:
            return bbilang.adapt(module, (self.size, self.size), name="net")
        return bbilang.adapt_text(module, Numbers(), name="net")

    def make_twin(self, module: nn.Module, dtype: torch.dtype) -> nn.Module:
        """Return a copy with trainable weights, so that torch's own gradients are right (docs/users.md, batch
        norms)."""
        return copy.deepcopy(module).to(dtype).eval().requires_grad_(True)

    def scores(self, module: nn.Module, x: Tensor) -> Tensor:
        """Return (1, class)."""
        result = module(x)
        while not isinstance(result, Tensor):
            values = list(result.values()) if isinstance(result, Mapping) else list(result)
            result = result["logits"] if isinstance(result, Mapping) and "logits" in result else values[0]
        return result

    def baseline(self, x: Tensor) -> Tensor:
        """Return a black picture, or the text of zeros."""
        return torch.zeros_like(x)

    def path(self, module: str) -> str:
        """Return the path of a layer's module in the network itself; a text's adapter holds it as `model`."""
        return module if self.size else module.removeprefix("model.")

    def channel_last(self, module: nn.Module, path: str) -> bool:
        """Return whether the layer's result is (1, y, x, channel), by its description."""
        return self.subject(module).description.by_name[path].axes[-1] == "channel"


class Numbers:
    """A text of numbers is its own tokens."""

    longest = 64

    def read(self, text: str) -> tuple[list[int], list[str]]:
        words = text.split()
        return [int(word) for word in words], words


def _timm(name: str) -> Network:
    def make() -> nn.Module:
        import timm

        return timm.create_model(name, pretrained=False)

    size = next((n for n in (240, 256, 299) if name.endswith(f"_{n}")), 224)
    size = {"eca_botnext26ts_256": 256, "inception_v3": 299, "inception_v4": 299, "tinynet_d": 152}.get(name, size)
    return Network(f"timm:{name}", make, size)


def _torchvision(name: str) -> Network:
    def make() -> nn.Module:
        import torchvision.models

        options = {"init_weights": False} if name == "googlenet" else {}
        return getattr(torchvision.models, name)(weights=None, **options)

    return Network(f"torchvision:{name}", make, 224)


def _transformers(name: str, options: Mapping[str, Any], kind: str, size: int) -> Network:
    def make() -> nn.Module:
        import transformers

        sized = {} if size else {"vocab_size": 100}
        name_of_class = name if hasattr(transformers, f"{name}Config") else name.replace("Deit", "DeiT")
        config = getattr(transformers, f"{name_of_class}Config")(**options, **sized)
        return getattr(transformers, f"{name_of_class}For{kind}Classification")(config)

    return Network(f"transformers:{name}", make, size)


NETWORKS = (
    *map(_timm, TIMM.split()),
    *map(_torchvision, TORCHVISION.split()),
    *(_transformers(name, options, "Image", 64) for name, options in PICTURES.items()),
    *(_transformers(name, options, "Sequence", 0) for name, options in TEXTS.items()),
)
