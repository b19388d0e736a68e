"""The server's life: a port of this machine alone, a token, and an end at the first signal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from lenet_edge.errors import BadInputError
from lenet_edge.page_server.app import Served, make_app

__all__ = ["running", "serve"]

_HOST = "127.0.0.1"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TOKEN_BYTES = 24
_END_S = 0.5  # for answers that are being sent at the end

_LOGGER = logging.getLogger(__name__)
_LOGGER.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))
"""Has our faults, and not those of what is sent here and is no HTTP."""


def serve(served: Served, port: int, announce: Callable[[str], object]) -> None:
    """Serve until Ctrl-C, SIGTERM or SIGHUP, which then does what it would have done.

    Args:
        port: on 127.0.0.1; 0 takes a free one.
        announce: called with the page's address, which has the token.

    Raises:
        BadInputError: the port cannot be had.
        KeyboardInterrupt: as usual after Ctrl-C.
    """
    came = asyncio.run(_until_a_signal(served, port, announce))
    if came is not None:
        signal.raise_signal(came)


async def _until_a_signal(served: Served, port: int, announce: Callable[[str], object]) -> signal.Signals | None:
    """The signal that came; raises what ended the thread that asks the board."""
    with _noted_signals() as signals:
        async with running(served, port) as address:
            announce(address)
            stopped = asyncio.ensure_future(signals.first())
            waited: list[asyncio.Future[Any]] = [stopped]
            if served.board is not None:
                waited.append(asyncio.wrap_future(served.board.ended))
            done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
            return stopped.result() if stopped in done else None


@contextlib.asynccontextmanager
async def running(served: Served, port: int = 0) -> AsyncIterator[str]:
    """The server and its board's session, in the running loop; gives the page's address.

    Raises:
        BadInputError: the port cannot be had.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    with _bound(port) as bound:
        port = bound.getsockname()[1]
        app = make_app(served, port, token)
        runner = web.AppRunner(app, access_log=None, logger=_LOGGER, auto_decompress=False, shutdown_timeout=_END_S)
        await runner.setup()
        if served.board is not None:
            served.board.start()
        try:
            await web.SockSite(runner, bound).start()
            yield f"http://{_HOST}:{port}/?token={token}"
        finally:
            if served.board is not None:  # which ends what is being waited for
                await asyncio.to_thread(served.board.close)
            await runner.cleanup()


@contextlib.contextmanager
def _bound(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a port is refused for a minute after its use
        try:
            bound.bind((_HOST, port))
            bound.listen()
        except OSError as error:
            raise BadInputError(
                f"port {port} of {_HOST} cannot be had: {error.strerror or error}. Choose another; 0 takes a free one"
            ) from error
        yield bound


class _Signals:
    """Those that came."""

    def __init__(self) -> None:
        self._came: list[signal.Signals] = []
        self._any = asyncio.Event()

    def note(self, number: signal.Signals) -> None:
        self._came.append(number)
        self._any.set()

    async def first(self) -> signal.Signals:
        await self._any.wait()
        return self._came[0]


@contextlib.contextmanager
def _noted_signals() -> Iterator[_Signals]:
    """In the block a signal that would end us is only noted, so that no exception comes into the middle of asyncio."""
    loop, signals = asyncio.get_running_loop(), _Signals()
    usual = {number: signal.getsignal(number) for number in _SIGNALS}
    taken = {number: handler for number, handler in usual.items() if handler not in (None, signal.SIG_IGN)}
    for number in taken:
        loop.add_signal_handler(number, signals.note, number)
    try:
        yield signals
    finally:
        for number, handler in taken.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
