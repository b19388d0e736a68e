"""What fails says so in its time, with exit code 5, and leaves no emulator behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import threading
import time

import numpy as np
import pytest
import terminals
import workbench
from workbench import LENET5, OTHER, exit_status, raw, refused

from lenet_edge.errors import LinkError
from lenet_edge.hardware import boards, session
from lenet_edge.hardware.elf import Elf

# Machine code by arch: an instruction that there is not, one that jumps to itself, a function that only calls itself.
UNDEFINED = {"cortex_m": bytes.fromhex("00de"), "riscv": bytes.fromhex("00000000")}
LOOP = {"cortex_m": bytes.fromhex("fee7"), "riscv": bytes.fromhex("6f000000")}
RECURSION = {
    "cortex_m": bytes.fromhex("10b5 fde7"),  # push {r4, lr}; b .-2
    "riscv": bytes.fromhex("130101ff 23201100 6ff09fff"),  # addi sp, sp, -16; sw ra, 0(sp); j .-8
}
BOTH = [(board, emulator) for board in ("mps2-an386", "microbit", "sifive_e") for emulator in ("unicorn", "qemu")]
ONE_EACH = [("mps2-an386", "unicorn"), ("mps2-an386", "qemu"), ("sifive_e", "unicorn"), ("sifive_e", "qemu")]
IMAGE = workbench.images(LENET5, 4, seed=9)
EXPECTED = workbench.reference(LENET5, IMAGE)


def arch_of(board):
    return boards.load(board).cpu.arch


def firmware_folder(built, target):
    """A copy of a firmware folder, to be damaged."""
    return shutil.copytree(built.folder, target)


# --- the emulator goes away, or nobody answers ------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_emulator_that_is_killed(build, cli, number):
    workbench.need("mps2-an386", "gcc", "qemu")
    data = workbench.data_folder(cli.folder / "data", 2000)
    arguments = ("run", "--board", "mps2-an386", "--emulator", "qemu", "--model", cli.model, "--data", data)
    running = cli.start(*arguments, "--images", 2000, "--firmware", build("mps2-an386").folder)
    pid = cli.await_process("qemu-system")
    time.sleep(1)
    assert running.poll() is None
    os.kill(pid, number)
    killed = time.monotonic()
    stdout, stderr = running.communicate(timeout=30)
    assert time.monotonic() - killed < 15
    assert (running.returncode, stdout) == (5, "")
    how = "was ended by signal 9" if number == signal.SIGKILL else "ended with exit status|was ended by signal 15"
    assert re.search(f"error: qemu-system-arm -M mps2-an386 ({how})", stderr), stderr
    assert "Traceback" not in stderr


def test_ctrl_c_ends_the_emulator(build, cli):
    workbench.need("mps2-an386", "gcc", "qemu")
    data = workbench.data_folder(cli.folder / "data", 2000)
    arguments = ("run", "--board", "mps2-an386", "--emulator", "qemu", "--model", cli.model, "--data", data)
    running = cli.start(*arguments, "--images", 2000, "--firmware", build("mps2-an386").folder)
    cli.await_process("qemu-system")
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=30)
    assert (running.returncode, stdout) == (130, "")
    assert "Traceback" not in stderr


def test_a_port_at_which_nobody_answers(cli):
    """In this process the three attempts would take 30 s; that these are the usual ones is looked up."""
    ours, theirs, port = terminals.serial_port()
    try:
        started = time.monotonic()
        code = (
            "import lenet_edge.hardware.link as link; d = link.Device.__init__.__defaults__; assert d == (10.0,), d\n"
        )
        code += "link.Device.__init__.__defaults__ = (1.0,); from lenet_edge.cli import main; main()"
        arguments = ("run", "--board", "microbit", "--model", cli.model, "--port", port)
        done = cli(*arguments, "--data", workbench.data_folder(cli.folder / "data", 1), first=("-c", code))
        refused(done, 5, "no valid reply to HELLO within 3.", "asked 3 times; what came: nothing")
        assert time.monotonic() - started < 30
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_port_that_is_not_there(cli):
    data = workbench.data_folder(cli.folder / "data", 1)
    for port in ("/dev/no-such-port", cli.folder, cli.model):
        done = cli("run", "--board", "microbit", "--model", cli.model, "--port", port, "--data", data)
        refused(done, 5, f"the port {port} cannot be opened", "Is the board plugged in")


@pytest.mark.parametrize(("board", "emulator"), ONE_EACH)
@pytest.mark.parametrize(("where", "said"), [("main", "no banner within"), ("infer", "no valid reply to INFER within")])
def test_firmware_that_hangs(build, tmp_path, monkeypatch, board, emulator, where, said):
    workbench.need(board, "gcc", emulator)
    monkeypatch.setitem(session._BANNER_S, emulator, 2.0 if where == "main" else 60.0)
    monkeypatch.setitem(session._REPLY_S, emulator, 1.0)
    workbench.patched(build(board).elf, tmp_path / "x.elf", where, LOOP[arch_of(board)])
    started = time.monotonic()
    with (
        pytest.raises(LinkError, match=said),
        session.connect(boards.load(board), tmp_path / "x.elf", LENET5.fingerprint, emulator=emulator) as running,
    ):
        running.device.infer_all(IMAGE)
    assert time.monotonic() - started < 30


def test_the_usual_time_outs_are_within_minutes():
    assert max(session._BANNER_S.values()) <= 240
    assert max(session._REPLY_S.values()) <= 120


# --- another firmware than was meant ----------------------------------------------------------------


@pytest.mark.parametrize("emulator", ["unicorn", "qemu"])
def test_the_firmware_of_another_board(build, cli, emulator):
    workbench.need("mps2-an386", "gcc", emulator)
    data = workbench.data_folder(cli.folder / "data", 1)
    folder = build("mps2-an385").folder
    arguments = ("run", "--board", "mps2-an386", "--emulator", emulator, "--model", cli.model, "--data", data)
    done = cli(*arguments, "--firmware", folder)
    refused(done, 5, "runs the firmware of board mps2-an385, not of mps2-an386", "lenet-edge build --board mps2-an386")


@pytest.mark.parametrize("emulator", ["unicorn", "qemu"])
def test_the_firmware_of_another_model(build, emulator):
    """`run` and `bench` refuse it by its manifest; this is one whose manifest was edited."""
    workbench.need("mps2-an386", "gcc", emulator)
    elf = build("mps2-an386").elf
    with (
        pytest.raises(LinkError, match=f"model {LENET5.fingerprint}, not of {OTHER.fingerprint}; build it again"),
        session.connect(boards.load("mps2-an386"), elf, OTHER.fingerprint, emulator=emulator),
    ):
        pass


def test_no_firmware_at_all(cli):
    data = workbench.data_folder(cli.folder / "data", 1)
    arguments = ("run", "--board", "microbit", "--model", cli.model, "--data", data, "--firmware", cli.folder)
    refused(cli(*arguments), 3, "holds no firmware", "lenet-edge build --board")


# --- damaged firmware -------------------------------------------------------------------------------


def tables(elf):
    """(name, bytes) of the model's tables."""
    symbols = Elf(elf.read_bytes()).symbols.values()
    name = re.compile(r"layer_\d.*_(weights|bias|multiplier|table)")
    return [(each.name, each.size) for each in symbols if name.match(each.name)]


