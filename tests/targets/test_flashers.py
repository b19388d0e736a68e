"""`flash` with every tool, on boards that are not there: the tools record, write, fail, hang, write wrong bytes."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import desk as desks
import pytest
import workbench
from click.testing import CliRunner
from desk import Desk
from flash_arguments import GOLDEN
from workbench import LENET5, record, refused

from lenet_edge.cli import cli as command_line
from lenet_edge.errors import LinkError
from lenet_edge.files import write_file
from lenet_edge.hardware import boards
from lenet_edge.hardware.elf import Elf
from lenet_edge.hardware.flashing import detection

BOARD_OF = {
    "pyocd": "nrf52840-dk",
    "openocd": "stm32f4-discovery",
    "probe-rs": "longan-nano",
    "esptool": "esp32-c3",
    "avrdude": "atmega2560",
    "hex": "microbit",
    "uf2": "pico",
}
PROBE_OF = {"pyocd": "683920571", "openocd": "066CFF515254", "probe-rs": "0483:374b:066CFF515254"}
TOOLS = desks.TOOLS
WITH_START = ("pyocd", "openocd", "probe-rs")  # the others start the board as they end


@pytest.fixture
def setting(build, cli) -> Iterator[Callable[[str], SimpleNamespace]]:
    """``setting(tool)``: a board whose tool it is on a desk, checked firmware, and the arguments for `flash`."""
    opened = []

    def at(tool: str) -> SimpleNamespace:
        name = BOARD_OF[tool]
        workbench.need(name, "gcc", "simavr" if tool == "avrdude" else "unicorn")
        board, built = boards.load(name), build(name)
        record(cli, built, 4)
        write_file(cli.folder / "policy.toml", workbench.policy(4).encode())
        data = workbench.data_folder(cli.folder / "data", 4)
        desk = Desk(cli.folder / "desk", board, built)
        opened.append(desk)
        usual = ["flash", "--board", name, "--tool", tool, "--model", cli.model, "--data", data]
        usual += ["--policy", "policy.toml", "--firmware", built.folder, "--images", 2 if tool == "avrdude" else 4]
        plugged = ["--port", desk.port, *(["--probe", PROBE_OF[tool]] if tool in PROBE_OF else [])]
        return SimpleNamespace(
            desk=desk, usual=usual, plugged=plugged, flash=partial(flash, cli, desk, usual + plugged)
        )

    yield at
    for desk in opened:
        desk.close()


def flash(cli, desk, arguments, *more, **environment):
    return cli(*arguments, *more, environment=desk.path | environment)


# --- each tool writes, and the board runs -----------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
def test_golden_arguments_and_a_board_that_runs(setting, tool):
    """What the manuals ask for ran, as the dry run had said; and what the tool had written ran on the board."""
    at = setting(tool)
    dry = at.flash("--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    assert at.desk.argvs == []
    done = at.flash("--json")
    assert done.returncode == 0, done.stderr
    golden = GOLDEN[tool](at.desk)
    assert at.desk.argvs == golden
    assert [shlex.split(line) for line in json.loads(dry.stdout)["commands"]] == golden
    assert at.desk.holds_firmware()
    proved(json.loads(done.stdout), at.desk, ["write", "verify", "start", "self-test", "inference"])


def proved(found, desk, stages):
    assert [stage["name"] for stage in found["stages"]] == stages
    assert found["logits_differ"] == 0
    count = 2 if desk.board.name == "atmega2560" else 4
    assert found["stages"][-1]["found"] == f"{count} images, 0 of {10 * count} logits differ"
    assert f"board {desk.board.name}" in found["banner"]
    assert f"model {LENET5.fingerprint}" in found["banner"]


@pytest.mark.parametrize(("tool", "mark"), [("hex", "DETAILS.TXT"), ("uf2", "INFO_UF2.TXT")])
def test_a_copy_and_a_board_that_runs(setting, tool, mark):
    at = setting(tool)
    volume = at.desk.insert(mark)
    dry = at.flash("--volume", volume, "--dry-run", "--json")
    assert json.loads(dry.stdout)["commands"] == [f"cp firmware.{tool} {volume}"]
    done = at.flash("--volume", volume, "--json")
    assert done.returncode == 0, done.stderr
    assert at.desk.argvs == []
    assert at.desk.holds_firmware()
    proved(json.loads(done.stdout), at.desk, ["write", "start", "self-test", "inference"])


# --- tools that fail, hang, are missing -------------------------------------------------------------

STAGES = [(tool, stage) for tool in TOOLS for stage in ("write", "verify", "start")]
STAGES = [(tool, stage) for tool, stage in STAGES if stage != "start" or tool in WITH_START]


@pytest.mark.parametrize(("tool", "stage"), STAGES)
def test_a_tool_that_fails(setting, tool, stage):
    at = setting(tool)
    at.desk.fails[stage] = "first line\nError: the probe has lost its board\n"
    done = at.flash()
    said = "ended with exit status 1, having said: first line / Error: the probe has lost its board"
    refused(done, 5, f"{stage}: ", f"{tool} {said}")
    log = (at.desk.bin.parents[1] / "build/flash.log").read_text()
    assert [json.loads(line)["event"] for line in log.splitlines()] == ["begins", "failed"]


@pytest.mark.parametrize(
    ("tool", "stage"), [*[(tool, "write") for tool in TOOLS], ("openocd", "verify"), ("pyocd", "start")]
)
def test_a_tool_that_hangs(setting, tool, stage):
    """The time-out ends it and its child; a second run recovers."""
    at = setting(tool)
    at.desk.hangs.add(stage)
    done = at.flash("--timeout", 1)
    refused(done, 5, f"{stage}: ", f"{tool} did not end within 1 s, having said: connecting")
    assert len(at.desk.pids) == 2
    deadline = time.monotonic() + 5  # init reaps them
    while left := [pid for pid in at.desk.pids if is_running(pid)]:
        assert time.monotonic() < deadline, f"{left} still run"
        time.sleep(0.02)
    if tool == "pyocd":
        at.desk.hangs.clear()
        again = at.flash()
        assert again.returncode == 0, again.stderr


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


INSTALL = {
    "pyocd": "pip install pyocd",
    "openocd": "apt-get install openocd",
    "probe-rs": "cargo install probe-rs-tools --locked",
    "esptool": "pip install esptool",
    "avrdude": "apt-get install avrdude",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_that_is_missing(setting, cli, tmp_path, tool):
    at = setting(tool)
    (tmp_path / "empty").mkdir()
    done = cli(*at.usual, *at.plugged, environment={"PATH": str(tmp_path / "empty")})
    refused(done, 4, f"{tool} is missing; {INSTALL[tool]}")


# --- what a tool's exit status does not say ---------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
def test_a_wrong_byte(setting, tool):
    at = setting(tool)
    address, content = at.desk.parts[0]
    at.desk.wrong = address + 0x1001
    done = at.flash()
    right = content[0x1001]
    said = {
        "probe-rs": "probe-rs did not find the firmware there: Verification failed: contents do not match",
        "avrdude": "avrdude ended with exit status 1, having said: avrdude error: verification mismatch",
    }
    numbers = f"1 bytes of the flash are wrong, the first at {address + 0x1001:#010x}: {right ^ 0x10:#04x} instead of"
    refused(done, 5, f"verify: {said.get(tool, numbers)}")
    at.desk.wrong = None
    if tool == "openocd":
        again = at.flash()
        assert again.returncode == 0, again.stderr


def test_openocd_that_shuts_down(setting, monkeypatch):
    """Without an adapter OpenOCD 0.12 says so, invokes `shutdown` and ends with status 0."""
    at = setting("openocd")
    said = "Error: unable to select a session transport. Can't continue.\nshutdown command invoked\n"
    monkeypatch.setitem(desks._ACTS, "openocd", lambda *_: ("write", lambda: (0, said)))
    refused(at.flash(), 5, "write: the writing was interrupted: Error: unable to select a session transport.")


def test_a_tool_that_reads_back_nothing(setting, monkeypatch):
    at = setting("pyocd")
    monkeypatch.setitem(desks._ACTS, "pyocd", lambda *_: ("", lambda: (0, "Error: transfer fault\n")))
    refused(at.flash(), 5, "verify: pyocd read back 0 of ", "bytes: Error: transfer fault")


@pytest.mark.parametrize(("tool", "mark"), [("hex", "DETAILS.TXT"), ("uf2", "INFO_UF2.TXT")])
def test_a_wrong_byte_of_a_copy(setting, tool, mark):
    """Nothing reads back: the self-test finds it."""
    at = setting(tool)
    at.desk.wrong = Elf(at.desk.built.elf.read_bytes()).symbols["layer_2_c5_table"].address + 100
    done = at.flash("--volume", at.desk.insert(mark))
    refused(done, 5, f"the self-test of {at.desk.board.name} failed: the CRC of the weights is wrong")
    assert re.search(r"^error: self-test: ", done.stderr, re.MULTILINE), done.stderr


def test_a_file_that_the_interface_chip_refuses(setting):
    """And a second flash, which finds the report of the first one."""
    at = setting("hex")
    at.desk.report = "error: The transfer timed out.\n"
    volume = at.desk.insert("DETAILS.TXT")
    refused(
        at.flash("--volume", volume), 5, "write: the board's interface chip refused it: error: The transfer timed out."
    )
    assert (volume / "FAIL.TXT").exists()
    at.desk.report = ""
    done = at.flash("--volume", volume)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_is_no_volume(setting, tmp_path):
    at = setting("uf2")
    refused(
        at.flash("--volume", tmp_path), 5, "write: ", "is not the volume of a boot loader: INFO_UF2.TXT is not there"
    )


def test_a_volume_for_a_tool_that_takes_none(setting, tmp_path):
    refused(setting("pyocd").flash("--volume", tmp_path), 2, "--volume is for copies, --tool uf2 or hex")


# --- what is plugged in -----------------------------------------------------------------------------


@pytest.fixture
def plugged(monkeypatch, tmp_path):
    """``plugged(probes, ports, volumes)``: what the system lists; ports are (device, serial number)."""

    list_probes, list_volumes = detection.probes, detection.volumes

    def these(probes=(), ports=(), volumes=()):
        for number, (vendor, product, serial_number) in enumerate(probes):
            device = tmp_path / "usb" / f"1-{number}"
            device.mkdir(parents=True)
            for name, value in (("idVendor", vendor), ("idProduct", product), ("serial", serial_number)):
                (device / name).write_text(value + "\n")
        (tmp_path / "usb").mkdir(exist_ok=True)
        for label in volumes:
            (tmp_path / "media" / label).mkdir(parents=True)
        monkeypatch.setattr(detection, "probes", partial(list_probes, tmp_path / "usb"))
        monkeypatch.setattr(detection, "volumes", partial(list_volumes, roots=(tmp_path / "media",)))
        listed = [Port(device, serial_number) for device, serial_number in ports]
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: listed)

    return these


class Port(SimpleNamespace):
    """A port as pyserial's `comports` lists them."""

    def __init__(self, device, serial_number):
        super().__init__(device=device, serial_number=serial_number, vid=0x0483, description="STLink V2-1")

    def __lt__(self, other):
        return self.device < other.device


