"""Fetch a file of weights: checked before use, moved into place atomically, by one process at a time."""

from __future__ import annotations

import datetime
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error
from bbilang.runtime.events import Event, RunListener
from bbilang.runtime.files import put
from bbilang.runtime.locks import Lock
from bbilang.runtime.models.weights.download import Part, Unreachable, Wrong, line, transfer
from bbilang.runtime.models.weights.remote_files import Receipt, Remote, folder, sha256_of

Check = Callable[[Path], object]


def fetch(
    remote: Remote, check: Check, title: str, progress: RunListener | None = None, pin: str | None = None
) -> tuple[Path, Receipt]:
    """Return the file, fetching it unless it is there. ``check``: raises BbiError for a file that does not fit the
    model; called before the file is stored. ``pin``: the required SHA-256.

    Raises BbiError E419 (could not be fetched), E445 (not the file that was expected), E431 (cannot be written).
    KeyboardInterrupt keeps the part fetched so far, and the next call resumes it.
    """
    receipt = remote.valid_receipt()  # an existing file needs no lock and no writable folder
    if receipt is not None and (pin is None or pin == receipt.sha256):
        return remote.path, receipt
    with _locked(remote, progress):
        receipt = remote.valid_receipt()
        if receipt is None:
            receipt = _fetched(remote, check, title, progress, pin)
        elif pin is not None and receipt.sha256 != pin:
            raise _unexpected(remote, f"it has the SHA-256 {receipt.sha256}, not {pin}")
        return remote.path, receipt


def _fetched(remote: Remote, check: Check, title: str, progress: RunListener | None, pin: str | None) -> Receipt:
    part = Part(remote.path.with_name(f"{remote.file}.part"), remote.address)
    try:
        try:
            transfer(remote, part, progress)
        except Unreachable as reason:
            raise _unreachable(remote, title, str(reason)) from reason
        except Wrong as reason:
            part.drop()
            raise _unexpected(remote, str(reason)) from reason
        digest, before = sha256_of(part.path), remote.remembered()
        expected = {"pinned": pin, "published": remote.digits, "remembered": before.sha256 if before else None}
        for what, digits in expected.items():
            if digits and not digest.startswith(digits):
                part.drop()
                mismatch = f"not the {what} {digits}" + ("..." if len(digits) < 64 else "")
                forget = f" (if the change is meant, delete {remote.path}.json)" if what == "remembered" else ""
                raise _unexpected(remote, f"its SHA-256 is {digest}, {mismatch}{forget}")
        try:
            check(part.path)
        except BbiError as e:
            part.drop()
            raise _unexpected(remote, e.diagnostics[0].message.replace(part.path.name, remote.file)) from e
        receipt = Receipt(digest, part.path.stat().st_size, remote.address, datetime.date.today().isoformat())
        remote.remember(before or receipt)
        put(part.path, remote.path, sync=True)
        part.drop()
        return before or receipt
    except OSError as e:
        raise _unwritable(remote, e) from e


@contextmanager
def _locked(remote: Remote, progress: RunListener | None) -> Iterator[None]:
    """Hold the lock of a file: no other process fetches it meanwhile."""
    lock = Lock(folder() / f"{remote.file}.lock")
    try:
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        if not lock.acquire(wait=False):
            if progress is not None:
                progress(Event("pass", f"waiting for another bbi, which fetches {remote.file}"))
            lock.acquire()
    except OSError as e:
        lock.release()
        raise _unwritable(remote, e) from e
    try:
        yield
    finally:
        lock.release()


def _unreachable(remote: Remote, title: str, reason: str) -> BbiError:
    message = f"the weights of {title} could not be fetched from {remote.address}: {reason}"
    help = f"get the file by hand, there or from {remote.known}, and pass it: `--weights {remote.file}`"
    if remote.address == remote.known:
        help = f"get the file from there by hand, with a browser, and pass it: `--weights {remote.file}`"
    return error("E419", message, help=f"{help}; HTTPS_PROXY names a proxy")


def _unexpected(remote: Remote, why: str) -> BbiError:
    message = f"what {remote.address} gives is not the file that was expected: {why}"
    help = f"get {remote.file} by hand, look at it, and pass it: `--weights {remote.file}`"
    return error("E445", message, help=help)


def _unwritable(remote: Remote, e: OSError) -> BbiError:
    full = e.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = "the disk is full" if full else line(e.strerror or e)
    message = f"{remote.file} cannot be stored in {folder()}: {reason}"
    help = "free some space; the same command then resumes" if full else "BBI_CACHE_DIR names another folder"
    return error("E431", message, help=help)
