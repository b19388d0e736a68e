"""UF2, the file that boot loaders with a USB volume take: each block of 512 bytes names its own address.

Source: Microsoft, "USB Flashing Format (UF2)", README of the repository microsoft/uf2.
"""

from __future__ import annotations

import struct

from lenet_edge.hardware.elf import Elf

__all__ = ["to_uf2"]

_MAGIC_START, _MAGIC_SECOND, _MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_FAMILY_ID_PRESENT = 0x2000
_PAYLOAD_BYTES = 256  # of the 476 that have room: pages of flash, as every boot loader takes them
_PADDING = b"\xff"  # as erased flash is


def to_uf2(firmware: Elf, family_id: int) -> bytes:
    """The firmware as UF2, in pages of 256 bytes aligned to 256; what a page holds besides the firmware is 0xFF.

    Args:
        family_id: of the microcontroller, 32 bits (microsoft/uf2, utils/uf2families.json).
    """
    pages: dict[int, bytearray] = {}
    for part in firmware.segments:
        for offset, byte in enumerate(part.content):
            address = part.address + offset
            page = pages.setdefault(address - address % _PAYLOAD_BYTES, bytearray(_PADDING * _PAYLOAD_BYTES))
            page[address % _PAYLOAD_BYTES] = byte
    return b"".join(
        _block(address, bytes(pages[address]), number, len(pages), family_id)
        for number, address in enumerate(sorted(pages))
    )


def _block(address: int, payload: bytes, number: int, count: int, family_id: int) -> bytes:
    first, second = (_MAGIC_START, _MAGIC_SECOND), (_FAMILY_ID_PRESENT, address, len(payload), number, count, family_id)
    return struct.pack("<8I476sI", *first, *second, payload, _MAGIC_END)