@pytest.mark.parametrize(("board", "emulator"), [*ONE_EACH, ("atmega2560", "simavr")])
def test_one_bit_of_the_weights(build, cli, board, emulator):
    workbench.need(board, "gcc", emulator)
    built = build(board)
    folder = firmware_folder(built, cli.folder / "damaged")
    dice = random.Random(board + emulator)
    name, size = dice.choice(tables(built.elf))
    at = dice.randrange(size)
    content = built.elf.read_bytes()
    before = content[workbench.file_offset(content, Elf(content).symbols[name].address + at)]
    workbench.patched(built.elf, folder / "firmware.elf", name, bytes([before ^ 1 << dice.randrange(8)]), at)
    data = workbench.data_folder(cli.folder / "data", 1)
    arguments = ("run", "--board", board, "--emulator", emulator, "--model", cli.model, "--data", data)
    done = cli(*arguments, "--firmware", folder)
    refused(done, 5, f"the self-test of {board} failed: the CRC of the weights is wrong")
    with raw(board, folder / "firmware.elf", emulator) as device:
        assert device.banner().endswith("self-test FAILED\n")
        assert device.hello().self_test & 1
        with pytest.raises(LinkError, match=r"refuses to infer \(code 7\)"):
            device.infer(IMAGE[0].tobytes())


