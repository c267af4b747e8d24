"""A forward that leaves results of its modules for those of related networks, and one that takes them.

The lender records the outermost modules that contain no layer at which another network may differ: what each was given
and what it gave. The borrower runs its own code. Where one of its modules is the same as a recorded one (the same
tensors, the same structure) and is given the same, it gives the recorded result and does not run. So a result is taken
over only where it is certain to be what the module would compute; whatever a plan expected, everything else runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bbilang.runtime.device.memory import SHARE, free_bytes
from bbilang.runtime.passes.boundary import versions
from bbilang.runtime.passes.fallback import log
from bbilang.runtime.passes.hooks import tensor_of
from bbilang.runtime.passes.module.heads import HeadOutputs
from bbilang.runtime.passes.module.memo import memo_of
from bbilang.runtime.passes.module.results import children_of, is_transparent, map_leaves, tensors

OVERWRITTEN = "overwritten after they were lent"  # in the memo of a module: path -> whether results of that module are


@dataclass(frozen=True)
class Lend:
    """What a forward leaves, by paths of modules. ``entered``: of layers inside of modules that others run;
    ``changed``: those whose results others change; ``opened``: with other weights inside; ``apart``: of no use;
    ``values``: layer -> path. ``last``: nothing that runs after this module is of use."""

    entered: frozenset[str]
    changed: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    values: Mapping[str, str] = field(default_factory=dict)
    last: str = ""


@dataclass
class Result:
    """One call of a module: what it was given and what it gave, detached."""

    module: nn.Module
    given: object
    given_versions: list[tuple[Tensor, int]]
    gave: object
    gave_versions: list[tuple[Tensor, int]]


@dataclass
class Kept:
    """What a forward left. ``results``: (path, number of the call) -> it. ``values``: of layers, (input, *layer axes).
    ``overwritten``: paths of modules whose results the network changes later, so that each reader needs a copy."""

    results: dict[tuple[str, int], Result] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)
    overwritten: frozenset[str] = frozenset()

    @property
    def bytes(self) -> int:
        """The memory of all results, what shares it once."""
        every = [x for result in self.results.values() for x in tensors([result.gave, result.given])]
        storages = {
            x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in [*every, *self.values.values()]
        }
        return sum(storages.values())


@dataclass(frozen=True)
class Sharing:
    """What a forward has to do with those of related networks. ``lend``: what it leaves. ``kept``: what one of them
    left, which it takes over wherever it is the same. ``values``: captured layers for which the other's will do.
    ``leaves``: the layers that its graph is for; None for all captured ones."""

    lend: Lend | None = None
    kept: Kept | None = None
    values: tuple[str, ...] = ()
    leaves: tuple[str, ...] | None = None

    def there(self, cuts: Collection[str]) -> dict[str, Tensor]:
        """Return layer -> value that need not be captured again."""
        kept = {} if self.kept is None else self.kept.values
        return {layer: kept[layer] for layer in self.values if layer in kept and layer not in cuts}


ALONE = Sharing()


class Lender:
    """Hooks on one run of a network. `register` them before any other hook that replaces results."""

    def __init__(self, module: nn.Module, lend: Lend, device: torch.device, before: Kept | None = None):
        self.module, self.lend, self.before = module, lend, before
        self.overwritten: dict[str, bool] = memo_of(module).setdefault(OVERWRITTEN, {})
        self.parts = kept_parts(module, lend)
        self.kept = Kept()
        self.calls: dict[str, int] = {}
        self.running: list[tuple[object, list[tuple[Tensor, int]]] | None] = []  # None inside of one that is kept whole
        self.same: dict[int, tuple[Tensor, int, Tensor]] = {}  # id of a result -> it, its version, what is kept of it
        self.left = int(free_bytes(device) * SHARE)
        self.over = False  # the last module of use has run

    def register(self) -> list[RemovableHandle]:
        """Register the hooks and return their handles."""
        handles: list[RemovableHandle] = []
        for part in self.parts:
            handles.append(part.register_forward_pre_hook(self._begin, with_kwargs=True))
            handles.append(part.register_forward_hook(self._end, with_kwargs=True))
        named = dict(self.module.named_modules())  # a layer of heads is one of them only where a run mounts it
        if self.lend.last in named:
            last = named[self.lend.last]
            handles.append(last.register_forward_hook(lambda part, given, result: setattr(self, "over", True)))
        return handles + self._watched({x: named[path] for x, path in self.lend.values.items() if path in named})

    def _watched(self, names: Mapping[str, nn.Module]) -> list[RemovableHandle]:
        """Return hooks that keep the values of layers."""

        def hook(layer: str) -> Callable[..., None]:
            def keep(part: nn.Module, arguments: object, result: object) -> None:
                self.kept.values[layer] = tensor_of(result, layer).detach().clone()

            return keep

        return [part.register_forward_hook(hook(layer)) for layer, part in names.items()]

    def _begin(self, part: nn.Module, arguments: tuple[object, ...], named: Mapping[str, object]) -> None:
        if self.over or self.running or self.parts[part] in self.lend.apart:
            self.running.append(None)
            return
        given = [list(arguments), dict(named)]
        self.running.append((map_leaves(given, self._kept_of), versions(given)))

    def _kept_of(self, value: object) -> object:
        """Return what is kept of a tensor that a module is given: a recorded result itself, so that it is known
        again."""
        if not isinstance(value, Tensor):
            return value
        result, version, kept = self.same.get(id(value), (None, 0, value))
        if result is value and value._version == version:
            return kept
        self.left -= value.numel() * value.element_size()
        return value.detach()

    def _end(self, part: nn.Module, arguments: object, named: object, result: object) -> None:
        begun, path = self.running.pop(), self.parts[part]
        if begun is None:
            return
        given, before = begun
        call = self.calls[path] = self.calls.get(path, -1) + 1
        if any(x._version != version for x, version in before) or not is_transparent([given, result]):
            return  # it changes what it is given, or hides its tensors: it has to run
        copy = self.overwritten.get(path, True)
        gave = map_leaves(
            result, lambda x: (x.detach().clone() if copy else x.detach()) if isinstance(x, Tensor) else x
        )
        self.left -= sum(x.numel() * x.element_size() for x in tensors(gave))
        if self.left < 0:
            log.info("too little memory to keep what related networks have in common: each runs alone")
            self.kept.results.clear()
            return
        self.kept.results[path, call] = Result(part, given, versions(given), gave, versions(result))
        self.same |= {id(x): (x, x._version, y) for x, y in zip(tensors(result), tensors(gave), strict=True)}

    def passed_on(self, before: object, after: object) -> None:
        """Note that the network goes on with other tensors of the same values."""
        for x, y in zip(tensors(before), tensors(after), strict=True):
            if id(x) in self.same and x is not y:
                self.same[id(y)] = (y, y._version, self.same[id(x)][2])

    def finished(self) -> Kept:
        """Return what is left, without results that were changed after they were recorded."""
        kept, paths = self.kept.results, {path for path, _ in self.kept.results}
        changed = {path for (path, _), one in kept.items() if _overwritten(one.gave_versions)}
        lost = {path for path in changed if not self.overwritten.get(path, True)}  # that were not copied
        for key in [key for key, one in kept.items() if key[0] in lost or _overwritten(one.given_versions)]:
            del kept[key]
        self.overwritten |= {path: path in changed or self.overwritten.get(path, False) for path in paths}
        self.kept.overwritten = frozenset(path for path in paths if self.overwritten[path])
        if self.before is not None:  # what did not run here, and need not run elsewhere
            self.kept.results = {**self.before.results, **kept}
            self.kept.values = {**self.before.values, **self.kept.values}
            self.kept.overwritten |= self.before.overwritten
        self.same.clear()
        return self.kept


def _overwritten(known: list[tuple[Tensor, int]]) -> bool:
    return any(x._version != version for x, version in known)


def kept_parts(module: nn.Module, lend: Lend) -> dict[nn.Module, str]:
    """Return module -> path of those that contain no entered layer and are not opened; of these, the outermost that run
    are kept."""
    named = dict(module.named_modules())
    open = {""} | lend.opened
    for path in lend.entered:
        parts = path.split(".")
        open |= {".".join(parts[:depth]) for depth in range(len(parts))}
    for path in lend.changed:  # another network has one part more or less
        part = named.get(path)
        while getattr(part, "holds_change", False):
            open.add(path)
            path, part = f"{path}.inner", named.get(f"{path}.inner")
        if type(part) is nn.Sequential:
            open.add(path)
    return {part: path for path, part in named.items() if path not in open and not _is_scripted(part)}


def _is_scripted(part: nn.Module) -> bool:
    return isinstance(part, torch.jit.ScriptModule)  # it takes no hooks


class Borrower:
    """Stands in for modules of a network whose results another one left. ``running``: modules of layers that have to
    run, so that those around them do, too."""

    def __init__(self, module: nn.Module, kept: Kept, running: Collection[nn.Module]):
        self.kept, self.calls, self.taken = kept, dict[str, int](), 0
        around = {x for x in module.modules() if running and any(y in running for y in x.modules() if y is not x)}
        self.parts: dict[nn.Module, str] = {}
        for path in dict.fromkeys(path for path, _ in kept.results):
            part = _same_part(module, path, kept.results[path, self._first(path)].module)
            if part is not None and part not in around:
                self.parts[part] = path

    def _first(self, path: str) -> int:
        return min(call for own, call in self.kept.results if own == path)

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Put the stand-ins in place."""
        patched = [(part, part.__dict__.get("forward")) for part in self.parts]
        try:
            for part, path in self.parts.items():
                part.forward = self._stand_in(path, part.forward)  # type: ignore[method-assign]
            yield
        finally:
            for part, own in patched:
                part.__dict__.pop("forward", None)
                if own is not None:
                    part.forward = own  # type: ignore[method-assign]

    def _stand_in(self, path: str, plain: Callable[..., object]) -> Callable[..., object]:
        def forward(*arguments: object, **named: object) -> object:
            call = self.calls[path] = self.calls.get(path, -1) + 1
            result = self.kept.results.get((path, call))
            if result is None or not _alike([list(arguments), named], result.given):
                return plain(*arguments, **named)
            self.taken += 1
            if path not in self.kept.overwritten:
                return result.gave
            return map_leaves(result.gave, lambda x: x.clone() if isinstance(x, Tensor) else x)

        return forward


