"""The names of classes where C and the banner have them."""

import re

import pytest
import sample_models

from lenet_edge.formats.c_source.class_names import class_macros, class_tables, classes_line, longest_bytes
from lenet_edge.hardware.boards import load
from lenet_edge.hardware.firmware_headers import board_header

NAMES = ["tea pot", "Käse", "日本", "a-b", "a_b", "0", "[red]", "*/ x", "-", "9"]


def named(*names):
    model = sample_models.lenet5(1)
    return type(model)(model.layers, {"classes": list(names)})


def test_macros_have_the_number_of_each_name_once():
    found = dict(re.findall(r"^#define LE_CLASS_([A-Z0-9_]+) (\d+)$", class_macros(named(*NAMES)), re.M))
    assert found == {
        "TEA_POT": "0",
        "KASE": "1",
        "2": "2",
        "A_B_3": "3",
        "A_B_4": "4",
        "0": "5",
        "RED": "6",
        "X": "7",
        "8": "8",
        "9": "9",
    }


def test_a_number_in_place_of_a_name_does_not_take_another_s_macro():
    found = re.findall(r"LE_CLASS_(\w+) (\d+)", class_macros(named("日", "0", "a", "a_2", "A", *"bcdef")))
    assert len(dict(found)) == 10
    assert dict(found)["0"] == "1"
    assert dict(found)["A_2"] == "3"


def test_numbers_need_no_macro():
    assert class_macros(named(*"0123456789")) == class_macros(sample_models.lenet5(1)) == ""


def test_the_longest_name_is_counted_in_bytes_with_its_end():
    assert longest_bytes(["abc", "Käse"]) == 6


def test_no_text_ends_early_or_opens_what_is_not_there():
    tables = class_tables(['"', "??/", "a\0b", "\n1", "\ud800"])
    assert re.findall(r'"(.*)"', tables["classes"]) == [
        r"\042",
        r"\077\077/",
        r"a\357\277\275b",
        r"\0121",
        r"\077",
    ]


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ("0123456789", "10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (["a\nb", *"123456789"], "10 classes: a\N{REPLACEMENT CHARACTER}b, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (["x" * 100, "y" * 100, *"12345678"], f"10 classes: {'x' * 100}, ..."),
    ],
)
def test_the_banner_s_line(names, line):
    assert classes_line(named(*names)) == line


def test_the_banner_is_one_literal_of_c():
    header = board_header(named('"', "Käse", *"12345678"), load("microbit"))
    assert '10 classes: \\042, K\\303\\244se, 1, 2, 3, 4, 5, 6, 7, 8\\012"\n' in header
