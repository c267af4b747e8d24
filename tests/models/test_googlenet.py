"""GoogLeNet: torchvision's state dict loads, and gives torchvision's logits."""

import importlib.util
import subprocess
import sys
import textwrap

import pytest
import torch
from closeness import close_to

from bbilang.runtime.models.descriptions import describe
from bbilang.runtime.models.loading import load
from bbilang.runtime.models.zoo import googlenet


def torchvision_names():
    """The 344 names of torchvision's GoogLeNet without its auxiliary classifiers, written down by rule."""
    branches = ["branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1"]
    units = ["conv1", "conv2", "conv3"]
    units += [f"inception{n}.{b}" for n in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b") for b in branches]
    norms = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    names = [f"{unit}.{part}" for unit in units for part in ("conv.weight", *(f"bn.{norm}" for norm in norms))]
    return [*names, "fc.weight", "fc.bias"]


def test_its_names_are_torchvisions():
    assert sorted(googlenet.build().state_dict()) == sorted(torchvision_names())


def test_auxiliary_classifiers_are_dropped():
    state = {"aux1.conv.conv.weight": torch.zeros(1), "aux2.fc1.bias": torch.zeros(1), "fc.bias": torch.zeros(1000)}
    assert list(googlenet.translate(state)) == ["fc.bias"]


def test_short_and_native_names_mean_the_same_layer():
    adapter = load("torchvision:googlenet", "random")
    assert adapter.description is describe("googlenet")
    assert adapter.module_of("mixed4d") is adapter.module_of("inception4d") is adapter.module.inception4d
    assert adapter.module_of("inception4d.branch2.0") is adapter.module.inception4d.branch2[0]
    assert adapter.module_of("conv2d2") is adapter.module.conv3
    assert adapter.module_of("maxpool1") is adapter.module.maxpool1
    assert adapter.description.by_name["mixed4a"].shape == (512, 14, 14)


def test_the_input_ends_up_between_minus_one_and_one():
    images = torch.rand(1, 3, 2, 2)
    transformed = googlenet.TransformInput()(googlenet.PREPROCESS.normalize(images))
    close_to(transformed, images * 2 - 1)


SCRIPT = """
    import sys, torch
    try:
        import torchvision
    except RuntimeError:  # a torchvision built for CUDA beside a torch for the CPU
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        sys.modules.pop("torchvision", None)
        import torchvision
    from bbilang.runtime.models.loading import load
    torch.manual_seed(0)
    theirs = torchvision.models.googlenet(weights=None, init_weights=False, transform_input=True).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    torch.save(theirs.state_dict(), sys.argv[1])
    ours = load("googlenet", sys.argv[1])
    with torch.inference_mode():
        for size in ((224, 224), (197, 230)):
            images = ours.normalize(torch.rand(2, 3, *size))
            torch.testing.assert_close(ours.module(images), theirs(images), rtol=1e-4, atol=1e-6)
"""


@pytest.mark.skipif(not importlib.util.find_spec("torchvision"), reason="torchvision==0.28.0 is not installed")
def test_logits_equal_torchvisions(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / "googlenet.pth")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
