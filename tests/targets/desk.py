"""A desk with a board, nothing of it real: flash tools, a serial port, the volume of a boot loader, and what they do.

The flash tools are scripts on the PATH that ask the desk what to do. It records
their arguments, does to the flash memory that it holds what their manuals say,
and starts what the flash then holds in an emulator, at the far end of a
pseudo-terminal. Told so, they fail, hang or write wrong bytes.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import select
import shutil
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import terminals
from elftools.elf.elffile import ELFFile

from lenet_edge.errors import LinkError
from lenet_edge.hardware.boards import Board
from lenet_edge.hardware.elf import Elf, Segment
from lenet_edge.hardware.emulators import simavr
from lenet_edge.hardware.emulators.unicorn import UnicornStream
from lenet_edge.hardware.firmware import Firmware

TOOLS = ("pyocd", "openocd", "probe-rs", "esptool", "avrdude")
# The desk is asked by the command line, the directory and the process, and answers what to say and how to end.
_TOOL = """#!{python} -IS
import json, os, socket, subprocess, sys, time
with socket.create_connection(("127.0.0.1", {port})) as desk:
    pids = [os.getpid()]
    lines = desk.makefile("rw")
    print(json.dumps([sys.argv, os.getcwd(), pids]), file=lines, flush=True)
    answer = json.loads(lines.readline())
    sys.stdout.write(answer["stdout"])
    sys.stderr.write(answer["stderr"])
    if answer["hangs"]:
        sys.stdout.flush()
        pids += [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid]
        print(json.dumps(pids), file=lines, flush=True)
        time.sleep(600)
