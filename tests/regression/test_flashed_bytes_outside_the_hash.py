"""An ELF says twice what is loaded: an allocated section outside its segments got 256 bytes into the flash, over GDB,
that the hash was not of. Every ELF that means more than one thing is refused, and every tool gets files made from what
was hashed.
"""

import struct
from io import BytesIO

import pytest
from elftools.elf.elffile import ELFFile
from made_elf import ALLOC, EXEC, NOBITS, WRITE, Part, Sect, elf, firmware

from lenet_edge.errors import BadInputError
from lenet_edge.hardware import boards
from lenet_edge.hardware.elf import Elf, to_binary, to_elf, to_hex
from lenet_edge.hardware.flashing.flashers import Job
from lenet_edge.hardware.flashing.stages import _write_files
from lenet_edge.hardware.layout import layout_problem

BOARD = boards.load("microbit")  # flash 0 to 0x40000, RAM 0x20000000 to 0x20004000
CODE = struct.pack("<II", 0x2000_4000, 0x101) + bytes(range(248)) + b"\xfe\xe7" * 8
TEXT = Part(0, 0, CODE)
DATA = Part(0x1000, 0x2000_0000, b"initial!")
AT = 52 + 32  # where the first segment's content is in a file of one
EVIL = b"\xee" * 256


def problem(content):
    return layout_problem(Elf(content, "x.elf"), BOARD)


def test_firmware_as_a_linker_makes_it():
    at = 52 + 3 * 32
    sections = [Sect(".text", 0, CODE, offset=at)]
    sections += [Sect(".data", 0x2000_0000, b"initial!", ALLOC | WRITE, offset=at + len(CODE))]
    sections += [Sect(".bss", 0x2000_0008, bytes(64), ALLOC | WRITE, NOBITS), Sect(".debug", 0, EVIL, 0)]
    bss = Part(0x1008, 0x2000_0008, b"", memory_bytes=64)
    assert problem(elf([TEXT, DATA, bss], sections)) == ""
    assert problem(firmware()) == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (elf([TEXT], [Sect(".text", 0, CODE, offset=AT), Sect(".evil", 0x8000, EVIL)]), "the section '.evil'"),
        (elf([TEXT], [Sect(".text", 0, CODE, offset=AT), Sect(".e", 0x8000, EVIL, ALLOC, 7)]), "the section '.e'"),
        (elf([TEXT], [Sect(".text", 0, CODE[:-1] + b"!")]), "the section '.text'"),  # other bytes, the same address
        (elf([TEXT], [Sect(".text", 0x100, CODE[:16], offset=AT)]), "the section '.text'"),
        (elf([TEXT], [Sect(".text", 0, CODE + b"longer", offset=AT)]), "the section '.text'"),
        (elf([TEXT], [Sect(".text", 0, CODE, ALLOC | EXEC | 0x800, offset=AT + 4)]), "the section '.text'"),
        (elf([TEXT, Part(0x80, 0x80, EVIL)]), "overlap"),
        (elf([TEXT, Part(0x8000, 0, CODE)]), "to run at 0x0"),
        (elf([DATA, TEXT, Part(0x3000, 0x2000_0004, b"initial!")]), "overlap where they are to run"),
        (elf([TEXT, Part(0x8000, 0x8000, b"", 64, 64, offset=AT + 32)]), "overlap where they are in"),
        (elf([Part(0, 0, CODE, memory_bytes=8)]), "272 bytes in the file and 8 in memory"),
        (elf([TEXT, Part(0x3FFF0, 0x3FFF0, bytes(17))]), "not inside the flash of microbit"),
        (elf([TEXT, Part(0x1000_1000, 0x1000_1000, EVIL)]), "not inside the flash"),  # the chip's UICR or a RAM
        (elf([TEXT, Part(0xFFFF_FFF0, 0xFFFF_FFF0, EVIL)]), "not inside the flash"),
        (elf([TEXT, Part(0x8000, 0x4000_0000, EVIL)]), "to run at 0x40000000"),
        (elf([TEXT, Part(0x8000, 0x2000_3FFF, b"ab")]), "to run at 0x20003fff"),
        (elf([TEXT, Part(0x8000, 0x9000, EVIL)]), "to run at 0x9000"),
        (elf([TEXT], entry=0x8001), "its entry 0x8001 is not the reset vector, 0x101"),
        (elf([Part(0x100, 0x100, CODE)]), "is not the reset vector, none"),
        (elf([]), "nothing to load"),
        (elf([Part(0, 0, b"", memory_bytes=64)]), "nothing to load"),
        (elf([TEXT, Part(0, 0x2000_0000, b"", memory_bytes=0x4001)]), "16,385 bytes at 0x20000000 are not inside"),
        (elf([TEXT, Part(0, 0x1000_0000, b"", memory_bytes=4)]), "4 bytes at 0x10000000 are not inside the RAM"),
        (elf([Part(0, 0, b"\4" + CODE[1:])]), "its stack begins at 0x20004004, outside the RAM of microbit"),
        (elf([Part(0, 0, bytes(4) + CODE[4:])]), "its stack begins at 0x0, outside the RAM"),
        (elf([TEXT], machine=243), "for the processor EM_RISCV"),
    ],
)  # fmt: skip
def test_every_trick_is_refused_and_named(content, said):
    assert said in problem(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (elf([Part(0, 0, CODE, file_bytes=100_000, memory_bytes=100_000)]), "cut short"),
        (elf([Part(0, 0, CODE, offset=1 << 31)]), "cut short"),
        (elf([Part(0, 0, CODE)] + [Part(0, 0, b"", file_bytes=200, memory_bytes=200, offset=AT)] * 9), "cut short"),
        (elf([TEXT] * 100), "not an ELF"),
        (firmware()[:4] + b"\2" + firmware()[5:], "not an ELF"),  # 64 bits
        (firmware()[:5] + b"\2" + firmware()[6:], "not an ELF"),  # big-endian
        (elf([TEXT], kind=3), "fixed addresses"),  # a shared object
        (elf([TEXT], kind=1), "fixed addresses"),  # an object file
    ],
)
def test_what_is_no_firmware_at_all(content, said):
    with pytest.raises(BadInputError, match=said):
        Elf(content, "x.elf")


