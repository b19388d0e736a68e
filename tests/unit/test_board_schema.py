"""The strict reading of a board's file, and the keys that its schema says it may have."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from board_files import NAMES, TEXTS, changed, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge import strict_toml
from lenet_edge.errors import BadInputError
from lenet_edge.hardware import boards
from lenet_edge.hardware.boards import parse


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("clock_hz =", "clokc_hz =", ["[cpu]", "'clokc_hz' is not known", "Did you mean 'clock_hz'?"]),
        ("[flash_tool]", "[flashtool]", ["'flashtool' is not known", "Did you mean 'flash_tool'?"]),
        ("[stack]", "[zzz]", ["'zzz' is not known", "Known: budget, buffers, cpu,"]),
        ("[emulator.qemu]", "[emulator.quemu]", ["[emulator]", "'quemu'", "Did you mean 'qemu'?"]),
        ("mask = 0x1", "masc = 0x1", ["[uart.receive.ready]", "'masc'", "Did you mean 'mask'?"]),
        ("size_bytes = 0x1000, source", "size = 0, source", ["[emulator.unicorn.plain_memory.0]", "'size_bytes'?"]),
        ('status = "runs in an emulator"\n', "", ["'status' is missing; a string is needed"]),
        ("[stack]\nsize_bytes = 1024\n", "", ["'stack' is missing; a table is needed"]),
        ("receive =", "# ", ["[uart]", "'receive' is missing; a table is needed"]),
        ("clock_hz = 16_000_000", "clock_hz = 16e6", ["[cpu]", "'clock_hz' is a float; give an integer"]),
        ("clock_hz = 16_000_000", "clock_hz = true", ["'clock_hz' is a boolean; give an integer"]),
        ("clock_hz = 16_000_000", 'clock_hz = "16 MHz"', ["'clock_hz' is a string; give an integer"]),
        ("clock_hz = 16_000_000", "clock_hz = 1979-05-27", ["'clock_hz' is a date or time; give an integer"]),
        ("clock_hz = 16_000_000", "clock_hz = -1", ["'clock_hz' is -1; give a number that is not negative"]),
        ("clock_hz = 16_000_000", "clock_hz = 0x1_0000_0000", ["is 4294967296; give a number of at most 32 bits"]),
        ("clock_hz = 16_000_000", f"clock_hz = 0x{'F' * 9999}", ["'clock_hz' is an integer of 39,996 bits; give"]),
        ("clock_hz = 16_000_000", f"clock_hz = {'9' * 9999}", ["'clock_hz' has a number of 9,999 digits"]),
        ('core = "cortex-m0"', "core = 0", ["'core' is an integer; give a string"]),
        ('core = "cortex-m0"', 'core = ""', ["'core' is empty"]),
        ('core = "cortex-m0"', 'core = "a\\nb"', ["'core' is empty or has characters that cannot be printed"]),
        ('"-mthumb", ', "1, ", ["[toolchain.gcc.flags]", "'1' is an integer; give a string"]),
        ("plain_memory = [", "plain_memory = 7 #", ["is not TOML"]),
        ('flags = ["-mcpu=cortex-m0"', 'flags = "-x" #', ["[toolchain.gcc]", "'flags' is a string; give a list"]),
        ("defines = {", "defines = 1 #", ["[port]", "'defines' is an integer; give a table"]),
        ("LE_UART_TX_PIN = 24", "LE_UART_TX_PIN = 2.4", ["[port.defines]", "is a float; give an integer or a string"]),
        ("LE_UART_TX_PIN = 24", "LE_UART_TX_PIN = false", ["[port.defines]", "is a boolean"]),
        ("transmit = {", "transmit = [] #", ["[uart]", "'transmit' is a list; give a table"]),
    ],
)  # fmt: skip
def test_what_the_schema_refuses(old, new, parts):
    refused(changed(old, new), *parts)


@pytest.mark.parametrize("text", ["name", "[", "a = 1\na = 2", "[" * 20000, "a = " + "[" * 20000, "\0", "a = \ud800"])
def test_not_toml(text):
    refused(text, "is not TOML")


def test_nothing_at_all():
    refused("", "'name' is missing")


def test_a_value_where_a_table_should_be():
    text = re.sub(r"\[stack\]\nsize_bytes = 1024\n", "", TEXTS["microbit"])
    refused("stack = 1024\n" + text, "'stack' is an integer; give a table")


def test_a_define_may_be_a_c_name():
    text = changed("LE_UART_TX_PIN = 24", 'LE_UART_TX_PIN = "PIN_24"')
    assert parse(text, Path("microbit.toml")).port.defines["LE_UART_TX_PIN"] == "PIN_24"


def test_a_budget_may_be_given_in_part():
    text = TEXTS["microbit"] + "\n[budget]\nram_bytes = 8192\n"
    board = parse(text, Path("microbit.toml"))
    assert (board.flash_budget_bytes, board.ram_budget_bytes) == (256 * 1024, 8192)


# --- keys -------------------------------------------------------------------------------------------


def paths(table: dict, inside: str = "") -> set[str]:
    """The keys of a file, as `keys` writes where they are; what is below a table of any names is not looked at."""
    found = set()
    for name, value in table.items():
        found.add(f"{inside}{name}")
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and name not in ("defines", "also"):
                found |= paths(item, f"{inside}{name}{'[]' if isinstance(value, list) else ''}.")
    return found


def test_every_key_of_every_board_is_in_the_schema_with_its_meaning():
    known = {f"{key.table}.{key.name}".lstrip("."): key for key in strict_toml.keys(boards.Board)}
    used = set().union(*(paths(tomllib.loads(text)) for text in TEXTS.values()))
    assert used <= set(known)
    assert len(used) > 50
    assert [path for path, key in known.items() if not key.meaning.endswith(".")] == []
    wrong = [path for path, key in known.items() if path.endswith("_bytes") and key.unit != "bytes"]
    assert wrong == []


def test_keys_say_type_default_and_whether_they_may_be_left_out():
    known = {f"{key.table}.{key.name}".lstrip("."): key for key in strict_toml.keys(boards.Board)}
    clock, flags, defines = known["cpu.clock_hz"], known["toolchain.gcc.flags"], known["port.defines"]
    assert (clock.type, clock.unit, clock.required, clock.default) == ("an integer", "Hz", True, None)
    assert (flags.type, flags.required, flags.default) == ("a list of strings", False, ())
    assert defines.type == "a table of integers or strings"
    memory = known["emulator.unicorn.plain_memory"]
    assert (memory.type, known["emulator.unicorn.plain_memory[].origin"].required) == ("a list of tables", True)
    assert known["policy.max_drop_points"].default == 0.10
    assert "path" not in known


def test_keys_that_are_required_are_those_that_a_file_cannot_leave_out():
    for key in strict_toml.keys(boards.Board):
        if key.table == "":
            content = tomllib.loads(TEXTS["microbit"])
            content.pop(key.name, None)
            try:
                strict_toml.read(boards.Board, content, Path("x.toml"), given={"path": Path("x.toml")})
            except BadInputError:
                assert key.required, key
            else:
                assert not key.required, key


# --- fuzz: a board or BadInputError, and never anything else --------------------------------------


def parses_or_is_refused(text: str, name: str) -> None:
    try:
        board = parse(text, Path(f"{name}.toml"))
    except BadInputError:
        pass
    else:
        assert board.name == name


PIECES = st.sampled_from(
    [
        "true",
        "-1",
        "0xFFFFFFFFFF",
        "1e400",
        "nan",
        '""',
        "[]",
        "[[",
        "{}",
        "1979-05-27",
        "\n[cpu]\n",
        "=",
        '"',
        "\0",
        "é",
    ]
)


@given(st.text(max_size=200))
def test_any_text(text):
    parses_or_is_refused(text, "microbit")


@settings(max_examples=150)
@given(st.sampled_from(NAMES), st.data())
def test_a_board_s_file_with_something_else_in_it(name, data):
    text = TEXTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 12))
        text = text[:start] + data.draw(PIECES | st.text(max_size=5)) + text[end:]
    parses_or_is_refused(text, name)


@settings(max_examples=150)
@given(st.sampled_from(NAMES), st.data())
def test_a_board_s_file_with_another_value(name, data):
    values = list(re.finditer(r"(?<== )(?:0x\w+|[\d_]+|\"[^\"\n]*\"|\[.*\]$|\{.*\}$)", TEXTS[name], re.MULTILINE))
    value = data.draw(st.sampled_from(values))
    other = data.draw(PIECES | st.integers(0, 2**33).map(hex) | st.integers(-5, 70000).map(str))
    parses_or_is_refused(TEXTS[name][: value.start()] + other + TEXTS[name][value.end() :], name)


@settings(max_examples=100)
@given(st.sampled_from(NAMES), st.data())
def test_a_board_s_file_without_some_lines(name, data):
    lines = TEXTS[name].splitlines(keepends=True)
    kept = data.draw(st.lists(st.sampled_from(range(len(lines))), max_size=5))
    parses_or_is_refused("".join(line for index, line in enumerate(lines) if index not in kept), name)
