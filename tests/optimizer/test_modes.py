"""Forward or reverse mode: the choice against every choice, forced modes, the speeds that decide."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
import tiny
from bounds import CLASSES, EVEN, Asked, adapter, between, least
from closeness import close_to
from hypothesis import given, settings
from hypothesis import strategies as st

from bbilang.compiler.ir.program import Backward
from bbilang.compiler.ir.speeds import Speed, Speeds
from bbilang.compiler.optimize.ad_mode import ways
from bbilang.compiler.optimize.cost import Cost
from bbilang.compiler.optimize.rules import RULES, choose_mode, optimize
from bbilang.compiler.plan.plan import plan
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.device import calibrate

quick = settings(max_examples=40, deadline=None, derandomize=True, database=None)


@st.composite
def asks(draw: st.DrawFn, atoms: tuple[str, ...] = ("channel", "spatial")) -> Asked:
    """Channels or positions of some layers to some classes, or to channels of a later layer."""
    layers = sorted(draw(st.sets(st.sampled_from("abc"), min_size=1)))
    atom = draw(st.sampled_from(atoms))
    later = [x for x in "bc" if x > max(layers)]
    head = f"{layers[0]}.{atom}" if len(layers) == 1 else f"[{', '.join(layers)}].{atom}"
    facet = ", facet=layer" if len(layers) > 1 else ""
    ending = {
        "channel": f"present(bars{facet})",
        "spatial": f"present(heatmap{facet})",
        "neuron": f"mean(channel) | present(heatmap{facet})",
    }[atom]
    if later and draw(st.booleans()):
        target_layer, channel = draw(st.sampled_from(later)), draw(st.integers(0, 3))
        text = f"{head} | attribute({target_layer}.channel[{channel}]) | {ending}"
        return Asked(text, tuple(layers), atom, (channel,), target_layer)
    first, count = draw(st.integers(0, 9)), draw(st.sampled_from([1, 2, 7, 18, CLASSES]))
    classes = range(first, first + count) if count < CLASSES else range(CLASSES)
    written = f"output[{', '.join(map(str, classes))}]" if count < CLASSES else "output.class"
    text = f"{head} | attribute({written}) | mean(class) | {ending}"
    if len(classes) == 1:
        text = text.replace(" | mean(class)", "")
    return Asked(text, tuple(layers), atom, tuple(classes))


programs = st.lists(asks(), min_size=1, max_size=4)
rates = st.tuples(*[st.floats(0.2, 5.0)] * 3)


def derived(program) -> tuple[int, int, float]:
    """(cotangents, tangents, FLOPs) of a plan."""
    steps = plan(program)
    backward, tangents = steps.total("backward"), steps.total("tangents")
    return backward[0], tangents[0], backward[1] + tangents[1]


@quick
@given(requests=programs, speeds=rates, inputs=st.integers(1, 2))
def test_the_choice_is_the_best_of_all(requests, speeds, inputs):
    program = tiny.check("\n".join(ask.text for ask in requests), inputs, adapter())
    values, down, up = speeds
    speeds_of = Speeds(*(Speed(rate, 1e30) for rate in (values, down, up)))
    steps = plan(optimize(program, speeds=speeds_of))
    seconds = steps.total("backward")[1] / down
    for step in steps.steps:
        if step.kind == "tangents":
            layer, target_layer = (
                step.words.split(" of ")[1].split(" to ")[0],
                steps.program.tangents[step.index].target_layer,
            )
            own = inputs * between(layer, "head" if target_layer == "output" else target_layer)
            seconds += own / values + (step.flops - own) / up
    bound = least(requests, inputs, speeds)[0]
    close_to(seconds, bound)


@quick
@given(requests=programs)
def test_forced_modes_and_pure_ways(requests):
    """Forced reverse has no tangents, forced forward no cotangents; the choice costs no more than either."""
    program = tiny.check("\n".join(ask.text for ask in requests), 1, adapter())
    chosen, forward, reverse = (
        derived(optimize(program, speeds=EVEN, **c)) for c in ({}, {"force": "forward"}, {"force": "reverse"})
    )
    assert forward[0] == 0 and reverse[1] == 0 and forward[1] > 0 and reverse[0] > 0
    assert chosen[2] <= min(forward[2], reverse[2])
    for force in (None, "forward", "reverse"):
        better = optimize(program, speeds=EVEN, force=force)
        assert optimize(better) == better and better.choices.force == force


@settings(quick, max_examples=12)
@given(requests=st.lists(asks(("channel", "spatial", "neuron")), min_size=6, max_size=8))
def test_many_kinds_of_atoms_are_never_worse_than_either_way(requests):
    """Where not every choice is tried: at most what the two pure ways cost, by the measure that decides."""
    program = tiny.check("\n".join(request.text for request in requests), 1, adapter())
    for rule in RULES[: RULES.index(choose_mode)]:
        program = rule(program)
    for backward in program.backwards:
        candidates = ways(program, backward)
        assert sum(way.chosen for way in candidates) == 1
        assert min(way.cost.seconds for way in candidates) == next(way.cost.seconds for way in candidates if way.chosen)
        for way in candidates:
            assert served(way) == {(request.node, layer) for request in backward.requests for layer in request.layers}


def served(way) -> set:
    parts = [*way.tangents, *([way.backward] if way.backward else [])]
    pairs = [(request.node, layer) for part in parts for request in part.requests for layer in request.layers]
    assert len(set(pairs)) == len(pairs), "each wish is served once"
    return set(pairs)


def test_what_needs_the_gradient_itself_is_never_forward():
    """Norms of gradients, groups, and chains: they are not inner products with known parts."""
    text = (
        "a.spatial | gradient(output.class) | mean(class) | present(heatmap)\n"
        "g = b | factorize(nmf, 2)\ng | attribute(output.class) | top(3) | present(bars)\n"
        "a.channel | attribute(b.channel[1] -> output) | present(bars)"
    )
    assert derived(optimize(tiny.check(text, 1, adapter()), force="forward"))[1] == 0


def test_a_backward_that_goes_on_to_the_input_has_one_way():
    program = tiny.check("b.channel | attribute(output) | present(bars)", 1, adapter())
    assert all(isinstance(b, Backward) and len(ways(program, b)) == 1 for b in program.backwards)


def test_costs_add_up():
    one, two = Cost(1, 2, 3, 0.5), Cost(10, 20, 30, 1.0)
    assert one + two == Cost(11, 22, 33, 1.5)
    assert Speed(2.0, 4.0).seconds(10, 20) == 10.0


# --- calibration -----------------------------------------------------------------------------------------------------


@pytest.fixture
def measured(monkeypatch):
    """What was measured, without measuring: the last is the newest."""
    runs = []

    def measure(device="cpu"):
        speed = Speed(1e9 * (len(runs) + 1), 1e8)
        runs.append(Speeds(speed, speed, speed, device="a machine"))
        return runs[-1]

    monkeypatch.setattr(calibrate, "measure", measure)
    return runs


def test_speeds_are_measured_once_and_stored(tmp_path, measured):
    cache = Cache(tmp_path)
    assert calibrate.known(cache) is None and calibrate.known(None) is None
    first = calibrate.calibrated(cache)
    assert calibrate.calibrated(cache) == first == calibrate.known(Cache(tmp_path)) and len(measured) == 1
    assert calibrate.known(cache, "cuda") is None, "another device is another record"
    calibrate.calibrated(None)
    assert len(measured) == 2


@pytest.mark.parametrize("damage", ["bytes", "form", "number", "words"])
def test_a_damaged_record_is_measured_again(tmp_path, measured, damage):
    cache = Cache(tmp_path)
    calibrate.calibrated(cache)
    rates = {kind: [1e9, 1e9] for kind in calibrate.KINDS} | {"device": "x"}
    match damage:
        case "bytes":
            (record,) = (path for path in tmp_path.rglob("*") if path.is_file() and path.name == calibrate._key("cpu"))
            data = bytearray(record.read_bytes())
            data[len(data) // 2] ^= 255
            record.write_bytes(bytes(data))
        case "form":
            cache.put(calibrate._key("cpu"), b"", {kind: [1e9] for kind in calibrate.KINDS})
        case "number":
            cache.put(calibrate._key("cpu"), b"", {**rates, "reverse": [0.0, 1e9]})
        case "words":
            cache.put(calibrate._key("cpu"), b"", {**rates, "tangent": ["fast", "faster"]})
    assert calibrate.known(Cache(tmp_path)) is None
    again = calibrate.calibrated(Cache(tmp_path))
    assert len(measured) == 2 and again == measured[-1] == calibrate.known(Cache(tmp_path))


def test_speeds_are_read_without_torch(tmp_path, measured):
    calibrate.calibrated(Cache(tmp_path))
    code = (
        "import sys\nfrom bbilang.runtime.device import calibrate\nfrom bbilang.runtime.cache.disk import Cache\n"
        f"print(calibrate.known(Cache({str(tmp_path)!r})).forward.flops, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["1000000000.0", "False"], done.stderr


def test_a_real_measurement_has_sensible_rates():
    speeds = calibrate.measure()
    for kind in calibrate.KINDS:
        rate, plain = getattr(speeds, kind), getattr(Speeds(), kind)
        assert rate.flops > 1e6 and rate.flops / rate.bytes == pytest.approx(plain.flops / plain.bytes)
    assert speeds.device and dataclasses.replace(speeds, device="") != Speeds()
