"""Flash tools: their argument lists as their manuals write them, what is detected, and programs that fail."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lenet_edge.errors import BadInputError, LinkError, MissingToolError
from lenet_edge.hardware import boards
from lenet_edge.hardware.boards import FlashTool
from lenet_edge.hardware.elf import Elf, Segment
from lenet_edge.hardware.flashing import commands, detection, flashers, programs, target_of
from lenet_edge.hardware.flashing.flashers import Job

BOARD = boards.load("netduinoplus2")


def image(*segments: Segment) -> Elf:
    made = Elf.__new__(Elf)
    made.segments = segments or (Segment(0x0800_0000, bytes(0x1234)),)
    return made


def job(tool: str, target: str, **options: object) -> Job:
    board = replace(BOARD, flash_tool=FlashTool(tool, target, programmer="wiring"))
    return Job(board, tool, target, image(), **options)  # type: ignore[arg-type]


def lines(of: Job) -> list[str]:
    used = commands(of)
    return [" ".join(argv) for argv in (used.identify, used.write, used.verify, used.reset) if argv]


def test_pyocd():
    """pyOCD 0.46: `pyocd load --help`, `pyocd commander --help`, its commands reference (savemem)."""
    common = "-W --no-config -t nrf51 -u 9900"
    assert lines(job("pyocd", "nrf51", probe="9900")) == [
        f"pyocd load {common} --no-reset --format hex firmware.hex",
        f"pyocd commander {common} -c savemem 0x8000000 4660 read-back-0.bin",
        f"pyocd reset {common}",
    ]


def test_openocd():
    common = "openocd -c adapter serial 066C -f interface/stlink.cfg -f target/stm32f4x.cfg -c init -c reset"
    assert lines(job("openocd", "interface/stlink.cfg target/stm32f4x.cfg", probe="066C")) == [
        f"{common} halt -c flash write_image erase firmware.hex -c shutdown",
        f"{common} halt -c dump_image read-back-0.bin 0x8000000 4660 -c shutdown",
        f"{common.removesuffix(' -c reset')} -c reset run -c shutdown",
    ]


def test_probe_rs():
    chip = "--chip STM32F405RGTx --non-interactive"
    assert lines(job("probe-rs", "STM32F405RGTx")) == [
        f"probe-rs download {chip} --binary-format hex --disable-progressbars firmware.hex",
        f"probe-rs verify {chip} --binary-format hex --disable-progressbars firmware.hex",
        f"probe-rs reset {chip}",
    ]


def test_esptool():
    """Addresses are offsets in the flash chip."""
    common = "esptool --chip esp32c3 --port /dev/ttyACM0 --baud 115200 --after"
    assert lines(job("esptool", "esp32c3", port="/dev/ttyACM0")) == [
        f"{common} no-reset write-flash 0x0 firmware.bin",
        f"{common} hard-reset read-flash 0x0 0x1234 read-back-0.bin",
    ]
    apart = replace(job("esptool", "esp32c3"), image=image(Segment(0x0800_0000, b"1"), Segment(0x0900_0000, b"2")))
    with pytest.raises(BadInputError, match="2 separate parts"):
        commands(apart)


def test_avrdude():
    common = "avrdude -p m2560 -c wiring -P /dev/ttyACM0 -b 115200 -D"
    assert lines(job("avrdude", "m2560", port="/dev/ttyACM0")) == [
        f"{common} -V -U flash:w:firmware.hex:i",
        f"{common} -U flash:v:firmware.hex:i",
    ]


def test_gdb():
    """Each segment is dumped into its own file; the end address is exclusive."""
    two = image(Segment(0, b"1234"), Segment(0x2000, b"5"))
    gdb = "gdb-multiarch -nx -batch -ex set confirm off -ex set remotetimeout 10 -ex target remote :1"
    found = lines(replace(job("emulator", "m", probe=":1"), image=two))
    assert found == [
        f"{gdb} -ex print/x *(unsigned int *)0xe000ed00 -ex disconnect firmware.elf",
        f"{gdb} -ex load -ex disconnect firmware.elf",
        f"{gdb} -ex dump binary memory read-back-0.bin 0x0 0x4 -ex dump binary memory read-back-1.bin 0x2000 0x2001 "
        "-ex disconnect firmware.elf",
        f"{gdb} -ex monitor system_reset -ex detach firmware.elf",
    ]


def test_target_of():
    board = replace(BOARD, flash_tool=FlashTool("openocd", "target/stm32f4x.cfg", also={"pyocd": "stm32f405rgtx"}))
    assert target_of(board, "openocd") == "target/stm32f4x.cfg"
    assert target_of(board, "pyocd") == "stm32f405rgtx"
    assert target_of(board, "emulator") == "netduinoplus2"
    with pytest.raises(BadInputError, match="avrdude does not flash netduinoplus2; openocd and pyocd and emulator"):
        target_of(board, "avrdude")


@pytest.mark.parametrize("name", boards.board_names())
def test_every_board_names_a_tool_that_there_is(name):
    board = boards.load(name)
    if board.flash_tool is None:  # minichlink and wlink are in no registry from which one installs programs
        assert board.emulator.qemu is not None or name == "ch32v003"
        return
    known = {*flashers.FLASHERS, *flashers.COPIES} - {flashers.EMULATOR}
    assert {board.flash_tool.tool, *board.flash_tool.also} <= known


# --- what is plugged in -----------------------------------------------------------------------------


def usb(root: Path, name: str, vendor: str, product: str, serial: str | None) -> None:
    (root / name).mkdir(parents=True)
    (root / name / "idVendor").write_text(vendor + "\n")
    (root / name / "idProduct").write_text(product + "\n")
    if serial is not None:
        (root / name / "serial").write_text(serial + "\n")


def test_probes(tmp_path):
    usb(tmp_path, "1-1", "0483", "374b", "066CFF")  # ST-Link/V2-1
    usb(tmp_path, "1-2", "0d28", "0204", "9900")
    usb(tmp_path, "1-3", "0483", "5740", "a virtual COM port by ST, no probe")
    usb(tmp_path, "1-4", "046d", "c31c", "a keyboard")
    usb(tmp_path, "1-5", "1366", "0105", None)
    assert [(each.name, each.title) for each in detection.probes(tmp_path) or []] == [
        ("066CFF", "ST-Link"),
        ("9900", "CMSIS-DAP"),
    ]
    assert detection.probes(tmp_path / "absent") is None


def test_volumes(tmp_path):
    for path in ("media/me/MICROBIT", "Volumes/RPI-RP2", "media/me/MICROBIT1"):
        (tmp_path / path).mkdir(parents=True)
    roots = (tmp_path / "media", tmp_path / "Volumes", tmp_path / "absent")
    assert [each.name for each in detection.volumes("MICROBIT", roots)] == [str(tmp_path / "media/me/MICROBIT")]
    assert [each.name for each in detection.volumes("RPI-RP2", roots)] == [str(tmp_path / "Volumes/RPI-RP2")]


def test_take_one():
    one, two = detection.Found("a", "A"), detection.Found("b", "B")
    assert detection.take_one([one], "probe", "--probe", "Plug one in") is one
    with pytest.raises(LinkError, match=r"no probe is there\. Plug one in, or name it with --probe"):
        detection.take_one([], "probe", "--probe", "Plug one in")
    with pytest.raises(LinkError, match=r"there are 2 probes: a \(A\), b \(B\). Name one with --probe"):
        detection.take_one([one, two], "probe", "--probe", "")


# --- programs ---------------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path, monkeypatch):
    """``program(code)``: a program `tool` on the PATH that runs this Python."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "work").mkdir()

    def write(code: str) -> Path:
        path = tmp_path / "bin" / "tool"
        path.write_text(f"#!{sys.executable}\nimport os, subprocess, sys, time\n{code}\n")
        path.chmod(0o755)
        return tmp_path / "work"

    return write


