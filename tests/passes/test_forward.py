"""One forward: what it captures, where it stops, and that it restores the model."""

import pytest
import torch
from closeness import close_to

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.passes import Passes, forward, module_unchanged


def test_captures_equal_the_slow_twin(slow_twin, layers, network, adapter, images, unchanged):
    want, scores = slow_twin()
    for grad in (False, True):
        got = forward(adapter, images, layers, grad=grad)
        assert list(got.activations) == layers
        for layer in layers:
            close_to(got[layer], want[layer].detach())
            assert not got[layer].requires_grad
        close_to(got.scores, scores.detach())
    assert (got["first"] < 0).any(), "an in-place ReLU has overwritten the capture"
    assert (got["right"] < 0).any()


def test_what_goes_on_without_a_copy_is_copied_again_once_it_changes(slow_twin, layers, network, adapter, images):
    want, _ = slow_twin()
    counter = Passes()
    with module_unchanged():
        network.act.inplace = False
        for forwards in (1, 2):  # the first copies, and learns that nothing changes the results
            forward(adapter, images, layers, counter=counter)
            assert counter.forwards == forwards
        network.act.inplace = True  # a forward that decides by its input
        for forwards in (4, 5):  # one runs again with copies; those after it know
            got = forward(adapter, images, layers, counter=counter)
            assert counter.forwards == forwards
            for layer in layers:
                close_to(got[layer], want[layer].detach())


def test_one_forward_for_all_layers_and_it_stops(network, adapter, images, unchanged):
    counter = Passes()
    forward(adapter, images, ["second"], want_output=False, counter=counter)  # the probe runs the whole model once
    assert counter.probes == 1
    network.ran.clear()
    forward(adapter, images, ["second", "first"], want_output=False, counter=counter)
    assert network.ran == ["first", "act", "second"]
    assert (counter.forwards, counter.forward_rows, counter.backwards, counter.probes) == (2, 4, 0, 1)


def test_input_alone_runs_nothing(network, adapter, images):
    counter = Passes()
    got = forward(adapter, images, ["input"], want_output=False, counter=counter)
    assert torch.equal(got["input"], images) and counter == Passes() and network.ran == []


def test_scores_of_an_inner_module(network, make_stub, images, unchanged):
    got = forward(make_stub(network, output="left"), images, ["first"])
    assert got.scores.shape == (2, 3, 12, 12)
    assert network.ran[-2:] != ["pair", "head"]


def code(error):
    return error.value.diagnostics[0].code


@pytest.mark.parametrize("want_output", [True, False])
def test_a_module_that_runs_twice_is_an_error(adapter, images, want_output, unchanged):
    with pytest.raises(BbiError, match="`act` runs more than once") as error:
        forward(adapter, images, ["act"], want_output=want_output)
    assert code(error) == "E501"


def test_a_module_that_never_runs_is_an_error(adapter, images, unchanged):
    with pytest.raises(BbiError, match="`unused`") as error:
        forward(adapter, images, ["unused"])
    assert code(error) == "E502"


def test_not_finite_is_an_error_that_names_layer_and_input(adapter, images, unchanged):
    images[1, 0, 0, 0] = float("nan")
    with pytest.raises(BbiError, match=r"`first` are not finite \(input 1\)") as error:
        forward(adapter, images, ["first"])
    assert code(error) == "E503"


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError("x")])
def test_given_back_after_an_exception(layers, network, adapter, images, raised, unchanged):
    def burst(x):
        raise raised

    network.pair.forward = burst
    with pytest.raises(type(raised) if isinstance(raised, Exception) else raised):
        forward(adapter, images, layers, grad=True)
    del network.pair.forward


@pytest.mark.parametrize(
    "raised", [torch.OutOfMemoryError("x"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory_says_what_to_do(network, adapter, images, raised, unchanged):
    def burst(x):
        raise raised

    network.pair.forward = burst
    with pytest.raises(BbiError, match="smaller") as error:
        forward(adapter, images, ["first"])
    assert code(error) == "E504"
    del network.pair.forward


def test_replaced_activations_are_what_follows_reads(network, adapter, images, unchanged):
    plain = forward(adapter, images, ["right"])
    zero = forward(adapter, images, ["right"], replace={"second": torch.zeros(())})
    assert not torch.equal(plain["right"], zero["right"])
    same = forward(adapter, images, ["right"], replace={"right": plain["right"]})
    close_to(same.scores, plain.scores)


def test_works_under_inference_mode(adapter, images):
    with torch.inference_mode():
        got = forward(adapter, images, ["second"], grad=True)
    assert got.score_graph.requires_grad
