"""Damage inside formats that carry lengths, checksums and offsets, so that it gets past the first look."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import struct
import zlib
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

import flatbuffers
import mutations
from ai_edge_litert import schema_py_generated as schema
from mutations import damage, number, overwrite

# --- IDX and gzip -----------------------------------------------------------------------------------


def damage_idx(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """An IDX file, in gzip or not; damaged inside of gzip or outside."""
    if data[:2] == b"\x1f\x8b" and random.random() < 0.6:
        inner = damage_idx(random, gzip.decompress(data), [b"\0\0\x08\x01\0\0\0\x01\x05"])
        packed = gzip.compress(inner, 1, mtime=0)
        return packed * 2 if random.random() < 0.05 else packed
    if random.random() < 0.4 and data[:2] == b"\0\0":
        return overwrite(
            data, random.choice((2, 3, 4, 8, 12)), struct.pack(">I", random.choice(mutations.EXTREMES) & 2**32 - 1)
        )
    if random.random() < 0.02:
        return gzip.compress(data[:16] + bytes(random.choice((1 << 20, 1 << 24))), 9, mtime=0)
    return damage(random, data, others)


# --- safetensors ------------------------------------------------------------------------------------

_DTYPES = ("F32", "F64", "F16", "BF16", "I64", "I32", "I8", "U8", "U16", "BOOL", "F8_E4M3", "C64", "X")
_FLOATS = (math.nan, math.inf, -math.inf, 3e38, -3e38, 1e-45, 0.0, -0.0, 1e30)


def unpack_safetensors(data: bytes) -> tuple[dict[str, Any], bytes]:
    """(header, tensors)."""
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def sign(header: dict[str, Any], body: bytes) -> None:
    """Put the SHA-256 of the content into the metadata, as the format asks (learning/checkpoint.py says over what)."""
    facts = json.loads(header["__metadata__"]["lenet_edge"])
    facts.pop("sha256", None)
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    numpy_names = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I8": "|i1", "U8": "|u1"}
    for name in sorted(key for key in header if key != "__metadata__"):
        entry = header[name]
        start, stop = entry["data_offsets"]
        digest.update(json.dumps([name, numpy_names.get(entry["dtype"], entry["dtype"]), entry["shape"]]).encode())
        digest.update(body[start:stop])
    facts["sha256"] = digest.hexdigest()
    header["__metadata__"]["lenet_edge"] = json.dumps(facts, sort_keys=True)


def _change_tensor(random: Random, header: dict[str, Any], body: bytes) -> bytes:
    """Another type, shape, place or name of a tensor, or other values in it."""
    name = random.choice([key for key in header if key != "__metadata__"])
    entry = header[name]
    start, stop = entry["data_offsets"]
    stop = min(stop, len(body))
    what = random.randrange(8)
    if what == 0:
        entry["dtype"] = random.choice(_DTYPES)
    elif what == 1:
        shapes = ([stop - start], [], [0], [1, *entry["shape"]], entry["shape"][::-1], [2**40, 2**40], [-1], [2**64])
        entry["shape"] = random.choice(shapes)
    elif what == 2:
        entry["data_offsets"] = random.choice(([0, 0], [stop, start], [start, stop + 4], [start], [0, 2**63], [1.5, 2]))
    elif what == 3:
        header[random.choice((*mutations.NAMES[:4], "resume.history", "resume.step", "grid.C1.q", name.upper()))] = (
            header.pop(name)
        )
    elif what == 4:
        del header[name]
    elif what == 5 and stop - start >= 4:
        at = start + 4 * random.randrange((stop - start) // 4)
        return overwrite(body, at, struct.pack("<f", random.choice(_FLOATS)))
    elif stop > start:
        filler = struct.pack("<f", random.choice(_FLOATS)) if random.random() < 0.7 else number(random, 4)
        return overwrite(body, start, (filler * ((stop - start) // 4 + 1))[: stop - start])
    return body


def damage_safetensors(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A checkpoint with other tensors or metadata, signed again for the most part; or damaged as bytes."""
    if random.random() < 0.15:
        return damage(random, data, others)
    header, body = unpack_safetensors(data)
    try:
        for _ in range(random.choice((1, 1, 2))):
            if random.random() < 0.5:
                facts = mutations.change_value(random, json.loads(header["__metadata__"]["lenet_edge"]))
                header["__metadata__"]["lenet_edge"] = mutations._dump(facts, random)
            elif random.random() < 0.1:
                header = mutations.change_value(random, header)
            else:
                body = _change_tensor(random, header, body)
        if random.random() < 0.9:
            sign(header, body)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        pass  # no longer something that one can sign
    text = mutations._dump(header, random).encode("utf-8", "surrogatepass")
    size = len(text) if random.random() < 0.98 else random.choice(mutations.EXTREMES) & 2**64 - 1
    return struct.pack("<Q", size) + text + body


