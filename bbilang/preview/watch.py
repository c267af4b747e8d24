"""`bbi watch`: the server, the watcher and the work, begun together and ended together."""

from __future__ import annotations

import errno
from pathlib import Path
from threading import Event, Thread

from bbilang.cli.console import result, tell
from bbilang.cli.errors import FINE, misuse
from bbilang.cli.files import STDIN
from bbilang.cli.request import Request
from bbilang.preview.build import Outdated, Work
from bbilang.preview.file_watch import Saves, watching
from bbilang.preview.server import Server
from bbilang.preview.state import Shown


def watch(request: Request, port: int = 0, open_it: bool = False) -> int:
    """Until Ctrl-C. Raises BbiError E440 for a port that is taken, E903 without watchfiles."""
    if request.source.name == STDIN:
        misuse("`bbi watch` watches a file", "save the text, and name it: `bbi watch page.bbi`")
    text = Path(request.source.name).absolute()
    shown, saves, stop = Shown(), Saves(), Event()
    began = saves.number

    def outdated() -> bool:
        return saves.number != began

    work = Work(request, shown, outdated)
    watcher = watching(text, lambda: work.inputs, saves, stop)
    server = _server(shown, port)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="bbi server", daemon=True).start()
    try:
        result(server.guard.url)
        tell(f"watching {request.source.name}; Ctrl-C ends it")
        if open_it:
            import webbrowser

            webbrowser.open(server.guard.url)
        while True:
            began = saves.number
            try:
                words, fine = work.page()
                tell(f"{request.source.name}  {words}" if fine else f"{words}\n")
            except Outdated:
                continue
            saves.wait(began)
    except KeyboardInterrupt:
        tell("ended; what was computed is kept")
        return FINE
    finally:
        shown.end()
        stop.set()
        server.shutdown()
        server.server_close()
        watcher.join(2)


def _server(shown: Shown, port: int) -> Server:
    try:
        return Server(shown, port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        misuse(f"port {port} is not free: {error.strerror}", "leave --port out, and the system chooses one that is")
