"""Options that take a number: `click.FloatRange` took nan and inf, and a seed of 19 digits overflowed in torch.

A check with `--max-drop nan` passed whatever the drop was, since no comparison with nan is true.
"""

import re

import click
import pytest
from click.testing import CliRunner

from lenet_edge.cli import cli

NUMERIC = [
    (command, option.opts[0])
    for command in cli.commands.values()
    for option in command.params
    if isinstance(option, click.Option) and option.type.name.startswith(("int", "float"))
    if option.nargs == 1
]
ABSURD = ["nan", "-nan", "inf", "-inf", "Infinity", "1e999", "-1e999", "1e30", "-1", str(2**63), str(2**64), "9" * 19]
TEXT = ["", "9" * 5000, "one", "1,5", "0x10", "true", "1\0"]


def test_there_are_such_options():
    found = {(command.name, name) for command, name in NUMERIC}
    assert found >= {("check", "--max-drop"), ("flash", "--timeout"), ("train", "--seed"), ("bench", "--max-growth")}


@pytest.mark.parametrize("number", ABSURD + TEXT)
@pytest.mark.parametrize(("command", "name"), NUMERIC, ids=lambda each: getattr(each, "name", each))
def test_it_is_refused_before_anything_happens(command, name, number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, [command.name, f"{name}={number}"])
    assert done.exit_code == 2, done.output
    assert f"Invalid value for '{name}'" in re.sub(r"\s+", " ", done.output)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [each for each in ABSURD if each != "-1"] + TEXT)
def test_a_range_of_such_numbers_is_refused(number):
    done = CliRunner().invoke(cli, ["predict", "--range", "0", number, "a.png"])
    assert done.exit_code == 2, done.output
    assert "Invalid value for '--range'" in re.sub(r"\s+", " ", done.output)


@pytest.mark.parametrize("size", ["", "x", "0x4", "4x", "-4", "4097", "320x240x3", "9" * 5000, f"4x{'9' * 5000}", "٣"])
@pytest.mark.parametrize(
    "command", [["train"], ["data", "mnist"], ["run", "--board", "microbit"], ["build", "--board", "microbit"]]
)
def test_a_size_that_no_picture_has_is_refused(command, size):
    """Of 5,000 digits `int` makes nothing: it was exit 70."""
    name, value = ("--frame-size" if command[0] == "run" else "--size", size)
    if command[0] == "build":
        name, value = "--frames", f"{size}/grey8"
    done = CliRunner().invoke(cli, [*command, f"{name}={value}"])
    assert done.exit_code == 2, done.output
    assert f"Invalid value for '{name}'" in re.sub(r"\s+", " ", done.output)


@pytest.mark.parametrize("number", [each for each in ABSURD + TEXT if each not in ("-1", "1,5")])
@pytest.mark.parametrize("name", ["--mean", "--std"])
def test_a_mean_of_such_numbers_is_refused(name, number):
    done = CliRunner().invoke(cli, ["train", "--network", "a.py:Net", name, f"0.5,{number},0.5"])
    assert done.exit_code == 2, done.output


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("--max-drop", ("0", "0.1", "100")),
        ("--timeout", ("1", "86400")),
        ("--seed", ("0", "4294967295")),
        ("--images", ("1", "10000")),
        ("--max-growth", ("0", "12.5")),
    ],
)
def test_what_can_be_meant_is_taken(name, numbers):
    for command, option in NUMERIC:
        if option == name:
            kind = next(each.type for each in command.params if name in each.opts)
            assert [kind.convert(number, None, None) for number in numbers] == [float(number) for number in numbers]
