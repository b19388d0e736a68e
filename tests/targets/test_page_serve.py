"""`lenet-edge page --serve` as a process: its ends, what it refuses, a real board at its port."""

from __future__ import annotations

import signal
import socket
import time
from typing import Any

import pytest
import workbench
from page_servers import Server, printed
from plugged import Plugged

from lenet_edge.quantized.reference import run


@pytest.fixture
def serving(cli):
    """``serving(*options)``: the server of the command line, as it has printed its address: (process, `Server`)."""
    started: list[Any] = []

    def start(*options):
        arguments = ("page", "--model", cli.model, "--examples", 0, "--serve", "--json", *options)
        process = cli.start(*arguments)
        started.append(process)
        content = printed(process)
        return process, Server(content["address"])

    yield start
    for process in started:
        with process:
            process.kill()


def with_firmware(build, *options):
    return ("--board", "microbit", "--firmware", build("microbit").folder, *options)


def ended(process, number):
    """The exit code and stderr after a signal, which come at once."""
    started = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - started < 8
    return process.returncode, said


@pytest.mark.parametrize(("emulator", "number"), [("unicorn", signal.SIGINT), ("qemu", signal.SIGTERM)])
def test_a_signal_ends_it_at_once_and_leaves_nothing(build, serving, number, emulator):
    workbench.need("microbit", None, emulator)
    process, server = serving(*with_firmware(build, "--emulator", emulator))
    server.await_state("ready")
    for noise in (b"\x16\x03\x01\x02\x00 \r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /api/infer HTTP/1.1\r\nHost:"):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(noise)
    waiting = socket.create_connection(("127.0.0.1", server.port))  # asks nothing, and must not be waited for
    code, said = ended(process, number)
    waiting.close()
    assert code == 128 + number
    assert "Traceback" not in said
    assert "microbit is ready" in said


def test_a_signal_ends_it_while_the_chip_is_starting(build, serving):
    process, _ = serving(*with_firmware(build, "--emulator", "qemu"))
    assert ended(process, signal.SIGINT)[0] == 130


def test_a_real_board_is_asked_at_its_port(serving, build, tmp_path):
    """Which says itself what it is; with --board, it must be that one."""
    with Plugged(tmp_path) as plugged:
        plugged.plug_in(build("microbit"))
        process, server = serving("--port", plugged.device)
        assert server.await_state("ready")["board"] == "microbit"
        images = workbench.images(workbench.LENET5, 3)
        found = [server.infer(image.tobytes()).content["logits"] for image in images]
        assert found == run(workbench.LENET5, images).tolist()
        assert ended(process, signal.SIGINT)[0] == 130
        _, server = serving("--port", plugged.device, "--board", "pico")
        assert "board microbit, not of pico" in server.await_state("lost")["message"]


def test_firmware_of_another_model_is_refused(build, cli):
    other = build("microbit", model=workbench.OTHER)
    done = cli("page", "--model", cli.model, "--serve", "--board", "microbit", "--firmware", other.folder)
    workbench.refused(done, 3, other.fingerprint[:16], "lenet-edge build --board microbit")


def test_a_port_that_is_taken(cli, serving):
    _, server = serving()
    done = cli("page", "--model", cli.model, "--examples", 0, "--serve", "--listen-port", server.port)
    workbench.refused(done, 3, f"port {server.port} of 127.0.0.1")
