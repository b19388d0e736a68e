"""The prefix of exported C: which there may be, and that it reaches every name and nothing else.

What is linked and run is in tests/kernels/test_two_models_on_the_host.py and tests/targets/test_two_models.py.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import sample_models
from click.testing import CliRunner

from lenet_edge.cli import cli
from lenet_edge.cli.artefacts import Artefacts
from lenet_edge.engines import host_c
from lenet_edge.errors import BadInputError
from lenet_edge.files import to_json
from lenet_edge.formats import c_source, projects, tflite
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.records import MANIFEST

FIRMWARE = Path(__file__).parents[2] / "firmware"
MODEL = sample_models.every_layer(7)
FAMILIES = list(c_source.FAMILIES)


def exports(model: QuantizedModel, family: str, prefix: str) -> dict[str, bytes]:
    """All that is exported for C, by target and path."""
    found = {
        f"c/{path}": data
        for path, data in c_source.with_prefix(
            c_source.export(c_source.make_plan(model, family), FIRMWARE), prefix, model
        ).items()
    }
    for target in projects.PROJECTS:
        if family in projects.kernels_for(target):
            made = projects.export(c_source.make_plan(model, family), FIRMWARE, target, "meter", prefix)
            found |= {f"{target}/{path}": data for path, data in made.items()}
    return found


def renamed_back(text: str) -> str:
    """Without any knowledge of C: wherever the prefix stands, the default's."""
    return text.replace("meter_layer_", "layer_").replace("meter_", "le_").replace("METER_", "LE_")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("make", ["lenet5", "lenet5_sigmoid", "every_layer"])
def test_renamed_back_it_is_the_same_bytes(make, family):
    """README and Zephyr's symbol aside, which say more where there is a prefix."""
    model = getattr(sample_models, make)(7)
    default, prefixed = exports(model, family, "le"), exports(model, family, "meter")
    assert len(prefixed) == len(default)
    back = {renamed_back(path): renamed_back(data.decode()) for path, data in prefixed.items()}
    for path, data in default.items():
        found = back[path].replace("LENET_EDGE_METER", "LENET_EDGE").replace("lenet_edge_meter", "lenet_edge")
        if path.endswith("README.md"):
            assert found.startswith(data.decode().rstrip("\n"))
        else:
            assert found == data.decode(), path


@pytest.mark.parametrize("family", FAMILIES)
def test_no_name_of_ours_is_left(family):
    section = b'".pushsection .text.le_tables,'  # which all models share; no symbol
    for path, data in exports(MODEL, family, "meter").items():
        assert not re.search(rb"\b(le|LE)_", data.replace(section, b"")), path
        assert not re.search(rb"(?<!meter_)\blayer_\d", data), path
        assert not re.search(r"\ble_", path)


def test_the_default_is_what_it_was():
    files = c_source.export(c_source.make_plan(MODEL), FIRMWARE)
    assert c_source.with_prefix(files, "le", MODEL) == files


def test_what_the_model_says_of_itself_stays():
    layers = sample_models.ModelBuilder(1).flatten("LE_flat").fully_connected("le_conv2d", 3)
    model = layers.build(arch="le_net", classes=["le_infer", "LE_CLASSES /* le_x", 'a"le_b'])
    files = c_source.with_prefix(c_source.export(c_source.make_plan(model), FIRMWARE), "meter", model)
    source, header = files["meter_model.c"].decode(), files["meter_model.h"].decode()
    assert '"le_infer"' in source
    assert r'"LE_CLASSES /* le_x"' in source
    assert r'"a\"le_b"' in source or r'"a\042le_b"' in source
    assert header.startswith("/* le_net, model ")
    assert '#define METER_MODEL_ARCH "le_net"\n' in header
    assert "/* le_conv2d: [" in source
    assert "meter_layer_0_le_conv2d_weights" in source
    assert "int meter_infer(" in source


# --- which prefixes there may be ------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["le", "m", "meter", "meter2", "gas_meter", "a1_b2", "x" * 30, "integer", "lenet5"])
def test_a_prefix(prefix):
    assert c_source.prefix_problem(prefix) == ""


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [
        *((prefix, "lower-case") for prefix in ("", "_m", "m_", "a__b", "2m", "M", "mEter", "a b", "a-b", "é", "m\n")),
        ("x" * 31, "at most 30"),
        *((prefix, "keyword") for prefix in ("int", "class", "restrict", "co_await", "xor_eq", "namespace", "nullptr")),
        *((prefix, "C library") for prefix in ("std", "stdio", "atomic", "sig")),
        *((prefix, "begins with le_") for prefix in ("le_x", "le_conv2d")),
    ],
)
def test_no_prefix(prefix, problem):
    assert problem in c_source.prefix_problem(prefix)
    with pytest.raises(BadInputError, match=re.escape(problem)):
        c_source.with_prefix({}, prefix, MODEL)


