"""The emulators that are programs: bytes in and out, exit codes, exact counts, and that nothing is left running."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workbench import is_running, need_programs, receive

from lenet_edge.errors import BadInputError, LinkError, MissingToolError
from lenet_edge.hardware.emulators import qemu, simavr
from lenet_edge.hardware.emulators.process import CallCount, Count, read_counts

ECHO = Path(__file__).parent / "echo"
BANNER = b"lenet-edge echo\n\0"
ESC = b"\x1b"
CLOCK_HZ = 16_000_000
REST = ["-nostdlib", "-ffreestanding", "-T", str(ECHO / "echo.ld"), "-lgcc"]
# Machine -> the compiler, its arguments, the file of the machine, and what runs it.
MACHINES = {
    "mps2-an386": (
        "arm-none-eabi-",
        ["-mcpu=cortex-m4", "-mthumb", "-Wl,--defsym=FLASH_ORIGIN=0,--defsym=RAM_ORIGIN=0x20000000", *REST],
        "cortexm.c",
        "qemu-system-arm",
    ),
    "sifive_e": (
        "riscv64-unknown-elf-",
        [
            *("-march=rv32imac_zicsr", "-mabi=ilp32", "-mcmodel=medany"),
            "-Wl,--entry=_start,--defsym=FLASH_ORIGIN=0x20400000,--defsym=RAM_ORIGIN=0x80000000",
            *REST,
        ],
        "riscv.c",
        "qemu-system-riscv32",
    ),
    "atmega2560": ("avr-", ["-mmcu=atmega2560"], "avr.c", "cc"),
}


def need_simavr():
    try:
        simavr.command("atmega2560", Path(), clock_hz=CLOCK_HZ)
    except MissingToolError as error:
        pytest.skip(f"simavr is not installed: {error}")


@pytest.fixture(scope="session")
def firmware(tmp_path_factory):
    """machine -> its echo firmware, built once."""
    folder = tmp_path_factory.mktemp("echo")

    def build(machine, *defines):
        prefix, options, port, runs = MACHINES[machine]
        need_programs(f"{prefix}gcc", runs)
        if machine == "atmega2560":
            need_simavr()
        elf = folder / f"{machine}{''.join(defines)}.elf"
        if not elf.exists():
            sources = [ECHO / "echo.c", ECHO / port]
            warnings = ["-Wall", "-Wextra", "-Werror"]
            argv = [f"{prefix}gcc", "-O2", *warnings, *defines, *sources, *options, "-o", elf]
            subprocess.run(argv, check=True)
        return elf

    return build


@pytest.fixture(params=MACHINES)
def machine(request):
    return request.param


def start(machine, elf, **options):
    if machine == "atmega2560":
        return simavr.start(machine, elf, clock_hz=CLOCK_HZ, **options)
    return qemu.start("arm" if machine.startswith("mps2") else "riscv32", machine, elf, **options)


def plain_bytes(seed, size):
    return random.Random(seed).randbytes(size).replace(ESC, b"\x1c")


# ---- the emulators ----


def test_echo_and_exit_code(machine, firmware):
    with start(machine, firmware(machine)) as stream:
        assert receive(stream, len(BANNER)) == BANNER
        for seed in range(4):
            frame = plain_bytes(seed, 784)
            stream.write(frame)
            assert receive(stream, len(frame)) == frame
        stream.write(ESC + b"q" + bytes([42]))
        assert stream.wait(5) == 42
        with pytest.raises(LinkError, match="exit status 42"):
            stream.read(1)


def test_every_byte_value(machine, firmware):
    everything = bytes(range(256))
    with start(machine, firmware(machine)) as stream:
        receive(stream, len(BANNER))
        stream.write(everything.replace(ESC, ESC + ESC))
        assert receive(stream, 256) == everything


def test_semihosting_output_is_not_in_the_stream(machine, firmware):
    with start(machine, firmware(machine)) as stream:
        receive(stream, len(BANNER))
        stream.write(ESC + b"sx")
        assert receive(stream, 2) == b".x"
        stream.write(ESC + b"q\0")
        assert stream.wait(5) == 0
        assert stream.last_words() == ("" if machine == "atmega2560" else "aside")


def test_an_avr_that_crashes_has_a_status_of_its_own(firmware):
    with start("atmega2560", firmware("atmega2560", "-DCRASHING")) as stream:
        receive(stream, len(BANNER))
        stream.write(ESC + b"q\0")
        assert stream.wait(5) == 70
        assert "the firmware crashed" in stream.last_words()


def test_a_burst_waits_for_busy_firmware(machine, firmware):
    frame = plain_bytes(9, 800)
    with start(machine, firmware(machine)) as stream:
        receive(stream, len(BANNER))
        stream.write((ESC + b"i\xff") * 50 + frame)
        assert receive(stream, 50 * 8 + len(frame))[50 * 8 :] == frame


def test_two_at_once(machine, firmware):
    elf = firmware(machine)
    with start(machine, elf) as one, start(machine, elf) as two:
        for stream in (one, two):
            assert receive(stream, len(BANNER)) == BANNER
        one.write(plain_bytes(1, 500))
        two.write(plain_bytes(2, 500))
        assert receive(one, 500) == plain_bytes(1, 500)
        assert receive(two, 500) == plain_bytes(2, 500)


def test_nothing_is_left_when_we_are_killed(machine, firmware):
    """`close` never runs in a killed process, and QEMU does not mind that nobody talks to it."""
    code = (
        "import sys, time; from pathlib import Path; from lenet_edge.hardware.emulators import qemu, simavr\n"
        "machine, elf = sys.argv[1], Path(sys.argv[2])\n"
        f"stream = simavr.start(machine, elf, clock_hz={CLOCK_HZ}) if machine == 'atmega2560' else qemu.start(\n"
        "    'arm' if machine.startswith('mps2') else 'riscv32', machine, elf)\n"
        f"while not stream.read(1).endswith({BANNER[-1:]!r}): pass\n"
        "print(stream._process.pid, flush=True); time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", code, machine, firmware(machine)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 1
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(pid)


def test_simavr_waits_without_burning_the_cpu(firmware):
    with start("atmega2560", firmware("atmega2560")) as stream:
        receive(stream, len(BANNER))
        time.sleep(1)
        fields = Path(f"/proc/{stream._process.pid}/stat").read_text().rpartition(")")[2].split()
        assert (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") < 0.5  # user and system time, s


def test_simavr_ends_with_its_input(firmware):
    argv = simavr.command("atmega2560", firmware("atmega2560"), clock_hz=CLOCK_HZ)
    frame = plain_bytes(3, 10_000)
    result = subprocess.run(argv, input=frame, capture_output=True, timeout=20)
    assert (result.returncode, result.stdout) == (0, BANNER + frame)


def test_missing_firmware(tmp_path):
    with pytest.raises(BadInputError, match="lenet-edge build"):
        qemu.start("arm", "mps2-an386", tmp_path / "no.elf")
    with pytest.raises(BadInputError, match="lenet-edge build"):
        simavr.start("atmega2560", tmp_path / "no.elf", clock_hz=CLOCK_HZ)


def test_an_unknown_machine_is_named_with_what_qemu_said(firmware):
    stream = qemu.start("arm", "no-such-board", firmware("mps2-an386"))
    said = r"no-such-board ended with exit status 1.*unsupported machine"
    with stream, pytest.raises(LinkError, match=said):
        receive(stream, 1)


def test_an_unknown_mcu_is_named(firmware):
    stream = simavr.start("z80", firmware("atmega2560"), clock_hz=CLOCK_HZ)
    with stream, pytest.raises(LinkError, match="simavr has no z80"):
        receive(stream, 1)


# ---- counts ----


def output_of(machine, tool, *arguments):
    """What a tool of the machine's binutils says, as lines."""
    argv = [MACHINES[machine][0] + tool, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()


def count_of(machine, elf, out):
    symbols = {}
    for line in output_of(machine, "nm", "-S", elf):
        fields = line.split()
        if len(fields) == 4:
            symbols[fields[3]] = int(fields[0], 16) & ~1, int(fields[1], 16)
    low, size = symbols["run_infer"]
    return Count(symbols["le_infer"][0], symbols["le_infer_step"][0], (low, low + size), out)


def counted(machine, elf, out, arguments, args=()):
    """Calls le_infer with each of `arguments`; [(what the firmware's counter said, CallCount)]."""
    options = {"args": args} if args else {}
    with start(machine, elf, count=count_of(machine, elf, out), **options) as stream:
        receive(stream, len(BANNER))
        said = []
        for argument in arguments:
            stream.write(ESC + b"i" + bytes([argument]))
            said.append(int.from_bytes(receive(stream, 8)[:4], "little"))
        calls = read_counts(out)  # while it runs: nothing is lost when it is killed
    return list(zip(said, calls, strict=True))


def test_counts_repeat_and_grow_with_the_work(machine, firmware, tmp_path):
    need_programs("cc")
    calls = [call for _, call in counted(machine, firmware(machine), tmp_path / "a,b.txt", [0, 1, 7, 7, 200])]
    assert [len(call.instructions) for call in calls] == [4] * 5  # before the first step, and three steps
    assert calls[2] == calls[3]
    totals = [sum(call.instructions) for call in calls]
    assert totals[0] < totals[1] < totals[2] < totals[4]
    assert bool(calls[0].cycles) == (machine == "atmega2560")


def test_counts_equal_minstret(firmware, tmp_path):
    """Under -icount minstret counts instructions; between its two readings are the call and a fixed rest.

    The rest, from the disassembly: of port_counter the csrr (whose value is
    without itself) and the return, and of run_infer what stands after the first
    call of port_counter, up to the second.
    """
    elf = firmware("sifive_e")
    listing = output_of("sifive_e", "objdump", "-d", "--disassemble=run_infer", elf)
    lines = [line for line in listing if "\t" in line]
    first, second = (place for place, line in enumerate(lines) if "<port_counter>" in line)
    rest = 2 + (second - first)
    found = counted("sifive_e", elf, tmp_path / "counts", [0, 1, 2, 7, 50, 255], args=("-icount", "shift=0"))
    assert {said - sum(call.instructions) for said, call in found} == {rest}


def test_counts_are_the_same_under_icount(firmware, tmp_path):
    elf, arguments = firmware("sifive_e"), [0, 3, 255]
    plain = counted("sifive_e", elf, tmp_path / "plain", arguments)
    icount = counted("sifive_e", elf, tmp_path / "icount", arguments, args=("-icount", "shift=0"))
    assert [call for _, call in plain] == [call for _, call in icount]


def test_cycles_equal_the_timer_of_the_avr(firmware, tmp_path):
    found = counted("atmega2560", firmware("atmega2560"), tmp_path / "counts", [0, 1, 2, 7, 50, 255])
    (rest,) = {(said - sum(call.cycles)) % 65536 for said, call in found}
    assert 0 < rest < 50  # the call of the counter, its return, and loading the argument


def test_avr_counts_leave_interrupt_handlers_out(firmware, tmp_path):
    plain = counted("atmega2560", firmware("atmega2560"), tmp_path / "plain", [7, 255])
    ticking = counted("atmega2560", firmware("atmega2560", "-DTICKING"), tmp_path / "ticking", [7, 255])
    assert [call for _, call in plain] == [call for _, call in ticking]
    assert ticking[1][0] != plain[1][0]  # the timer saw the handlers


def test_read_counts(tmp_path):
    path = tmp_path / "counts"
    assert read_counts(path) == []
    path.write_text("6 1 2 3\n4 4 | cycles 9 9\n7 3")  # the last line is in the making
    assert read_counts(path) == [CallCount((1, 2, 3)), CallCount((4,), (9,))]
    for wrong in ("7 1 2 3\n", "x\n", "\n", "3 3 | cycles 2 1\n"):
        path.write_text(wrong)
        with pytest.raises(LinkError, match="no emulator writes"):
            read_counts(path)
