"""Files of training scripts: containers, prefixes, averaged copies; and files that are something else."""

import argparse
import gzip
import json

import pytest
import torch
from brings import brings
from safetensors.torch import save_file
from torch import nn

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.weights.load import fit, fit_file, random_state


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def state(number):
    """Every tensor filled with one number."""
    return {name: torch.full_like(value, number) for name, value in net().state_dict().items()}


def prefixed(prefix, number=1):
    return {prefix + name: value for name, value in state(number).items()}


def loaded(content, tmp_path, module=None, name="w.pth"):
    """Return (the number that was loaded, the message)."""
    module = module or net()
    file = tmp_path / name
    if content is not None:
        torch.save(content, file)
    said = fit_file(module, file).words
    values = {float(value.flatten()[0]) for value in module.state_dict().values()}
    assert len(values) == 1
    return values.pop(), said


def refused(code, act):
    with pytest.raises(BbiError) as caught:
        act()
    [diagnostic] = caught.value.diagnostics
    assert diagnostic.code == code
    assert "\n" not in diagnostic.message
    return f"{diagnostic.message} / {diagnostic.help}"


CASES = {
    "plain": (lambda: state(1), ""),
    "DataParallel": (lambda: prefixed("module."), ", prefix `module.` removed"),
    "torch.compile": (lambda: prefixed("_orig_mod."), ", prefix `_orig_mod.` removed"),
    "both, nested": (lambda: prefixed("module._orig_mod.model."), ", prefix `module._orig_mod.model.` removed"),
    "Lightning": (
        lambda: {"epoch": 3, "state_dict": prefixed("model."), "hyper_parameters": {"lr": 0.1}, "callbacks": {}},
        " from `state_dict`, prefix `model.` removed",
    ),
    "Lightning with a loss": (
        lambda: {"state_dict": prefixed("net.") | {"criterion.weight": torch.ones(2)}},
        " from `state_dict`, prefix `net.` removed; 1 left out (`criterion.weight`)",
    ),
    "net": (lambda: {"epoch": 3, "net": state(1)}, " from `net`"),
    "an optimizer": (
        lambda: {"model": state(1), "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}, "best": 0.5},
        " from `model`",
    ),
    "an optimizer that uses names": (
        lambda: {"optimizer": {"exp_avg": state(5)}, "model_state_dict": state(1)}, " from `model_state_dict`",
    ),
    "timm": (
        lambda: {"arch": "x", "args": argparse.Namespace(lr=1), "state_dict": state(2), "state_dict_ema": state(1)},
        " from `state_dict_ema`; not `state_dict`, which would fit too",
    ),
    "averaged, prefixed": (
        lambda: {"model": state(2), "model_ema": prefixed("module.")},
        " from `model_ema`, prefix `module.` removed; not `model`, which would fit too",
    ),
    "an averaged copy inside": (
        lambda: {"ema": {"decay": 0.9, "state_dict": state(1)}, "state_dict": state(2)},
        " from `ema.state_dict`; not `state_dict`, which would fit too",
    ),
    "averaged beside the plain": (
        lambda: {"state_dict": prefixed("model.", 2) | prefixed("model_ema.")},
        " from `state_dict`, prefix `model_ema.` removed; not `state_dict`, prefix `model.` removed",
    ),
    "DINO": (
        lambda: {"student": prefixed("module.backbone.", 2), "teacher": prefixed("backbone.")},
        " from `teacher`, prefix `backbone.` removed; not `student`, prefix `module.backbone.` removed",
    ),
    "a student alone": (lambda: prefixed("student."), ", prefix `student.` removed"),
    "AveragedModel": (
        lambda: prefixed("module.") | {"n_averaged": torch.tensor(3)},
        ", prefix `module.` removed; 1 left out (`n_averaged`)",
    ),
    "a prefix of one's own": (lambda: prefixed("my_classifier.net."), ", prefix `my_classifier.net.` removed"),
}  # fmt: skip


@brings(
    "Weights",
    "files of Lightning, timm, DDP and torch.compile, with prefixes and containers",
    "works, and the page says what was loaded",
)
@pytest.mark.parametrize("case", CASES)
def test_what_training_scripts_save(case, tmp_path):
    make, words = CASES[case]
    value, said = loaded(make(), tmp_path)
    assert value == 1
    assert said.startswith(f"w.pth: 9 tensors{words}"), said


def test_a_prefix_that_the_model_has_and_the_file_has_not(tmp_path):
    wrapped = nn.Module()
    wrapped.net = net()
    assert loaded(state(1), tmp_path, wrapped) == (1, "w.pth: 9 tensors, prefix `net.` added")


@brings("Weights", "a file with two sets of weights that both match", "refused with E444")
def test_two_that_fit(tmp_path):
    both = {"left": state(1), "right": state(2)}
    assert "`left` and `right`" in refused("E444", lambda: loaded(both, tmp_path))
    both = prefixed("first.", 1) | prefixed("second.", 2)
    assert "`first.` and `second.`" in refused("E444", lambda: loaded(both, tmp_path))
    assert loaded({"left": state(1), "right": state(1)}, tmp_path)[0] == 1  # which one makes no difference


def test_what_does_not_fit_is_told_without_its_prefix(tmp_path):
    rest = prefixed("module.")
    del rest["module.3.bias"]
    said = refused("E404", lambda: loaded({"state_dict": rest}, tmp_path))
    assert "from `state_dict`, prefix `module.` removed: 1 missing (`3.bias`)" in said


@brings(
    "Weights", "complex, quantized or sparse tensors in a file for a real-valued network", "refused with E404 or E403"
)
def test_kinds_of_numbers(tmp_path):
    changed = {
        "complex": torch.ones(2, dtype=torch.complex64), "integers": torch.ones(2, dtype=torch.int8),
        "sparse": torch.ones(2).to_sparse(), "without values": torch.ones(2, device="meta"),
    }  # fmt: skip
    for kind, value in changed.items():
        code = "E404" if kind in ("complex", "integers") else "E403"
        said = refused(code, lambda value=value: loaded(state(1) | {"3.bias": value}, tmp_path))
        assert kind in said and "`3.bias`" in said
    counters = state(1) | {"1.num_batches_tracked": torch.tensor(1.0)}
    assert loaded(counters, tmp_path)[0] == 1
    said = refused("E404", lambda: loaded(counters | {"1.num_batches_tracked": torch.tensor(1.5)}, tmp_path))
    assert "float32, and the model's is int64" in said


def test_numbers_that_the_models_own_type_cannot_hold(tmp_path):
    said = refused("E405", lambda: loaded(state(1) | {"3.bias": torch.full((2,), 1e6)}, tmp_path, net().half()))
    assert "float16" in said


def test_the_name_of_a_file_says_nothing_about_its_form(tmp_path):
    save_file(state(1), tmp_path / "w.pth")
    assert loaded(None, tmp_path) == (1, "w.pth: 9 tensors")
    assert loaded(state(1), tmp_path, name="w.safetensors")[0] == 1


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight


def test_tied_weights_stay_tied(tmp_path):
    one = {"embed.weight": torch.full((5, 3), 2.0)}
    for content in (one, one | {"head.weight": torch.full((5, 3), 2.0)}):
        module = Tied()
        torch.save(content, tmp_path / "w.pth")
        fit_file(module, tmp_path / "w.pth")
        assert module.head.weight is module.embed.weight and float(module.head.weight.detach()[0, 0]) == 2
    torch.save(one | {"head.weight": torch.zeros(5, 3)}, tmp_path / "w.pth")
    assert "one tensor in the model" in refused("E404", lambda: fit_file(Tied(), tmp_path / "w.pth"))
    module = Tied()
    fit(module, random_state(module, 0), "random weights")
    assert module.head.weight is module.embed.weight


# --- files that are something else ----------------------------------------------------------------------------------


@brings("Weights", "an HTML page, a git-lfs pointer or another file that contains no weights", "refused with E403")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>404</html>", "is an HTML page"),
        (b"\n<!DOCTYPE html><title>Sign in</title>", "is an HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "HTML or XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s3--00.pth\n", "git-annex"),
        (b"", "is empty"),
        (b"GGUF\x03\0\0\0", "llama.cpp"),
        (b"\x89HDF\r\n\x1a\n\0", "Keras"),
        (gzip.compress(b"x", mtime=0), "unpack it first"),
        (json.dumps({"metadata": {}, "weight_map": {"a": "b"}}).encode(), "the index of weights in several files"),
        (b'{"message": "Not Found"}', "a text in JSON"),
        (b"hello", "damaged, cut short, or not such a file"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_that_are_something_else(content, words, suffix, tmp_path):
    (tmp_path / f"w{suffix}").write_bytes(content)
    assert words in refused("E403", lambda: fit_file(net(), tmp_path / f"w{suffix}"))


@pytest.mark.filterwarnings("ignore")  # TorchScript is called old
@brings("Weights", "a torch.export or TorchScript program given as weights", "refused with E403 and advice")
def test_programs_are_not_weights(tmp_path):
    import numpy as np

    module = net()[:3].eval()
    program = torch.export.export(module, (torch.zeros(1, 3, 3, 3),))
    torch.export.save(program, tmp_path / "w.pt2")
    assert "--allow-code" in refused("E403", lambda: fit_file(module, tmp_path / "w.pt2"))
    torch.jit.script(module).save(tmp_path / "w.pt")
    assert "TorchScript" in refused("E403", lambda: fit_file(module, tmp_path / "w.pt"))
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    assert "arrays of numpy" in refused("E403", lambda: fit_file(module, tmp_path / "w.npz"))


def test_which_object_is_in_the_way_is_told(tmp_path):
    import numpy as np

    assert "scalar" in refused("E403", lambda: loaded({"state_dict": state(1), "best": np.float64(1)}, tmp_path))


@pytest.mark.filterwarnings("ignore")  # torch's own, on trees
def test_a_file_of_weights_for_an_exported_program(tmp_path):
    from bbilang.runtime.models.loading import load
    from bbilang.runtime.models.sources.permission import code_allowed

    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    torch.export.save(torch.export.export(module, (torch.rand(1, 3, 12, 12),)), tmp_path / "net.pt2")
    other = {f"module.{name}": value * 2 for name, value in module.state_dict().items()}
    torch.save({"model_ema": other}, tmp_path / "w.pth")
    with code_allowed():
        adapter = load(str(tmp_path / "net.pt2"), tmp_path / "w.pth")
    assert adapter.weights == "w.pth: 4 tensors from `model_ema`, prefix `module.` removed"
    assert all(torch.equal(value, other[f"module.{name}"]) for name, value in adapter.module.state_dict().items())


def test_names_of_files_that_are_none():
    from bbilang.runtime.models.loading import load

    for name in ("a\0b.pth", "~nobody-of-this-name/w.pth", "x" * 5000):
        refused("E403", lambda name=name: load("googlenet", name))
