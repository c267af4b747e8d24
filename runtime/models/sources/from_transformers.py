"""Load `transformers:NAME`: a model of the hub, or a folder that `save_pretrained` wrote.

Classifiers and encoders of images and of texts, and causal language models, which score the next token. None of their
code runs: no `trust_remote_code`, and weights from safetensors only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.files import path_of, short
from bbilang.runtime.errors import error
from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.models.sources.libraries import OFFLINE, downloading, imported, reachable, version_of
from bbilang.runtime.models.sources.model_spec import ModelSpec
from bbilang.runtime.models.sources.pieces import shown, text_of_bytes, words_of_spans

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedTokenizerBase
    from transformers.models.auto.auto_factory import _BaseAutoModelClass

HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
FILES = ("config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")
IMAGES, SCORES, NEXT = "ForImageClassification", "ForSequenceClassification", ("ForCausalLM", "LMHeadModel")
ENCODER = "EncoderModel"
RESAMPLING = ("nearest", "lanczos", "bilinear", "bicubic")  # Pillow's numbers

runs_own_code = False


def key(name: str) -> tuple[str, ...]:
    """Return everything that a description depends on besides this file: the version, and the files of a folder."""
    folder = _folder(name)
    known = [(folder / file).read_bytes() for file in FILES if (folder / file).is_file()]
    return (name, version_of("transformers"), hashlib.sha256(b"\0".join(known)).hexdigest())


def _folder(name: str) -> Path:
    try:
        return path_of(name.removeprefix("transformers:"))
    except OSError as e:
        raise error("E401", f"{short(name)} is no model: {e.strerror}") from e


def find(name: str) -> ModelSpec:
    """Look up a model of the hub or a folder. Raises BbiError E401 (no such folder or name), E409 (the model brings
    code), E410 (not installed), E419 (its configuration cannot be fetched)."""
    own = str(_folder(name))
    local = Path(own).is_dir()
    version_of("transformers")
    if not local and not HUB.fullmatch(own):
        raise error("E401", f"there is no folder {own}, and it is no name of the hub",
                    "as in `transformers:google/vit-base-patch16-224`, or a folder with config.json")  # fmt: skip
    if local and not (Path(own) / "config.json").is_file():
        raise error("E401", f"the folder {own} has no config.json", "write one with `model.save_pretrained(folder)`")
    transformers = imported("transformers")
    if importlib.util.find_spec("torchvision"):
        imported("torchvision")  # transformers imports an installed torchvision, and fails where that import fails
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    config = _config(transformers, own, name, local)
    architecture = (config.architectures or ["Model"])[0]
    text = not _reads_images(transformers, config, architecture)
    auto, scores = _auto(transformers, architecture)
    common = {"attn_implementation": "eager", "trust_remote_code": False}  # every derivative is defined for it
    fetched = {"config": config, "use_safetensors": True, "local_files_only": local, "dtype": "float32"} | common

    def build() -> nn.Module:
        return _wrapped(auto.from_config(config, **common), text, scores)

    def trained() -> nn.Module:
        try:
            with downloading(name):
                loaded = auto.from_pretrained(own, **fetched)
        except BbiError as e:
            if not local:
                raise
            first = str(e.__cause__).strip().splitlines()[0][:160]
            help = "only safetensors is read: `model.save_pretrained(folder)` writes it"
            raise error("E403", f"the weights in {own} cannot be read: {first}", help) from e
        return _wrapped(loaded, text, scores)

    words = f"{Path(own).name if local else own} (transformers {version_of('transformers')})"
    title = f"{architecture} {Path(own).name if local else own}"
    if text:
        tokenizer = HubTokenizer(_tokenizer(transformers, own, name, local), _longest(config))
        labels = tokenizer.labels(config.vocab_size) if architecture.endswith(NEXT) else _labels(config)
        return ModelSpec(
            title, build, trained, words, Preprocess(1, (1, 1)), labels if scores else (), architecture, tokenizer
        )
    preprocess = preprocess_of(_picture_options(transformers, own, local), config)
    return ModelSpec(title, build, trained, words, preprocess, _labels(config) if scores else (), architecture)


def _config(transformers: ModuleType, own: str, name: str, local: bool) -> PretrainedConfig:
    try:
        with reachable():
            return transformers.AutoConfig.from_pretrained(own, trust_remote_code=False, local_files_only=local)
    except Exception as e:  # transformers, huggingface_hub and the network below them raise anything
        words = str(e)
        if "trust_remote_code" in words:
            message = f"the model `{name}` runs code of its own, which comes with it"
            raise error("E409", message, "choose a model whose code is a part of transformers") from e
        first = words.strip().splitlines()[0][:160] if words.strip() else type(e).__name__
        if local:
            raise error("E403", f"{own}/config.json is no model of transformers: {first}") from e
        raise error("E419", f"the configuration of {name} could not be fetched: {first}", OFFLINE) from e


def _auto(transformers: ModuleType, architecture: str) -> tuple[type[_BaseAutoModelClass], bool]:
    """Return (the class that builds an architecture, whether it has scores)."""
    if architecture.endswith(IMAGES):
        return transformers.AutoModelForImageClassification, True
    if architecture.endswith(SCORES):
        return transformers.AutoModelForSequenceClassification, True
    if architecture.endswith(NEXT):
        return transformers.AutoModelForCausalLM, True
    if architecture.endswith(ENCODER):  # the encoder alone: it needs no inputs of the decoder
        return transformers.AutoModelForTextEncoding, False
    return transformers.AutoModel, False


def _reads_images(transformers: ModuleType, config: PretrainedConfig, architecture: str) -> bool:
    kind = getattr(transformers, architecture, None)
    first = getattr(kind, "main_input_name", "input_ids")
    if first not in ("input_ids", "pixel_values"):
        raise error("E401", f"{architecture} reads {first}, and pictures and texts are what can be given")
    return first == "pixel_values"


def _wrapped(module: nn.Module, text: bool, scores: bool) -> nn.Module:
    from bbilang.runtime.models.sources.text_models import TextModel

    module.config.use_cache = False  # type: ignore[union-attr]  # the PretrainedConfig of transformers
    return TextModel(module, scores) if text else module


def _labels(config: PretrainedConfig) -> tuple[str, ...]:
    """Return the class names of the configuration; none where they are placeholders (`LABEL_0`)."""
    names = [str(label) for _, label in sorted((config.id2label or {}).items())]
    return () if all(re.fullmatch(r"LABEL_\d+", label) for label in names) else tuple(names)


def _picture_options(transformers: ModuleType, own: str, local: bool) -> JsonObject:
    """Read preprocessor_config.json; empty where the model has none."""
    if local:
        file = Path(own) / "preprocessor_config.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    from transformers.utils import cached_file

    with downloading(own):
        path = cached_file(own, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else {}


def preprocess_of(options: JsonObject, config: PretrainedConfig) -> Preprocess:
    """Read the preprocessing from preprocessor_config.json: a size of both sides squashes the image, one of the
    shortest edge does not."""
    default = getattr(config, "image_size", 224)
    size, crop = options.get("size", default), options.get("crop_size")
    squashed = False
    if isinstance(size, list | tuple):
        size = {"height": size[0], "width": size[-1]}
    if isinstance(size, dict) and "height" in size:
        squashed = size["height"] == size["width"]
        resize = max(size["height"], size["width"])
        whole = (size["height"], size["width"])
    else:
        edge = size["shortest_edge"] if isinstance(size, dict) else int(size)
        share = options.get("crop_pct") or 1
        resize, whole = (int(edge / share) if edge < 384 else edge), (edge, edge)
        squashed = not isinstance(size, dict)
    if options.get("do_center_crop") and crop:
        whole = (crop["height"], crop["width"]) if isinstance(crop, dict) else (crop, crop)
    resample = options.get("resample", 2)
    interpolation = RESAMPLING[resample] if resample in range(len(RESAMPLING)) else "bilinear"
    plain = options.get("do_normalize") is False
    mean = (0.0,) * 3 if plain else tuple(options.get("image_mean") or (0.5,) * 3)
    std = (1.0,) * 3 if plain else tuple(options.get("image_std") or (0.5,) * 3)
    return Preprocess(max(resize, *whole), whole, interpolation, mean, std, squashed)


# --- text -----------------------------------------------------------------------------------------------------------


def _tokenizer(transformers: ModuleType, own: str, name: str, local: bool) -> PreTrainedTokenizerBase:
    try:
        with reachable():
            return transformers.AutoTokenizer.from_pretrained(own, trust_remote_code=False, local_files_only=local)
    except Exception as e:  # as above; tokenizers written in Rust add kinds of their own
        first = str(e).strip().splitlines()[0][:160] if str(e).strip() else type(e).__name__
        if local:
            help = "write it beside the model: `tokenizer.save_pretrained(folder)`"
            raise error("E403", f"{own} has no tokenizer that can be read: {first}", help) from e
        raise error("E419", f"the tokenizer of {name} could not be fetched: {first}", OFFLINE) from e


def _longest(config: PretrainedConfig) -> int:
    from bbilang.runtime.models.sources.text_models import LONGEST

    return int(getattr(config, "max_position_embeddings", None) or LONGEST)


@dataclass(frozen=True)
class HubTokenizer:
    """A tokenizer of transformers. The word of a token is the part of the text that it covers, with a space in front
    where the text has one, or, for special tokens such as `[CLS]`, its name."""

    tokenizer: PreTrainedTokenizerBase
    longest: int

    def read(self, text: str) -> tuple[list[int], list[str]]:
        """Return (ids, the part of the text that each token covers)."""
        if not self.tokenizer.is_fast:
            numbers = self.tokenizer(text)["input_ids"]
            return numbers, [_plain(piece) for piece in self.tokenizer.convert_ids_to_tokens(numbers)]
        encoding = self.tokenizer(text, return_offsets_mapping=True)
        names = self.tokenizer.convert_ids_to_tokens(encoding["input_ids"])
        return encoding["input_ids"], words_of_spans(text, encoding["offset_mapping"], names)

    def labels(self, count: int) -> tuple[str, ...]:
        """Return a class name for every token of the vocabulary; a token that continues a word begins with an
        ellipsis."""
        names = self.tokenizer.convert_ids_to_tokens(list(range(min(count, len(self.tokenizer)))))
        if any(name.startswith("Ġ") for name in names):  # letters that stand for bytes
            names = [text_of_bytes(name) for name in names]
            starts = True
        else:
            starts = any(name.startswith("▁") for name in names)
            names = [name.replace("▁", " ") if starts else name for name in names]
        labels = [_class_name(name, starts) for name in names]
        return (*labels, *(f"token {number}" for number in range(len(labels), count)))


def _plain(piece: str) -> str:
    return shown(text_of_bytes(piece) if piece[:1] in "ĠĊ" else piece.removeprefix("##").replace("▁", " "))


def _class_name(piece: str, starts: bool) -> str:
    if piece.startswith("##"):
        return f"…{piece[2:]}"
    continues = starts and piece[:1].isalpha()
    return f"…{piece}" if continues else shown(piece).strip()