def test_golden_logits_that_differ(build, tmp_path):
    """Tables in order, but another answer: bit 1 and not bit 0."""
    elf = build("mps2-an386").elf
    content = elf.read_bytes()
    before = content[workbench.file_offset(content, Elf(content).symbols["le_golden_logits"].address + 13)]
    workbench.patched(elf, tmp_path / "x.elf", "le_golden_logits", bytes([before ^ 1]), 13)
    with raw("mps2-an386", tmp_path / "x.elf", "unicorn") as device:
        device.banner()
        assert device.hello().self_test == 2


@pytest.mark.parametrize(("board", "emulator"), BOTH)
def test_an_undefined_instruction_is_answered(build, cli, board, emulator):
    """In the function that answers INFER: the self-test passes, and then the processor faults."""
    workbench.need(board, "gcc", emulator)
    folder = firmware_folder(build(board), cli.folder / "damaged")
    at = workbench.patched(build(board).elf, folder / "firmware.elf", "infer", UNDEFINED[arch_of(board)])
    with raw(board, folder / "firmware.elf", emulator) as device:
        assert device.banner().endswith("self-test passed\n")
        device.hello()
        with pytest.raises(LinkError, match=rf"the processor faulted at address {at:#010x} \(code 8\)"):
            device.infer(IMAGE[0].tobytes())
        assert exit_status(device.stream) == 1
    data = workbench.data_folder(cli.folder / "data", 1)
    arguments = ("run", "--board", board, "--emulator", emulator, "--model", cli.model, "--data", data)
    refused(cli(*arguments, "--firmware", folder), 5, f"the processor faulted at address {at:#010x} (code 8)")


@pytest.mark.parametrize(("board", "emulator"), BOTH)
def test_a_fault_in_the_self_test_is_told(build, cli, board, emulator):
    """Before the banner has ended: not a time-out, and not an emulator that has simply gone."""
    workbench.need(board, "gcc", emulator)
    folder = firmware_folder(build(board), cli.folder / "damaged")
    at = workbench.patched(build(board).elf, folder / "firmware.elf", "le_infer_step", UNDEFINED[arch_of(board)])
    data = workbench.data_folder(cli.folder / "data", 1)
    started = time.monotonic()
    arguments = ("run", "--board", board, "--emulator", emulator, "--model", cli.model, "--data", data)
    refused(cli(*arguments, "--firmware", folder), 5, f"the processor faulted at address {at:#010x} (code 8)")
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("emulator", ["unicorn", "qemu"])
@pytest.mark.parametrize("board", ["stm32vldiscovery", "microbit", "sifive_e"])
def test_a_stack_that_overflows_is_answered(build, tmp_path, board, emulator):
    """Down through all of the RAM; the fault handler begins the stack again.

    QEMU's MPS2 boards ignore writes to where there is no memory, and stay out of this.
    """
    workbench.need(board, "gcc", emulator)
    workbench.patched(build(board).elf, tmp_path / "x.elf", "infer", RECURSION[arch_of(board)])
    with raw(board, tmp_path / "x.elf", emulator) as device:
        device.banner()
        device.hello()
        with pytest.raises(LinkError, match=r"the processor faulted at address 0x[0-9a-f]{8} \(code 8\)"):
            device.infer(IMAGE[0].tobytes())
        assert exit_status(device.stream) == 1


