"""ELF files made by hand: what is loaded and measured, the files for flash tools; no damage is a crash."""

from __future__ import annotations

import struct

import pytest
from elf_files import ALLOC, EXEC, FILE, FUNC, NOBITS, OBJECT, PROGBITS, RISCV, WRITE, elf
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.errors import BadInputError
from lenet_edge.hardware.elf import Elf, Segment, Symbol, to_binary, to_hex, to_map

CODE, DATA = bytes(range(40)), b"\xaa\xbb\xcc"
SECTIONS = [
    (".text", PROGBITS, ALLOC | EXEC, 0x100, 40),
    (".data", PROGBITS, ALLOC | WRITE, 0x20000000, 3),
    (".bss", NOBITS, ALLOC | WRITE, 0x20000004, 100),
    (".debug", PROGBITS, 0, 0, 9),
]
SYMBOLS = [
    ("zero", 0x110, 8, OBJECT, 1),
    ("main", 0x101, 12, FUNC, 1),
    ("$t", 0x100, 0, 0, 1),
    (".Lhidden", 0x104, 0, 0, 1),
    ("file.c", 0, 0, FILE, 0xFFF1),
    ("buffer", 0x20000004, 100, OBJECT, 3),
    ("le_top", 0x20001000, 0, 0, 0xFFF1),
]
SEGMENTS = [(0x130, 0x20000000, DATA, 103), (0x100, 0x100, CODE, 40), (0, 0x20000004, b"", 100)]
CONTENT = elf(SEGMENTS, SECTIONS, SYMBOLS)


def test_what_is_loaded_is_sorted_by_where_it_is_stored():
    image = Elf(CONTENT)
    assert image.segments == (Segment(0x100, CODE), Segment(0x130, DATA))
    assert (image.entry, image.machine) == (0x101, "EM_ARM")
    assert image.flash_bytes == 43
    assert image.static_ram_bytes == 103


def test_symbols():
    image = Elf(CONTENT)
    assert list(image.symbols) == ["main", "zero", "buffer", "le_top"]
    assert image.symbols["main"] == Symbol("main", 0x100, 12, ".text")
    assert image.symbols["zero"].address == 0x110
    assert image.symbols["buffer"].section == ".bss"
    assert Elf(elf(SEGMENTS, SECTIONS, SYMBOLS, machine=RISCV)).symbols["main"].address == 0x101  # no Thumb there


def test_binary_fills_gaps_as_erased_flash():
    assert to_binary(Elf(CONTENT)) == CODE + b"\xff" * 8 + DATA


def test_hex():
    assert to_hex(Elf(CONTENT)).splitlines() == [
        ":10010000000102030405060708090A0B0C0D0E0F77",
        ":10011000101112131415161718191A1B1C1D1E1F67",
        ":080120002021222324252627BB",
        ":03013000AABBCC9B",
        ":0400000500000101F5",
        ":00000001FF",
    ]


def test_hex_across_64_kb():
    lines = to_hex(Elf(elf([(0x2040FFFA, 0x2040FFFA, bytes(range(12)), 12)]))).splitlines()
    assert lines[:4] == [
        ":0200000420409A",
        ":06FFFA00000102030405F2",
        ":02000004204199",
        ":06000000060708090A0BC7",
    ]


def test_map():
    lines = to_map(Elf(CONTENT)).splitlines()
    assert lines[0].split() == ["address", "bytes", "section", "name"]
    assert [line.split() for line in lines[1:]] == [
        ["0x00000100", "12", ".text", "main"],
        ["0x00000110", "8", ".text", "zero"],
        ["0x20000004", "100", ".bss", "buffer"],
        ["0x20001000", "0", "SHN_ABS", "le_top"],
    ]


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF" + bytes(48), b"MZ" * 99, CONTENT[:40], CONTENT[:60]])
def test_no_elf(content):
    with pytest.raises(BadInputError, match=r"x\.elf is not an ELF"):
        Elf(content, "x.elf")


def test_content_that_is_cut_short():
    content = elf([(0x100, 0x100, CODE, 40)])
    size_at = 52 + 16  # p_filesz
    longer = content[:size_at] + struct.pack("<I", len(content)) + content[size_at + 4 :]
    with pytest.raises(BadInputError, match="cut short"):
        Elf(longer)


def refused_or_read(content: bytes) -> None:
    """Whatever the bytes are: all that can be asked is answered, or refused as bad input."""
    try:
        image = Elf(content, "x.elf")
        _ = image.segments, image.symbols, image.flash_bytes, image.static_ram_bytes, to_map(image)
    except BadInputError as error:
        assert "x.elf" in str(error)  # noqa: PT017 - either way is right


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_a_changed_byte(place, change):
    damaged = bytearray(CONTENT)
    damaged[place] ^= change
    refused_or_read(bytes(damaged))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(CONTENT)), st.binary(max_size=60))
def test_cut_and_with_something_else_behind(end, rest):
    refused_or_read(CONTENT[:end] + rest)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(CONTENT) - 4), st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF]))
def test_a_word_of_extremes(place, word):
    refused_or_read(CONTENT[:place] + struct.pack("<I", word) + CONTENT[place + 4 :])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_behind_the_magic(rest):
    refused_or_read(b"\x7fELF\1\1\1" + rest)


def test_an_executable_with_nothing_to_load():
    image = Elf(elf([], SECTIONS, SYMBOLS), "x.elf")
    assert (image.segments, image.flash_bytes) == ((), 0)
