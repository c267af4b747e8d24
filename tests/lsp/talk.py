"""A small headless editor: it starts `bbi lsp` and talks to it over the standard streams."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from typing import Any

CAPABILITIES = {
    "general": {"positionEncodings": ["utf-16"]},
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True}},
        "publishDiagnostics": {"relatedInformation": True},
        "rename": {"prepareSupport": True},
    },
}
PATIENCE = 60  # seconds for one answer, on a machine with other work


class Editor:
    """One server and one text. ``took``: milliseconds from the last question to its answer."""

    def __init__(self, uri: str, text: str):
        command = [sys.executable, "-m", "bbilang.cli", "lsp"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.inbox: queue.Queue[tuple[float, Any]] = queue.Queue()
        self.published: dict[str, list[Any]] = {}
        self.number = self.version = 0
        self.took = 0.0
        threading.Thread(target=self._read, daemon=True).start()
        self.capabilities = self.ask("initialize", processId=None, rootUri=None, capabilities=CAPABILITIES)
        self.tell("initialized")
        self.open(uri, text)

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while True:
            length = 0
            while (line := stream.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if not length:
                return
            message = json.loads(stream.read(length))
            self.inbox.put((time.perf_counter(), message))

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self.process.stdin.flush()

    def tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, **params: Any) -> Any:
        """The result; the error where there is one."""
        self.number += 1
        start = time.perf_counter()
        self._send({"id": self.number, "method": method, "params": params})
        while True:
            came, message = self.inbox.get(timeout=PATIENCE)
            if message.get("id") == self.number and "method" not in message:
                self.took = (came - start) * 1e3
                return message.get("result", message.get("error"))
            self._note(message)

    def _note(self, message: Any) -> None:
        if message.get("method") == "textDocument/publishDiagnostics":
            params = message["params"]
            self.published.setdefault(params["uri"], []).append(params)

    def diagnostics(self) -> list[Any]:
        """Those of the text as it is now: waits until they are there."""
        while not any(p.get("version") == self.version for p in self.published.get(self.uri, [])):
            self._note(self.inbox.get(timeout=PATIENCE)[1])
        return self.published[self.uri][-1]["diagnostics"]

    # --- the text ---

    def open(self, uri: str, text: str) -> None:
        self.uri, self.text = uri, text
        self.version += 1
        item = {"uri": uri, "languageId": "bbi", "version": self.version, "text": text}
        self.tell("textDocument/didOpen", textDocument=item)

    def close(self) -> None:
        self.tell("textDocument/didClose", textDocument={"uri": self.uri})

    def position_at(self, offset: int) -> dict[str, int]:
        line = self.text.count("\n", 0, offset)
        start = self.text.rfind("\n", 0, offset) + 1
        return {"line": line, "character": len(self.text[start:offset].encode("utf-16-le")) // 2}

    def edit(self, start: int, end: int, new: str) -> None:
        """Replace text[start:end] by ``new``, as one keystroke does."""
        change = {"range": {"start": self.position_at(start), "end": self.position_at(end)}, "text": new}
        self.text = self.text[:start] + new + self.text[end:]
        self.version += 1
        self.tell("textDocument/didChange", textDocument={"uri": self.uri, "version": self.version},
                  contentChanges=[change])  # fmt: skip

    def at(self, method: str, offset: int, **params: Any) -> Any:
        """Ask about a position in the text."""
        return self.ask(
            f"textDocument/{method}", textDocument={"uri": self.uri}, position=self.position_at(offset), **params
        )

    def whole(self, method: str, **params: Any) -> Any:
        """A question about the text."""
        return self.ask(f"textDocument/{method}", textDocument={"uri": self.uri}, **params)

    def stop(self) -> int:
        self.ask("shutdown")
        self.tell("exit")
        return self.process.wait(timeout=PATIENCE)
