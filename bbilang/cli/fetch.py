"""Fetch weights files with a progress bar where the user asks for `download`, and check them against a hash."""

from __future__ import annotations

from pathlib import Path

from bbilang.cli.console import result, size
from bbilang.cli.errors import FINE, misuse
from bbilang.cli.progress_bar import ProgressBar
from bbilang.cli.request import CommandLine
from bbilang.compiler.ir.program import Program


def prepare(line: CommandLine, program: Program) -> None:
    """Fetch the weights file if needed and check its hash, before anything runs."""
    from bbilang.runtime.models.loading import weights_of
    from bbilang.runtime.models.registry import entry_of, models
    from bbilang.runtime.models.weights.remote_files import DOWNLOAD, pinned, require

    slot = program.models[0]
    pin = pinned(line.sha256) if line.sha256 is not None else None
    if pin is not None and slot.weights in (None, "random"):
        misuse("--sha256 needs a file of weights, and none is requested", "`--weights FILE` or `--weights download`")
    download = slot.weights == DOWNLOAD
    if download and any(slot.name in (name, *entry.aliases) for name, entry in models().items()):
        with ProgressBar(line.quiet) as bar:
            weights_of(entry_of(slot.name), DOWNLOAD, None if line.quiet else bar, pin)
    elif pin is not None and download:
        misuse(f"the library fetches the weights of {slot.name}, and checks them itself", "leave `--sha256` out")
    elif pin is not None and slot.weights is not None:
        require(Path(slot.weights), pin)


def fetch(name: str, sha256: str | None, quiet: bool) -> int:
    """Implement `bbi models fetch`: download weights from their known address into the cache."""
    from bbilang.runtime.models.loading import download
    from bbilang.runtime.models.registry import entry_of
    from bbilang.runtime.models.weights.remote_files import pinned

    with ProgressBar(quiet) as bar:
        path, receipt = download(entry_of(name), None if quiet else bar, pinned(sha256) if sha256 is not None else None)
    result(str(path) if quiet else f"{path}  {size(receipt.bytes)} · {receipt.words}")
    return FINE
