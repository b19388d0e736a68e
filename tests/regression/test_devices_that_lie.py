"""A device may say anything: a HELLO with 0, 9 or 11 outputs for a model of ten was a traceback.

Whatever comes from the other end is a LinkError (exit 5) with one message, within the time-out and bounded memory.
"""

import os
import struct
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_models import lenet5

from lenet_edge.cli import cli
from lenet_edge.errors import LinkError
from lenet_edge.formats import tflite
from lenet_edge.hardware import link, serial_port, session
from lenet_edge.hardware.link import COUNTER_UNITS, Decoder, Device, Hello, encode

MODEL = lenet5()
SIZES = (784, 10)


def hello_body(**changes):
    fields = {
        "protocol": link.PROTOCOL,
        "self_test": 0,
        "unit": COUNTER_UNITS.index("instructions"),
        "steps": 9,
        "clock_hz": 64_000_000,
        "inputs": 784,
        "outputs": 10,
        "stack_used": 500,
        "stack_size": 2048,
        "buffer": 5000,
        "fingerprint": bytes.fromhex(MODEL.fingerprint),
    } | changes
    name = fields.pop("name", b"microbit")
    return struct.pack("<BBBBIHHHHI32s", *fields.values()) + name


class Liar:
    """A device that answers each request by what `answer` makes of it; time passes only while somebody waits."""

    def __init__(self, answer, first=b"lenet-edge 0\n\0"):
        self.answer, self.coming, self.decoder = answer, bytearray(first), Decoder()
        self.now, self.read_bytes = 0.0, 0

    def monotonic(self):
        return self.now

    def write(self, data):
        for request in self.decoder.feed(data):
            self.coming += self.answer(request)

    def read(self, timeout_s):
        self.now += 1e-6 if self.coming else timeout_s
        data = bytes(self.coming)
        self.coming.clear()
        self.read_bytes += len(data)
        return data

    def close(self):
        pass


def answering(**changes):
    """An honest device but for what its HELLO says, and which keeps to that."""
    outputs, steps = changes.get("outputs", 10), changes.get("steps", 9)
    bodies = {
        link.HELLO: hello_body(**changes),
        link.INFER: bytes(4 + outputs),
        link.PROFILE: bytes(4 * steps + outputs),
    }
    return lambda request: encode(request.type | link.REPLY, request.id, bodies.get(request.type, b""))


def device(liar, monkeypatch=None):
    if monkeypatch is not None:
        monkeypatch.setattr(link.device, "time", SimpleNamespace(monotonic=liar.monotonic))
    return Device(liar, timeout_s=2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": 0}, "784 bytes of input and 0 of output"),
        ({"outputs": 1}, "gives 1;"),
        ({"outputs": 9}, "gives 9; model .* takes 784 and gives 10; build it again"),
        ({"outputs": 11}, "gives 11;"),
        ({"outputs": 65_535}, "gives 65535;"),
        ({"inputs": 0}, "0 bytes of input"),
        ({"inputs": 783}, "takes 783 bytes"),
        ({"inputs": 65_535}, "takes 65535 bytes"),
        ({"protocol": 0}, "version 0 of the protocol"),
        ({"protocol": 255}, "version 255 of the protocol"),
        ({"self_test": 255}, "self-test result 0xff"),
        ({"unit": 255}, "counter unit 255"),
        ({"fingerprint": bytes(32)}, "firmware of model 0000"),
        ({"name": b""}, "fewer than"),
        ({"name": b"micro\xff\xfe"}, "not printable ASCII"),
        ({"name": b"\x1b[2J"}, "not printable ASCII"),
        ({"name": b"m" * 60_000}, "of 60000 bytes"),
        ({"name": b"[red]microbit"}, r"board \[red\]microbit, not of microbit"),
        ({"name": b"microbit "}, "not of microbit"),
    ],
)
def test_a_hello_that_is_not_the_model_s(changes, message, monkeypatch):
    talking = device(Liar(answering(**changes)), monkeypatch)
    with pytest.raises(LinkError, match=message) as refused:
        Device.expect(talking.hello(), "microbit", MODEL.fingerprint, SIZES)
    assert len(str(refused.value)) < 700


