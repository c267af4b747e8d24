"""Describe a module by one forward pass: its layers with shapes, signs and costs, and its scores."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bbilang.compiler.check.output_shapes import averaged, is_map
from bbilang.compiler.ir.model_description import (
    IDLE,
    INPUT,
    NO_TENSOR,
    SCRIPTED,
    SEVERAL,
    UNLIKE,
    LayerDescription,
    ModelDescription,
    layer_name,
)
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.device.memory_traffic import MemoryTraffic
from bbilang.runtime.errors import error
from bbilang.runtime.models import score_output as scored
from bbilang.runtime.models.dataflow import Dataflow
from bbilang.runtime.models.forward_record import Record, Result, attention_hooks, is_identity
from bbilang.runtime.models.heads import KIND, attention_names, modules_with_heads
from bbilang.runtime.passes.hooks import frozen_module, shares_memory, with_tensor
from bbilang.runtime.passes.module.precision import input_types, remember_input_type
from bbilang.runtime.passes.module.results import first_tensor, tensor_path, value_at

log = logging.getLogger("bbilang.models")

WORDS = {"image": "an image", "audio": "a sound", "signal": "a signal", "sequence": "a sequence", "vector": "a vector"}


def describe_module(
    module: nn.Module,
    input_size: tuple[int, int],
    name: str = "model",
    channels: int = 3,
    *,
    output: str = "",
    title: str = "",
    labels: tuple[str, ...] = (),
    names: Mapping[str, str] | None = None,
    aliases: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
    reads: str = "image",
) -> ModelDescription:
    """Run one forward on zeros, (input=1, channel, y, x) for an image; the module is restored afterwards.

    ``names``: short name -> module path; without it every module that ran exactly once, under its path, except
    identities in eval mode (dropout). ``kinds``: short name -> kind. Layers come in the order in which they finish,
    with the FLOPs that were spent until then (as torch.utils.flop_counter counts: convolutions and matrix products).
    Axes by rank: (channel, y, x) or, where the channel is found to be last, (y, x, channel); (token, channel);
    (channel,). Tokens of image patches have their grid. ``output``: the path whose result (input, class) is the scores;
    without one, the module's own result, or no classes where that is not one vector. ``reads``: "image"; "text" for a
    module that takes token ids (input=1, token), ``input_size`` (1, token); "signal" (input=1, channel, x) and
    "sequence" (input=1, x, channel), ``input_size`` (1, x); or "vector" (input=1, channel). Modules that are no layers
    are recorded with the reason. Raises BbiError E408 where the forward fails, or the output is no module or not one
    vector.
    """
    record = _run(module, input_size, channels, output, reads, set((names or {}).values()))
    heads = record.known_heads()
    paths = {path: short for short, path in names.items()} if names is not None else None
    absent = {} if paths is not None else _absent(module, record)
    layers = _layers(record, input_size, paths, kinds or {}, reads, absent)
    layers, resolved = _joined(layers, record.sources)
    if missing := set(names or ()) - {layer.name for layer in layers}:
        raise error("E408", f"the layers {', '.join(sorted(missing))} of {name} did not run exactly once")
    classes, part, kind = _scores(module, name, output, record)
    parts = tuple(replace(p, layers=resolved(p.layers) if record.followed else ()) for p in record.parts)
    if labels and len(labels) != classes:
        problem = f"has {classes} classes" if classes else "gives no vector of scores"
        help = None if classes else next((averaged(part.name) for part in parts if is_map(part.shape)), None)
        raise error("E408", f"{name} {problem}, but there are {len(labels)} labels", help)
    size = (int(input_size[0]), int(input_size[1]))
    others = dict(aliases or {}) or _second_names(module, layers)
    output = output if record.results.get(output) is not None else ""
    return ModelDescription(
        name, title or name, size, tuple(layers), classes, labels, output, others, record.total, reads, record.bytes,
        3 if reads == "text" else channels, absent=absent, scores=kind, part=part, parts=() if record.plain else parts,
        ends=resolved(record.ends) if record.followed else (),
        heads=modules_with_heads(heads, {layer.module: layer.name for layer in layers}),
    )  # fmt: skip


def _layers(
    record: Record, input_size: tuple[int, int], paths: Mapping[str, str] | None, kinds: Mapping[str, str], reads: str,
    absent: dict[str, str],
) -> list[LayerDescription]:  # fmt: skip
    """Return the layers among the modules that ran, under their short names in ``paths``; add those that are none to
    ``absent``. Their ``inputs`` are paths still."""
    layers, heads = [], attention_names(record.known_heads())
    for path, result in record.results.items():
        axes = result.axes(input_size, reads) if result is not None and (paths is None or path in paths) else ()
        if result is not None and not axes and paths is None and path:
            absent[path] = UNLIKE
        if result is None or not axes or (path in record.heads and path not in heads):
            continue
        short = layer_name(paths[path] if paths is not None else heads.get(path, path))
        grid = record.grid(result) if reads == "image" and axes[0] == "token" else ()
        layers.append(LayerDescription(
            short, path, axes, result.shape[1:], result.facts.nonnegative, result.flops,
            kinds.get(short, KIND if path in heads else ""),
            tuple(result.inputs), grid, result.shape[1] - math.prod(grid) if grid else 0, result.bytes,
            scored.kind_of(result.facts.last, result.shape[1]) if axes == ("channel",) else "", result.own_flops,
        ))  # fmt: skip
    return layers


def _absent(module: nn.Module, record: Record) -> dict[str, str]:
    """Return the modules without a result of their own: path -> reason."""
    scripted = [path for path, child in module.named_modules() if isinstance(child, torch.jit.ScriptModule)]
    reasons = {}
    for path, _ in module.named_modules():
        if not path or record.results.get(path) is not None or path in record.passed:
            continue
        inside = any(path.startswith(f"{outer}.") or not outer for outer in scripted)
        several, ran = record.runs.get(path, 0) > 1, path in record.results
        reasons[path] = SEVERAL if several else NO_TENSOR if ran else SCRIPTED if inside else IDLE
    return reasons


def _second_names(module: nn.Module, layers: list[LayerDescription]) -> dict[str, str]:
    """Return further paths of shared modules: `net.same = net.b`."""
    first = {child: path for path, child in module.named_modules()}
    names = {layer.module: layer.name for layer in layers}
    paths = ((path, first[child]) for path, child in module.named_modules(remove_duplicate=False))
    return {path: names[own] for path, own in paths if path != own and own in names and layer_name(path) == path}


def _scores(module: nn.Module, name: str, output: str, record: Record) -> tuple[int, str, str]:
    """Return (number of classes, the part of the result that is the scores, the kind of scores). Raises E408 where
    ``output`` is no vector."""
    last = record.results.get(output) if output else None
    vector = any(part.vector for part in record.parts)
    if last is not None:
        if len(last.shape) != 2 or last.shape[0] != 1:
            problem = f"gives the shape {last.shape}"
            help = averaged() if is_map(tuple(last.shape[1:])) and not vector else None
            message = f"the output `{output}` of {name} {problem}, not one vector of scores (input, class)"
            raise error("E408", message, help)
        return last.shape[1], "", scored.kind_of(last.facts.last, last.shape[1])
    part = next((part for part in record.parts if part.name == output), None) if output else scored.chosen(record.parts)
    if output and (part is None or not (part.vector or part.map)):
        problem = "gives no single tensor" if part is None else f"has the shape {part.shape}"
        help = averaged(output) if part is not None and is_map(part.shape) and not vector else None
        message = f"the output `{output}` of {name} {problem}, not one vector of scores (input, class)"
        raise error("E408", message, help)
    if part is None:
        return 0, "", scored.kinds.UNLESS
    if part.map:
        return part.shape[0], part.name, scored.kinds.VALUE
    return math.prod(part.shape), "" if record.plain else part.name, part.scores


def _joined(
    layers: list[LayerDescription], sources: Mapping[str, frozenset[str]]
) -> tuple[list[LayerDescription], Callable[[Iterable[str]], tuple[str, ...]]]:
    """Resolve ``inputs`` to names of layers, in forward order; a module that is no layer is replaced by its own inputs
    in that run. Also returns what resolves any such paths."""
    order = {layer.module: number for number, layer in enumerate(layers)}
    names = {layer.module: layer.name for layer in layers} | {INPUT: INPUT}

    def layers_behind(path: str, seen: set[str]) -> set[str]:
        if path in names:
            return {path}
        seen.add(path)
        return {p for inner in sources.get(path, ()) if inner not in seen for p in layers_behind(inner, seen)}

    def resolved(paths: Iterable[str]) -> tuple[str, ...]:
        behind = {p for path in paths for p in layers_behind(path, set())}
        return tuple(names[path] for path in sorted(behind, key=lambda path: order.get(path, -1)))

    return [replace(layer, inputs=resolved(layer.inputs)) for layer in layers], resolved


def _run(
    module: nn.Module, input_size: tuple[int, int], channels: int, output: str, reads: str, named: set[str]
) -> Record:
    """Run the forward, again with every further dtype of the parameters while it fails. Raises E408 where no dtype
    works."""
    paths = {child: path for path, child in module.named_modules() if path}
    shape = _shape(reads, channels, input_size)
    problem: Exception | None = None
    for dtype in [torch.float32] if reads == "text" else input_types(module):
        try:
            record = _run_once(module, shape, dtype, output, reads, named)
        except Exception as e:  # a model's own forward, on an input that it may not take, raises what it likes
            log.info("%s does not run on %s: %r", type(module).__name__, dtype, e, exc_info=e)
            problem = problem or e
            continue
        if output and output not in (*paths.values(), *(part.name for part in record.parts)):
            raise error("E408", f"the output `{output}` is not a module of this model, and no part of what it gives")
        remember_input_type(module, dtype)
        return record
    text = str(problem).strip().splitlines()
    what = f"a text of {shape[1]} tokens" if reads == "text" else f"{WORDS[reads]} of {' x '.join(map(str, shape))}"
    message = f"the model does not take {what}: {text[0] if text else type(problem).__name__}"
    raise error("E408", message, _help(module, reads)) from problem


def _run_once(
    module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, output: str, reads: str, named: set[str]
) -> Record:
    """Run one forward on zeros with hooks on every module."""
    paths = {child: path for path, child in module.named_modules() if path}
    record, counter, flow = Record(), FlopCounterMode(display=False), Dataflow(module)
    traffic = MemoryTraffic()
    runs, begun = record.runs, _Begun(paths, counter)

    def hook(child: nn.Module, arguments: tuple[object, ...], value: object) -> object:
        path, tensor = paths[child], first_tensor(value)
        if is_identity(child) and path not in named and path != output:
            record.passed.add(path)
            return None
        runs[path] = runs.get(path, 0) + 1
        if tensor is None:
            record.results[path] = None
            return None
        facts, repeated = flow.of(tensor), path in record.results
        mark = f"{path}#{runs[path]}" if repeated else path
        record.sources[mark] = facts.origins
        record.results[path] = None if repeated else Result(
            tuple(tensor.shape), facts, facts.origins, *_costs(counter, traffic),
            own_flops=begun.since(path),
        )  # fmt: skip
        handle = flow.handle(tensor)
        flow.put(handle, origins=frozenset({mark}))
        try:
            return with_tensor(value, handle, path)
        except BbiError:  # a custom class that cannot be built from its parts
            flow.put(tensor, origins=frozenset({mark}))
            flow.followed = flow.followed and not shares_memory(tensor, arguments)
            return None

    example = torch.zeros(shape, device=next(module.parameters(), torch.empty(0)).device, dtype=dtype)
    flow.put(example, origins=frozenset({INPUT}), channel=None if reads == "text" else 2 if reads == "sequence" else 1)
    with frozen_module(module) as handles:  # frozen: FlopCounterMode adds hooks to results that require a gradient
        live = [child for child in paths if not isinstance(child, torch.jit.ScriptModule)]
        handles += attention_hooks([module, *live], paths, flow, record, partial(_costs, counter, traffic))
        handles += [child.register_forward_pre_hook(begun) for child in live]
        handles += [child.register_forward_hook(hook) for child in live]
        with torch.no_grad(), counter, traffic, flow.watch, flow:
            whole = module(example)
        while handles:
            handles.pop().remove()
        record.followed = flow.followed
        with torch.no_grad():
            twice = example.repeat(2, *[1] * (example.ndim - 1))
            pictured = (shape[2], shape[3]) if reads == "image" else None
            record.parts = scored.described(whole, lambda: module(twice), flow.of, module, pictured)
    part = next((p for p in record.parts if p.name == output), None) or scored.chosen(record.parts)
    first = tensor_path(whole)
    if part is not None and first is not None and scored.path_named(part.name) == first:
        record.plain = value_at(whole, first).ndim == 2
    origins = frozenset[str]() if first is None else flow.of(value_at(whole, first)).origins
    record.ends = frozenset(part.layers) if part is not None else origins
    if output and record.results.get(output) is not None:
        record.ends = frozenset({output})
    record.total, record.bytes = counter.get_total_flops(), traffic.bytes
    return record


class _Begun:
    """The FLOPs that were spent before each module began: a hook."""

    def __init__(self, paths: Mapping[nn.Module, str], counter: FlopCounterMode):
        self.paths, self.counter, self.flops = paths, counter, dict[str, int]()

    def __call__(self, child: nn.Module, arguments: tuple[object, ...]) -> None:
        self.flops[self.paths[child]] = self.counter.get_total_flops()

    def since(self, path: str) -> int:
        """Return the FLOPs that were spent since a module began."""
        return self.counter.get_total_flops() - self.flops[path]


def _costs(counter: FlopCounterMode, traffic: MemoryTraffic) -> tuple[int, int]:
    return counter.get_total_flops(), traffic.bytes


def _shape(reads: str, channels: int, input_size: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape of one input, its axis first."""
    match reads:
        case "text":
            return (1, input_size[1])
        case "signal":
            return (1, channels, input_size[1])
        case "sequence":
            return (1, input_size[1], channels)
        case "vector":
            return (1, channels)
    return (1, channels, *input_size)


def _help(module: nn.Module, reads: str) -> str:
    """Suggest what may make the module run."""
    if reads == "text":
        return "texts are given as numbers of tokens (input, token), `bbilang.adapt_text(module, tokenizer)`"
    if needed := further_arguments(module):
        names = " and ".join(f"`{name}`" for name in needed)
        return f"its forward needs {names} besides the input: wrap it in a module whose forward takes one tensor"
    if any(isinstance(child, nn.Conv3d) for child in module.modules()):
        return "it has 3-D convolutions: inputs are (channel, y, x), (channel, x) or (channel,), and no volumes"
    return "say what it takes: `bbilang.adapt(module, input_size=(y, x), channels=3)`, or `run(..., input_size=(y, x))`"


def further_arguments(module: nn.Module) -> list[str]:
    """Return the required arguments of the module's forward after the first."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    several = [p.name for p in parameters if p.kind in kinds and p.default is inspect.Parameter.empty][1:]
    only = inspect.Parameter.KEYWORD_ONLY
    return several + [p.name for p in parameters if p.kind == only and p.default is inspect.Parameter.empty]
