"""Damage to bytes and texts, drawn from a `random.Random`: the same generator gives the same damage."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

# --- bytes ------------------------------------------------------------------------------------------

NUMBERS = (0, 1, 2, 3, 4, 7, 8, 16, 27, 28, 29, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 1 << 24, 1 << 28)
EXTREMES = (
    *NUMBERS,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32 - 16,
    -1,
    -2,
    -128,
    -32768,
    -(2**31),
    2**63 - 1,
    2**63,
    2**64 - 1,
)
LARGEST = 1 << 20  # bytes of an input


def number(random: Random, size: int) -> bytes:
    """An interesting number of `size` bytes, of either byte order."""
    value = random.choice(EXTREMES) if random.random() < 0.7 else random.getrandbits(8 * size)
    return (value & (1 << 8 * size) - 1).to_bytes(size, random.choice(("little", "big")))


def overwrite(data: bytes, at: int, content: bytes) -> bytes:
    return data[:at] + content + data[at + len(content) :]


def _flip(random: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data))
    return overwrite(data, at, bytes([data[at] ^ 1 << random.randrange(8)]))


def _number(random: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    size = random.choice((1, 1, 2, 4, 4, 8))
    at = random.randrange(len(data))
    return overwrite(data, at - at % size if random.random() < 0.8 else at, number(random, size))


def _early_number(random: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """In the first bytes, where headers are."""
    return overwrite(data, random.randrange(min(len(data), 64)), number(random, random.choice((1, 2, 4))))


def _step(random: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """A little more or less than it was."""
    size = random.choice((1, 2, 4))
    at = random.randrange(len(data))
    order = random.choice(("little", "big"))
    value = int.from_bytes(data[at : at + size], order) + random.randint(-4, 4)
    return overwrite(data, at, (value & (1 << 8 * size) - 1).to_bytes(size, order))


def _cut(random: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data))]


def _append(random: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    return data + random.choice((bytes, random.randbytes))(random.choice((1, 2, 4, 64, 4096)))


def _span(random: Random, data: bytes) -> tuple[int, int]:
    start = random.randrange(len(data))
    return start, start + 1 + random.randrange(min(len(data) - start, random.choice((4, 64, 4096))))


def _remove(random: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    start, stop = _span(random, data)
    return data[:start] + data[stop:]


def _double(random: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    start, stop = _span(random, data)
    at = random.choice((stop, random.randrange(len(data))))
    return (data[:at] + data[start:stop] * random.choice((1, 1, 2, 100)) + data[at:])[:LARGEST]


def _fill(random: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    start, stop = _span(random, data)
    return overwrite(data, start, random.choice((b"\0", b"\xff", b" ")) * (stop - start))


def _move(random: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    start, stop = _span(random, data)
    return overwrite(data, min(random.randrange(len(data)), len(data) - (stop - start)), data[start:stop])


def _splice(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = random.choice(others)
    return data[: random.randrange(len(data))] + other[random.randrange(len(other) or 1) :]


_BYTES: tuple[Callable[[Random, bytes, Sequence[bytes]], bytes], ...] = (
    *(_flip, _flip, _number, _number, _number, _early_number, _early_number, _step),
    *(_cut, _append, _remove, _double, _fill, _move, _splice),
)


def damage(random: Random, data: bytes, others: Sequence[bytes], most: int = 4) -> bytes:
    """`data` after one to `most` changes; `others` are what parts may come from."""
    for _ in range(random.randint(1, most)):
        if data:
            data = random.choice(_BYTES)(random, data, others)
    return data


# --- texts ------------------------------------------------------------------------------------------

NAMES = (
    "",
    " ",
    "a" * 5_000,
    "[red]x",
    "[/b]",
    "\x1b[31m",
    "a\nb",
    "\r",
    "\0",
    "\ud800",
    "\ufeff",
    "é",
    "\u202e",
    "../..",
)
PIECES = (
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\xed\xa0\x80", b"\xc0\xaf", b"\x80", b"\r\n", b"\r", b"\x0b", b"\x1b[31m"),
    *(b"\\ud800", b"\\u0000", b"\\", b'"', b"'", b"'''", b'"""', b"{", b"}", b"[", b"]", b"[[", b"=", b"#", b",", b":"),
    *(b"NaN", b"-Infinity", b"1e999", b"-1e999", b"null", b"true", b"0x", b"_", b"." * 9, b"9" * 400, b"9" * 5_000),
)


def damage_text(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Pieces that a text format trips over, put in anywhere, or what `damage` does."""
    if random.random() < 0.3:
        return damage(random, data, others)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(data) + 1) if random.random() < 0.9 else 0
        data = data[:at] + random.choice(PIECES) + data[at + random.choice((0, 0, 1, 5)) :]
    return data


def _deep(random: Random, opening: str, closing: str, middle: str = "") -> str:
    depth = random.choice((2, 50, 900, 1_100, 20_000))
    return opening * depth + middle + closing * random.choice((depth, depth, depth - 1))


# --- JSON -------------------------------------------------------------------------------------------


class Raw(str):
    """JSON text that stands for itself."""

    __slots__ = ()


_JSON_NUMBERS = (
    *("0", "-0", "-1", "1", "0.5", "1e300", "-1e300", "1e-320", "1e999", "-1e999", "NaN", "Infinity", "-Infinity"),
    *("2147483647", "4294967296", "18446744073709551616", "9" * 401, "-" + "9" * 401, "9" * 5_000, "0.1" + "1" * 1_000),
)
_JSON_WORDS = ("null", "true", "false", "[]", "{}", '""', "[[]]", '[""]', "[null]", '{"": null}', '"1"', '"NaN"', '"∞"')


def _json_value(random: Random) -> Raw:
    kind = random.random()
    if kind < 0.45:
        return Raw(random.choice(_JSON_NUMBERS))
    if kind < 0.75:
        return Raw(random.choice(_JSON_WORDS))
    if kind < 0.95:
        return Raw(json.dumps(random.choice(NAMES), ensure_ascii=random.random() < 0.8))
    return Raw(_deep(random, "[", "]") if random.random() < 0.5 else _deep(random, '{"a":', "}", "1"))


def _dump(value: Any, random: Random) -> str:
    """`value` as JSON, `Raw` as it is; sometimes a key is there twice."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(_dump(item, random) for item in value) + "]"
    if isinstance(value, dict):
        pairs = [f"{json.dumps(key)}:{_dump(item, random)}" for key, item in value.items()]
        if pairs and random.random() < 0.01:
            pairs.append(f"{json.dumps(random.choice(list(value)))}:{_json_value(random)}")
        return "{" + ",".join(pairs) + "}"
    return json.dumps(value)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            for key in list(node) if isinstance(node, dict) else range(len(node)):
                found.append((node, key))
                waiting.append(node[key])
    return found