# --- a real board, as far as there can be one here --------------------------------------------------


class Bridge(threading.Thread):
    """A board at a serial port: a pseudo-terminal in front of an emulator, which runs in this thread."""

    def __init__(self, board, elf, emulator):
        super().__init__(daemon=True)
        self.ours, self.theirs, self.port = terminals.serial_port()
        self.arguments = boards.load(board), elf, emulator, None
        self.over, self.error = threading.Event(), None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(10)
        os.close(self.ours)
        os.close(self.theirs)
        assert self.error is None

    def run(self):
        stream, _ = session._start(*self.arguments)
        try:
            os.set_blocking(self.ours, False)
            while not self.over.is_set():
                with contextlib.suppress(BlockingIOError):
                    stream.write(os.read(self.ours, 4096))
                rest = stream.read(0.01)
                while rest and not self.over.is_set():
                    with contextlib.suppress(BlockingIOError):
                        rest = rest[os.write(self.ours, rest) :]
        except Exception as error:
            self.error = error
        finally:
            stream.close()


@pytest.mark.parametrize(("board", "emulator"), [("microbit", "unicorn"), ("mps2-an386", "qemu")])
def test_a_board_at_a_serial_port(build, cli, board, emulator):
    """It has been running for long: its banner comes before, or in the middle of, what is asked."""
    workbench.need(board, "gcc", emulator)
    data = workbench.data_folder(cli.folder / "data", 20)
    with Bridge(board, build(board).elf, emulator) as bridge:
        arguments = ("run", "--board", board, "--model", cli.model, "--port", bridge.port, "--data", data, "--json")
        for _ in range(2):  # the second time the board is in the middle of its life
            done = cli(*arguments, "--images", 20)
            assert done.returncode == 0, done.stderr
            found = json.loads(done.stdout)
            assert (found["logits_differ"], len(found["images"]), found["emulator"]) == (0, 20, bridge.port)
            assert found["banner"] == ""
        other = "mps2-an385" if board == "microbit" else "microbit"
        done = cli("run", "--board", other, "--model", cli.model, "--port", bridge.port, "--data", data)
        refused(done, 5, f"runs the firmware of board {board}, not of {other}")


# --- side by side -----------------------------------------------------------------------------------


@pytest.mark.parametrize("emulator", ["unicorn", "qemu"])
def test_two_runs_at_once(build, cli, emulator):
    """In one folder, both of them building what is not there yet; and one of them is killed."""
    workbench.need("mps2-an386", "gcc", emulator)
    data = workbench.data_folder(cli.folder / "data", 400)
    arguments = ("run", "--board", "mps2-an386", "--model", cli.model, "--emulator", emulator, "--data", data, "--json")
    several = [cli.start(*arguments, "--images", 20) for _ in range(2)]
    victim = cli.start(*arguments, "--images", 400, "--firmware", build("mps2-an386").folder)
    time.sleep(3)
    victim.kill()
    victim.communicate()
    for each in several:
        stdout, stderr = each.communicate(timeout=120)
        assert each.returncode == 0, stderr
        assert json.loads(stdout)["logits_differ"] == 0


def test_two_sessions_in_one_process(build):
    described = boards.load("mps2-an386")
    elf = build("mps2-an386").elf
    kinds = ["unicorn", "unicorn", "qemu", "qemu"]
    for kind in kinds:
        workbench.need("mps2-an386", "gcc", kind)
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(session.connect(described, elf, LENET5.fingerprint, emulator=kind)) for kind in kinds
        ]
        for image, expected in zip(IMAGE, EXPECTED, strict=True):  # in turn, so that one would see the other's
            for number, each in enumerate(running):
                other = np.roll(image, number, axis=0)
                wanted = expected if number == 0 else workbench.reference(LENET5, other[None])[0]
                assert (each.device.infer_all(other[None])[0] == wanted).all()
