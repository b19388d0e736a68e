"""QEMU's machines: the firmware's UART as a byte stream, its exit status, and exact instruction counts."""

from __future__ import annotations

from pathlib import Path

from lenet_edge.errors import BadInputError
from lenet_edge.hardware.emulators.process import Count, ProcessStream, compiled

__all__ = ["command", "start", "start_empty"]

_PLUGIN = Path(__file__).with_name("qemu_counting_plugin.c")
_PACKAGES = {"arm": "qemu-system-arm", "riscv32": "qemu-system-misc"}  # Debian's
_FIRMWARE_OF_ITS_OWN = ("spike", "virt", "sifive_u")  # RISC-V machines that would start OpenSBI


def start(
    system: str,
    machine: str,
    elf: Path,
    *,
    args: tuple[str, ...] = (),
    serial: int = 0,
    count: Count | None = None,
) -> ProcessStream:
    """Start the firmware `elf`.

    Bytes that arrive before the firmware has set up its UART are lost on some
    machines: wait for its banner. What firmware says by semihosting is on
    stderr and not in the stream. The status of `ProcessStream.wait` is the code
    of semihosting's SYS_EXIT_EXTENDED (Arm, "Semihosting for AArch32 and AArch64", 2.0).

    Args:
        system: "arm" or "riscv32".
        machine: as `qemu-system-SYSTEM -M help` lists them.
        elf: the firmware. It is trusted: semihosting reaches this machine's files.
        args: further arguments of QEMU.
        serial: which of the machine's serial ports is the firmware's UART, from 0.
        count: what to count; without it the plug-in is not loaded.

    Raises:
        BadInputError: there is no such firmware.
        MissingToolError: QEMU is missing, or to count a C compiler.
    """
    if not elf.is_file():
        raise BadInputError(f"the firmware {elf} does not exist. Make it with: lenet-edge build")
    argv = command(system, machine, elf, args=args, serial=serial, count=count)
    install = f"apt-get install {_PACKAGES.get(system, 'qemu-system')}"
    return ProcessStream(argv, install=install, what=f"{argv[0]} -M {machine}")


def start_empty(system: str, machine: str, gdb: Path, *, args: tuple[str, ...] = (), serial: int = 0) -> ProcessStream:
    """Start a machine without firmware, halted, that a debugger reaches through the Unix socket `gdb`.

    Raises:
        MissingToolError: QEMU is missing.
    """
    socket = f"socket,id=gdb,path={str(gdb).replace(',', ',,')},server=on,wait=off"
    argv = [*_machine(system, machine, serial), "-chardev", socket, "-gdb", "chardev:gdb", "-S", *args]
    install = f"apt-get install {_PACKAGES.get(system, 'qemu-system')}"
    return ProcessStream(argv, install=install, what=f"{argv[0]} -M {machine}")


def command(
    system: str,
    machine: str,
    elf: Path,
    *,
    args: tuple[str, ...] = (),
    serial: int = 0,
    count: Count | None = None,
) -> list[str]:
    """The command line of `start`, for the record; see there."""
    argv = _machine(system, machine, serial)
    if count is not None:
        argv += ["-plugin", _plugin(count)]
    return [*argv, *args, "-kernel", str(elf)]


def _machine(system: str, machine: str, serial: int) -> list[str]:
    argv = [f"qemu-system-{system}", "-M", machine, "-display", "none", "-monitor", "none"]
    argv += ["-chardev", "stdio,id=u0,signal=off", *["-serial", "null"] * serial, "-serial", "chardev:u0"]
    argv += ["-semihosting-config", "enable=on,target=native"]
    if system.startswith("riscv") and machine in _FIRMWARE_OF_ITS_OWN:
        argv += ["-bios", "none"]
    return argv


def _plugin(count: Count) -> str:
    """The value of -plugin; a comma in a path is doubled, as QEMU's option syntax asks."""
    low, high = count.caller
    library = str(compiled(_PLUGIN, ["-shared", "-fPIC", "-fvisibility=hidden"])).replace(",", ",,")
    out = str(count.out.absolute()).replace(",", ",,")
    return f"{library},begin={count.begin:#x},step={count.step:#x},low={low:#x},high={high:#x},out={out}"