def test_an_honest_device(monkeypatch):
    talking = device(Liar(answering()), monkeypatch)
    assert talking.banner() == "lenet-edge 0\n"
    Device.expect(talking.hello(), "microbit", MODEL.fingerprint, SIZES)
    assert talking.infer_all(np.zeros((2, 784), np.int8)).shape == (2, 10)
    assert session.sizes_of(MODEL) == SIZES


@pytest.mark.parametrize("port", [None, "/dev/ttyACM0"])
@pytest.mark.parametrize("changes", [{"outputs": 0}, {"outputs": 9}, {"outputs": 11}, {"inputs": 1}, {"name": b"\x1b"}])
def test_run_says_it_with_exit_code_5(tmp_path, monkeypatch, changes, port):
    (tmp_path / "model.tflite").write_bytes(tflite.to_bytes(MODEL))
    monkeypatch.setattr(serial_port, "SerialStream", lambda *_: Liar(answering(**changes), b""))
    monkeypatch.setattr(session, "_start", lambda *_: (Liar(answering(**changes)), None))
    monkeypatch.setattr(
        "lenet_edge.cli.common.built_firmware", lambda *_, **__: SimpleNamespace(elf=tmp_path / "x.elf")
    )
    arguments = ["--board", "microbit", "--model", str(tmp_path / "model.tflite"), "--data", "noise", "--images", "2"]
    done = CliRunner().invoke(cli, ["run", *arguments, *(["--port", port] if port else ["--emulator", "unicorn"])])
    assert isinstance(done.exception, LinkError), done.exception
    assert done.exception.exit_code == 5


def test_a_device_that_becomes_another(monkeypatch):
    said = iter([hello_body(), hello_body(stack_used=700), hello_body(outputs=9)])
    talking = device(Liar(lambda request: encode(request.type | link.REPLY, request.id, next(said))), monkeypatch)
    assert talking.hello().stack_used == 500
    assert talking.hello().stack_used == 700  # grows while it works
    with pytest.raises(LinkError, match="has changed since"):
        talking.hello()


@pytest.mark.parametrize("size", [0, 3, 4, 13, 15, 60_000])
@pytest.mark.parametrize("kind", [link.INFER, link.PROFILE])
def test_a_reply_of_another_size(monkeypatch, kind, size):
    honest = answering()
    liar = Liar(
        lambda request: encode(kind | link.REPLY, request.id, bytes(size)) if request.type == kind else honest(request)
    )
    talking = device(liar, monkeypatch)
    with pytest.raises(LinkError, match=f"has {size} bytes instead of"):
        (talking.infer if kind == link.INFER else talking.profile)(bytes(784))


def test_a_reply_with_another_s_id(monkeypatch):
    liar = Liar(lambda request: encode(request.type | link.REPLY, request.id ^ 0x4000, hello_body()))
    with pytest.raises(LinkError, match=r"no valid reply to HELLO within .* s, asked 3 times"):
        device(liar, monkeypatch).hello()


class Endless(Liar):
    """Has always more of the same, and nobody it listens to."""

    def __init__(self, data, gone=False):
        super().__init__(lambda _: b"")
        self.data, self.gone = data, gone

    def write(self, data):
        if self.gone:
            raise LinkError("the port is gone")

    def read(self, timeout_s):
        self.now += 0.01
        self.read_bytes += len(self.data)
        return self.data


@pytest.mark.parametrize(
    "data", [b"x" * 4096, b"lenet-edge " * 300, b"\0" * 4096, b"\0x" * 2048, encode(0x83, 7, bytes(999))]
)
@pytest.mark.parametrize("call", ["banner", "hello"])
def test_a_device_that_never_stops(monkeypatch, data, call):
    liar = Endless(data)
    talking = device(liar, monkeypatch)
    with pytest.raises(LinkError, match="what came: "):
        getattr(talking, call)()
    assert liar.now < 10.0
    assert len(talking._decoder._frame) < 70_000


@pytest.mark.timeout(60)
def test_a_device_that_is_gone_for_writing_and_never_stops_sending(monkeypatch):
    liar = Endless(b"x" * 4096, gone=True)
    with pytest.raises(LinkError, match="the port is gone"):
        device(liar, monkeypatch).hello()
    assert liar.read_bytes < 1_000_000


def test_a_banner_does_not_steer_the_terminal(monkeypatch):
    liar = Liar(lambda _: b"", b"\x1b[2Jlenet-edge 0\x1b]0;title\x07\r\nboard\tx\xff\n\0")
    assert device(liar, monkeypatch).banner() == "lenet-edge 0�]0;title�\r\nboard\tx�\n"