# --- flatbuffers: .tflite ---------------------------------------------------------------------------


def _tables(node: Any, found: list[tuple[Any, str]]) -> list[tuple[Any, str]]:
    """Every (table, field) below a table of the schema's object API."""
    for field, value in vars(node).items():
        found.append((node, field))
        for item in value if isinstance(value, list) else (value,):
            if hasattr(item, "__dict__") and not isinstance(item, type):
                _tables(item, found)
    return found


def damage_tflite(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A model with other values in the tables of its schema, packed again; or damaged as bytes."""
    if random.random() < 0.65:
        return damage(random, data, others, most=3)
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for _ in range(random.choice((1, 1, 2, 3))):
        _change_field(random, *random.choice(_tables(model, [])))
    builder = flatbuffers.Builder(len(data) + 1024)
    try:
        builder.Finish(model.Pack(builder), b"TFL3")
    except (TypeError, ValueError, AttributeError, struct.error, AssertionError, OverflowError, IndexError):
        return damage(random, data, others)  # not a value that the format has
    return bytes(builder.Output())


def _change_field(random: Random, table: Any, field: str) -> None:
    value = getattr(table, field)
    if isinstance(value, bool):
        changed: Any = not value
    elif isinstance(value, int):
        changed = random.choice((*mutations.EXTREMES[:30], value + 1, value - 1, 0))
    elif isinstance(value, float):
        changed = random.choice(_FLOATS)
    elif isinstance(value, bytes):
        changed = random.choice((b"", b"a" * 5_000, b"\xff", b"[red]", b"\0", value * 2))
    elif value is None:
        changed = random.choice((None, [], [0], [1, 2], b"x"))
    elif hasattr(value, "tolist") or isinstance(value, list):
        changed = _change_list(random, list(value))
    else:
        changed = random.choice((None, value))
    setattr(table, field, changed)


def _change_list(random: Random, values: list[Any]) -> Any:
    what = random.randrange(6)
    if what == 0 or not values:
        return random.choice((None, [], values))
    if what == 1:
        return values * 2
    if what == 2:
        return values[:-1]
    index = random.randrange(len(values))
    if isinstance(values[index], float):
        values[index] = random.choice(_FLOATS)
    elif isinstance(values[index], int) or hasattr(values[index], "item"):
        values[index] = random.choice((*mutations.EXTREMES[:30], int(values[index]) + 1))
    else:
        values[index] = random.choice(values)
    return values


# --- pictures ---------------------------------------------------------------------------------------


def damage_picture(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A picture: PNG by its chunks with right checksums, TIFF by its entries; all of them as bytes."""
    if random.random() < 0.6:
        if data[:4] == b"\x89PNG":
            return _damage_png(random, data)
        if data[:2] in (b"II", b"MM"):
            return _damage_tiff(random, data)
        if data[:2] in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"):
            sizes = random.choice((b"0", b"-1", b"1", b"65536", b"89000000", b"9" * 30, b"#", b"x", b"\n"))
            fields = data.split(None, 4)
            fields[random.randrange(min(len(fields), 4))] = sizes
            return b"\n".join(fields)
    return damage(random, data, others)


_PNG_KINDS = tuple(b"PLTE tRNS IDAT IEND iCCP eXIf zTXt iTXt acTL fcTL fdAT gAMA".split())


def _damage_png(random: Random, data: bytes) -> bytes:
    chunks, at = [], 8
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        chunks.append([kind, data[at + 8 : at + 8 + size]])
        at += size + 12
    for _ in range(random.choice((1, 1, 2))):
        index, what = random.randrange(len(chunks)), random.random()
        kind, content = chunks[index]
        if what < 0.35:
            chunks[0][1] = overwrite(
                chunks[0][1], random.choice((0, 4, 8, 9, 10, 11, 12)), number(random, random.choice((1, 4)))
            )[:13]
        elif what < 0.6:
            chunks[index][1] = damage(random, content, [content], 2) if content else number(random, 4)
        elif what < 0.7 and kind == b"IDAT":
            rows = bytes(random.choice((0, 100, 1 << 20, 1 << 23)))
            chunks[index][1] = zlib.compress(rows, 1)
        elif what < 0.8:
            chunks.insert(random.randrange(len(chunks) + 1), list(chunks[index]))
        elif what < 0.9:
            extra = random.choice(
                (b"", bytes(8), number(random, 4), b"a\0\0" + zlib.compress(bytes(1 << 20)), random.randbytes(26))
            )
            chunks.insert(random.randrange(1, len(chunks) + 1), [random.choice(_PNG_KINDS), extra])
        elif len(chunks) > 1:
            del chunks[index]
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return data[:8] + body


def _damage_tiff(random: Random, data: bytes) -> bytes:
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return damage(random, data, [data])
    (count,) = struct.unpack_from(order + "H", data, start)
    for _ in range(random.choice((1, 1, 2))):
        entry = start + 2 + 12 * random.randrange(max(1, count))
        field, size = random.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
        if field == 0:
            value = random.choice(
                (254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 282, 284, 317, 320, 322, 323, 338, 339, 34377)
            )
            content = struct.pack(order + "H", value)
        elif field == 2:
            content = struct.pack(order + "H", random.choice((0, 1, 2, 3, 4, 5, 7, 11, 12, 13, 16, 255)))
        else:
            content = number(random, size)
        data = overwrite(data, entry + field, content)
    return data


# --- ELF --------------------------------------------------------------------------------------------


@cache
def elf_fields(data: bytes) -> tuple[tuple[int, int], ...]:
    """(offset, bytes) of the fields of the header, the segments, the sections and the symbols of an ELF32."""
    programs, sections = struct.unpack_from("<II", data, 28)
    (program_count,), (section_count,) = struct.unpack_from("<H", data, 44), struct.unpack_from("<H", data, 48)
    fields = [(at, 1) for at in range(4, 9)] + [(16, 2), (18, 2), (20, 4), (24, 4), (28, 4), (32, 4)]
    fields += [(36 + 4, 2), (42, 2), (44, 2), (46, 2), (48, 2), (50, 2)] * 2
    fields += [(programs + 32 * index + 4 * part, 4) for index in range(program_count) for part in range(8)]
    fields += [(sections + 40 * index + 4 * part, 4) for index in range(section_count) for part in range(10)]
    for index in range(section_count):
        kind, _, _, offset, size = struct.unpack_from("<5I", data, sections + 40 * index + 4)
        if kind == 2:
            fields += [
                (at + part, wide)
                for at in range(offset, offset + size, 16)
                for part, wide in ((0, 4), (4, 4), (8, 4), (12, 1), (14, 2))
            ]
    return tuple(fields)


def damage_elf(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """An ELF with other values in its fields; or damaged as bytes."""
    if random.random() < 0.35:
        return damage(random, data, others)
    fields = elf_fields(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        at, size = random.choice(fields)
        if random.random() < 0.4:
            value = int.from_bytes(data[at : at + size], "little") + random.choice(
                (-16, -4, -1, 1, 4, 16, 0x100, 0x10000000)
            )
            content = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        elif random.random() < 0.5:
            content = random.choice(
                (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14, 15, 17, 18, 0x70000001, 0x70000003, 0x6FFFFFF6, 0x6FFFFFFE)
            ).to_bytes(4, "little")[:size]
        else:
            content = number(random, size)
        data = overwrite(data, at, content)
    return data
