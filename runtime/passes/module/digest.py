"""Digest a live module: the loaded code, its plain attributes and its tensors.

The digest is of the loaded code, not of its file: the file may have been edited since, or a method replaced. Code of
torch and the standard library is identified by its version; code of other installed packages by its bytecode, without
the globals that it reads; all other code with its closures, defaults and every global that its functions name.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import sys
import types
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from bbilang.runtime.passes.module.tensor_bytes import content, identity

FIXED = {"torch", "torchgen", "functorch", "numpy", "bbilang", "collections", "builtins", *sys.stdlib_module_names}
FIXED -= {"__main__", "antigravity", "this"}
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
HELD = {
    "_parameters", "_buffers", "_modules", "training", "_state_dict_hooks", "_state_dict_pre_hooks",
    "_is_full_backward_hook", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks", "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs", *HOOKS,
}  # fmt: skip
SKIPPED = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__firstlineno__", "__static_attributes__",
    "__orig_bases__", "__parameters__", "_abc_impl", "__abstractmethods__", "__annotate_func__", "__annotate__",
    "__annotations_cache__", "__qualname__",
}  # fmt: skip
PLAIN = frozenset((type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range, slice))
OF_TORCH = (torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format)
MOST, DEEPEST = 200_000, 100  # number of values, and depth of nesting; beyond these a module is not digested


class Undigestible(Exception):
    """Raised for a value that cannot be digested: an open file, a lock, an object of a compiled extension."""


@dataclass(frozen=True)
class Live:
    """A snapshot of a module within this process: tensors by address, version counter and checksum (``.data`` writes do
    not count as versions). Snapshots are equal while nothing has changed and the tensors are the same objects."""

    digest: str
    tensors: list[weakref.ref[Tensor]] = field(compare=False, repr=False)

    @property
    def holds(self) -> bool:
        """Whether the tensors still exist: a reused address identifies nothing."""
        return all(tensor() is not None for tensor in self.tensors)


def live(module: nn.Module) -> Live | None:
    """Take a snapshot of the module. None where it holds something that cannot be digested."""
    digest = _digest_of(module, True)
    return None if digest is None else Live(digest.digest(), digest.tensors)


def code_of(module: nn.Module) -> str | None:
    """Digest the module's code and attributes, without parameters and buffers, across processes. None as for `live`."""
    digest = _digest_of(module, False)
    return None if digest is None else digest.digest()


def _digest_of(module: nn.Module, alive: bool) -> _Digest | None:
    digest = _Digest(alive)
    try:
        digest.module(module)
    except (Undigestible, RecursionError):
        return None
    return digest


