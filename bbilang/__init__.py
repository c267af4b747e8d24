"""bbilang: interpretability interfaces from a few lines of text.

    import bbilang
    page = bbilang.run("block5c.expand.channel | attribute(output) | top(8) | present(featvis)", input="cat.jpg")
    page.save("page.html")

`run` is the chain of the stages `parse, check, optimize, plan, execute, view, render`, each of which is here too.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = [
    "BbiError",
    "Clip",
    "Limits",
    "Page",
    "adapt",
    "adapt_audio",
    "adapt_text",
    "check",
    "complete",
    "execute",
    "explain",
    "extract",
    "optimize",
    "parse",
    "penalty",
    "plan",
    "program_from_json",
    "program_to_json",
    "render",
    "run",
    "tree_from_json",
    "tree_to_json",
    "view",
]

_MODULES = {
    "BbiError": "bbilang.grammar.diagnostic",
    "Limits": "bbilang.compiler.plan.limits",
    "Page": "bbilang.page",
    "adapt": "bbilang.runtime.models.adapt",
    "adapt_text": "bbilang.runtime.models.adapt",
    "adapt_audio": "bbilang.runtime.models.audio",
    "Clip": "bbilang.runtime.sound.clip",
    "extract": "bbilang.runtime.page.html",
    "penalty": "bbilang.losses",
    "program_from_json": ("bbilang.compiler.ir.serialize", "from_json"),
    "program_to_json": ("bbilang.compiler.ir.serialize", "to_json"),
    "tree_from_json": ("bbilang.grammar.serialize", "from_json"),
    "tree_to_json": ("bbilang.grammar.serialize", "to_json"),
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: `import bbilang` alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'bbilang' has no attribute {name!r}")
    import importlib

    where = _MODULES.get(name, "bbilang.api")
    module, attribute = where if isinstance(where, tuple) else (where, name)
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def load_ipython_extension(shell: Any) -> None:
    """Implement `%load_ext bbilang` in a notebook, for cells that begin with `%%bbi`."""
    from bbilang.notebook import load

    load(shell)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
