"""One file over HTTP: resumed where it broke off, for as long as it is the same file.

Only urllib of the standard library, with the proxies that the environment names (HTTPS_PROXY, NO_PROXY ...).
"""

from __future__ import annotations

import errno
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bbilang.runtime.events import Event, RunListener
from bbilang.runtime.models.weights.remote_files import MIRROR, Remote

TIMEOUT = 30.0  # seconds without a byte
CONNECTIONS = 50  # at most, for one file
TRIES = 4  # in a row that bring nothing
PAUSE = 1.0  # seconds before the second, doubled each time
PIECE = 1 << 16
BUSY = (408, 429, 500, 502, 503, 504)  # answers that may be others in a while


@dataclass
class Part:
    """What is there of a file, and which version of it that is (its ETag or date), so that it can be resumed."""

    path: Path
    address: str

    @property
    def _beside(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def resumable(self) -> tuple[int, str]:
        """(bytes, version); (0, "") where the rest could be of another file."""
        try:
            data = json.loads(self._beside.read_text(encoding="utf-8"))
            if data["address"] == self.address and data["version"]:
                return self.path.stat().st_size, str(data["version"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass
        return 0, ""

    def begin(self, version: str) -> None:
        self.drop()
        self._beside.write_text(json.dumps({"address": self.address, "version": version}), encoding="utf-8")

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._beside.unlink(missing_ok=True)


class Unreachable(Exception):
    """The file cannot be had, for a reason in words; what is there of it can be resumed."""


class Wrong(Exception):
    """What comes is not the file, for a reason in words."""


def transfer(remote: Remote, part: Part, progress: RunListener | None) -> None:
    """Fetch the whole file into the part, or the rest of it. Raises Unreachable, Wrong, and OSError of the disk."""
    tell = _Telling(remote.file, progress)
    failed, reason = 0, ""
    for _ in range(CONNECTIONS):
        if failed >= TRIES:
            break
        before = part.path.stat().st_size if part.path.exists() else 0
        if failed:
            time.sleep(PAUSE * 2 ** (failed - 1))
        if not (reason := _connection(remote, part, tell)):
            return
        grown = part.path.exists() and part.path.stat().st_size > before
        failed = 1 if grown else failed + 1
    raise Unreachable(reason)


def _connection(remote: Remote, part: Part, tell: _Telling) -> str:
    """One request: "" when the file is whole, else why it is not yet."""
    have, version = part.resumable()
    headers = {"User-Agent": "bbilang", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        with _opener(remote.address).open(
            urllib.request.Request(remote.address, headers=headers), timeout=TIMEOUT
        ) as answer:
            return _received(remote, part, answer, have, version, tell)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # what is there is not a beginning of what the server has
            part.drop()
            return "the server does not have the rest of what was fetched"
        words = f"the server answers {error.code} {line(error.reason)}"
        if error.code not in BUSY:
            raise Unreachable(words) from error
        return words
    except TimeoutError:
        return f"nothing came for {TIMEOUT:g} seconds"
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            return f"no answer within {TIMEOUT:g} seconds"
        raise Unreachable(line(error.reason)) from error
    except (http.client.HTTPException, ConnectionError) as error:
        return f"the connection broke off ({line(error) or type(error).__name__})"
    except ValueError as error:  # an address that is none
        raise Unreachable(line(error)) from error


def _received(remote: Remote, part: Part, answer: Any, have: int, version: str, tell: _Telling) -> str:
    now = _version(answer.headers)
    start, total = 0, _number(answer.headers.get("Content-Length"))
    if answer.status == 206:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
        if not have or span is None or int(span[1]) != have or (now and now != version):
            part.drop()
            return "the server sent another part than the one asked for"
        start, total = have, _number(span[2]) or (have + total if total is not None else None)
    elif answer.status != 200:
        raise Unreachable(f"the server answers {answer.status}")
    if "html" in answer.headers.get("Content-Type", "").lower():
        raise Wrong("the server sent an HTML page")
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unreachable("the server sent it in an encoding that was not asked for")
    if total is not None and total > remote.limit:
        raise Wrong(f"it has {_size(total)}, where at most {_size(remote.limit)} are right")
    if total is not None and shutil.disk_usage(part.path.parent).free < total - start:
        raise OSError(errno.ENOSPC, f"it takes {_size(total - start)}")
    if not start:
        part.begin(now)
    tell.begin(start, total)
    with part.path.open("ab") as file:
        done = _copied(remote, answer, file, start, tell, bool(version or now))
    if done > remote.limit:
        raise Wrong(f"it goes on beyond {_size(remote.limit)}")
    return f"the connection broke off at {_size(done)} of {_size(total)}" if total is not None and done < total else ""


def _copied(remote: Remote, answer: Any, file: IO[bytes], done: int, tell: _Telling, named: bool) -> int:
    """Write what comes; gives the size of the file then. ``named``: whether the server names its version of the file,
    so that it can be resumed."""
    try:
        while piece := _piece(answer):
            file.write(piece)
            done += len(piece)
            tell(done)
            if done > remote.limit:
                break
    except KeyboardInterrupt as interrupt:
        words = f"interrupted: {_size(done)} of {remote.file} are kept, and the same command goes on from there"
        raise KeyboardInterrupt(words if named else "interrupted") from interrupt
    return done


def _piece(answer: Any) -> bytes:
    """What comes next. Raises TimeoutError, or ConnectionError for whatever else goes wrong on the way."""
    try:
        return answer.read1(PIECE)
    except (TimeoutError, ConnectionError):
        raise
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(line(error)) from error


def _version(headers: Any) -> str:
    """What names this version of the file, as If-Range takes it: a strong ETag, else the date."""
    tag = headers.get("ETag", "").strip()
    return tag if tag.startswith('"') else headers.get("Last-Modified", "").strip()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to what anybody on the way can change."""

    def redirect_request(self, request: Any, file: Any, code: int, words: str, headers: Any, to: str) -> Any:
        if request.full_url.startswith("https:") and not to.startswith("https:"):
            raise Unreachable(f"it leads away from https, to {urllib.parse.urlsplit(to).hostname}")
        return super().redirect_request(request, file, code, words, headers, to)


def _opener(address: str) -> urllib.request.OpenerDirector:
    """For http and https alone: no files, no ftp."""
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise Unreachable(f"only http and https can be fetched ({MIRROR})")
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(),
                    urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor(),
                    urllib.request.UnknownHandler(), _Redirects()):  # fmt: skip
        opener.add_handler(handler)
    return opener


# --- telling --------------------------------------------------------------------------------------------------------


class _Telling:
    """How far it is, ten times a second."""

    def __init__(self, name: str, progress: RunListener | None):
        self._name, self._progress = name, progress
        self._told = 0.0

    def begin(self, start: int, total: int | None) -> None:
        self._start, self._total, self._began = start, total, time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if self._progress is None or now - self._told < 0.1:
            return
        self._told = now
        passed, came = now - self._began, done - self._start
        left = passed * (self._total - done) / came if self._total and came and passed > 1 else None
        words = f"fetching {self._name} ({_size(done)}{f' of {_size(self._total)}' if self._total else ''})"
        self._progress(Event("work", words, done, self._total or max(done * 2, 1), left))


def _size(count: int | None) -> str:
    return "?" if count is None else f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count:,} bytes"


def _number(words: str | None) -> int | None:
    return int(words) if words is not None and re.fullmatch(r"\d{1,18}", words.strip()) else None


def line(words: Any) -> str:
    """One short line of what others say."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(words)).split())[:160]