def test_a_program_that_succeeds(program):
    folder = program("open('made', 'w').write(repr(sys.argv[1:]))\nprint('done')")
    assert programs.run_program(("tool", "a b", "$HOME", "; ls"), folder, 20) == "done\n"
    assert (folder / "made").read_text() == "['a b', '$HOME', '; ls']"


def test_a_program_that_fails(program):
    folder = program("print('no probe')\nprint('found', file=sys.stderr)\nsys.exit(3)")
    with pytest.raises(LinkError, match=r"tool ended with exit status 3, having said: .*no probe"):
        programs.run_program(("tool",), folder, 20)


def test_a_program_that_is_killed(program):
    folder = program("os.kill(os.getpid(), 9)")
    with pytest.raises(LinkError, match="tool was ended by signal 9, and said nothing"):
        programs.run_program(("tool",), folder, 20)


def test_a_program_that_hangs_is_ended_with_its_children(program):
    folder = program(
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    started = time.monotonic()
    with pytest.raises(LinkError, match=r"tool did not end within 1.5 s, having said: \d+") as caught:
        programs.run_program(("tool",), folder, 1.5)
    assert time.monotonic() - started < 20
    pid = int(str(caught.value).split()[-1])
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "the child of the tool still runs"
        time.sleep(0.02)


def test_a_program_that_is_missing(tmp_path):
    with pytest.raises(MissingToolError, match="no-such-tool is missing; install no-such-tool"):
        programs.run_program(("no-such-tool",), tmp_path, 5)


# --- volumes ----------------------------------------------------------------------------------------


def test_copy_to_a_volume(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_REMOUNT_S", 0.1)
    source, volume = tmp_path / "firmware.hex", tmp_path / "MICROBIT"
    source.write_bytes(b"x" * 200_000)
    volume.mkdir()
    with pytest.raises(LinkError, match=r"is not the volume of a boot loader: DETAILS\.TXT"):
        programs.copy_to_volume(source, volume)
    (volume / "DETAILS.TXT").touch()
    assert programs.copy_to_volume(source, volume) == f"200,000 bytes of firmware.hex copied to {volume}"
    assert (volume / "firmware.hex").read_bytes() == source.read_bytes()


def test_a_report_of_the_interface_chip(tmp_path, monkeypatch):
    """One that was there before is of an earlier copy; a new one, or another, is of this."""
    monkeypatch.setattr(programs, "_REMOUNT_S", 0.3)
    source, volume = tmp_path / "firmware.hex", tmp_path / "MICROBIT"
    source.write_bytes(b":00000001FF\n")
    volume.mkdir()
    (volume / "DETAILS.TXT").touch()
    (volume / "FAIL.TXT").write_text("error: An earlier one.\n")
    programs.copy_to_volume(source, volume)
    later = threading.Timer(0.1, (volume / "FAIL.TXT").write_text, ["error: The transfer timed out.\n"])
    later.start()
    with pytest.raises(LinkError, match="the board's interface chip refused it: error: The transfer timed out"):
        programs.copy_to_volume(source, volume)
    later.join()


def test_a_volume_that_goes_away(tmp_path, monkeypatch):
    source, volume = tmp_path / "firmware.uf2", tmp_path / "RPI-RP2"
    source.write_bytes(b"x" * 200_000)
    volume.mkdir()
    (volume / "INFO_UF2.TXT").touch()
    written = []

    def write(descriptor: int, data: bytes) -> int:
        if written:
            raise OSError(5, "Input/output error")
        written.append(len(data))
        return len(data)

    monkeypatch.setattr(programs.os, "write", write)
    with pytest.raises(LinkError, match="interrupted after 65,536 of 200,000 bytes: Input/output error"):
        programs.copy_to_volume(source, volume)