# --- any bytes at all -------------------------------------------------------------------------------

PIECES = st.one_of(
    st.binary(max_size=40),
    st.builds(encode, st.integers(0, 255), st.integers(0, 5), st.binary(max_size=90)),
    st.builds(
        lambda kind, id_, body: encode(kind | link.REPLY, id_, body),
        st.sampled_from([link.HELLO, link.INFER, link.PROFILE, link.EXIT]),
        st.integers(1, 4),
        st.one_of(st.just(hello_body()), st.binary(max_size=60), st.just(bytes(14)), st.just(bytes(46))),
    ),
    st.just(b"lenet-edge "),
    st.just(b"\0"),
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(PIECES, max_size=4), max_size=8), st.sampled_from(["banner", "hello", "infer", "profile", "exit"])
)
def test_any_bytes_give_an_answer_or_a_link_error(script, call):
    answers = iter(script)
    liar = Liar(lambda _: b"".join(next(answers, [])), b"".join(next(answers, [])))
    talking = Device(liar, timeout_s=2.0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(link.device, "time", SimpleNamespace(monotonic=liar.monotonic))
        try:
            result = getattr(talking, call)(*([bytes(784)] if call in ("infer", "profile") else []))
        except LinkError as error:
            assert len(str(error)) < 2000  # noqa: PT017 - any other error fails the test by itself
        else:
            assert result is None or isinstance(result, (str, Hello, tuple))
    assert liar.now < 30


# --- a real serial port -----------------------------------------------------------------------------


def test_a_port_whose_other_end_takes_nothing_does_not_block(monkeypatch):
    monkeypatch.setattr(serial_port, "_WRITE_S", 0.3)
    master, slave = os.openpty()
    try:
        stream = serial_port.SerialStream(os.ttyname(slave), 115200)
        with pytest.raises(LinkError, match="takes nothing"):
            stream.write(b"\1" * 2**22)  # more than a terminal holds
        stream.close()
    finally:
        os.close(master)
        os.close(slave)


def test_a_port_that_goes_away(monkeypatch):
    master, slave = os.openpty()
    stream = serial_port.SerialStream(os.ttyname(slave), 115200)
    os.close(slave)
    threading.Timer(0.2, os.close, [master]).start()
    with pytest.raises(LinkError, match="is gone"):
        stream.read(5.0)
    stream.close()
    stream.close()


def opened_by_another(monkeypatch, mode, gid, members=(), user="ada"):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(serial_port, "_open", refuse)
    monkeypatch.setattr(serial_port.os, "stat", lambda _: SimpleNamespace(st_mode=0o020000 | mode, st_gid=gid))
    monkeypatch.setattr(serial_port.os, "access", lambda *_: False)
    monkeypatch.setattr(serial_port, "_group_name", {20: "dialout", 986: "uucp", 0: "root"}.get)
    monkeypatch.setattr(serial_port, "_members", lambda _: list(members))
    monkeypatch.setattr(serial_port, "_user_name", lambda: user)
    with pytest.raises(LinkError) as refused:
        serial_port.SerialStream("/dev/ttyACM0", 115200)
    return str(refused.value)


def test_a_port_without_permission_names_the_group_and_the_command(monkeypatch):
    said = opened_by_another(monkeypatch, 0o660, 20)
    assert "the port /dev/ttyACM0 cannot be opened: it belongs to the group dialout" in said
    assert "sudo usermod -aG dialout ada" in said
    assert "sudo usermod -aG uucp ada" in opened_by_another(monkeypatch, 0o660, 986)
    assert "newgrp dialout" in opened_by_another(monkeypatch, 0o660, 20, members=["ada"])
    for mode, gid in ((0o600, 20), (0o660, 0), (0o640, 20)):
        said = opened_by_another(monkeypatch, mode, gid)
        assert "usermod" not in said
        assert "udev rule" in said


@pytest.mark.parametrize(
    "port", ["/dev/none", "socket://", "socket://127.0.0.1:1", "nonsense://x", "a\0b", "", "loop://?x"]
)
def test_a_port_that_is_none(port):
    with pytest.raises(LinkError, match="cannot be opened: "):
        serial_port.SerialStream(port, 115200)
