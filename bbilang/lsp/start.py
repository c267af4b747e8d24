"""`bbi lsp`: the server on the standard streams, or for a test on a port of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from bbilang.cli.errors import fail, misuse

LOOPBACK = "127.0.0.1"


def start(tcp: int | None, websocket: int | None, origins: Sequence[str]) -> int:
    """Serve until the editor goes. ``origins``: the pages that may open the websocket; no other page can.

    Raises BbiError E410 where pygls is not installed, E440 where the options make no sense.
    """
    if find_spec("pygls") is None:
        fail("E410", "the language server needs pygls, which is not installed", "pip install 'bbilang[lsp]'")
    if tcp is not None and websocket is not None:
        misuse("--tcp and --websocket are two ways", "leave one of them out")
    gc.enable()
    from bbilang.lsp.server import server

    made = server()
    gc.collect()
    gc.freeze()  # what is loaded stays: nobody needs to look through it between two keystrokes
    if tcp is not None:
        made.start_tcp(LOOPBACK, tcp)
    elif websocket is not None:
        if find_spec("websockets") is None:
            fail("E410", "--websocket needs websockets, which is not installed", "pip install websockets")
        asyncio.run(_serve(made, websocket, origins))
    else:
        # The streams belong to the protocol: what prints, prints where an editor shows its logs.
        stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        with contextlib.redirect_stdout(sys.stderr):
            made.start_io(stdin, stdout)
    return 0


async def _serve(made: object, port: int, origins: Sequence[str]) -> None:
    """One page after another over a websocket of this machine: a browser asks nobody whether a page may connect, so
    the origin is looked at here."""
    import logging
    from threading import Event

    from pygls.io_ import run_websocket
    from websockets.asyncio.server import serve

    async def connected(websocket: object) -> None:
        await run_websocket(
            stop_event=Event(), websocket=websocket, protocol=made.protocol, logger=logging.getLogger("bbi"),
            error_handler=made.report_server_error,
        )  # fmt: skip

    async with serve(connected, LOOPBACK, port, origins=[None, *origins]) as running:
        print(f"ws://{LOOPBACK}:{running.sockets[0].getsockname()[1]}", flush=True)
        await running.serve_forever()