sys.exit(answer["status"])
"""
_BOOT_LOADER_S = 1.0  # from the end of a tool that uses the serial port to the firmware's start: we open the port then


class Desk:
    """One board of that firmware, with an erased flash, and what is connected to it.

    Attributes:
        argvs: command lines of all tools that ran, each without its folder.
        flash: what the flash memory holds, from the board's first address on.
        port: the serial port's device.
        fails: stage ("write", "verify", "start") -> what the tool says on stderr before it ends with status 1.
        hangs: stages in which the tool does not end, and starts a child that does not end either.
        pids: the tools that hang, and their children.
        wrong: address of a byte that is written wrong.
        report: what the boot loader of a volume has against a file.
    """

    def __init__(self, folder: Path, board: Board, built: Firmware) -> None:
        self.board, self.built = board, built
        self.bin, self.volume = folder / "bin", folder / "volume"
        self.argvs: list[list[str]] = []
        self.flash = bytearray(b"\xff" * board.flash.size_bytes)
        self.fails: dict[str, str] = {}
        self.hangs: set[str] = set()
        self.pids: list[int] = []
        self.wrong: int | None = None
        self.report = ""
        self._start_at: float | None = None
        self._closed = threading.Event()
        self._problems: list[BaseException] = []
        self._master, self._slave, self.port = terminals.serial_port()
        os.set_blocking(self._master, False)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._write_tools()
        self._threads = [threading.Thread(target=self._watched, args=(work,)) for work in (self._serve, self._run)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Clear it; what went wrong in its threads is raised here."""
        self._closed.set()
        self._server.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._server.close()
        for descriptor in (self._master, self._slave):
            os.close(descriptor)
        if self._problems:
            raise self._problems[0]

    @property
    def path(self) -> dict[str, str]:
        """The environment in which these tools are found first."""
        return {"PATH": f"{self.bin}:{os.environ['PATH']}"}

    @property
    def parts(self) -> list[tuple[int, bytes]]:
        """(address, content) of all that the ELF loads; what follows on another is one with it."""
        elf = ELFFile(BytesIO(self.built.elf.read_bytes()))
        parts = [(part["p_paddr"], part.data()) for part in elf.iter_segments() if part["p_type"] == "PT_LOAD"]
        joined: list[tuple[int, bytes]] = []
        for address, content in sorted((address, content) for address, content in parts if content):
            if joined and joined[-1][0] + len(joined[-1][1]) == address:
                joined[-1] = (joined[-1][0], joined[-1][1] + content)
            else:
                joined.append((address, content))
        return joined

    def holds_firmware(self) -> bool:
        """Whether the flash is as the ELF says."""
        return all(self.read(address, len(content)) == content for address, content in self.parts)

    def read(self, address: int, size: int) -> bytes:
        at = address - self.board.flash.origin
        assert 0 <= at <= at + size <= len(self.flash), f"{address:#x} is not in flash"
        return bytes(self.flash[at : at + size])

    def write(self, address: int, content: bytes) -> None:
        self.read(address, len(content))
        at = address - self.board.flash.origin
        self.flash[at : at + len(content)] = content
        if self.wrong is not None and address <= self.wrong < address + len(content):
            self.flash[self.wrong - self.board.flash.origin] ^= 0x10

    def write_parts(self, parts: Mapping[int, bytes]) -> None:
        for address, content in parts.items():
            self.write(address, content)

    def start(self, delay_s: float = 0.0) -> None:
        """Reset the board."""
        self._start_at = time.monotonic() + delay_s

    # --- the tools ----------------------------------------------------------------------------------

    def _write_tools(self) -> None:
        self.bin.mkdir(parents=True)
        for name in TOOLS:
            script = self.bin / name
            script.write_text(_TOOL.format(python=sys.executable, port=self._server.getsockname()[1]))
            script.chmod(0o755)

    def _watched(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._problems.append(error)

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, connection.makefile("rw") as lines:
                argv, folder, pids = json.loads(lines.readline())
                tool = Path(argv[0]).name
                self.argvs.append([tool, *argv[1:]])
                answer = self._answer(tool, argv[1:], Path(folder))
                print(json.dumps(answer), file=lines, flush=True)
                if answer["hangs"]:
                    pids = json.loads(lines.readline())
                    self.pids += pids

    def _answer(self, tool: str, words: list[str], folder: Path) -> dict[str, Any]:
        stage, work = _ACTS[tool](self, words, folder)
        answer = {"stdout": "", "stderr": "", "status": 0, "hangs": stage in self.hangs}
        if answer["hangs"]:
            return answer | {"stdout": "connecting\n"}
        if stage in self.fails:
            return answer | {"stderr": self.fails[stage], "status": 1}
        status, said = work()
        return answer | {"stdout": said, "status": status}

    # --- the board ----------------------------------------------------------------------------------

    def _run(self) -> None:
        """The firmware at its end of the serial port, and the boot loader that looks into its volume."""
        stream: Any = None
        while not self._closed.wait(0.002):
            self._look_into_volume()
            if self._start_at is not None and time.monotonic() >= self._start_at:
                self._start_at = None
                if stream is not None:
                    stream.close()
                stream = self._firmware()
                self._forward(stream)
            data = os.read(self._master, 4096) if select.select([self._master], [], [], 0)[0] else b""
            if stream is not None and (data or self.board.emulator.simavr is not None):
                stream.write(data)
                self._forward(stream)
        if stream is not None:
            stream.close()

    def _firmware(self) -> Any:
        """What the flash holds, just reset."""
        elf = self.built.elf
        if self.board.emulator.simavr is not None:
            assert self.holds_firmware(), "simavr takes an ELF, and the flash holds something else"
            return simavr.start(self.board.emulator.simavr.mcu, elf, clock_hz=self.board.cpu.clock_hz)
        image = copy.copy(Elf(elf.read_bytes()))
        image.segments = (Segment(self.board.flash.origin, bytes(self.flash)),)
        return UnicornStream(self.board, image, None)

    def _forward(self, stream: Any) -> None:
        """What the firmware sends until it asks for a byte; simavr, another program, is asked all the time."""
        patience_s = 0.02 if self.board.emulator.simavr is not None else 60.0
        with contextlib.suppress(LinkError):
            while not self._closed.is_set() and (sent := stream.read(patience_s)):
                while sent and not self._closed.is_set():
                    with contextlib.suppress(BlockingIOError):
                        sent = sent[os.write(self._master, sent) :]

    # --- the boot loader ----------------------------------------------------------------------------

    def insert(self, mark: str) -> Path:
        """Its volume appears; the mark is the file that every such volume has."""
        self.volume.mkdir(parents=True)
        lines = {
            "INFO_UF2.TXT": "UF2 Bootloader v3.0\nModel: x\nBoard-ID: RPI-RP2\n",
            "DETAILS.TXT": "Unique ID: 9900x\n",
        }
        (self.volume / mark).write_text(lines[mark])
        return self.volume

    def _look_into_volume(self) -> None:
        for name, parse in (("firmware.hex", hex_parts), ("firmware.uf2", uf2_parts)):
            path = self.volume / name
            with contextlib.suppress(OSError, EOFError):
                self._take(parse(path.read_bytes()), remounts=name.endswith(".hex"))

    def _take(self, parts: dict[int, bytes], *, remounts: bool) -> None:
        """A whole file: the volume goes away, and that of the interface chip comes back (DAPLink, USERS-GUIDE.md)."""
        shutil.rmtree(self.volume)
        time.sleep(0.1)
        if remounts:
            prepared = self.volume.with_name("mounting")
            prepared.mkdir()
            (prepared / "DETAILS.TXT").write_text("Unique ID: 9900x\n")
            if self.report:
                (prepared / "FAIL.TXT").write_text(self.report)
            prepared.rename(self.volume)
        if not self.report:
            self.write_parts(parts)
            self.start()


# --- what the tools do, by their manuals ------------------------------------------------------------

Work = Callable[[], tuple[int, str]]


def _does(*steps: Callable[[], object], said: str = "") -> Work:
    def work() -> tuple[int, str]:
        for step in steps:
            step()
        return 0, said

    return work


def _write_hex(desk: Desk, path: Path) -> Callable[[], None]:
    return lambda: desk.write_parts(hex_parts(path.read_bytes()))


def _save(desk: Desk, address: str, size: str, path: Path) -> Callable[[], object]:
    return lambda: path.write_bytes(desk.read(int(address, 0), int(size, 0)))


def _pyocd(desk: Desk, words: list[str], folder: Path) -> tuple[str, Work]:
    if words[0] == "load":
        return "write", _does(_write_hex(desk, folder / words[-1]))
    if words[0] == "commander":
        lines = [words[at + 1].split() for at, word in enumerate(words) if word == "-c"]
        return "verify", _does(*[_save(desk, *line[1:3], folder / line[3]) for line in lines if line[0] == "savemem"])
    return {"reset": "start"}[words[0]], _does(desk.start)


def _openocd(desk: Desk, words: list[str], folder: Path) -> tuple[str, Work]:
    lines = [words[at + 1].split() for at, word in enumerate(words) if word == "-c"]
    assert lines[-1] == ["shutdown"], "it would go on as a server"
    for line in lines:
        if line[:2] == ["flash", "write_image"]:
            said = f"wrote {len(desk.flash)} bytes from file {line[-1]} in 1.234567s (56.789 KiB/s)\n"
            return "write", _does(_write_hex(desk, folder / line[-1]), said=said)
        if line == ["reset", "run"]:
            return "start", _does(desk.start)
    dumps = [_save(desk, *line[2:4], folder / line[1]) for line in lines if line[0] == "dump_image"]
    return "verify", _does(*dumps)


def _probe_rs(desk: Desk, words: list[str], folder: Path) -> tuple[str, Work]:
    path = folder / words[-1]
    if words[0] == "download":
        return "write", _does(_write_hex(desk, path))
    if words[0] == "verify":  # its source, cmd/verify.rs: the exit status is 0 either way
        right = _is_there(desk, hex_parts(path.read_bytes()))
        verdict = "Verification successful" if right else "Verification failed: contents do not match"
        return "verify", _does(said=verdict + "\n")
    return {"reset": "start"}[words[0]], _does(desk.start)


def _is_there(desk: Desk, parts: Mapping[int, bytes]) -> bool:
    return all(desk.read(address, len(content)) == content for address, content in parts.items())


def _esptool(desk: Desk, words: list[str], folder: Path) -> tuple[str, Work]:
    start = lambda: desk.start(_BOOT_LOADER_S)  # noqa: E731
    after = [start] if words[words.index("--after") + 1] == "hard-reset" else []
    if "write-flash" in words:
        offset, name = words[words.index("write-flash") + 1 :]
        content = (folder / name).read_bytes()
        return "write", _does(lambda: desk.write(desk.board.flash.origin + int(offset, 0), content), *after)
    offset, size, name = words[words.index("read-flash") + 1 :]
    address = str(desk.board.flash.origin + int(offset, 0))
    return "verify", _does(_save(desk, address, size, folder / name), *after)


def _avrdude(desk: Desk, words: list[str], folder: Path) -> tuple[str, Work]:
    memory, operation, name, kind = words[words.index("-U") + 1].split(":")
    assert (memory, kind) == ("flash", "i")
    parts = hex_parts((folder / name).read_bytes())
    if operation == "w":
        return "write", _does(lambda: desk.write_parts(parts))

    def verify() -> tuple[int, str]:
        desk.start(_BOOT_LOADER_S)
        return 0, "avrdude done.  Thank you.\n"

    if not _is_there(desk, parts):
        return "verify", lambda: (1, "avrdude error: verification mismatch\n")
    return "verify", verify


_ACTS: Mapping[str, Callable[[Desk, list[str], Path], tuple[str, Work]]] = {
    "pyocd": _pyocd,
    "openocd": _openocd,
    "probe-rs": _probe_rs,
    "esptool": _esptool,
    "avrdude": _avrdude,
}


def hex_parts(content: bytes) -> dict[int, bytes]:
    """Address -> bytes, of Intel HEX (Intel, "Hexadecimal Object File Format Specification", 1988).

    Raises:
        EOFError: the record that ends it is not there yet.
    """
    parts, upper = {}, 0
    if not content.endswith(b":00000001FF\n"):
        raise EOFError
    for line in content.decode("ascii").splitlines():
        record = bytes.fromhex(line.removeprefix(":"))
        size, address, kind, data = record[0], int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        assert size == len(data)
        assert sum(record) & 0xFF == 0
        if kind == 4:
            upper = int.from_bytes(data, "big") << 16
        elif kind == 0:
            parts[upper + address] = data
    return parts


def uf2_parts(content: bytes) -> dict[int, bytes]:
    """Address -> bytes, of UF2 (microsoft/uf2, README: "File format") for the RP2040.

    Raises:
        EOFError: its last block is not there yet.
    """
    parts = {}
    if len(content) < 512 or len(content) != 512 * int.from_bytes(content[24:28], "little"):
        raise EOFError
    for number in range(len(content) // 512):
        block = content[512 * number : 512 * (number + 1)]
        *magic, flags, address, size, index, _, family = struct.unpack_from("<8I", block)
        assert [*magic, struct.unpack_from("<I", block, 508)[0]] == [0x0A324655, 0x9E5D5157, 0x0AB16F30]
        assert (flags, family, index) == (0x2000, 0xE48BFF56, number)
        parts[address] = block[32 : 32 + size]
    return parts
