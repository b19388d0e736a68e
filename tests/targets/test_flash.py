"""`flash`: on emulated boards over their GDB port, past a gate that nothing unchecked passes; every stage fails too."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading
import time

import check_records
import pytest
import workbench
from workbench import ENGINES, LENET5, OTHER, record, refused

from lenet_edge.files import to_json, write_file
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards, tools
from lenet_edge.hardware.elf import Elf
from lenet_edge.records import read_flash_log

POLICY = workbench.policy(25)
QEMU_BOARDS = [name for name in boards.board_names() if boards.load(name).emulator.qemu]


@pytest.fixture(autouse=True)
def _gdb():
    for name in ("gdb-multiarch", "qemu-system-arm"):
        if not tools.find(name).found:
            pytest.skip(f"missing {name} ({tools.find(name).install})")


@pytest.fixture
def data(cli):
    write_file(cli.folder / "policy.toml", POLICY.encode())
    return workbench.data_folder(cli.folder / "data", 25)


def flash(cli, built, data, *arguments, **options):
    common = ("--model", cli.model, "--data", data, "--policy", "policy.toml", "--firmware", built.folder)
    return cli("flash", "--board", built.board, "--tool", "emulator", *common, *arguments, **options)


# --- a board that works -----------------------------------------------------------------------------


@pytest.mark.parametrize("board", QEMU_BOARDS)
def test_flash_over_gdb(build, cli, data, board):
    workbench.need(board, "gcc", "qemu")
    built = build(board)
    record(cli, built)
    done = flash(cli, built, data, "--images", 25, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    stages = [stage["name"] for stage in found["stages"]]
    assert stages == ["identify", "write", "verify", "start", "self-test", "inference"]
    assert (found["images"], found["logits_differ"], found["forced"]) == (25, 0, False)
    assert found["banner"].startswith("lenet-edge ")
    assert f"board {board}" in found["banner"]
    events = read_flash_log(cli.folder / "build/flash.log")
    assert [event.event for event in events] == ["begins", "done"]
    assert {event.fingerprint for event in events} == {LENET5.fingerprint}
    assert events[1].result.stack_proved_bytes == found["stack_proved_bytes"] == built.stack_depth
    assert 0 < found["stack_used_bytes"] <= built.stack_depth


def test_a_board_whose_stack_is_deeper_than_was_proved(build, cli, data):
    """The manifest says less than `build` proved, so that the board's is deeper; all logits are right."""
    built = build("mps2-an386")
    record(cli, built)
    folder = shutil.copytree(built.folder, cli.folder / "edited")
    manifest = json.loads((folder / "manifest.json").read_text())
    write_file(folder / "manifest.json", to_json(manifest | {"stack_depth": 200}).encode())
    refused(flash(cli, built, data, "--firmware", folder), 1, "bytes deep, and 200 are proved to be enough")
    events = read_flash_log(cli.folder / "build/flash.log")
    assert [event.event for event in events] == ["begins", "failed"]


def test_check_and_flash(build, cli, data):
    """The record that `check --board` really writes opens the gate, and only for the image that it ran."""
    board = "mps2-an386"
    workbench.need(board, "gcc", "unicorn")
    names = [word for name in ENGINES for word in ("--engine", name)]
    done = cli("build", "--board", board, "--model", cli.model)
    assert done.returncode == 0, done.stderr
    done = cli("check", "--model", cli.model, "--data", data, "--images", 8, *names, "--board", board)
    assert done.returncode == 0, done.stderr
    usual = ("--board", board, "--model", cli.model, "--data", data, "--policy", "policy.toml", "--images", 25)
    done = cli("flash", *usual)
    assert done.returncode == 0, done.stderr
    assert "25 images, 0 of 250 logits differ" in done.stdout
    small = cli("build", "--board", board, "--model", cli.model, "--optimize", "size")
    assert small.returncode == 0, small.stderr
    remedy = f"lenet-edge check --model {cli.model} --board {board}"
    refused(cli("flash", *usual), 1, "this firmware", "did not run in an emulator", remedy)


# --- the gate ---------------------------------------------------------------------------------------


