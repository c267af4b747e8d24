"""Fills the registry: operations, styles and methods from their packages, models from theirs. Imports no torch."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from bbilang.compiler.contract import Registry

GROUPS = {
    "operations": ("bbilang.ops", "OPERATIONS"),
    "styles": ("bbilang.styles", "STYLES"),
    "methods": ("bbilang.methods", "METHODS"),
}
BUILT_IN = {
    "operations": "bbilang.runtime.ops",
    "styles": "bbilang.runtime.styles",
    "methods": "bbilang.runtime.methods",
}


@cache
def registry() -> Registry:
    """Return the registry of everything built in. An unknown name makes it load installed plugins, once per group.

    A plugin names a package or module under one of the entry-point groups `bbilang.ops`, `bbilang.styles`,
    `bbilang.methods`; its files have a tuple OPERATIONS, STYLES or METHODS. Models: `bbilang.runtime.models.registry`.
    """
    from bbilang.runtime.models.descriptions import describe
    from bbilang.runtime.models.registry import models

    known = Registry(describe=describe, models=lambda: tuple(models()))
    for group, package in BUILT_IN.items():
        _load(known, group, package)
    seen: set[str] = set()

    def discover(group: str, registry: Registry) -> bool:
        if group in seen:
            return False
        seen.add(group)
        from importlib.metadata import entry_points  # a thirtieth of a second, and seldom needed

        for point in entry_points(group=GROUPS[group][0]):
            if point.value != BUILT_IN[group]:
                _load(registry, group, point.value)
        return True

    known.discover = discover
    return known


def _load(registry: Registry, group: str, package: str) -> None:
    """Return every object in the tuples of a package's modules by its name."""
    module = importlib.import_module(package)
    modules = [module]
    if hasattr(module, "__path__"):
        modules += [importlib.import_module(m.name) for m in pkgutil.walk_packages(module.__path__, f"{package}.")]
    table: dict[str, Any] = getattr(registry, group)
    for each in modules:
        for thing in getattr(each, GROUPS[group][1], ()):
            table.setdefault(thing.name, thing)


def operation_defaults() -> dict[str, dict[str, Any]]:
    """Return operation -> parameter -> default value."""
    return {name: {p.name: p.default for p in each.parameters} for name, each in registry().operations.items()}