def test_a_prefix_that_makes_a_name_that_is_there():
    """`own_workspace` is a variable of le_model.c; nothing lists such names."""
    with pytest.raises(BadInputError, match="le_workspace becomes own_workspace, which is taken"):
        c_source.with_prefix(c_source.export(c_source.make_plan(MODEL), FIRMWARE), "own", MODEL)


# --- the command ------------------------------------------------------------------------------------


@pytest.fixture
def export(tmp_path):
    """``export(*options)``: the command, into out/."""
    (tmp_path / "model.tflite").write_bytes(tflite.to_bytes(MODEL))
    paths = ("--model", str(tmp_path / "model.tflite"), "--out", str(tmp_path / "out"))
    return lambda *options: CliRunner().invoke(cli, ["export", *paths, "--json", *options])


def test_the_command_exports_with_a_name(export, tmp_path):
    done = export("--target", "c", "--name", "meter")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["name"] == "meter"
    wanted = c_source.with_prefix(c_source.export(c_source.make_plan(MODEL), FIRMWARE), "meter", MODEL)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in result["files"]} == wanted


def test_without_a_name_the_manifest_has_none(export):
    assert "name" not in json.loads(export("--target", "c").stdout)


@pytest.mark.parametrize("target", projects.PROJECTS)
def test_the_name_of_a_project_is_its_prefix(export, tmp_path, target):
    assert export("--target", target, "--name", "meter").exit_code == 0
    wanted = projects.export(c_source.make_plan(MODEL), FIRMWARE, target, "meter", prefix="meter")
    assert all((tmp_path / "out" / path).read_bytes() == data for path, data in wanted.items())
    readme = (tmp_path / "out/README.md").read_text()
    assert "`METER_NO_TABLES`" in readme


@pytest.mark.parametrize(
    ("target", "name", "advice"),
    [
        ("c", "My Meter", "take my_meter"),
        ("arduino", "my-meter_2.1", "take my_meter_2_1 (the names in C begin with"),
        ("zephyr", "int", "choose another"),
        ("esp-idf", "x" * 40, "choose another"),
        ("platformio", "le_x", "choose another"),
        ("c", "", "choose another"),
    ],
)
def test_another_name_is_wrong_usage_and_says_what_to_do(export, tmp_path, target, name, advice):
    done = export("--target", target, "--name", name)
    assert done.exit_code == 2
    assert "--name" in done.stderr
    assert advice in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


# --- check ------------------------------------------------------------------------------------------


needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="a C compiler (cc, gcc or clang) is missing"
)


@needs_compiler
def test_check_runs_what_was_exported_with_a_name(export, tmp_path):
    export("--target", "c", "--name", "meter")
    images = np.random.default_rng(0).integers(-128, 128, (5, *MODEL.input.shape)).astype(np.int8)
    np.testing.assert_array_equal(host_c.run(tmp_path / "out", images), reference.run(MODEL, images))
    shown, logits = host_c.layer_outputs(tmp_path / "out", images[0])
    np.testing.assert_array_equal(logits, reference.run(MODEL, images[:1])[0])
    assert shown


@needs_compiler
def test_check_takes_the_folder_that_has_a_name(tmp_path):
    """And not another export of the same model."""
    data = tflite.to_bytes(MODEL)
    (tmp_path / "model.tflite").write_bytes(data)
    options = ("--target", "c", "--name", "meter", "--model", str(tmp_path / "model.tflite"))
    assert CliRunner().invoke(cli, ["export", *options, "--out", str(tmp_path / "x" / "c")]).exit_code == 0
    images = np.zeros((1, *MODEL.input.shape), np.int8)
    with Artefacts(tmp_path / "model.tflite", MODEL, data, tmp_path / "x", kinds=["c"]) as artefacts:
        folder = artefacts["c"]
        assert (folder / "meter_model.c").exists()
        np.testing.assert_array_equal(host_c.run(folder, images), reference.run(MODEL, images))


@needs_compiler
@pytest.mark.parametrize("name", ["gauge", "", 3, "x;y"])
def test_a_name_in_the_manifest_that_is_not_the_c_s(export, tmp_path, name):
    export("--target", "c", "--name", "meter")
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    (tmp_path / "out" / MANIFEST).write_text(to_json({**manifest, "name": name}))
    with pytest.raises(BadInputError, match="export"):
        host_c.run(tmp_path / "out", np.zeros((1, *MODEL.input.shape), np.int8))
