"""The page's server in a thread, and requests that say what a browser would not."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.page_server.app import Served
from lenet_edge.page_server.lasting import LastingSession, WantedBoard
from lenet_edge.page_server.serving import running

PAGE = "<!doctype html><title>page</title><p>ü".encode()
BYTES = ("Content-Type", "application/octet-stream")


@dataclass(frozen=True)
class Reply:
    """Status, headers and body of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """What runs: the port and token of the printed address."""

    address: str

    @property
    def port(self) -> int:
        return int(self.address.split("/")[2].partition(":")[2])

    @property
    def token(self) -> str:
        return self.address.partition("?token=")[2]

    def send(
        self,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        host: str | None = None,
        bearer: str | None = None,
    ) -> Reply:
        """A request with the right Host and these headers; `bearer` goes into Authorization."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        own = [("Host", f"127.0.0.1:{self.port}" if host is None else host)]
        own += [("Authorization", f"Bearer {bearer}")] if bearer is not None else []
        own += [("Content-Length", str(len(body)))] if method == "POST" else []
        for name, value in [*own, *headers]:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        reply = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return reply

    def board(self) -> Any:
        """How the board is."""
        return self.send("GET", "/api/board", bearer=self.token).content

    def infer(self, image: bytes) -> Reply:
        """Ask the board."""
        return self.send("POST", "/api/infer", [BYTES], image, bearer=self.token)

    def await_state(self, state: str, timeout_s: float = 60) -> Any:
        """How the board is, once it is so."""
        deadline = time.monotonic() + timeout_s
        while (board := self.board())["state"] != state:
            assert time.monotonic() < deadline, board
            time.sleep(0.05)
        return board


def printed(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The JSON object that `page --serve --json` prints before it serves."""
    assert process.stdout is not None
    text = ""
    while (line := process.stdout.readline()) and line != "}\n":
        text += line
    assert line, process.communicate()[1]
    content: dict[str, Any] = json.loads(text + line)
    return content


def children(parent: int, name: str) -> list[int]:
    """The running processes that a process started whose program's name begins so."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = path.read_text().partition(" (")
        except (FileNotFoundError, ProcessLookupError):
            continue
        program, _, rest = rest.rpartition(") ")
        state, its_parent = rest.split()[:2]
        if int(its_parent) == parent and program.startswith(name) and state != "Z":
            found.append(int(number))
    return found


@contextmanager
def server(wanted: WantedBoard | None = None) -> Iterator[Server]:
    """A server of `PAGE` with that board."""
    board = None if wanted is None else LastingSession(wanted, lambda status: None)
    told, ends = threading.Event(), threading.Event()
    addresses: list[str] = []

    async def run() -> None:
        async with running(Served(PAGE, board)) as address:
            addresses.append(address)
            told.set()
            await asyncio.to_thread(ends.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert told.wait(20)
        yield Server(addresses[0])
    finally:
        ends.set()
        thread.join(20)
        assert not thread.is_alive()
