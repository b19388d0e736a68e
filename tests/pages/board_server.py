"""A server that says what the page's server says of a board, and can be made to say anything."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import run

TOKEN = "a-token"  # noqa: S105 - a test's


@dataclass
class Board:
    """What it says; `asked` are the images that it got. Each takes so many `seconds`, with so many `wrong` outputs."""

    page: bytes
    model: QuantizedModel
    fingerprint: str = ""
    state: str = "ready"
    message: str = ""
    seconds: float = 0.0
    wrong: int = 0
    asked: list[np.ndarray] = field(default_factory=list)
    refused: int = 0

    def status(self) -> tuple[int, dict[str, Any]]:
        fingerprint = self.fingerprint or self.model.fingerprint
        facts = {"board": "microbit", "kind": "emulator", "model": fingerprint, "unit": "instructions"}
        return 200, {**facts, "state": self.state, "message": self.message}

    def infer(self, body: bytes) -> tuple[int, dict[str, Any]]:
        if self.state != "ready":
            return 503, {"state": self.state, "message": self.message}
        image = np.frombuffer(body, np.int8).reshape(1, *self.model.input.shape)
        self.asked.append(image[0])
        time.sleep(self.seconds)
        logits = run(self.model, image)[0]
        logits[: self.wrong] ^= 1
        return 200, {"logits": logits.tolist(), "count": 1234567, "unit": "instructions"}


@contextmanager
def serving(board: Board) -> Iterator[str]:
    """The page's address while the server runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/?"):
                self.answer(200, board.page, "text/html; charset=utf-8")
            elif self.path == "/api/board":
                self.answer_json(*self.guarded(board.status))
            else:
                self.answer_json(404, {"message": "no such path"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            right = self.path == "/api/infer" and self.headers["Content-Type"] == "application/octet-stream"
            self.answer_json(*(self.guarded(lambda: board.infer(body)) if right else (404, {"message": "no"})))

        def guarded(self, answer: Any) -> tuple[int, dict[str, Any]]:
            if self.headers["Authorization"] == f"Bearer {TOKEN}":
                return answer()
            board.refused += 1
            return 403, {"message": "no token"}

        def answer_json(self, code: int, content: dict[str, Any]) -> None:
            self.answer(code, json.dumps(content).encode(), "application/json")

        def answer(self, code: int, content: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/?token={TOKEN}"
    finally:
        server.shutdown()
        server.server_close()