def _same_part(module: nn.Module, path: str, other: nn.Module) -> nn.Module | None:
    """Return the module of a network that computes the same as another one's at a path: itself, or what is inside of
    one that changes its result, in either."""
    try:
        part = module.get_submodule(path)
    except AttributeError:
        outside, _, last = path.rpartition(".")
        return _same_part(module, outside, other) if last == "inner" else None
    while not _same(part, other):
        inner = part._modules.get("inner") if getattr(part, "holds_change", False) else None
        if inner is None:
            return None
        part = inner
    return part


def _same(part: nn.Module, other: nn.Module) -> bool:
    """Return whether two modules of related networks compute the same: of one class, with the same tensors."""
    if part is other:
        return True
    if getattr(part, "is_change", False):
        return False  # what it changes is no tensor of it
    inside, others = _inside(part), _inside(other)
    if type(part) is not type(other) or inside.keys() != others.keys():
        return False
    for own, theirs in ((part._parameters, other._parameters), (part._buffers, other._buffers)):
        if own.keys() != theirs.keys() or any(own[name] is not theirs[name] for name in own):
            return False
    return all(_same(inside[name], others[name]) for name in inside)


def _inside(part: nn.Module) -> dict[str, nn.Module]:
    """Return the parts of a module, without layers of heads, which change nothing and are there while a run needs
    them."""
    return {name: one for name, one in part._modules.items() if one is not None and type(one) is not HeadOutputs}


def _alike(given: object, known: object) -> bool:
    """Return whether a module is given what it was given then, with no graph behind it."""
    if isinstance(given, Tensor) or isinstance(known, Tensor):
        if not (isinstance(given, Tensor) and isinstance(known, Tensor)) or given.requires_grad:
            return False
        if given is known:
            return True
        return given.shape == known.shape and given.dtype == known.dtype and torch.equal(given, known)
    own, theirs = children_of(given), children_of(known)
    if own is None or theirs is None:
        return given is known or (type(given) is type(known) and isinstance(given, _PLAIN) and given == known)
    return type(given) is type(known) and own.keys() == theirs.keys() and all(_alike(own[k], theirs[k]) for k in own)


_PLAIN = (str, bytes, int, float, bool, complex, torch.dtype, torch.device, torch.Size)
