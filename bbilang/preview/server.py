"""The preview's HTTP server: a frame around the page, the page, and a stream of changes.

Python's own: five addresses for one reader, and a thread for each connection, since a stream stays open. A framework
would bring five packages for no fewer lines.
"""

from __future__ import annotations

import json
import os
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from socketserver import TCPServer
from typing import Any, Protocol
from urllib.parse import urlsplit

from bbilang.cli.console import printed
from bbilang.grammar.diagnostic import BbiError, render
from bbilang.preview.auth import ADDRESS, Guard
from bbilang.preview.state import Shown, State

OBJECT, UNDO = "/object", "/undo"
LARGEST = 8192  # bytes of a line
EVERY = 10.0  # seconds after which a stream without news shows that it is there
SHELL = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FILES = {"/": ("shell.html", "text/html"), "/shell.js": ("shell.js", "text/javascript"),
         "/shell.css": ("shell.css", "text/css")}  # fmt: skip


class Lines(Protocol):
    """Lines that a reader adds to the text, and takes back; both say what they did, and raise BbiError, OSError."""

    def add(self, line: str) -> str: ...

    def undo(self) -> str: ...


class Server(ThreadingHTTPServer):
    """Listens on 127.0.0.1, at a port of the system's choice where ``port`` is 0. Raises OSError where it is taken."""

    daemon_threads = True

    def __init__(self, shown: Shown, port: int = 0, objections: Lines | None = None):
        """``objections``: adds lines to the text."""
        super().__init__((ADDRESS, port), _Handler)
        self.shown, self.objections = shown, objections
        self.guard = Guard(self.server_address[1])

    def server_bind(self) -> None:
        """Bind without looking up the host name, which would send a request to the network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore closed connections."""
        if os.environ.get("BBI_DEBUG"):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Serves the page, its pictures and its events."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "bbi", ""
    timeout = 60

    def do_GET(self) -> None:
        reason = self.server.guard.refused(self.path, self.headers)
        path = urlsplit(self.path).path
        if reason is not None:
            self._text(HTTPStatus.FORBIDDEN, reason)
        elif path == "/" and self.server.guard.token_in(self.path):  # out of the address bar, and out of the history
            self._answer(
                HTTPStatus.SEE_OTHER, b"", "text/plain", {"Location": "/", "Set-Cookie": self.server.guard.cookie}
            )
        elif path in FILES:
            name, kind = FILES[path]
            self._answer(
                HTTPStatus.OK, _file(name), kind, {"Content-Security-Policy": SHELL, "X-Frame-Options": "DENY"}
            )
        elif path.startswith("/page/") and self.server.shown.state.html:
            self._answer(HTTPStatus.OK, self.server.shown.state.html, "text/html", {"X-Frame-Options": "SAMEORIGIN"})
        elif path == "/events":
            self._stream()
        else:
            self._text(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_POST(self) -> None:
        """Take a line that the reader adds to the text, or takes back, from the page itself alone."""
        reason = self.server.guard.refused(self.path, self.headers)
        if reason is None and self.headers.get("Origin") is None:
            reason = "only the page of this server adds to the text"
        if reason is not None:
            self.close_connection = True
            return self._text(HTTPStatus.FORBIDDEN, reason)
        length = self.headers.get("Content-Length", "")
        fits = length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= LARGEST
        path, lines = urlsplit(self.path).path, self.server.objections
        if path not in (OBJECT, UNDO) or lines is None or not fits:
            self.close_connection = True  # what follows is the body
            return self._text(HTTPStatus.NOT_FOUND, "there is nothing here")
        try:
            line = self.rfile.read(int(length)).decode()
            self._text(HTTPStatus.OK, lines.add(line) if path == OBJECT else lines.undo())
        except UnicodeDecodeError:
            self._text(HTTPStatus.BAD_REQUEST, "this is no text")
        except BbiError as error:
            self._text(HTTPStatus.CONFLICT, printed(render(error.diagnostics, error.source)))
        except OSError as error:
            self._text(HTTPStatus.CONFLICT, f"the text cannot be written: {error.strerror or error}")

    def _text(self, status: HTTPStatus, words: str) -> None:
        self._answer(status, f"{words}\n".encode(), "text/plain", {})

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, more: dict[str, str]) -> None:
        self._begin(status, kind, {"Content-Length": str(len(body)), **more})
        self.wfile.write(body)

    def _begin(self, status: HTTPStatus, kind: str, more: dict[str, str]) -> None:
        self.send_response(status)
        always = {
            "Content-Type": f"{kind}; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
        }  # fmt: skip
        for name, value in (always | more).items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self) -> None:
        """Send server-sent events: the state, and again whenever it changes; of the pictures only new ones."""
        self.close_connection = True
        self._begin(HTTPStatus.OK, "text/event-stream", {"Connection": "close"})
        state: State | None = self.server.shown.state
        page = seen = 0
        while True:
            if state is not None:
                since = seen if state.page == page else 0
                self._send(f"data: {json.dumps(_message(state, since))}\n\n")
                page, seen = state.page, state.number
            else:
                self._send(": still here\n\n")
            if state is not None and state.ended:
                return
            state = self.server.shown.wait(seen, EVERY)

    def _send(self, words: str) -> None:
        self.wfile.write(words.encode())
        self.wfile.flush()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing: the terminal is for messages about the text."""


def _message(state: State, since: int) -> dict[str, Any]:
    pictures = [[index, address] for index, (number, address) in state.pictures.items() if number > since]
    return {"page": state.page, "words": state.words, "busy": state.busy, "errors": state.errors, "ended": state.ended,
            "pictures": pictures}  # fmt: skip


@cache
def _file(name: str) -> bytes:
    return (files("bbilang.preview") / name).read_bytes()
