"""`bbi watch`: starts the server, the file watcher and the builder, and stops them together."""

from __future__ import annotations

import errno
from pathlib import Path
from threading import Event, Thread

from bbilang.cli.console import result, tell
from bbilang.cli.errors import FINE, misuse
from bbilang.cli.request import CommandLine
from bbilang.preview.build import Outdated, PageBuilder
from bbilang.preview.file_watch import Saves, watching
from bbilang.preview.objection import Objections
from bbilang.preview.server import Server
from bbilang.preview.state import Shown
from bbilang.texts import STDIN


def watch(line: CommandLine, port: int = 0, open_it: bool = False) -> int:
    """Serve until Ctrl-C. Raises BbiError E440 for a port in use, E903 without watchfiles."""
    if line.source.name == STDIN:
        misuse("`bbi watch` watches a file", "save the text, and name it: `bbi watch page.bbi`")
    text = Path(line.source.name).absolute()
    shown, saves, stop = Shown(), Saves(), Event()
    seen = saves.number

    def outdated() -> bool:
        return saves.number != seen

    builder = PageBuilder(line, shown, outdated)
    watcher = watching(text, lambda: builder.inputs, saves, stop)

    server = _server(shown, port, Objections(str(text), builder.check))
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="bbi server", daemon=True).start()
    try:
        result(server.guard.url)
        tell(f"watching {line.source.name}; Ctrl-C ends it")
        if open_it:
            import webbrowser

            webbrowser.open(server.guard.url)
        while True:
            seen = saves.number
            try:
                words, fine = builder.page()
                tell(f"{line.source.name}  {words}" if fine else f"{words}\n")
            except Outdated:
                continue
            saves.wait(seen)
    except KeyboardInterrupt:
        tell("stopped; computed results are in the cache")
        return FINE
    finally:
        shown.end()
        stop.set()
        server.shutdown()
        server.server_close()
        watcher.join(2)


def _server(shown: Shown, port: int, objections: Objections) -> Server:
    try:
        return Server(shown, port, objections)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        misuse(f"port {port} is not free: {error.strerror}", "leave --port out, and the system chooses one that is")
