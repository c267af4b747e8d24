"""Model descriptions for the server, which never imports torch: a subprocess does whatever needs torch.

Models of the registry have shipped descriptions. A model of another library, or at another input size, is described
once by a Python subprocess, which stores the result in the cache; until it finishes, the text is checked without the
model. A model that is the user's own code is refused unless it was allowed: the server runs no code from a text.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.grammar.diagnostic import BbiError, Diagnostic

TIMEOUT = 300  # seconds: some libraries download files to build a model
DESCRIBE_SCRIPT = """
import json, sys
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.descriptions import describe
name, crop, texts = json.loads(sys.argv[1])
try:
    result = describe(name, crop, texts).to_json()
except BbiError as error:
    result = {"diagnostics": [[d.code, d.message, d.help] for d in error.diagnostics]}
print(json.dumps(result))
"""


Crop = int | Sequence[int] | None  # pixels, or (y, x)
Key = tuple[str, int | tuple[int, ...] | None, tuple[str, ...]]  # name, crop, texts


class Pending(Exception):
    """The description is being computed; `Describer` calls ``ready`` when it is available."""


class Describer:
    """Cache of descriptions. ``ready`` is called, in a worker thread, when a pending description is available."""

    def __init__(self, ready: Callable[[], None] = lambda: None):
        self.ready = ready
        self.results: dict[Key, ModelDescription | BbiError | None] = {}

    def describe(
        self, name: str, crop: int | Sequence[int] | None = None, texts: Sequence[str] = ()
    ) -> ModelDescription:
        """Describe a model like `bbilang.runtime.models.descriptions.describe`. Raises `Pending` while a subprocess
        computes it."""
        from bbilang.runtime.models.registry import entry_of
        from bbilang.runtime.models.sources.source import source_of

        source = source_of(name)
        if source is None:
            description = entry_of(name).description
            sound = description.reads == "audio" and (crop is not None or bool(texts))  # as long as its inputs
            size = None if crop is None else (crop, crop) if isinstance(crop, int) else tuple(crop)
            if not sound and size in (None, description.input_size):
                return description
        elif source.runs_own_code:
            from bbilang.runtime.models.sources.permission import require_permission

            require_permission(name)
        key = (name, crop if crop is None or isinstance(crop, int) else tuple(crop), tuple(texts))
        if key not in self.results:
            self.results[key] = None
            threading.Thread(target=self._describe_in_subprocess, args=(key,), daemon=True).start()
        result = self.results[key]
        if result is None:
            raise Pending(name)
        if isinstance(result, BbiError):
            raise BbiError(result.diagnostics)
        return result

    def _describe_in_subprocess(self, key: Key) -> None:
        name, crop, texts = key
        command = [sys.executable, "-c", DESCRIBE_SCRIPT, json.dumps([name, crop, list(texts)])]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=True
            )
            data = json.loads(done.stdout.splitlines()[-1])
            if "diagnostics" in data:
                self.results[key] = BbiError(
                    [Diagnostic(code, words, help=help) for code, words, help in data["diagnostics"]]
                )
            else:
                self.results[key] = ModelDescription.from_json(data)
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            message = f"{name} cannot be described"
            help = f"`bbi layers {name}` says more"
            self.results[key] = BbiError(Diagnostic("E408", message, help=help))
        self.ready()
