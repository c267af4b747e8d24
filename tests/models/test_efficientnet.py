"""The default model: equal to the unmaintained package that its weights were made with, and right about pictures."""

import csv

import pytest
import torch
from closeness import close_to, within
from PIL import Image

from bbilang.runtime.inputs.images import read
from bbilang.runtime.models.loading import packaged_weights
from bbilang.runtime.models.registry import MODELS


def predict(adapter, pictures):
    images = torch.stack([adapter.prepare(picture)[0] for picture in pictures])
    with torch.inference_mode():
        return adapter.module(adapter.normalize(images))


def test_logits_equal_those_of_the_unmaintained_package(efficientnet):
    oracle = pytest.importorskip("efficientnet_lite_pytorch", reason="without the test extra")
    network = oracle.EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(packaged_weights(MODELS["efficientnet_lite0"]), weights_only=True))
    images = efficientnet.normalize(torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)))
    with torch.inference_mode():
        close_to(efficientnet.module(images), network(images))


@pytest.mark.parametrize(
    ("picture", "name", "probability"),
    [
        ("sample:chelsea", "tiger cat", 0.386),
        ("sample:china", "palace", None),
        ("pig.jpeg", "hog", 0.920),
        ("dog_cat.jpeg", "golden retriever", 0.392),
        ("parrot.jpg", "macaw", None),
        ("hot_dog.jpg", "hotdog", None),
    ],
)
def test_predictions(efficientnet, shared, picture, name, probability):
    spec = picture if picture.startswith("sample:") else shared / "images" / picture
    scores = predict(efficientnet, [read(spec).image]).softmax(1)[0]
    best = int(scores.argmax())
    assert efficientnet.description.label(best) == name
    if probability:
        within(float(scores[best]), probability, absolute=0.002, because="recorded with three digits")


def test_accuracy_on_a_hundred_pictures(efficientnet, shared):
    folder = shared / "imagenet-sample"
    rows = list(csv.DictReader((folder / "labels.csv").open()))[::8]
    assert len(rows) == 100
    right = 0
    for start in range(0, 100, 25):
        batch = rows[start : start + 25]
        scores = predict(efficientnet, [read(folder / f"{row['wnid']}.jpg").image for row in batch])
        right += int((scores.argmax(1) == torch.tensor([int(row["class_index"]) for row in batch])).sum())
    assert right >= 80


def test_every_layer_has_the_described_shape_and_sign(efficientnet, shared):
    seen, handles = {}, []
    for layer in efficientnet.description.layers:
        module = efficientnet.module_of(layer.name)
        handles.append(module.register_forward_hook(lambda m, i, value, name=layer.name: seen.update({name: value})))
    try:
        predict(efficientnet, [Image.open(shared / "images" / "pig.jpeg")])
    finally:
        for handle in handles:
            handle.remove()
    assert list(seen) == [layer.name for layer in efficientnet.description.layers]
    for layer in efficientnet.description.layers:
        value = seen[layer.name]
        assert tuple(value.shape[1:]) == layer.shape
        assert (float(value.min()) >= 0) == layer.nonnegative, layer.name


def test_short_names(efficientnet):
    layers = efficientnet.description.by_name
    assert layers["block5c"].shape == (112, 14, 14) and not layers["block5c"].nonnegative
    assert layers["block5c.expand"].shape == (672, 14, 14) and layers["block5c.expand"].nonnegative
    assert "block1a.expand" not in layers
    assert layers["stem"].shape == (32, 112, 112) and layers["head"].shape == (1280, 7, 7)


def test_other_input_sizes_run(efficientnet):
    for size in ((96, 131), (225, 64)):
        with torch.inference_mode():
            assert efficientnet.module(torch.zeros(1, 3, *size)).shape == (1, 1000)
