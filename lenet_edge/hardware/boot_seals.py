"""Checksums that a boot ROM wants of the first bytes of its flash, set when the firmware is linked."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType

__all__ = ["SEALS", "Seal", "crc32_mpeg2", "sealed"]

_CRC_POLYNOMIAL = 0x04C11DB7


@dataclass(frozen=True)
class Seal:
    """How a boot ROM's bytes are sealed.

    Attributes:
        boot_bytes: how many it looks at.
        seal: those bytes as they were linked -> as they belong in the flash, equally many.
    """

    boot_bytes: int
    seal: Callable[[bytes], bytes]


def crc32_mpeg2(data: bytes) -> int:
    """CRC-32 with polynomial 0x04C11DB7, most significant bit first, from 0xFFFFFFFF, the result as it is."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ _CRC_POLYNOMIAL if crc & 0x8000_0000 else crc << 1) & 0xFFFF_FFFF
    return crc


def _rp2040(boot: bytes) -> bytes:
    """The second boot stage with its CRC in the last word (RP2040 Datasheet, 2.8.1.3.1: Checksum)."""
    return boot[:-4] + struct.pack("<I", crc32_mpeg2(boot[:-4]))


SEALS: Mapping[str, Seal] = MappingProxyType({"rp2040": Seal(256, _rp2040)})
"""By name, as a board's TOML says it."""


def sealed(elf: bytes, origin: int, name: str) -> bytes:
    """The ELF with its seal.

    Args:
        elf: as it was linked, with the boot stage at the address `origin`.
        name: a key of `SEALS`.

    Raises:
        ValueError: nothing is loaded at `origin`, or less than the boot stage.
    """
    from elftools.elf.elffile import ELFFile

    seal = SEALS[name]
    for part in ELFFile(BytesIO(elf)).iter_segments("PT_LOAD"):
        if part["p_paddr"] == origin and part["p_filesz"] >= seal.boot_bytes:
            start, end = part["p_offset"], part["p_offset"] + seal.boot_bytes
            return elf[:start] + seal.seal(elf[start:end]) + elf[end:]
    raise ValueError(f"no boot stage of {seal.boot_bytes} bytes is linked to {origin:#x}")