def test_never_checked(build, cli, data):
    refused(flash(cli, build("mps2-an386"), data), 1, "was never checked", "lenet-edge check")
    (event,) = [json.loads(line) for line in (cli.folder / "build/flash.log").read_text().splitlines()]
    assert (event["event"], event["board"], event["forced"]) == ("refused", "mps2-an386", False)
    assert "was never checked" in event["error"]
    assert event["time"] > "2026"


def test_a_check_of_another_model(build, cli, data):
    built = build("mps2-an386")
    record(cli, built, fingerprint=OTHER.fingerprint)
    refused(flash(cli, built, data), 1, "was never checked")


def test_a_check_that_failed(build, cli, data):
    built = build("mps2-an386")
    record(cli, built, passed=False, problems=["tflm: 3 logits differ from the emulator"])
    refused(flash(cli, built, data), 1, "did not pass: tflm: 3 logits differ")


@pytest.mark.parametrize(
    ("name", "images", "said"),
    [
        ("host_c", 8, "on record: host_c did not run; asked for: tflm, host_c on 8 images"),
        ("litert-xnnpack", 9, "on record: tflm on 8 images, litert-xnnpack on 8 images; asked for"),
    ],
)
def test_an_engine_that_the_policy_asks_for(build, cli, data, name, images, said):
    built = build("mps2-an386")
    record(cli, built)
    content = json.loads((cli.folder / "build/check.json").read_text())
    content["engines"] = [engine for engine in content["engines"] if engine["name"] != "host_c"]
    write_file(cli.folder / "build/check.json", to_json(content).encode())
    changed = POLICY.replace("litert-reference", name).replace("\nimages = 8", f"\nimages = {images}")
    (cli.folder / "policy.toml").write_text(changed)
    refused(flash(cli, built, data), 1, "engines: ", said)


@pytest.mark.parametrize(
    ("right", "said"), [(None, "compared the model with its float model"), (6, "12.50 points of at most 0.10")]
)
def test_the_accuracy_drop_of_the_policy(build, cli, data, right, said):
    """Of 8 images the float model has 7 right."""
    built = build("mps2-an386")
    record(cli, built)
    content = json.loads((cli.folder / "build/check.json").read_text())
    if right is not None:
        content["engines"] = [{**engine, "accuracy": right / 8} for engine in content["engines"]]
        drop = {"drop_points": 100 * (7 - right) / 8, "max_drop": 50.0}
        content |= {"float_accuracy": 7 / 8, "float_sha256": "f" * 64, "int8_accuracy": right / 8, **drop}
        content["confusion"] = check_records.confusion(8, right)
    write_file(cli.folder / "build/check.json", to_json(content).encode())
    (cli.folder / "policy.toml").write_text(POLICY.replace("false", "true"))
    refused(flash(cli, built, data), 1, "accuracy drop: ", said)


def test_a_policy_with_an_unknown_word(build, cli, data):
    (cli.folder / "policy.toml").write_text(POLICY + "max_drop = 1\n")
    refused(flash(cli, build("mps2-an386"), data), 3, "'max_drop' is not known", "Did you mean 'max_drop_points'?")


def test_a_record_that_is_none(build, cli, data):
    write_file(cli.folder / "build/check.json", b'{"passed": true}')
    refused(flash(cli, build("mps2-an386"), data), 3, "is not a record of `lenet-edge check`: engines is missing")


def test_a_model_that_was_edited_after_the_check(build, cli, data):
    """Its fingerprint is computed again, whatever the manifest and the record say."""
    built = build("mps2-an386")
    record(cli, built)
    cli.model.write_bytes(tflite.to_bytes(OTHER))
    refused(flash(cli, built, data), 1, "board and model: ", "lenet-edge build --board mps2-an386")


