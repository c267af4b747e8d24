"""The torch function mode that a forward runs in: it gives operations a backward that redistributes relevance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bbilang.compiler.ir.program import OUTPUT
from bbilang.compiler.optimize.target_slots import CHAIN
from bbilang.runtime.errors import error
from bbilang.runtime.relevance.calls import Call, read_call, tensors_in
from bbilang.runtime.relevance.marks import PLAIN, Mark, mark_of, marked
from bbilang.runtime.relevance.path import KEY, check_rules, no_rule_error
from bbilang.runtime.relevance.redistribute import PassThrough, Step, applied
from bbilang.runtime.relevance.rules import Options, Rule

SAME = frozenset(
    ("detach", "clone", "contiguous", "requires_grad_", "identity", "alias")
)  # operations that return the same values


Handler = Callable[["Relevance", Call], Any]  # returns the call's result, or None where it has no rule for it


class Relevance(TorchFunctionMode):
    """A mode in which backward passes compute relevance.

    ``rule_of``: (kind, reads the picture) -> rule of a layer with weights. ``options``: of the rules. ``handlers``:
    operation -> its handler. ``excites``: relevance is a probability, and only non-negative activations
    take part. ``contrast``: the rule of the first layer below a target.
    """

    def __init__(
        self,
        method: str,
        rule_of: Callable[[str, bool], Rule],
        options: Options,
        handlers: Mapping[str, Handler],
        excites: bool = False,
        contrast: Rule | None = None,
    ):
        super().__init__()
        self.method, self.rule_of, self.options, self.handlers = method, rule_of, options, handlers
        self.excites, self.contrast = excites, contrast
        self.inside: list[str] = []  # modules that are running, outermost first

    @property
    def overflow(self) -> tuple[str, str]:
        """The message where relevance is not finite: (what is not finite, what to do)."""
        return (
            f"relevance by `{self.method}`",
            "activations are finite, and so are the weights: positive and negative parts cancel, and a share "
            "is divided by almost 0. Use a larger `epsilon` or `stabilizer` (`lrp(epsilon=0.01)`), "
            "`composite=epsilon_plus`, or a later layer",
        )

    # --- what passes call -------------------------------------------------------------------

    def begin(self, pixels: Tensor, bounded: bool = True) -> None:
        """Mark the input of the network, a picture in [0, 1]: up to the first weights its range is known, and relevance
        passes through its preprocessing. ``bounded`` is false for input that is not a picture."""
        if pixels.is_floating_point():
            some = pixels.detach()[:1]
            low, high = (0.0, 1.0) if bounded else (-torch.inf, torch.inf)
            marked(pixels, Mark(pixels=(torch.full_like(some, low), torch.full_like(some, high))))

    def enter(self, name: str) -> None:
        self.inside.append(name)

    def leave(self) -> None:
        self.inside.pop()

    def seed(self, outputs: Tensor, cotangents: Tensor, target_layer: str) -> Tensor:
        """Return the relevance that a backward starts with, (slot, input, *target axes): the target's own share of its
        score; or, where relevance is a probability, 1 in total, in proportion to the activation of the target's
        entries.

        Raises BbiError E515 where the graph below ``outputs`` (input, *target axes) has an operation without a rule.
        """
        if target_layer.startswith(CHAIN):
            raise no_rule_error(self.method, "a target that is itself an attribution")
        if not outputs.requires_grad:
            what = "the scores" if target_layer == OUTPUT else f"`{target_layer}`"
            raise error("E505", f"no graph for {what}", "choose a layer below the target")
        check_rules(outputs, self.method)
        value = outputs.detach()
        if not self.excites:
            return cotangents * value
        chance = (cotangents if target_layer == OUTPUT else cotangents * value).clamp_min(0)
        total = chance.flatten(2).sum(2).view(*chance.shape[:2], *[1] * (chance.dim() - 2))
        return chance / total.where(total > 0, torch.ones_like(total))

    # --- what operations call --------------------------------------------------------------------------------------

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in ("__get__", "__set__", "__delete__"):
            return func(*args, **kwargs)
        sources = [x for x in tensors_in((args, kwargs)) if x.is_floating_point()]
        call = read_call(func, args, kwargs)
        read = [] if call.name in SAME else [m.weighted for m in map(mark_of, call.sources) if m.weighted is not None]
        if torch.is_grad_enabled() and any(x.requires_grad for x in sources):
            handle = self.handlers.get(call.name)
            result = handle(self, call) if handle else None
            if result is not None:
                for layer in read:
                    layer.readers += 1
                return call.write_back(result)
        result = func(*args, **kwargs)
        for layer in read if tensors_in(result) else ():  # reading only its shape does not count
            layer.readers += 1
        self.propagate_marks(call, sources, result)
        return result

    def propagate_marks(self, call: Call, sources: Sequence[Tensor], result: object) -> None:
        """Mark the results of an operation that has no handler."""
        results = [x for x in tensors_in(result) if x.is_floating_point()]
        if not results or not sources:
            return
        marks = [mark_of(x) for x in sources]
        same = marks[0].weighted if call.name in SAME else None
        gate = any(m.gate for m in marks)
        pixels = self.value_range(call, len(results))
        for x, own in zip(results, pixels, strict=True):
            if same is not None or gate or own is not None or call.name == "pad":
                marked(x, Mark(same, own, gate, self.padding_mask(call)))
        below = {x.grad_fn for x in sources}
        todo: list[Any] = [x.grad_fn for x in results]
        while todo:  # every node of this operation, and none before it
            node = todo.pop()
            if node is not None and node not in below and KEY not in node.metadata:
                node.metadata[KEY] = self.describe(call.name)
                todo += [after for after, _ in node.next_functions]

    def value_range(self, call: Call, count: int = 1) -> Sequence[tuple[Tensor, Tensor] | None]:
        """Return the (least, greatest) values that results can have, where only the picture varies."""
        varying = [x for x in call.sources if x.requires_grad]
        pixels = [mark_of(x).pixels for x in varying]
        if not pixels or any(p is None for p in pixels) or call.inplace:
            return [None] * count
        try:
            ends = [tensors_in(call.as_function_of(*varying)(*(p[side] for p in pixels if p))) for side in (0, 1)]
        except RuntimeError:  # such as a view with a fixed size: the range is that of one picture
            return [None] * count
        if any(len(end) != count for end in ends):
            return [None] * count
        return [(torch.minimum(a, b), torch.maximum(a, b)) for a, b in zip(*ends, strict=True)]

    def padding_mask(self, call: Call) -> Tensor | None:
        """Return 1 for the entries of a padded tensor that are not padding, else 0."""
        arguments = call.named_arguments("input", "pad", "mode", "value")
        if call.name != "pad" or arguments.get("mode", "constant") != "constant" or arguments.get("value"):
            return None
        x = arguments["input"]
        present = mark_of(x).present
        return call.as_function_of(x)(torch.ones_like(x) if present is None else present)  # type: ignore[no-any-return]

    def describe(self, name: str) -> str:
        """Describe an operation in words, for messages."""
        return f"`{name}` in `{self.inside[-1]}`" if self.inside and self.inside[-1] else f"`{name}`"

    def attach(self, call: Call, step: Step, *sources: Tensor, mark: Mark = PLAIN) -> Tensor:
        """Return the operation's result, with ``step`` as its backward."""
        result = applied(step, *sources)
        node: Any = result.grad_fn
        if node is not None:
            node.metadata[KEY] = self.describe(call.name)
        return marked(result, mark)

    def pass_through(self, call: Call, source: Tensor, gate: bool = False) -> Tensor:
        """Return the result of an elementwise map, through which relevance passes unchanged."""
        (pixels,) = self.value_range(call)
        step = PassThrough(call.as_function_of(source))
        return self.attach(call, step, source, mark=Mark(pixels=pixels, gate=gate))
