"""Download one file over HTTP: resumed after an interruption if the file has not changed.

Uses only urllib of the standard library, with the proxies of the environment (HTTPS_PROXY, NO_PROXY ...).
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
from typing import IO, TypeAlias
from urllib.request import Request

from bbilang.runtime.events import Event, RunListener
from bbilang.runtime.models.weights.remote_files import MIRROR, Remote

TIMEOUT = 30.0  # seconds without a byte
CONNECTIONS = 50  # at most, for one file
TRIES = 4  # consecutive ones without data
PAUSE = 1.0  # seconds before the second try, doubled each time
PIECE = 1 << 16
Response: TypeAlias = http.client.HTTPResponse
BUSY = (408, 429, 500, 502, 503, 504)  # temporary errors of a server


@dataclass
class Part:
    """The downloaded part of a file and its version (ETag or date), so that it can be resumed."""

    path: Path
    address: str

    @property
    def _beside(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def resumable(self) -> tuple[int, str]:
        """Return (bytes, version); (0, "") where the rest may be of another version."""
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
    """The file cannot be fetched, for a reason in words; its part can be resumed."""


class Wrong(Exception):
    """The response is not the file, for a reason in words."""


def transfer(remote: Remote, part: Part, progress: RunListener | None) -> None:
    """Fetch the file, or the rest of it, into the part. Raises Unreachable, Wrong, and OSError of the disk."""
    reports = _ProgressReports(remote.file, progress)
    failed, reason = 0, ""
    for _ in range(CONNECTIONS):
        if failed >= TRIES:
            break
        before = part.path.stat().st_size if part.path.exists() else 0
        if failed:
            time.sleep(PAUSE * 2 ** (failed - 1))
        if not (reason := _connection(remote, part, reports)):
            return
        grown = part.path.exists() and part.path.stat().st_size > before
        failed = 1 if grown else failed + 1
    raise Unreachable(reason)


def _connection(remote: Remote, part: Part, reports: _ProgressReports) -> str:
    """Make one request; return "" when the file is complete, else the reason why not."""
    have, version = part.resumable()
    headers = {"User-Agent": "bbilang", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        with _opener(remote.address).open(
            urllib.request.Request(remote.address, headers=headers), timeout=TIMEOUT
        ) as answer:
            return _received(remote, part, answer, have, version, reports)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the part is no beginning of the server's file
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
    except ValueError as error:  # an invalid address
        raise Unreachable(line(error)) from error


def _received(remote: Remote, part: Part, answer: Response, have: int, version: str, reports: _ProgressReports) -> str:
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
    reports.begin(start, total)
    with part.path.open("ab") as file:
        done = _copied(remote, answer, file, start, reports, bool(version or now))
    if done > remote.limit:
        raise Wrong(f"it goes on beyond {_size(remote.limit)}")
    return f"the connection broke off at {_size(done)} of {_size(total)}" if total is not None and done < total else ""


def _copied(
    remote: Remote, answer: Response, file: IO[bytes], done: int, reports: _ProgressReports, named: bool
) -> int:
    """Write the response to the file; return the size of the file. ``named``: whether the server names the version, so
    that the download can be resumed."""
    try:
        while piece := _piece(answer):
            file.write(piece)
            done += len(piece)
            reports.received(done)
            if done > remote.limit:
                break
    except KeyboardInterrupt as interrupt:
        words = f"interrupted: {_size(done)} of {remote.file} are stored; the same command resumes the download"
        raise KeyboardInterrupt(words if named else "interrupted") from interrupt
    return done


def _piece(answer: Response) -> bytes:
    """Read the next piece. Raises TimeoutError, or ConnectionError for any other error of the connection."""
    try:
        return answer.read1(PIECE)
    except (TimeoutError, ConnectionError):
        raise
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(line(error)) from error


def _version(headers: http.client.HTTPMessage) -> str:
    """Return the version of the file for If-Range: a strong ETag, else the date."""
    tag = headers.get("ETag", "").strip()
    return tag if tag.startswith('"') else headers.get("Last-Modified", "").strip()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to http."""

    def redirect_request(
        self,
        request: urllib.request.Request,
        file: IO[bytes],
        code: int,
        words: str,
        headers: http.client.HTTPMessage,
        to: str,
    ) -> Request | None:
        if request.full_url.startswith("https:") and not to.startswith("https:"):
            raise Unreachable(f"it leads away from https, to {urllib.parse.urlsplit(to).hostname}")
        return super().redirect_request(request, file, code, words, headers, to)


def _opener(address: str) -> urllib.request.OpenerDirector:
    """Build an opener for http and https only."""
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise Unreachable(f"only http and https can be fetched ({MIRROR})")
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(),
                    urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor(),
                    urllib.request.UnknownHandler(), _Redirects()):  # fmt: skip
        opener.add_handler(handler)
    return opener


# --- progress --------------------------------------------------------------------------------------------------------


class _ProgressReports:
    """Reports the progress of a download, ten times a second."""

    def __init__(self, name: str, progress: RunListener | None):
        self._name, self._progress = name, progress
        self._last_report = 0.0

    def begin(self, start: int, total: int | None) -> None:
        self._start, self._total, self._began = start, total, time.monotonic()

    def received(self, done: int) -> None:
        now = time.monotonic()
        if self._progress is None or now - self._last_report < 0.1:
            return
        self._last_report = now
        passed, came = now - self._began, done - self._start
        left = passed * (self._total - done) / came if self._total and came and passed > 1 else None
        words = f"fetching {self._name} ({_size(done)}{f' of {_size(self._total)}' if self._total else ''})"
        self._progress(Event("work", words, done, self._total or max(done * 2, 1), left))


def _size(count: int | None) -> str:
    return "?" if count is None else f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count:,} bytes"


def _number(words: str | None) -> int | None:
    return int(words) if words is not None and re.fullmatch(r"\d{1,18}", words.strip()) else None


def line(words: object) -> str:
    """Shorten a message of others to one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(words)).split())[:160]
