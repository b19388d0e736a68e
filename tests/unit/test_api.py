"""The Python functions: the commands' options and defaults, nothing imported or printed that is not asked for."""

from __future__ import annotations

import errno
import inspect
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from doc_pages import DOCS, titled
from sample_models import lenet5

import lenet_edge
from lenet_edge import api
from lenet_edge.api import Trained
from lenet_edge.cli import cli, from_python
from lenet_edge.errors import BadInputError, CheckFailedError, LenetEdgeError
from lenet_edge.formats import tflite
from lenet_edge.records import Confusion

NOT_FROM_PYTHON = {
    "quantize": {"int8", "crop", "centred", "low_high"},  # int8 is the only width
    "check": {"crop", "centred", "low_high"},
    "run": {"crop", "centred", "low_high", "invert", "frame_file", "frame_format", "frame_size"},
}
"""What describes single pictures or frames: a command line is the place for that."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with an int8 model where the functions look for one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "lenet5-int8.tflite").write_bytes(tflite.to_bytes(lenet5(1)))
    return tmp_path


@pytest.mark.parametrize("name", api.FUNCTIONS)
def test_parameters_are_the_options_of_the_command_with_their_defaults(name):
    options = {key: option for option in cli.commands[name].params for key in from_python._names(option)}
    parameters = dict(inspect.signature(getattr(lenet_edge, name)).parameters)
    assert parameters.pop("quiet").default is False
    found = {options[key].name for key in parameters}
    assert {option.name for option in options.values()} - found - {"as_json"} == NOT_FROM_PYTHON.get(name, set())
    for key, parameter in parameters.items():
        if parameter.default in (None, (), inspect.Parameter.empty):
            continue
        context = click.Context(cli.commands[name])
        assert str(parameter.default) == str(options[key].get_default(context)), key


@pytest.mark.parametrize("name", api.FUNCTIONS)
def test_everything_is_documented_and_annotated(name):
    function = getattr(lenet_edge, name)
    text = inspect.getdoc(function) or ""
    for parameter in inspect.signature(function).parameters:
        assert parameter in text or parameter in ("seed", "quiet"), parameter
        assert parameter in function.__annotations__
    assert f"lenet-edge {name}" in text


def test_importing_it_imports_nothing_else():
    code = "import sys; before = set(sys.modules); import lenet_edge; print(sorted(set(sys.modules) - before))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    named = set(json.loads(shown.stdout.replace("'", '"')))
    assert {name for name in named if name.startswith("lenet_edge")} == {"lenet_edge", "lenet_edge.version"}
    assert not named & {"numpy", "click", "rich", "torch"}


def test_a_name_that_is_not_there():
    assert set(api.FUNCTIONS) <= set(dir(lenet_edge))
    with pytest.raises(AttributeError, match="has no attribute 'tran'"):
        lenet_edge.tran  # noqa: B018


def test_export_leaves_what_the_command_leaves(place, capfd):
    found = lenet_edge.export("c", name="digits", out="one")
    done = subprocess.run(
        [sys.executable, "-m", "lenet_edge", "export", "--target", "c", "--name", "digits", "--out", "two", "--json"],
        capture_output=True,
        timeout=120,
        check=True,
    )
    said = json.loads(done.stdout)
    assert (found.files, found.fingerprint) == (said["files"], said["fingerprint"])
    assert found.facts["name"] == "digits"
    assert found.folder == Path("one")
    for name in found.files:
        assert (place / "one" / name).read_bytes() == (place / "two" / name).read_bytes()
    assert capfd.readouterr().out == ""


def test_quiet_says_nothing(place, capfd):
    lenet_edge.export("onnx")
    assert "no float model" in capfd.readouterr().err
    lenet_edge.export("onnx", quiet=True)
    assert capfd.readouterr() == ("", "")


NOTHING = Confusion((), ())
TRAINED = Trained(Path("x.st"), "lenet5", "mnist", ("0", "1"), (28, 28, 1), (), 1.0, 1.0, NOTHING)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lenet_edge.export("tensorrt"), "'tensorrt' is not one of 'tflite'"),
        (lambda: lenet_edge.export("onnx", kernels="x86"), "--kernels has no effect with --target onnx"),
        (lambda: lenet_edge.export("c", "missing.tflite"), "missing.tflite does not exist"),
        (lambda: lenet_edge.export("c", out="build/lenet5-int8.tflite"), "would be overwritten"),
        (lambda: lenet_edge.build("microbot"), "Did you mean 'microbit'"),
        (lambda: lenet_edge.run("microbit", images=0), "0 is not in the range"),
        (lambda: lenet_edge.run("microbit", picture="x.png", images=3), "--images has no effect with --image"),
        (lambda: lenet_edge.check(emulator="qemu"), "--emulator has no effect without --board"),
        (lambda: lenet_edge.check(engines=["tflm", "nothing"]), "there is no engine 'nothing'"),
        (lambda: lenet_edge.check(data="nowhere"), "no data set 'nowhere'"),
        (lambda: lenet_edge.train(size=(5000, 3)), "is not a size"),
        (lambda: lenet_edge.train(crop=(0, 0, 0, 1)), "four numbers"),
        (
            lambda: lenet_edge.quantize(TRAINED),
            "model is what a function returned, a Trained: give its .model, here x.st",
        ),
        (lambda: lenet_edge.train(mean=0.5), "--mean has no effect without a PyTorch module"),
    ],
)
def test_what_makes_no_sense_is_bad_input(call, message):
    with pytest.raises(BadInputError) as raised:
        call()
    assert message in str(raised.value)


@pytest.mark.usefixtures("place")
def test_the_options_of_a_calling_program_are_not_ours():
    """A program with click of its own has a context, too, and an option `--kernels`."""

    @click.command()
    @click.option("--kernels")
    def program(kernels):
        lenet_edge.export("onnx", quiet=True)

    program.main(["--kernels", "x"], standalone_mode=False)


@pytest.mark.usefixtures("place")
def test_a_package_that_is_missing(run):
    code = "import sys; sys.modules['onnx'] = None; import lenet_edge; lenet_edge.export('onnx', quiet=True)"
    assert "errors.MissingToolError: onnx is not installed. Install with: pip install onnx" in run(code=code).stderr


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "cannot read or write .*: No space left on device. Is the"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_what_the_machine_refuses_is_an_error_of_ours(monkeypatch, error, message):
    def refuse(*_):
        raise error

    monkeypatch.setattr(tflite, "load", refuse)
    with pytest.raises(BadInputError, match=message):
        lenet_edge.export("onnx", quiet=True)


@pytest.mark.usefixtures("place")
def test_a_bug_of_ours_stays_what_it_is(monkeypatch):
    monkeypatch.setattr(tflite, "load", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        lenet_edge.export("onnx", quiet=True)


def test_a_check_that_falls_short_has_its_record(place):
    (place / "build" / "lenet5-int8.tflite").write_bytes(tflite.to_bytes(lenet5(1)))
    with pytest.raises(CheckFailedError) as raised:
        lenet_edge.check(data="noise", images=3, engines=["host_c"], quiet=True)
    assert isinstance(raised.value, LenetEdgeError)
    record = raised.value.result
    assert record.images == 3
    assert record.problems
    assert json.loads((place / "build" / "check.json").read_text())["problems"] == list(record.problems)


def test_the_program_of_the_page_has_all_functions_and_compiles():
    code = titled(DOCS / "how-to" / "from-python.md", "pipeline.py")
    compile(code, "pipeline.py", "exec")
    assert all(f"lenet_edge.{name}(" in code for name in api.FUNCTIONS)
