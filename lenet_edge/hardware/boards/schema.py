"""What a board's TOML may have: each dataclass is a table, each field a key.

Names and types are the schema; a field with a default may be left out, and the reader refuses an unknown key, so a
typo cannot silently mean "the default". What a key means is said only here, where code can read it:
`strict_toml.keys(Board)` gives every key with its table, type, default, unit and meaning; the documentation prints
its tables from that, and from `strict_toml.keys(Policy)` for a policy's own file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lenet_edge.formats.c_source import PLAIN
from lenet_edge.resources import firmware_folder, targets_folder
from lenet_edge.strict_toml import about

__all__ = [
    "BUFFERS",
    "BUILDS",
    "LINKS",
    "RUNS",
    "Board",
    "Budget",
    "Cpu",
    "Emulators",
    "Flag",
    "Flash",
    "FlashTool",
    "Gcc",
    "Policy",
    "Port",
    "QemuEmulator",
    "Region",
    "SimavrEmulator",
    "Stack",
    "Toolchains",
    "Uart",
    "UartReceive",
    "UartTransmit",
    "UnicornEmulator",
    "Zig",
]

BUILDS, RUNS = "builds, not run on hardware", "runs in an emulator"
BUFFERS = ("apart", "in-place")
LINKS = ("full", "small")


@dataclass(frozen=True)
class Region:
    """A piece of the address space."""

    origin: int = field(metadata=about("The first address."))
    size_bytes: int = field(metadata=about("The size.", unit="bytes"))
    source: str = field(metadata=about("The document that the numbers are from."))

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.origin + self.size_bytes


@dataclass(frozen=True)
class Flash(Region):
    """The flash that the firmware lies in."""

    boot_bytes: int = field(
        default=0,
        metadata=about(
            "What lies at its beginning for the boot ROM: the port's section `.boot`. The core starts behind it.",
            unit="bytes",
        ),
    )
    boot_seal: str | None = field(
        default=None, metadata=about('The checksum that the boot ROM wants of these bytes, such as "rp2040".')
    )
    data_origin: int | None = field(
        default=None,
        metadata=about(
            "The address at which loads see the flash, if it is not `origin`, where instructions are fetched."
        ),
    )


@dataclass(frozen=True)
class Cpu:
    """The processor."""

    core: str = field(metadata=about('Its name, such as "cortex-m4", "rv32imac" or "avr6".'))
    arch: str = field(metadata=about("A folder of `firmware/arch`."))
    clock_hz: int = field(metadata=about("The clock that the firmware runs at.", unit="Hz"))
    source: str = field(metadata=about("The document that says so."))
    kernels: str = field(
        default=PLAIN, metadata=about('The family of fast kernels for its instruction set, or "plain".')
    )


@dataclass(frozen=True)
class Stack:
    """The stack, reserved at the end of the RAM."""

    size_bytes: int = field(
        metadata=about("Its size for up to 16 outputs; `build` adds a byte for each more.", unit="bytes")
    )


@dataclass(frozen=True)
class Gcc:
    """A GCC cross compiler: `PREFIXgcc FLAGS`."""

    prefix: str = field(metadata=about('What its programs\' names begin with, such as "arm-none-eabi-".'))
    flags: tuple[str, ...] = field(default=(), metadata=about("Its flags, each a string."))


@dataclass(frozen=True)
class Zig:
    """The C compiler of zig: `zig cc -target TARGET -mcpu=CPU FLAGS`."""

    target: str = field(metadata=about('What it compiles for, such as "thumb-freestanding-eabi".'))
    cpu: str = field(metadata=about('Its name for the processor, such as "cortex_m4".'))
    flags: tuple[str, ...] = field(default=(), metadata=about("Further flags, each a string."))


@dataclass(frozen=True)
class Toolchains:
    """What can compile for the board; at least one of the two."""

    gcc: Gcc | None = field(default=None, metadata=about("A GCC cross compiler."))
    zig: Zig | None = field(default=None, metadata=about("The C compiler of zig."))


@dataclass(frozen=True)
class Port:
    """The code for the MCU family."""

    family: str = field(
        metadata=about("A folder of `port/` next to the board's file, or else a folder of `firmware/port`.")
    )
    defines: Mapping[str, int | str] = field(
        default_factory=dict, metadata=about("The constants that this code asks for: `LE_...` = number or C name.")
    )


@dataclass(frozen=True)
class Flag:
    """Bits of a register that say "ready": `(register & mask) == value`."""

    offset: int = field(metadata=about("The register, from the UART's base.", unit="bytes"))
    mask: int = field(metadata=about("The bits that count."))
    value: int = field(metadata=about("What these bits are when the UART is ready."))


@dataclass(frozen=True)
class UartReceive:
    """How a byte is received; `ready` or `empty` says whether there is one."""

    data: int = field(metadata=about("The data register, from the UART's base.", unit="bytes"))
    ready: Flag | None = field(default=None, metadata=about("The flag in another register that says there is a byte."))
    empty: int | None = field(default=None, metadata=about("What the data register holds when there is no byte."))


@dataclass(frozen=True)
class UartTransmit:
    """How a byte is sent."""

    data: int = field(metadata=about("The data register, from the UART's base.", unit="bytes"))
    ready: Flag | None = field(default=None, metadata=about("The flag that says there is room for a byte."))


@dataclass(frozen=True)
class Uart:
    """The UART as Unicorn's emulation models it. QEMU and simavr have their own models."""

    base: int = field(metadata=about("The address of its registers."))
    size_bytes: int = field(metadata=about("The size of its registers.", unit="bytes"))
    receive: UartReceive = field(metadata=about("How a byte is received."))
    transmit: UartTransmit = field(metadata=about("How a byte is sent."))
    source: str = field(metadata=about("The document that the numbers are from."))