def test_tools_get_what_was_hashed_and_nothing_else():
    """Those that load sections, segments, at either address, or take a HEX or BIN: the same bytes."""
    image = Elf(elf([TEXT, DATA], [Sect(".evil", 0x8000, EVIL, ALLOC)]))
    expected = {0: CODE, 0x1000: b"initial!"}
    made = ELFFile(BytesIO(to_elf(image)))
    segments = {part["p_paddr"]: part.data() for part in made.iter_segments()}
    sections = {part["sh_addr"]: part.data() for part in made.iter_sections() if part["sh_flags"] & ALLOC}
    assert segments == sections == expected
    assert [part["p_vaddr"] for part in made.iter_segments()] == [part["p_paddr"] for part in made.iter_segments()]
    assert Elf(to_elf(image)).sha256 == image.sha256
    assert (made.header["e_entry"], made.header["e_machine"]) == (0x101, "EM_ARM")
    assert to_binary(image) == CODE + b"\xff" * (0x1000 - len(CODE)) + b"initial!"
    assert b"\xee" * 16 not in bytes.fromhex(to_hex(image).replace(":", "").replace("\n", ""))


def test_the_folder_that_tools_run_in(tmp_path):
    image = Elf(elf([TEXT], [Sect(".evil", 0x8000, EVIL, ALLOC)]))
    _write_files(tmp_path, Job(BOARD, "emulator", "microbit", image))
    assert EVIL not in (tmp_path / "firmware.elf").read_bytes()


def test_a_table_that_is_there_twice():
    """A symbol that is twice names a copy for a reader, and another place for the code."""
    sections = [Sect(".text", 0, CODE, offset=AT)]
    image = Elf(elf([TEXT], sections, [("le_table", 8, 4, 1), ("le_table", 16, 4, 1), ("other", 8, 4, 1)]))
    assert image.ambiguous == {"le_table"}
