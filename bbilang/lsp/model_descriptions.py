"""Descriptions of models for the server, which never imports torch: what takes torch is asked of another process.

Models of the registry are described in files that are shipped. One of another library, or one at another size, is
described once by a Python beside the server, which leaves it in the cache; until then the text is checked without it.
A model that is a reader's own code is refused as everywhere: a server runs nobody's code.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.grammar.diagnostic import BbiError, Diagnostic

LONGEST = 300  # seconds that a description may take: some libraries fetch files for it
ASK = """
import json, sys
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.registry import describe
name, crop, texts = json.loads(sys.argv[1])
try:
    found = describe(name, crop, texts).to_json()
except BbiError as error:
    found = {"wrong": [[d.code, d.message, d.help] for d in error.diagnostics]}
print(json.dumps(found))
"""


class Pending(Exception):
    """The description is being made; `Describer` tells when it is there."""


class Describer:
    """``ready`` is called, in a thread of its own, when a description that was waited for has come."""

    def __init__(self, ready: Callable[[], None] = lambda: None):
        self.ready = ready
        self.found: dict[tuple[Any, ...], ModelDescription | BbiError | None] = {}

    def describe(self, name: str, crop: Any = None, texts: Sequence[str] = ()) -> ModelDescription:
        """As `bbilang.runtime.models.registry.describe`. Raises `Pending` while another process makes it."""
        from bbilang.runtime.models.registry import entry_of, source_of

        source = source_of(name)
        if source is None:
            description = entry_of(name).description
            if crop is None or description.input_size == ((crop, crop) if isinstance(crop, int) else tuple(crop)):
                return description
        elif source.__name__.endswith("from_code"):
            from bbilang.runtime.models.sources.source import require_permission

            require_permission(name)
        key = (name, tuple(crop) if isinstance(crop, list | tuple) else crop, tuple(texts))
        if key not in self.found:
            self.found[key] = None
            threading.Thread(target=self._ask, args=(key,), daemon=True).start()
        known = self.found[key]
        if known is None:
            raise Pending(name)
        if isinstance(known, BbiError):
            raise BbiError(known.diagnostics)
        return known

    def _ask(self, key: tuple[Any, ...]) -> None:
        name, crop, texts = key
        command = [sys.executable, "-c", ASK, json.dumps([name, crop, list(texts)])]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LONGEST, check=True
            )
            data = json.loads(done.stdout.splitlines()[-1])
            if "wrong" in data:
                self.found[key] = BbiError([Diagnostic(code, words, help=help) for code, words, help in data["wrong"]])
            else:
                self.found[key] = ModelDescription.from_json(data)
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            message = f"{name} cannot be described"
            help = f"`bbi layers {name}` says more"
            self.found[key] = BbiError(Diagnostic("E408", message, help=help))
        self.ready()
