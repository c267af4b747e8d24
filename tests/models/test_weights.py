"""Weights files: the formats, and every way in which one can be invalid."""

import pickle

import numpy as np
import pytest
import torch
from closeness import close_to
from safetensors.torch import save_file
from torch import nn

from bbilang.runtime.models.loading import load
from bbilang.runtime.models.weights.load import read_state


@pytest.fixture(scope="module")
def state():
    return load("googlenet", "random", seed=1).module.state_dict()


@pytest.mark.parametrize("form", ["pth", "legacy", "safetensors", "state_dict", "module.", "half", "no counters"])
def test_forms(state, form, tmp_path):
    file = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(state, file)
    elif form == "legacy":
        torch.save(state, file, _use_new_zipfile_serialization=False)
    elif form == "state_dict":
        torch.save({"epoch": 3, "state_dict": state}, file)
    elif form == "module.":
        torch.save({f"module.{name}": value for name, value in state.items()}, file)
    elif form == "half":
        torch.save({name: value.half() if value.is_floating_point() else value for name, value in state.items()}, file)
    elif form == "no counters":
        torch.save({name: value for name, value in state.items() if "num_batches" not in name}, file)
    else:
        torch.save(state, file)
    adapter = load("googlenet", str(file))
    where = {"state_dict": " from `state_dict`", "module.": ", prefix `module.` removed"}.get(form, "")
    count = 287 if form == "no counters" else 344
    assert adapter.weights == f"{file.name}: {count} tensors{where}" and not adapter.random
    dtype = np.float16 if form == "half" else np.float32
    for name, value in adapter.module.state_dict().items():
        close_to(value, state[name], roundings=1, dtype=dtype, because="stored, and not computed")


def test_tensors_that_do_not_fit(state, tmp_path, fails):
    file = tmp_path / "w.pth"
    rest = dict(state)
    del rest["fc.bias"]
    torch.save(rest | {"extra": torch.zeros(2)}, file)
    with fails("E404", "w.pth does not fit", "1 missing (`fc.bias`)", "1 unexpected (`extra`)"):
        load("googlenet", file)
    torch.save(state | {"fc.bias": torch.zeros(10)}, file)
    with fails("E404", "`fc.bias` is 10, not 1000"):
        load("googlenet", file)
    torch.save(state, file)
    with fails("E404", "missing", "unexpected", "another model"):
        load("efficientnet_lite0", file)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers(state, value, tmp_path, fails):
    file = tmp_path / "w.pth"
    torch.save(state | {"fc.bias": torch.full((1000,), value)}, file)
    with fails("E405", "not finite", "`fc.bias`"):
        load("googlenet", file)


def test_damaged_files(state, tmp_path, fails):
    torch.save(state, tmp_path / "whole.pth")
    save_file(state, tmp_path / "whole.safetensors")
    for suffix in (".pth", ".safetensors"):
        content = (tmp_path / f"whole{suffix}").read_bytes()
        for part in (b"", b"hello, I am no weights file", content[:4], content[: len(content) // 2], content[:-9]):
            file = tmp_path / f"cut{suffix}"
            file.write_bytes(part)
            with fails("E403", file.name):
                load("googlenet", file)
    with fails("E403", "there is no weights file"):
        load("googlenet", tmp_path / "none.pth")
    with fails("E403"):
        load("googlenet", tmp_path)
    with fails("E403"):
        load("googlenet", "x" * 5000)


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 1}, {3: torch.zeros(1)}, torch.zeros(3)], ids=str)
def test_files_with_other_things(content, tmp_path, fails):
    torch.save(content, tmp_path / "w.pth")
    with fails("E403", "w.pth holds"):
        read_state(tmp_path / "w.pth")


class Bomb:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return open, (self.trace, "w")


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "named safetensors"])
def test_pickled_code_is_never_run(form, tmp_path, fails):
    trace = tmp_path / "it ran"
    file = tmp_path / ("w.safetensors" if form == "named safetensors" else "w.pth")
    content = {"fc.bias": torch.zeros(2), "bomb": Bomb(str(trace))}
    if form == "pickle":
        file.write_bytes(pickle.dumps({"bomb": Bomb(str(trace))}))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form != "legacy")
    with fails("E403", file.name):
        load("googlenet", file)
    assert not trace.exists()
    if form == "zip":  # the bomb is live
        torch.load(file, weights_only=False)
        assert trace.exists()


def test_a_whole_module_is_refused(tmp_path, fails):
    torch.save(nn.Linear(2, 2), tmp_path / "w.pth")
    with fails("E403", "Python objects", "state_dict"):
        load("googlenet", tmp_path / "w.pth")
