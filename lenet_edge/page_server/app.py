"""What is answered: the page, how the board is, and the logits of an input.

    GET /?token=T      the page
    GET /api/board     {"board", "kind", "model", "state", "message", "unit"}; 204 where there is none
    POST /api/infer    the int8 input, NHWC -> {"logits", "count", "unit"}; 503 {"state", "message"} unless ready

The other side is ``report/page/files/chip.mjs``. Every answer other than these is {"message"}.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import hdrs, web

from lenet_edge.page_server.guard import HEADERS, refusal
from lenet_edge.page_server.lasting import LastingSession, NotReadyError

__all__ = ["Served", "make_app"]

_BYTES = "application/octet-stream"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Served:
    """What the server has.

    Attributes:
        page: HTML, UTF-8.
        board: None: no chip is asked.
    """

    page: bytes
    board: LastingSession | None = None


def make_app(served: Served, port: int, token: str) -> web.Application:
    """The answers of the server at a port, for those who know the token."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        why = refusal(request, port, token)
        if why is not None:
            return web.Response(text=f"{why}\n", status=403) if request.path == "/" else _message(403, why)
        try:
            return await handler(request)
        except web.HTTPException as error:  # no such path, another method
            return _message(error.status, error.reason, error.headers.get(hdrs.ALLOW))

    app = web.Application(middlewares=[guarded])
    app.on_response_prepare.append(_add_headers)
    app.router.add_get("/", _page(served.page))
    app.router.add_get("/api/board", _board(served.board))
    if served.board is not None:
        app.router.add_post("/api/infer", _infer(served.board))
    return app


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _message(status: int, text: str, allowed: str | None = None) -> web.Response:
    headers = {} if allowed is None else {hdrs.ALLOW: allowed}
    return web.json_response({"message": text}, status=status, headers=headers)


def _page(content: bytes) -> Handler:
    async def page(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type="text/html", charset="utf-8")

    return page


def _board(board: LastingSession | None) -> Handler:
    async def status(_: web.Request) -> web.Response:
        if board is None:  # no error, which the browser's console would show
            return web.Response(status=204)
        now, wanted = board.status, board.wanted
        return web.json_response(
            {
                "board": now.name,
                "kind": wanted.kind,
                "model": wanted.fingerprint,
                "state": now.state,
                "message": now.message,
                "unit": now.unit,
            }
        )

    return status


def _infer(board: LastingSession) -> Handler:
    size = board.wanted.input_bytes

    async def infer(request: web.Request) -> web.Response:
        if request.content_type != _BYTES or hdrs.CONTENT_ENCODING in request.headers:
            return _message(415, f"The input is sent as it is, as {_BYTES}.")
        image = await _body(request, size)
        if len(image) != size:
            longer = len(image) > size
            return _message(
                413 if longer else 400, f"The input has {size:,} bytes, not {'more' if longer else len(image)}"
            )
        try:
            answer = await asyncio.wrap_future(board.infer(image))
        except NotReadyError as error:
            return web.json_response({"state": error.status.state, "message": error.status.message}, status=503)
        return web.json_response({"logits": answer.logits, "count": answer.count, "unit": answer.unit})

    return infer


async def _body(request: web.Request, most: int) -> bytes:
    """The body, of which no more than a byte too much is read."""
    if (request.content_length or 0) > most:
        return bytes(most + 1)
    body = bytearray()
    with contextlib.suppress(ConnectionError):  # what came is too short then, and nobody waits for the answer
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > most:
                break
    return bytes(body[: most + 1])
