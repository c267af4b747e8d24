"""A model's fingerprint covers tensors of every kind; a model with unreadable tensors is never recognized again."""

import gc

import pytest
import torch
from brings import brings
from torch import nn

import bbilang
from bbilang.runtime.models.adapt import adapt
from bbilang.runtime.passes.module.tensor_bytes import content
from bbilang.runtime.recall.identity import known_model_of


def by_channel(scale):
    return torch.quantize_per_channel(torch.ones(2, 2), torch.tensor([0.1, scale]), torch.zeros(2), 0, torch.qint8)


KINDS = {  # number -> a tensor that depends on it
    "bfloat16": lambda n: torch.full((4,), n).bfloat16(),
    "float8": lambda n: torch.full((4,), n).to(torch.float8_e4m3fn),
    "sparse": lambda n: torch.tensor([[0.0, n], [0.0, 0.0]]).to_sparse(),
    "csr": lambda n: torch.tensor([[0.0, n], [0.0, 0.0]]).to_sparse_csr(),
    "quantized": lambda n: torch.quantize_per_tensor(torch.arange(4.0), 0.1, int(n), torch.qint8),
    "by channel": by_channel,
    "conjugate": lambda n: torch.tensor([1 + 2j, n * 1j]).conj(),
    "negative": lambda n: torch.tensor([1 + 2j, n * 1j]).conj().imag,
    "a single bool": lambda n: torch.tensor(n > 1),
    "integers": lambda n: torch.tensor([int(n)]),
}
pytestmark = pytest.mark.filterwarnings("ignore")  # torch calls quantized and compressed tensors old, or new


def small(buffer=None, persistent=True):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    if buffer is not None:
        net.register_buffer("table", buffer, persistent=persistent)
    return net


def fingerprint(net):
    return adapt(net, (12, 12)).fingerprint


@brings(
    "Networks",
    "buffers in bfloat16, float8, sparse, quantized, complex or meta form",
    "works: their values are unchanged",
)
@pytest.mark.parametrize("kind", KINDS)
def test_buffers_of_every_kind(kind):
    make = KINDS[kind]
    known = fingerprint(small(make(1.0)))
    assert known == fingerprint(small(make(1.0)))  # the same in every process
    assert known != fingerprint(small()) and known != fingerprint(small(make(2.0)))


def test_buffers_without_values_and_without_entries():
    known = {fingerprint(small(torch.zeros(size, device="meta"))) for size in ((0, 2), (0, 3), (4,))}
    assert len(known) == 3


def test_buffers_that_no_state_dict_has_count():
    assert fingerprint(small(torch.ones(2), False)) != fingerprint(small(torch.zeros(2), False))


def test_a_page_with_such_a_buffer_is_made_twice():
    net = small(torch.arange(4.0).bfloat16())
    text = "`0`.channel | attribute(output[1]) | top(2) | present(bars)".replace("`0`", '"0"')
    values = [
        bbilang.run(text, model=net, input=torch.full((3, 12, 12), 0.5)).data("element-1").values for _ in range(2)
    ]
    assert (values[0] == values[1]).all()


class Packed:
    """Something that a backend keeps in its own form."""


class Backend(nn.Module):
    def get_extra_state(self):
        return Packed()

    def set_extra_state(self, state):
        pass

    def forward(self, x):
        return x


def test_unreadable_tensors_are_never_recognized():
    adapter = adapt(nn.Sequential(*small(), Backend()), (12, 12))
    assert content(Packed()) is None and not adapter.knowable
    assert adapter.fingerprint != adapter.fingerprint
    assert known_model_of(adapter, callers=False) is None


def test_tensors_of_inference_mode_are_read_again():
    with torch.inference_mode():
        net = small()
    adapter = adapt(net, (12, 12))
    before = adapter.fingerprint
    assert before == adapter.fingerprint
    with torch.inference_mode():
        net[0].bias.add_(1)
    assert before != adapter.fingerprint


def test_memory_that_was_given_to_others_is_not_taken_for_the_old():
    net = small()
    adapter = adapt(net, (12, 12))
    before, address = adapter.fingerprint, net[4].bias.data_ptr()
    net[4].bias = None
    gc.collect()
    for _ in range(50):  # the allocator gives freed memory of the same size back at once, mostly
        net[4].bias = nn.Parameter(torch.full((3,), 7.0))
        if net[4].bias.data_ptr() == address:
            break
    assert before != adapter.fingerprint