@pytest.fixture
def here(monkeypatch, cli):
    """``here(at, *arguments)``: `flash` in this process, with nothing named that can be found; a click.Result."""

    def invoke(at, *arguments):
        monkeypatch.chdir(cli.folder)
        monkeypatch.setenv("PATH", at.desk.path["PATH"])
        return CliRunner().invoke(command_line, [str(word) for word in (*at.usual, *arguments)])

    return invoke


def said(result):
    assert isinstance(result.exception, LinkError), result.output
    assert result.exception.exit_code == 5
    return str(result.exception)


ST_LINK, DAP = ("0483", "374b", "066C"), ("0d28", "0204", "9900")


@pytest.mark.parametrize("tool", WITH_START)
def test_probes(setting, plugged, here, tool):
    at = setting(tool)
    plugged([], [(at.desk.port, "066C")])
    assert "no debug probe is there. Plug in the board or its probe" in said(here(at))
    plugged([ST_LINK, DAP], [(at.desk.port, "066C"), ("/dev/ttyACM9", "9900")])
    assert said(here(at)) == "there are 2 debug probes: 066C (ST-Link), 9900 (CMSIS-DAP). Name one with --probe"
    assert at.desk.argvs == []
    done = here(at, "--probe", "066C")  # and its own serial port is the one of the two
    assert done.exit_code == 0, (done.output, done.exception)
    named = {"pyocd": ["-u", "066C"], "openocd": ["adapter serial 066C"], "probe-rs": ["--probe", "0483:374b:066C"]}[
        tool
    ]
    assert len(at.desk.argvs) == 3
    for argv in at.desk.argvs:
        assert [word for word in argv if word in named] == named


