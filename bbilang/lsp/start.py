"""`bbi lsp`: the server over stdio, or on a local port."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bbilang.cli.errors import fail, misuse

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

LOOPBACK = "127.0.0.1"


def start(tcp: int | None, websocket: int | None, origins: Sequence[str]) -> int:
    """Serve until the editor disconnects. ``origins``: the pages that may open the websocket.

    Raises BbiError E410 if pygls is not installed, E440 for options that exclude each other.
    """
    if find_spec("pygls") is None:
        fail("E410", "the language server needs pygls, which is not installed", "pip install 'bbilang[lsp]'")
    if tcp is not None and websocket is not None:
        misuse("--tcp and --websocket are two ways", "leave one of them out")
    gc.enable()
    from bbilang.lsp.server import server

    language_server = server()
    gc.collect()
    gc.freeze()  # modules stay loaded: keep them out of collections between keystrokes
    if tcp is not None:
        language_server.start_tcp(LOOPBACK, tcp)
    elif websocket is not None:
        if find_spec("websockets") is None:
            fail("E410", "--websocket needs websockets, which is not installed", "pip install websockets")
        asyncio.run(_serve(language_server, websocket, origins))
    else:
        # The streams belong to the protocol: redirect prints to stderr, which editors show as a log.
        stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        with contextlib.redirect_stdout(sys.stderr):
            language_server.start_io(stdin, stdout)
    return 0


async def _serve(language_server: LanguageServer, port: int, origins: Sequence[str]) -> None:
    """Serve one page after another over a local websocket. Browsers let any page connect, so the origin is checked
    here."""
    import logging
    from threading import Event

    from pygls.io_ import run_websocket
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.typing import Origin

    async def connected(websocket: ServerConnection) -> None:
        await run_websocket(
            stop_event=Event(), websocket=websocket, protocol=language_server.protocol, logger=logging.getLogger("bbi"),
            error_handler=language_server.report_server_error,
        )  # fmt: skip

    async with serve(connected, LOOPBACK, port, origins=[None, *map(Origin, origins)]) as running:
        print(f"ws://{LOOPBACK}:{running.sockets[0].getsockname()[1]}", flush=True)
        await running.serve_forever()