@dataclass(frozen=True)
class UnicornEmulator:
    """Unicorn, a Python package."""

    cpu: str = field(metadata=about('Its constant for the processor, such as "UC_CPU_ARM_CORTEX_M4".'))
    plain_memory: tuple[Region, ...] = field(
        default=(), metadata=about("Peripherals that the firmware touches and that RAM can stand for.")
    )


@dataclass(frozen=True)
class QemuEmulator:
    """QEMU: `qemu-system-SYSTEM -M MACHINE ARGS`."""

    system: str = field(metadata=about('The instruction set: "arm" or "riscv32".'))
    machine: str = field(metadata=about("Its name for the board."))
    args: tuple[str, ...] = field(default=(), metadata=about("Further arguments, each a string."))
    serial: int = field(
        default=0, metadata=about("Which of the machine's serial ports is the firmware's UART, from 0.")
    )


@dataclass(frozen=True)
class SimavrEmulator:
    """simavr, which counts cycles."""

    mcu: str = field(metadata=about("Its name for the microcontroller."))


@dataclass(frozen=True)
class Emulators:
    """What can run the board's firmware without the board."""

    unicorn: UnicornEmulator | None = field(default=None, metadata=about("Unicorn; it needs [uart] as well."))
    qemu: QemuEmulator | None = field(default=None, metadata=about("QEMU."))
    simavr: SimavrEmulator | None = field(default=None, metadata=about("simavr."))

    @property
    def names(self) -> tuple[str, ...]:
        """Those that have the board: "unicorn", "qemu", "simavr"."""
        return tuple(name for name in ("unicorn", "qemu", "simavr") if getattr(self, name) is not None)


@dataclass(frozen=True)
class FlashTool:
    """The program that writes the firmware into the board."""

    tool: str = field(metadata=about('Its name: "pyocd", "openocd", "probe-rs", "avrdude", "esptool", "uf2" or "hex".'))
    target: str = field(
        metadata=about(
            "Its name for the board or chip; for `openocd` its configuration files, separated by spaces; for `uf2` and "
            "`hex` the label of the volume."
        )
    )
    also: Mapping[str, str] = field(
        default_factory=dict, metadata=about("Other tools that can do it = their names for the board or chip.")
    )
    programmer: str = field(default="arduino", metadata=about("The programmer that `avrdude` is given."))
    baud: int = field(default=115200, metadata=about("The speed of `avrdude` and `esptool`.", unit="baud"))
    uf2_family: int | None = field(default=None, metadata=about("The microcontroller's number in UF2 files."))
    board_ids: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "What the volume of the board's boot loader must say: for `uf2` the Board-ID of its INFO_UF2.TXT, for "
            "`hex` the beginning of the Unique ID in its DETAILS.TXT."
        ),
    )