def change_value(random: Random, value: Any) -> Any:
    """A JSON value with one place changed; `value` is used up."""
    places = _places(value)
    if not places:
        return _json_value(random)
    node, key = random.choice(places)
    what = random.random()
    if what < 0.6:
        node[key] = _json_value(random)
    elif what < 0.7:
        del node[key]
    elif what < 0.8:
        other, at = random.choice(places)
        node[key] = other[at] if not isinstance(other[at], dict | list) else json.loads(_dump_plain(other[at]))
    elif what < 0.9 and isinstance(node, dict):
        node[random.choice((*NAMES, key + "s", "files"))] = node.pop(key)
    elif isinstance(node, list):
        node.extend([node[key]] * random.choice((1, 3, 1_000)))
    else:
        node[random.choice(NAMES)] = _json_value(random)
    return value


def _dump_plain(value: Any) -> str:
    return json.dumps(value, default=str)


def damage_json(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """JSON with values of the wrong kind, extremes, keys that are missing, new or there twice; or damaged as a text."""
    if random.random() < 0.2:
        return damage_text(random, data, others)
    value = json.loads(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        value = change_value(random, value)
    return _dump(value, random).encode("utf-8", "surrogatepass")


# --- TOML -------------------------------------------------------------------------------------------

_TOML_VALUES = (
    *("0", "-1", "1", "0.5", "-0.0", "nan", "+nan", "inf", "-inf", "1e999", "-1e999", "1e300", "1e-320", "0x10", "0b1"),
    *("4294967295", "4294967296", "9223372036854775808", "9" * 401, "-" + "9" * 401, "9" * 5_000, "0." + "1" * 2_000),
    *("true", "false", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "1979-05-27T07:32:00", '""', "''", "[]", "{}"),
    *(
        '"[red]x"',
        '"\\u001b[31m"',
        '"\\ud800"',
        '"\\u0000"',
        '"a\\nb"',
        '"../.."',
        '"/"',
        '"é"',
        '"""\n\n"""',
        '["", 1]',
    ),
    *('["a"]', "[1, 2]", "[[]]", "[nan]", "{ a = 1 }", "{ a = nan, b = [1] }", '"' + "a" * 5_000 + '"', '"%s{}\\\\"'),
)
_TOML_KEYS = (
    '""',
    '"a b"',
    '"\\u001b"',
    '"\\u0000"',
    "a.b",
    "0",
    "-",
    '"[red]"',
    "a" * 3_000,
    '"é"',
    "é",
    "model",
    "board",
)
_LINE = re.compile(r"^(\s*)([^=\[#]+?)(\s*=\s*)(.*)$")
_INNER = re.compile(r"(?<== )(0x[0-9A-Fa-f]+|[0-9_]+|\"[^\"]*\")")


def _toml_value(random: Random) -> str:
    if random.random() < 0.93:
        return random.choice(_TOML_VALUES)
    return _deep(random, "[", "]") if random.random() < 0.5 else _deep(random, "{a=", "}", "1")


def _change_line(random: Random, line: str) -> str:
    """A line `key = value` or `[table]` with one of its parts changed."""
    if random.random() < 0.2 and (inner := list(_INNER.finditer(line))):
        found = random.choice(inner)
        return line[: found.start()] + _toml_value(random) + line[found.end() :]
    found = _LINE.match(line)
    if found is None:
        return random.choice(
            ("[x]", f"[[{line.strip('[]')}]]", f"[{line.strip('[]')}.x]", "", f"[{random.choice(_TOML_KEYS)}]")
        )
    space, key, equals, value = found.groups()
    if random.random() < 0.8:
        value = _toml_value(random)
    else:
        key = random.choice((*_TOML_KEYS, key + "s", key.upper(), key + ".x"))
    return f"{space}{key}{equals}{value}"


def damage_toml(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """TOML with values of the wrong kind, extremes, keys and tables that are missing, new or there twice."""
    if random.random() < 0.2:
        return damage_text(random, data, others)
    lines = data.decode("utf-8", "replace").split("\n")
    for _ in range(random.choice((1, 1, 2, 3))):
        full = [index for index, line in enumerate(lines) if line.strip()]
        if not full:
            break
        index, what = random.choice(full), random.random()
        if what < 0.75:
            lines[index] = _change_line(random, lines[index])
        elif what < 0.85:
            del lines[index]
        elif what < 0.92:
            lines.insert(random.choice(full), lines[index])
        else:
            lines.insert(index, f"{random.choice(_TOML_KEYS)} = {_toml_value(random)}")
    return "\n".join(lines).encode("utf-8", "surrogatepass")