@pytest.mark.parametrize("manifest_too", [False, True])
def test_firmware_that_was_edited_after_the_check(build, cli, data, manifest_too):
    """A weight in the ELF; and the same with the manifest, the record and its hashes all made to fit."""
    built = build("mps2-an386")
    folder = shutil.copytree(built.folder, cli.folder / "edited")
    name = "layer_2_c5_table"
    symbol = Elf(built.elf.read_bytes()).symbols[name]
    before = Elf(built.elf.read_bytes()).content(symbol)[100]
    workbench.patched(built.elf, folder / "firmware.elf", name, bytes([before ^ 1]), 100)
    record(cli, built)
    said = "firmware.elf in "
    if manifest_too:
        import hashlib

        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"]["firmware.elf"] = hashlib.sha256((folder / "firmware.elf").read_bytes()).hexdigest()
        write_file(folder / "manifest.json", to_json(manifest).encode())
        record(cli, built, firmware={built.board: Elf((folder / "firmware.elf").read_bytes()).sha256})
        said = f"the table {name} in the image is not the model's"
    done = flash(cli, built, data, "--firmware", folder)
    refused(done, 1, said)
    refused(flash(cli, built, data, "--firmware", folder, "--force", LENET5.fingerprint), 1, said, "record only")


def test_another_image_of_the_checked_model(build, cli, data):
    built = build("mps2-an386")
    record(cli, built, firmware={built.board: "0" * 64})
    refused(flash(cli, built, data), 1, "this firmware, ", "did not run in an emulator")


def test_firmware_of_another_board(build, cli, data):
    record(cli, build("mps2-an386"))
    done = flash(cli, build("mps2-an386"), data, "--board", "mps2-an385")
    refused(done, 1, "holds firmware of mps2-an386, not of mps2-an385", "lenet-edge build --board mps2-an385")


def test_force(build, cli, data):
    """It takes the fingerprint, typed, and is logged."""
    built = build("mps2-an386")
    typed = LENET5.fingerprint[:16]
    for wrong in (OTHER.fingerprint, typed[:15], typed[:15] + ("0" if typed[15] != "0" else "1")):
        refused(flash(cli, built, data, "--force", wrong), 1, "is not the model's fingerprint")
    done = flash(cli, built, data, "--force", typed, "--images", 2)
    assert done.returncode == 0, done.stderr
    assert "(FORCED)" in done.stdout
    events = read_flash_log(cli.folder / "build/flash.log")
    assert [event.event for event in events] == ["refused"] * 3 + ["begins", "done"]
    assert [event.forced for event in events] == [False] * 3 + [True] * 2
    assert "was never checked" in events[0].passed_over[0]


def test_a_dry_run_writes_nothing(build, cli, data):
    built = build("mps2-an386")
    done = flash(cli, built, data, "--dry-run", "--json")
    assert done.returncode == 1, "the gate refuses it all the same"
    assert "was never checked" in done.stderr
    commands = json.loads(done.stdout)["commands"]
    assert [command.split()[0] for command in commands] == ["gdb-multiarch"] * 4
    assert "-ex load " in commands[1]
    record(cli, built)
    assert flash(cli, built, data, "--dry-run").returncode == 0
    assert not (cli.folder / "build/flash.log").exists()


