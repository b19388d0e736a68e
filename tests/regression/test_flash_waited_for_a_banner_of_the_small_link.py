"""A board of one's own with the small link and a flash tool: it sends no banner, and `flash` said that it is silent."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace

from lenet_edge.hardware.flashing import stages


class Stream:
    """The end of what a firmware without a banner sends when it starts."""

    def __init__(self) -> None:
        self.left = b"\0"

    def read(self, _timeout_s):
        data, self.left = self.left, b""
        return data


def test_the_byte_0_is_its_start(monkeypatch):
    monkeypatch.setattr(stages, "commands", lambda _job: SimpleNamespace(reset=("reset",)))
    monkeypatch.setattr(stages, "self_test_s", lambda *_: -stages._BANNER_S + 0.2)
    monkeypatch.setattr(stages, "inference_s", lambda *_: 1.0)
    job = SimpleNamespace(tool="a tool", board=SimpleNamespace(link="small"))
    said: list[str] = []
    running = SimpleNamespace(
        job=job, macs=1, tool=lambda _command: None, stage=lambda _name, do: said.append(do()), board=job.board
    )
    with ExitStack() as closing:
        _, banner = stages._start(running, Stream(), None, closing)
    assert banner == ""
    assert said == ["no banner; it may have come earlier"]
