"""`JsonObject`: what `json` reads and writes, such as a Vega-Lite specification or the description of an icon."""

from __future__ import annotations

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]  # values have the types of JSON; whoever reads one checks it