# --- a board that is there all the time, and what can go wrong with it ------------------------------


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def machine():
    """``machine(name)``: QEMU as a board on the desk: (its GDB port, its serial port), and it outlives a flashing."""
    with contextlib.ExitStack() as closing:

        def start(name, system="arm"):
            gdb, uart = free_port(), free_port()
            argv = [f"qemu-system-{system}", "-M", name, "-display", "none", "-monitor", "none", "-S"]
            argv += ["-gdb", f"tcp:127.0.0.1:{gdb}", "-serial", f"tcp:127.0.0.1:{uart},server=on,wait=off"]
            process = closing.enter_context(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
            closing.callback(process.kill)
            deadline = time.monotonic() + 20
            while True:
                # Not the serial port: as long as no firmware reads it, QEMU would not notice that we are gone again.
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", gdb), 1):
                    break
                assert time.monotonic() < deadline
                time.sleep(0.05)
            return gdb, uart

        yield start


@contextlib.contextmanager
def cut_after(port, limit):
    """A proxy of a GDB port that goes away once so many bytes went to the board."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections = []

    def forward(source, target, counted):
        left = limit
        with contextlib.suppress(OSError):
            while (data := source.recv(1024)) and (left > 0 or not counted):
                target.sendall(data)
                left -= len(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                connections.extend([near, far])
                threading.Thread(target=forward, args=(near, far, True), daemon=True).start()
                threading.Thread(target=forward, args=(far, near, False), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        for connection in connections:
            connection.close()


def through(gdb, uart):
    return ("--probe", f"127.0.0.1:{gdb}", "--port", f"socket://127.0.0.1:{uart}", "--images", 5)


def recovers(cli, built, data, gdb, uart):
    done = flash(cli, built, data, *through(gdb, uart))
    assert done.returncode == 0, done.stderr
    assert "0 of 50 logits differ" in done.stdout


def test_the_link_is_cut_in_the_middle_of_a_write(build, cli, data, machine):
    built = build("mps2-an386")
    record(cli, built)
    gdb, uart = machine("mps2-an386")
    with cut_after(gdb, 60_000) as cut:  # of 84 KB, which travel as a little more
        done = flash(cli, built, data, *through(cut, uart))
    refused(done, 5, "write: the writing was interrupted", "run `lenet-edge flash` again")
    events = read_flash_log(cli.folder / "build/flash.log")
    assert [event.event for event in events] == ["begins", "failed"]
    recovers(cli, built, data, gdb, uart)


def test_one_bit_of_the_flash_before_it_is_verified(build, cli, data, machine, tmp_path):
    """Flipped by a GDB of our own, just before the one that reads back."""
    built = build("mps2-an386")
    record(cli, built)
    gdb, uart = machine("mps2-an386")
    real = shutil.which("gdb-multiarch")
    address = 0x8001
    wrapper = tmp_path / "bin" / "gdb-multiarch"
    wrapper.parent.mkdir()
    flip = f"set {{unsigned char}}{address:#x} = *(unsigned char *){address:#x} ^ 0x10"
    wrapper.write_text(
        f"#!{sys.executable}\nimport os, subprocess, sys\n"
        "if any(word.startswith('dump') for word in sys.argv):\n"
        f"    subprocess.run([{real!r}, '-nx', '-batch', '-ex', 'set architecture arm', "
        f"'-ex', 'target remote 127.0.0.1:{gdb}', '-ex', {flip!r}, '-ex', 'disconnect'], check=True)\n"
        f"os.execv({real!r}, sys.argv)\n"
    )
    wrapper.chmod(0o755)
    import os

    path = {"PATH": f"{wrapper.parent}:{os.environ['PATH']}"}
    done = flash(cli, built, data, *through(gdb, uart), environment=path)
    before = Elf(built.elf.read_bytes()).segments[0].content[address]
    refused(done, 5, "verify: 1 bytes of the flash are wrong, the first at 0x00008001: ")
    assert f"{before ^ 0x10:#04x} instead of {before:#04x}" in done.stderr
    recovers(cli, built, data, gdb, uart)


def test_a_wrong_board(build, cli, data, machine):
    """The same memory map with another processor: found before anything is written."""
    built = build("mps2-an386")
    record(cli, built)
    done = flash(cli, built, data, *through(*machine("mps2-an385")))
    refused(done, 5, "identify: a cortex-m3 is there, and mps2-an386 has a cortex-m4", "Nothing was written")
    recovers(cli, built, data, *machine("mps2-an386"))


def test_a_board_whose_serial_port_is_another_s(build, cli, data, machine):
    """What runs there answers, but is other firmware: its own board says so."""
    built, other = build("mps2-an386"), build("mps2-an386", model=OTHER)
    record(cli, built)
    gdb, _ = machine("mps2-an386")
    other_gdb, other_uart = machine("mps2-an386")
    folder = other.folder
    real = ["gdb-multiarch", "-nx", "-batch", "-ex", f"target remote 127.0.0.1:{other_gdb}", "-ex", "load"]
    subprocess.run([*real, "-ex", "monitor system_reset", "-ex", "detach", folder / "firmware.elf"], check=True)
    done = flash(cli, built, data, *through(gdb, other_uart), timeout_s=120)
    refused(done, 5, "start: no banner within")


def test_no_board_at_the_gdb_port(build, cli, data):
    built = build("mps2-an386")
    record(cli, built)
    done = flash(cli, built, data, *through(free_port(), free_port()))
    refused(done, 5, "identify: ")
