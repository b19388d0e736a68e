"""Numbers in TOML and JSON that are not finite, or longer than anything can hold, and the text around them.

An integer of 401 digits in a policy was a traceback (it has no float), one of 5,000 digits was said to be "not TOML"
without its key, a byte order mark was refused, and 1e999 in a record was read as infinity.
"""

import dataclasses
import json

import pytest
from sample_models import lenet5

from lenet_edge import budget, strict_json
from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards
from lenet_edge.records import read_check
from lenet_edge.resources import targets_folder

ABSURD = ["nan", "-nan", "inf", "-inf", "1e999", "-1", "9" * 401, "9" * 5000, "0x" + "f" * 5000, "true", '"7"', "[7]"]
MICROBIT = targets_folder() / "microbit.toml"
NUMERIC = [
    "clock_hz = 16_000_000",
    "origin = 0x20000000",
    "size_bytes = 0x1000",
    "base = 0x40002000",
    "mask = 0x1",
    "value = 0x1",
]


def refusal(read, path):
    with pytest.raises(BadInputError) as refused:
        read(path)
    return str(refused.value)


@pytest.mark.parametrize("number", ABSURD)
@pytest.mark.parametrize(
    "key", [entry.name for entry in dataclasses.fields(boards.Policy) if entry.type in ("int", "float", "bool")]
)
def test_a_policy(tmp_path, key, number):
    if (key, number) == ("float_comparison", "true"):
        return
    path = tmp_path / "policy.toml"
    path.write_text(f"{key} = {number}\n")
    said = refusal(boards.read_policy, path)
    assert str(path) in said
    assert repr(key) in said
    assert len(said) < 400


@pytest.mark.parametrize("number", ABSURD)
@pytest.mark.parametrize("key", ["accuracy", "drop_points"])
def test_a_budget_of_the_model(tmp_path, key, number):
    if (key, number) == ("drop_points", "-1"):  # int8 may have to be better than float
        return
    path = tmp_path / "lenet-edge.toml"
    path.write_text(f"[model]\n{key} = {number}\n")
    said = refusal(budget.read_budgets, path)
    assert str(path) in said
    assert repr(key) in said
    assert len(said) < 400


@pytest.mark.parametrize("number", ABSURD)
@pytest.mark.parametrize("key", ["flash_bytes", "ram_bytes", "instructions", "cycles"])
def test_a_budget_of_a_board(tmp_path, key, number):
    path = tmp_path / "lenet-edge.toml"
    path.write_text(f"[board.microbit]\n{key} = {number}\n")
    said = refusal(budget.read_budgets, path)
    assert str(path) in said
    assert repr(key) in said
    assert len(said) < 400


@pytest.mark.parametrize("number", ABSURD)
@pytest.mark.parametrize("line", NUMERIC)
def test_a_board(tmp_path, line, number):
    text = MICROBIT.read_text(encoding="utf-8")
    assert line in text
    path = tmp_path / "microbit.toml"
    key = line.partition(" ")[0]
    path.write_text(text.replace(line, f"{key} = {number}", 1))
    said = refusal(lambda path: boards.load(str(path)), path)
    assert str(path) in said
    assert key in said
    assert len(said) < 500


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf%s", b"%s"], ids=["byte order mark", "none"])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_a_file_that_another_editor_saved(tmp_path, content, ends):
    path = tmp_path / "policy.toml"
    path.write_bytes(content % b"images = 7%sboard_images = 8%s" % (ends, ends))
    assert boards.read_policy(path) == boards.Policy(images=7, board_images=8)
    path = tmp_path / "lenet-edge.toml"
    path.write_bytes(content % b"[model]%saccuracy = 0.5%s" % (ends, ends))
    assert budget.read_budgets(path).model == {"accuracy": 0.5}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("read", [boards.read_policy, budget.read_budgets, lambda path: boards.load(str(path))])
def test_a_file_in_another_encoding_says_which_one_to_take(tmp_path, read, encoding):
    path = tmp_path / "x.toml"
    path.write_bytes("images = 7\n".encode(encoding))
    assert "save it as UTF-8" in refusal(read, path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "Infinity"),
        ('{"a": 1e999}', "1e999"),
        ('{"a": -1e999}', "1e999"),
        ('{"a": %s}' % ("9" * 401), "401 digits"),
        ('{"a": %s}' % ("9" * 9999), "9999 digits"),
        ('{"a": 18446744073709551616}', "64 bits"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"a": 01}', "delimiter"),
        ("", "Expecting value"),
        ("[1]", "not a JSON object"),
        ("7", "not a JSON object"),
    ],
)
def test_json(tmp_path, text, why):
    path = tmp_path / "record.json"
    path.write_text(text)
    said = refusal(read_check, path)
    assert f"{path} is not" in said
    assert why in said
    assert said.endswith("with: lenet-edge check")


def test_json_that_is_sound(tmp_path):
    value = {"a": [0, -(2**64) + 1, 1e308, -0.5, 5e-324, None, True], "b": {"a": "ä\U0001f600"}}
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        for ensure_ascii in (False, True):
            assert strict_json.parse(json.dumps(value, ensure_ascii=ensure_ascii).encode(encoding)) == value


def test_json_of_many_keys_takes_a_moment_only():
    keys = {f"k{index}": index for index in range(100_000)}
    text = json.dumps(keys)[:-1] + ', "k99999": 1}'
    with pytest.raises(ValueError, match="'k99999' stands twice"):
        strict_json.parse(text)


@pytest.mark.parametrize("figure", [b"NaN     ", b"1e999   ", b"Infinity"])
def test_metadata_of_a_model(figure):
    """Such a figure could be read, and not be written again: `to_json` refuses it."""
    content = tflite.to_bytes(lenet5().with_metadata(figure=12345678))
    assert content.count(b"12345678") == 1
    assert tflite.from_bytes(content).metadata["figure"] == 12345678
    with pytest.raises(BadInputError):
        tflite.from_bytes(content.replace(b"12345678", figure))