@dataclass(frozen=True)
class Policy:
    """What the record of `check` must show before `flash` writes a model into the board."""

    engines: tuple[str, ...] = field(
        default=("tflm", "litert-reference", "litert-xnnpack", "host_c"),
        metadata=about("The engines that must have run with no logit different."),
    )
    images: int = field(default=10_000, metadata=about("The least number of images that these ran on."))
    data: str | None = field(
        default=None,
        metadata=about(
            "Whose test set these images are: a published data set, or the SHA-256 that `check` shows. By default the "
            "one that the model names, or else MNIST."
        ),
    )
    board_images: int = field(
        default=10_000,
        metadata=about("The least number of images for the very firmware in an emulator, where the board has one."),
    )
    float_comparison: bool = field(
        default=True, metadata=about("Whether int8 must have been compared with the float model.")
    )
    max_drop_points: float = field(
        default=0.10,
        metadata=about("The accuracy that int8 may lose against the float model.", unit="percentage points"),
    )
    like: str | None = field(
        default=None,
        metadata=about(
            "A runtime, such as `tflm`: take a record of `check --like`. By default `engines` are then this one and "
            '`host_c`, `images` 1,000, `board_images` 20, `data` "noise", and `float_comparison` false.'
        ),
    )


@dataclass(frozen=True)
class Budget:
    """What the firmware may take."""

    flash_bytes: int | None = field(default=None, metadata=about("Its flash; by default all of it.", unit="bytes"))
    ram_bytes: int | None = field(default=None, metadata=about("Its RAM; by default all of it.", unit="bytes"))


@dataclass(frozen=True)
class Board:
    """A thing that one can buy or emulate.

    `path` is the file that it was read from, no key of it: two boards are equal where their files say the same.
    """

    path: Path = field(repr=False, compare=False)
    name: str = field(metadata=about("The file's name without `.toml`: a-z, 0-9, `-` and `_`."))
    title: str = field(metadata=about("Its full name, for people."))
    source: str = field(metadata=about("The documents that describe it."))
    status: str = field(
        metadata=about(
            f'"{RUNS}" where an emulator has the microcontroller, else "{BUILDS}". Unicorn alone is not enough: it has '
            "the core, and our model of one UART."
        )
    )
    cpu: Cpu = field(metadata=about("The processor."))
    flash: Flash = field(metadata=about("The flash that the firmware lies in."))
    ram: Region = field(metadata=about("The RAM."))
    stack: Stack = field(metadata=about("The stack, reserved at the end of the RAM."))
    toolchain: Toolchains = field(metadata=about("What can compile for the board; at least one."))
    port: Port = field(metadata=about("The code for the MCU family."))
    uart: Uart | None = field(
        default=None, metadata=about("The UART as Unicorn's emulation models it; left out where Unicorn cannot run it.")
    )
    emulator: Emulators = field(
        default=Emulators(), metadata=about("What can run the board's firmware without the board.")
    )
    flash_tool: FlashTool | None = field(
        default=None,
        metadata=about(
            "What writes the firmware; left out for boards that are only an emulation or an FPGA image, or that need "
            "another program."
        ),
    )
    buffers: str = field(
        default=BUFFERS[0],
        metadata=about(
            '"in-place": an image is received where the inference computes, which overwrites it; that takes less RAM.'
        ),
    )
    link: str = field(
        default=LINKS[0],
        metadata=about(
            '"small": firmware of the fewest bytes, which computes in place and has neither banner, PROFILE, camera\'s '
            "frames nor golden vectors."
        ),
    )
    budget: Budget = field(default=Budget(), metadata=about("What the firmware may take."))
    policy: Policy = field(default=Policy(), metadata=about("What `flash` asks of the record of `check`."))

    @property
    def argument(self) -> str:
        """What `--board` takes for it: the name, or the path of your own board's file."""
        return self.name if self.path.parent == targets_folder() else str(self.path)

    @property
    def is_in_place(self) -> bool:
        """Whether its firmware computes in the memory that the image is received in."""
        return self.buffers == "in-place" or self.link == "small"

    @property
    def flash_budget_bytes(self) -> int:
        """What the firmware may take of the flash."""
        return self.flash.size_bytes if self.budget.flash_bytes is None else self.budget.flash_bytes

    @property
    def ram_budget_bytes(self) -> int:
        """What the firmware may take of the RAM."""
        return self.ram.size_bytes if self.budget.ram_bytes is None else self.budget.ram_bytes

    @property
    def port_folder(self) -> Path:
        """The code of `port.family`: your own board brings it along, those of `targets/` have it in `firmware/port`."""
        own = self.path.parent / "port" / self.port.family
        # isdir: no error for any text
        return own if os.path.isdir(own) else firmware_folder() / "port" / self.port.family
