"""Who may ask: the page that this server gave, in a browser of this machine, and nobody else.

Other pages in the same browser can send requests to a port of this machine. They neither know the token nor can they
read an answer; a name of theirs that they let point to 127.0.0.1 ("DNS rebinding") shows in the header Host.
"""

from __future__ import annotations

from collections.abc import Mapping
from secrets import compare_digest

from aiohttp import hdrs, web

__all__ = ["HEADERS", "refusal"]

HEADERS: Mapping[str, str] = {
    # What the page may load is in its own policy; a policy of a <meta> cannot say who may frame it.
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Server": "lenet-edge",
}
"""Of every answer."""

_HTTP_PORT = 80  # which a browser leaves out of an address


def refusal(request: web.Request, port: int, token: str) -> str | None:
    """Why a request is not answered; None where it is the page's.

    Args:
        port: of this server, on 127.0.0.1.
        token: which the address of the page has as ``?token=``, and everything else as ``Authorization: Bearer``.
    """
    hosts = request.headers.getall(hdrs.HOST, [])
    if len(hosts) != 1 or hosts[0] not in _names(port):
        return f"This server is 127.0.0.1:{port} and has no other name."
    if any(origin != f"http://{hosts[0]}" for origin in request.headers.getall(hdrs.ORIGIN, [])):
        return "Another page's scripts get no answer here."
    if request.path == "/":
        given = request.query.getall("token", [])
        advice = "Open the whole address that `lenet-edge page --serve` printed: only with its token you get the page."
    else:
        given = [value.removeprefix("Bearer ") for value in request.headers.getall(hdrs.AUTHORIZATION, [])]
        advice = "The header `Authorization: Bearer TOKEN` with the token of the printed address is missing or wrong."
    known = len(given) == 1 and compare_digest(given[0].encode(errors="backslashreplace"), token.encode())
    return None if known else advice


def _names(port: int) -> set[str]:
    names = {"127.0.0.1", "localhost"}
    return {f"{name}:{port}" for name in names} | (names if port == _HTTP_PORT else set())