def test_the_only_probe_is_not_named(setting, plugged, here):
    at = setting("openocd")
    plugged([ST_LINK], [(at.desk.port, "066C"), ("/dev/ttyACM9", "another")])
    dry = here(at, "--dry-run", "--json")
    assert here(at).exit_code == 0
    assert [shlex.split(line) for line in json.loads(dry.stdout)["commands"]] == at.desk.argvs
    assert at.desk.argvs[0][:3] == ["openocd", "-f", "board/stm32f4discovery.cfg"]


@pytest.mark.parametrize("tool", ["esptool", "avrdude"])
def test_ports(setting, plugged, here, tool):
    at = setting(tool)
    plugged()
    assert "no serial port is there" in said(here(at))
    dry = here(at, "--dry-run", "--json")  # without a board, the place of its port is left
    assert "PORT" in shlex.split(json.loads(dry.stdout)["commands"][0])
    assert "no serial port is there" in dry.stderr
    plugged([], [("/dev/ttyUSB0", "a"), ("/dev/ttyUSB1", "b")])
    two = "there are 2 serial ports: /dev/ttyUSB0 (STLink V2-1), /dev/ttyUSB1 (STLink V2-1). Name one with --port"
    assert said(here(at)) == two
    assert at.desk.argvs == []
    plugged([], [(at.desk.port, None)])
    dry = here(at, "--dry-run", "--json")
    assert [shlex.split(line) for line in json.loads(dry.stdout)["commands"]] == GOLDEN[tool](at.desk)


def test_volumes(setting, plugged, here, tmp_path):
    at = setting("uf2")
    port = [(at.desk.port, None)]
    plugged([], port)
    assert "no volume RPI-RP2 is there. Start the board's boot loader" in said(here(at))
    plugged([], port, ["RPI-RP2", "FTHR840BOOT"])
    dry = here(at, "--dry-run", "--json")
    assert json.loads(dry.stdout)["commands"] == [f"cp firmware.uf2 {tmp_path}/media/RPI-RP2"]
    plugged([], port, ["me/RPI-RP2"])
    assert "there are 2 volume RPI-RP2s" in said(here(at))
    assert list((tmp_path / "media/RPI-RP2").iterdir()) == []
