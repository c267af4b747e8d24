"""A local server that misbehaves on demand, one behaviour per request."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Serving(ThreadingHTTPServer):
    """``plan``: what to do at each request: whole, break, stall, slow, chunked, html, 404, 500, redirect, wrong part;
    beyond its end: whole. ``asked``: the Range of each request."""

    daemon_threads = True

    def __init__(self, content, *plan, etag='"1"'):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.plan, self.etag = content, list(plan), etag
        self.asked, self.paths = [], []
        self.bursts = 4

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass  # the client has gone


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *words):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        server.paths.append(self.path)
        what = server.plan.pop(0) if server.plan else "whole"
        if what in ("404", "500"):
            self.send_error(int(what))
            return
        if what == "redirect":
            self.send_response(302)
            self.send_header("Location", f"{server.address}/elsewhere")
            self.end_headers()
            return
        if what == "html":
            self._head(200, 20, kind="text/html; charset=utf-8")
            self.wfile.write(b"<html>sign in</html>")
            return
        content = server.content
        start = 0
        requested = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if requested and self.headers.get("If-Range") == server.etag:
            start = int(requested[1])
        if start >= len(content):
            self.send_error(416)
            return
        if what == "wrong part":
            start = max(start - 1, 0)
        rest = content[start:]
        if what == "chunked":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(2000):  # far more than was asked for
                    self.wfile.write(b"x" * 1000)
            return
        self._head(
            206 if start else 200, len(rest), f"bytes {start}-{len(content) - 1}/{len(content)}" if start else ""
        )
        if what == "slow":
            step = len(rest) // server.bursts + 1
            for at in range(0, len(rest), step):
                self.wfile.write(rest[at : at + step])
                self.wfile.flush()
                time.sleep(0.15)
        elif what == "stall":
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            time.sleep(2)
        else:
            self.wfile.write(rest[: len(rest) // 2] if what == "break" else rest)

    def _head(self, status, length, span="", kind="application/octet-stream"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        if span:
            self.send_header("Content-Range", span)
        self.end_headers()


@contextlib.contextmanager
def serving(content, *plan, etag='"1"'):
    server = Serving(content, *plan, etag=etag)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
