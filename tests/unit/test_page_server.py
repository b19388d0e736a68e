"""Who gets an answer of the page's server, and how a board is kept at hand that comes and goes."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from page_servers import BYTES, PAGE, server

from lenet_edge.errors import BadInputError, LinkError
from lenet_edge.hardware.emulators.process import CallCount
from lenet_edge.page_server import lasting
from lenet_edge.page_server.app import Served
from lenet_edge.page_server.lasting import LastingSession, NotReadyError, WantedBoard
from lenet_edge.page_server.serving import serve

INPUT_BYTES = 6
IMAGE = bytes(range(INPUT_BYTES))

REQUESTS = [("GET", "/?token={token}"), ("GET", "/api/board"), ("POST", "/api/infer"), ("GET", "/nothing")]
OTHER_HOSTS = [
    *("", "evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:{other}", "127.0.0.1:{port}.evil.example"),
    *("127.0.0.2:{port}", "0.0.0.0:{port}", "[::1]:{port}", "localhost.:{port}", "localhost.evil.example:{port}"),
]
OTHER_ORIGINS = [
    *("", "null", "file://", "https://evil.example", "http://127.0.0.1", "http://127.0.0.1:{other}"),
    *("https://127.0.0.1:{port}", "http://localhost:{port}", "http://127.0.0.1:{port}.evil.example"),
]


class FakeBoard:
    """A board whose logits are the image's bytes less 3.

    Attributes:
        away: what opening it raises; None: it is there.
        fails: what asking it raises.
        counts: of the emulator, if it counts.
        may_answer: cleared, it is busy with what it was asked.
        opened: how often it was opened.
    """

    def __init__(self, unit="cycles"):
        self.away = self.fails = None
        self.counts = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked = threading.Event()
        self.opened, self.at_once, self.most_at_once = 0, 0, 0
        self.said = SimpleNamespace(board="microbit", counter_unit=unit)

    def wanted(self, kind="port", unit=""):
        return WantedBoard("/dev/ttyX", kind, "0f" * 32, INPUT_BYTES, unit, self.open)

    @contextmanager
    def open(self):
        if self.away is not None:
            raise self.away
        self.opened += 1
        yield SimpleNamespace(device=self, hello=self.said, counts=lambda last: self.counts[-last:])

    def hello(self):
        if self.fails is not None:
            raise self.fails
        return self.said

    def infer(self, image):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.set()
        self.may_answer.wait(20)
        self.at_once -= 1
        if self.fails is not None:
            raise self.fails
        return bytes((byte - 3) & 0xFF for byte in image), 1234


@pytest.fixture(scope="module")
def quiet():
    """A server with a board that is ready."""
    with server(FakeBoard().wanted()) as running:
        running.await_state("ready")
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(lasting, "_FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(lasting, "_LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(lasting, "_LOOK_S", 0.05)


# ---- who gets an answer


def test_the_page_comes_with_the_printed_address_alone(quiet):
    assert quiet.address == f"http://127.0.0.1:{quiet.port}/?token={quiet.token}"
    assert len(quiet.token) >= 32
    reply = quiet.send("GET", f"/?token={quiet.token}")
    assert (reply.status, reply.body) == (200, PAGE)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/?token={token}", "/api/board", "/api/infer", "/nothing"])
def test_every_answer_has_the_strict_headers(quiet, path):
    for bearer in (quiet.token, "wrong"):
        reply = quiet.send("GET", path.format(token=quiet.token), bearer=bearer)
        assert reply.headers["content-security-policy"] == "frame-ancestors 'none'"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert "aiohttp" not in reply.headers["server"]
        assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(("method", "path"), REQUESTS)
@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_another_host_is_refused(quiet, method, path, host):
    """A name that somebody lets point here is in that header."""
    host = host.format(port=quiet.port, other=quiet.port ^ 1)
    body = IMAGE if method == "POST" else b""
    reply = quiet.send(method, path.format(token=quiet.token), [BYTES], body, host=host, bearer=quiet.token)
    assert reply.status == 403
    assert b"logits" not in reply.body
    assert PAGE not in reply.body


def test_two_hosts_are_refused(quiet):
    own = f"127.0.0.1:{quiet.port}"
    reply = quiet.send("GET", "/api/board", [("Host", "evil.example")], host=own, bearer=quiet.token)
    assert reply.status in (400, 403)


def test_localhost_is_this_machine_too(quiet):
    host = f"localhost:{quiet.port}"
    assert quiet.send("GET", f"/?token={quiet.token}", host=host).status == 200
    assert quiet.send("GET", "/api/board", [("Origin", f"http://{host}")], host=host, bearer=quiet.token).status == 200


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_another_origin_is_refused(quiet, method, path, origin):
    headers = [BYTES, ("Origin", origin.format(port=quiet.port, other=quiet.port ^ 1))]
    body = IMAGE if method == "POST" else b""
    assert quiet.send(method, path.format(token=quiet.token), headers, body, bearer=quiet.token).status == 403


@pytest.mark.parametrize("token", [None, "", "wrong", "ü", "{token}x", "{start}"])
def test_without_the_token_nothing_is_answered(quiet, token):
    given = None if token is None else token.format(token=quiet.token, start=quiet.token[:-1])
    for method, path in [("GET", "/api/board"), ("POST", "/api/infer"), ("GET", "/nothing"), ("OPTIONS", "/api/infer")]:
        body = IMAGE if method == "POST" else b""
        with_token = f"{path}?token={quiet.token}"  # which is for the page alone
        headers = [BYTES] if given is None else [BYTES, ("Authorization", f"Bearer {given}".encode())]
        assert quiet.send(method, with_token, headers, body).status == 403
    page = "/" if given is None else f"/?token={given}" if given.isascii() else "/?token=%C3%BC"
    reply = quiet.send("GET", page, bearer=quiet.token)
    assert reply.status == 403
    assert b"lenet-edge page --serve" in reply.body  # what to do
    assert quiet.token.encode() not in reply.body


def test_two_tokens_are_none(quiet):
    assert quiet.send("GET", f"/?token=x&token={quiet.token}").status == 403
    assert quiet.send("GET", "/api/board", [("Authorization", "Bearer x")], bearer=quiet.token).status == 403


def test_other_addresses_of_this_machine_do_not_answer(quiet):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", quiet.port), timeout=5)


# ---- what is asked for


def test_the_board_answers(quiet):
    expected = {"board": "microbit", "kind": "port", "model": "0f" * 32, "state": "ready", "message": ""}
    assert quiet.board() == {**expected, "unit": "cycles"}
    reply = quiet.send(
        "POST", "/api/infer", [BYTES, ("Origin", f"http://127.0.0.1:{quiet.port}")], IMAGE, bearer=quiet.token
    )
    assert reply.status == 200
    assert reply.content == {"logits": [-3, -2, -1, 0, 1, 2], "count": 1234, "unit": "cycles"}


@pytest.mark.parametrize(("size", "status"), [(0, 400), (5, 400), (7, 413), (1_000_000, 413)])
def test_an_input_of_another_size_is_refused(quiet, size, status):
    reply = quiet.infer(bytes(size))
    assert reply.status == status
    assert "6 bytes" in reply.content["message"]
    assert quiet.infer(IMAGE).status == 200


def test_a_body_without_an_announced_length_is_not_read_to_its_end(quiet):
    with socket.create_connection(("127.0.0.1", quiet.port), timeout=20) as connection:
        head = f"POST /api/infer HTTP/1.1\r\nHost: 127.0.0.1:{quiet.port}\r\nAuthorization: Bearer {quiet.token}\r\n"
        head += "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode() + b"4\r\nabcd\r\n4\r\nefgh\r\n")  # and no end
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "body", [b"Content-Length: 6\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n"]
)
def test_a_body_that_breaks_off_is_no_fault_of_ours(quiet, caplog, body):
    with socket.create_connection(("127.0.0.1", quiet.port), timeout=20) as connection:
        head = f"POST /api/infer HTTP/1.1\r\nHost: 127.0.0.1:{quiet.port}\r\nAuthorization: Bearer {quiet.token}\r\n"
        connection.sendall(head.encode() + b"Content-Type: application/octet-stream\r\n" + body)
        time.sleep(0.1)
    for _ in range(5):
        assert quiet.infer(IMAGE).status == 200
    assert caplog.records == []


@pytest.mark.parametrize("header", [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")])
def test_only_plain_bytes_are_an_input(quiet, header):
    headers = [header] if header[0] == "Content-Type" else [BYTES, header]
    assert quiet.send("POST", "/api/infer", headers, IMAGE, bearer=quiet.token).status == 415


def test_what_is_not_there(quiet):
    assert quiet.send("GET", "/api/nothing", bearer=quiet.token).status == 404
    reply = quiet.send("GET", "/api/infer", bearer=quiet.token)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


def test_a_page_without_a_board():
    with server() as running:
        assert running.send("GET", f"/?token={running.token}").body == PAGE
        assert running.send("GET", "/api/board", bearer=running.token).status == 204
        assert running.infer(IMAGE).status == 404
        assert running.send("GET", "/api/board").status == 403


def test_an_emulators_own_counter_says_nothing():
    board = FakeBoard()
    board.counts = [CallCount((1, 1)), CallCount((2, 30), (4, 50))]
    with server(board.wanted("emulator", "cycles")) as running:
        running.await_state("ready")
        assert running.infer(IMAGE).content["count"] == 54
        board.counts = [CallCount((2, 30))]
        assert running.infer(IMAGE).content["count"] == 32


def test_a_board_without_a_counter():
    with server(FakeBoard(unit="none").wanted()) as running:
        running.await_state("ready")
        assert running.infer(IMAGE).content == {"logits": [-3, -2, -1, 0, 1, 2], "count": None, "unit": "none"}


def ask_at_once(running, board, count):
    """Ask so many times while the board does not answer: where the replies come, and the threads that wait for them."""
    board.may_answer.clear()
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(running.infer(IMAGE))) for _ in range(count)]
    for thread in threads:
        thread.start()
    assert board.asked.wait(20)
    return replies, threads


def test_one_inference_at_a_time():
    board = FakeBoard()
    with server(board.wanted()) as running:
        running.await_state("ready")
        replies, threads = ask_at_once(running, board, 4)
        assert running.board()["state"] == "ready"  # the server does answer meanwhile
        board.may_answer.set()
        for thread in threads:
            thread.join()
        assert [reply.status for reply in replies] == [200] * 4
        assert board.most_at_once == 1


# ---- a board that comes and goes


def test_a_board_that_is_plugged_in_later():
    board = FakeBoard()
    board.away = LinkError("the port /dev/ttyX cannot be opened")
    with server(board.wanted()) as running:
        lost = running.await_state("lost")
        assert (lost["board"], lost["message"]) == ("/dev/ttyX", "the port /dev/ttyX cannot be opened")
        reply = running.infer(IMAGE)
        assert (reply.status, reply.content) == (503, {"state": "lost", "message": lost["message"]})
        board.away = None
        assert running.await_state("ready")["board"] == "microbit"
        assert running.infer(IMAGE).status == 200


def test_a_board_that_is_lost_while_it_is_asked():
    """Also those who wait for their turn are told."""
    board = FakeBoard()
    with server(board.wanted()) as running:
        running.await_state("ready")
        replies, threads = ask_at_once(running, board, 3)
        board.away = board.fails = LinkError("unplugged")
        board.may_answer.set()
        for thread in threads:
            thread.join()
        assert [reply.status for reply in replies] == [503] * 3
        assert {reply.content["message"] for reply in replies} == {"unplugged"}
        board.away = board.fails = None
        running.await_state("ready")
        assert running.infer(IMAGE).status == 200
        assert board.opened == 2


def test_an_idle_board_that_is_unplugged_is_missed():
    board = FakeBoard()
    with server(board.wanted()) as running:
        running.await_state("ready")
        board.away = board.fails = LinkError("unplugged")
        assert running.await_state("lost")["message"] == "unplugged"


def test_a_board_that_is_starting_is_not_asked():
    board, may_start = FakeBoard(), threading.Event()

    @contextmanager
    def slow():
        may_start.wait(20)
        with board.open() as session:
            yield session

    with server(WantedBoard("slow", "emulator", "0f" * 32, INPUT_BYTES, "cycles", slow)) as running:
        assert running.board()["state"] == "starting"
        reply = running.infer(IMAGE)
        assert (reply.status, reply.content["state"]) == (503, "starting")
        may_start.set()
        running.await_state("ready")


def test_an_end_while_the_board_is_busy():
    board = FakeBoard()
    session = LastingSession(board.wanted(), lambda status: None)
    session.start()
    deadline = time.monotonic() + 20
    while session.status.state != "ready" and time.monotonic() < deadline:
        time.sleep(0.01)
    board.may_answer.clear()
    answers = [session.infer(IMAGE) for _ in range(2)]
    assert board.asked.wait(20)
    threading.Timer(0.3, board.may_answer.set).start()
    session.close()
    for answer in answers:
        assert isinstance(answer.exception(5), NotReadyError)
    assert session.ended.result(5) is None
    with pytest.raises(NotReadyError):
        session.infer(IMAGE)


def test_every_status_is_told_once():
    board, told = FakeBoard(), []
    board.away = LinkError("away")
    session = LastingSession(board.wanted(), lambda status: told.append((status.state, status.message)))
    session.start()
    time.sleep(0.5)  # several attempts
    board.away = None
    deadline = time.monotonic() + 20
    while session.status.state != "ready" and time.monotonic() < deadline:
        time.sleep(0.01)
    session.close()
    assert told == [("lost", "away"), ("ready", "")]


# ---- the server's end


def test_a_bug_of_ours_ends_the_server():
    board = FakeBoard()
    board.away = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError, match="a bug"):
        serve(Served(PAGE, LastingSession(board.wanted(), lambda status: None)), 0, lambda address: None)


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInputError, match=f"port {port} of 127.0.0.1"):
            serve(Served(PAGE), port, lambda address: None)