class _Digest:
    """A collector of the words of a digest. ``alive``: tensors by identity, for this process; else by their bytes."""

    def __init__(self, alive: bool):
        self.alive, self.depth = alive, 0
        self.words: list[str] = []
        self.kinds: dict[type, int] = {}  # class -> the order in which it was first seen
        self.tensors: list[weakref.ref[Tensor]] = []
        self.named: dict[tuple[str, ...], list[str]] = {}
        self.seen: dict[int, tuple[int, object]] = {}  # id -> (number, the value, held so that its id is not reused)

    def put(self, *words: object) -> None:
        self.words.append("\0".join(map(str, words)))

    def put_bytes(self, data: bytes | memoryview) -> None:
        self.words.append(hashlib.sha256(data).hexdigest())

    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.words).encode(errors="surrogatepass")).hexdigest()

    def new(self, value: object) -> bool:
        """Return whether a value is seen for the first time; a repeated one is written as its number."""
        if id(value) in self.seen:
            self.put("again", self.seen[id(value)][0])
            return False
        if len(self.seen) > MOST or self.depth > DEEPEST:
            raise Undigestible
        self.seen[id(value)] = len(self.seen), value
        return True

    # --- modules ----------------------------------------------------------------------------------------------------

    def module(self, root: nn.Module) -> None:
        if not self.new(root):
            return
        wide = nn.modules.module
        for name in ("_global_forward_hooks", "_global_forward_pre_hooks"):
            self.hooks(getattr(wide, name))
        waiting = [("", root)]
        while waiting:  # faster than `named_modules`, whose generators are nested per level
            path, child = waiting.pop()
            self.words.append(f"module\0{path}")
            if child is not root and not self.new(child):
                continue
            self.kind(type(child))
            own = vars(child)
            for name in HOOKS:
                if own.get(name):
                    self.put(name)
                    self.hooks(own[name])
            for held in (child._parameters, child._buffers):
                for name, tensor in held.items():
                    self.words.append(f"tensor {name}")
                    if self.alive:
                        self.value(tensor)
            for name in self.attributes(tuple(own)):
                if name == "_graph" and isinstance(child, fx.GraphModule):  # its code represents it
                    continue
                self.words.append(f"attribute {name}")
                self.value(own[name])
            waiting += [(f"{path}.{name}", part) for name, part in child._modules.items() if part is not None]

    def attributes(self, own: tuple[str, ...]) -> list[str]:
        """Return the names of attributes that torch does not manage, sorted; cached by the set of names."""
        if own not in self.named:
            self.named[own] = sorted(set(own) - HELD)
        return self.named[own]

    def hooks(self, hooks: Mapping[int, object]) -> None:
        for hook in hooks.values():
            self.value(hook)

    # --- values -----------------------------------------------------------------------------------------------------

    def value(self, value: Any) -> None:
        kind = type(value)
        if kind is nn.Parameter or kind is Tensor:
            self.tensor(value)
            return
        if kind in PLAIN or (kind is tuple and all(type(item) in PLAIN for item in value)):
            self.words.append(f"{kind.__name__} {value!r}")
            return
        if kind is set and not value:
            self.words.append("set")
            return
        if isinstance(value, OF_TORCH):
            self.put(repr(value))
            return
        self.depth += 1
        try:
            self.other(value)
        finally:
            self.depth -= 1

    def other(self, value: object) -> None:
        import numpy as np

        if isinstance(value, Tensor):
            self.tensor(value)
        elif self.alive and isinstance(own := getattr(value, "live_number", None), int):
            self.put("number", own)  # it is another one in each process, and never changes
        elif isinstance(value, nn.Module):
            self.module(value)
        elif isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise Undigestible
            self.put("array", array.shape, array.dtype)
            self.put_bytes(np.ascontiguousarray(array).tobytes())
        elif isinstance(value, enum.Enum):
            self.put("enum", type(value).__qualname__, value.name)
        elif isinstance(value, type):
            self.kind(value)
        elif isinstance(value, types.ModuleType):
            self.put("python module", value.__name__)
        elif isinstance(value, types.MethodType):
            self.put("method")
            self.value(value.__self__)
            self.function(value.__func__)
        elif isinstance(value, functools.partial):
            self.put("partial")
            parts: tuple[object, ...] = (value.func, value.args, value.keywords)
            for part in parts:
                self.value(part)
        elif isinstance(value, staticmethod | classmethod):
            self.put(type(value).__name__)
            self.value(value.__func__)
        elif isinstance(value, property):
            self.put("property")
            for accessor in (value.fget, value.fset):
                self.value(accessor)
        elif isinstance(value, types.FunctionType):
            self.function(value)
        elif isinstance(value, types.BuiltinFunctionType):
            owner = value.__self__
            self.put("builtin", value.__module__, value.__qualname__)
            if owner is not None and not isinstance(owner, types.ModuleType | type):
                self.value(owner)
        elif _root(value) in FIXED and callable(value) and hasattr(value, "__qualname__"):
            self.put("callable", value.__module__, value.__qualname__)
        else:
            self.instance(value)

    def tensor(self, value: Tensor) -> None:
        known = identity(value) if self.alive else None
        if known is not None:
            self.words.append(f"tensor {id(value)} {known}")
            self.tensors.append(weakref.ref(value))
            return
        pieces = content(value)
        if pieces is None:
            raise Undigestible
        self.put("tensor")
        for piece in pieces:
            self.put_bytes(piece)

    def instance(self, value: object) -> None:
        """Digest containers by their contents, other objects by their class and attributes."""
        if not self.new(value):
            return
        self.put("object", type(value).__module__, type(value).__qualname__)
        known = False
        if isinstance(value, list | tuple):
            known = True
            self.put(len(value))
            for item in value:
                self.value(item)
        elif isinstance(value, dict):
            known = True
            self.put(len(value))
            for key, item in value.items():
                self.value(key)
                self.value(item)
        elif isinstance(value, set | frozenset):
            if not all(type(item) in PLAIN for item in value):
                raise Undigestible
            known = True
            self.put(*sorted(map(repr, value)))
        attributes = getattr(value, "__dict__", None)
        if isinstance(attributes, dict) and _python(type(value)):
            self.kind(type(value))
            for name, item in sorted(attributes.items(), key=lambda pair: str(pair[0])):
                self.put("attribute", name)
                self.value(item)
        elif not known:
            raise Undigestible

    # --- code -------------------------------------------------------------------------------------------------------

    def kind(self, kind: type) -> None:
        if kind in self.kinds:
            self.words.append(f"class {self.kinds[kind]}")
            return
        self.kinds[kind] = len(self.kinds)
        self.put("class", kind.__module__, kind.__qualname__)
        for base in kind.__mro__:
            if _root(base) in FIXED:
                self.put("base", base.__module__, base.__qualname__)
                continue
            if not self.new(base):
                continue
            library = _library(base.__module__)
            for name, value in sorted(vars(base).items()):
                if name in SKIPPED or (name.startswith("__") and not callable(value)):
                    continue
                if library and not isinstance(value, types.FunctionType | staticmethod | classmethod | property):
                    continue
                self.put("member", name)
                self.value(value)

    def function(self, function: object) -> None:
        if not isinstance(function, types.FunctionType):
            self.value(function)
            return
        self.put("function", function.__module__, function.__qualname__)
        if _root(function) in FIXED or not self.new(function):
            return
        names = self.code(function.__code__)
        if _library(function.__module__):
            return
        self.value(function.__defaults__)
        self.value(function.__kwdefaults__)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self.put("closure", name)
            try:
                inside = cell.cell_contents
            except ValueError:  # an empty cell
                continue
            self.value(inside)
        self.globals_of(function, names)

    def globals_of(self, function: types.FunctionType, names: set[str]) -> None:
        for name in sorted(names & function.__globals__.keys()):
            value = function.__globals__[name]
            self.put("global", name)
            self.value(value)
            if isinstance(value, types.ModuleType) and value.__name__.split(".")[0] not in FIXED:
                inside = vars(value)
                for attribute in sorted(names & inside.keys()) if not _library(value.__name__) else ():
                    self.put("of it", attribute)
                    self.value(inside[attribute])

    def code(self, code: types.CodeType) -> set[str]:
        """Digest instructions and constants; return the names that the code reads, including nested functions."""
        self.put(code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_flags)
        self.put_bytes(code.co_code)
        names = set(code.co_names)
        for constant in _flat(code.co_consts):
            if isinstance(constant, types.CodeType):
                names |= self.code(constant)
            else:
                self.put(repr(constant) if not isinstance(constant, frozenset) else sorted(map(repr, constant)))
        return names


def _flat(constants: Iterable[object]) -> Iterator[object]:
    for constant in constants:
        if isinstance(constant, tuple):
            yield len(constant)
            yield from _flat(constant)
        else:
            yield constant


def _root(thing: object) -> str:
    name = getattr(thing, "__module__", None)
    return name.split(".")[0] if isinstance(name, str) else ""


def _python(kind: type) -> bool:
    """Return whether instances have no state outside Python (none of a compiled extension)."""
    plain = (object, dict, list, tuple, set, frozenset)
    return all(base in plain or not _compiled(base) for base in kind.__mro__)


def _compiled(kind: type) -> bool:
    return not bool(kind.__flags__ & (1 << 9))  # Py_TPFLAGS_HEAPTYPE: made by a class statement


@functools.lru_cache(maxsize=4096)
def _library(name: str) -> bool:
    """Return whether a Python module belongs to an installed package."""
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file
