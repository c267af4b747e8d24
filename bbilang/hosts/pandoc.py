"""What the filter bbi.lua beside this file asks for the pages of a document's blocks; Quarto uses the same filter.

    python -m bbilang.hosts.pandoc --lua    # prints where the filter is

It reads a request as JSON from stdin and answers on stdout; warnings go to stderr, which pandoc shows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bbilang.grammar.diagnostic import BbiError
from bbilang.hosts.fences import line_in
from bbilang.hosts.frames import block_html
from bbilang.hosts.options import BlockOptions, HostSettings, block_options, limits_with
from bbilang.hosts.pages import Block, Made, make
from bbilang.runtime.json_types import JsonObject

FILTER = Path(__file__).with_name("bbi.lua")


def answer(request: JsonObject) -> dict[str, object]:
    """Return the HTML of each block of a request: ``document``, the file; ``output``, the file that pandoc writes;
    ``blocks``, each with `text` and `options`; ``options``, those of the document; ``shown``: whether the output is
    HTML. In other formats the blocks stay. ``failed`` says why a strict build ends."""
    document = Path(request["document"] or "text")
    options: dict[str, Any] = request["options"] or {}
    lines = document.read_text(encoding="utf-8").splitlines() if document.is_file() else []
    output = Path(request["output"] or document.name)
    folder = output.parent / f"{output.stem}_files" / "bbi"  # Quarto takes `NAME_files` along
    made_blocks, after = [], 0
    for one in request["blocks"]:
        text = f"{one['text']}\n"
        line, indent = line_in(lines, text, after)
        after = line
        block = Block(text, document.absolute(), document.name, line, indent)
        made = _made(block, one["options"] or {}, options)
        if made.problem is not None:
            report = f"{made.where}: a `bbi` block has no page\n{made.report}"
            if str(options.get("strict", "")).lower() == "true":
                return {"failed": report}
            print(f"[WARNING] {report}", file=sys.stderr)
        if not request["shown"]:
            made_blocks.append("")
        elif made.problem is not None:
            made_blocks.append(block_html(made, None))
        else:
            made.keep(folder)
            made_blocks.append(block_html(made, f"{folder.parent.name}/bbi/{made.name}"))
    return {"blocks": made_blocks}


def _made(block: Block, words: Mapping[str, object], options: JsonObject) -> Made:
    try:
        own = block_options(words)
        limits = limits_with(options.get("limits"))
    except BbiError as problem:
        return Made(block, BlockOptions(), problem=problem)
    folder = block.document.parent
    cache = folder / options["cache"] if isinstance(options.get("cache"), str) else options.get("cache")
    draft = str(options.get("draft", "")).lower() == "true"
    host = HostSettings(folder / options.get("root", "."), limits, options.get("settings", {}), draft, None, cache)
    return make(block, own, host)


def main() -> int:
    """Answer the request on stdin, or say where the filter is."""
    if sys.argv[1:] == ["--lua"]:
        print(FILTER)
        return 0
    json.dump(answer(json.loads(sys.stdin.buffer.read())), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
