"""The folders of `export --target arduino` and the like, against the written rules of the tools that take them.

The rules: "Library specification" of arduino-cli's documentation, "Library Manifest: library.json" of PlatformIO's,
"Modules (External projects)" and "Test Runner (Twister)" of Zephyr's, "idf_component.yml Manifest" of Espressif's. The
sources are compiled in tests/targets/test_exported_projects.py.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import sample_models
import yaml
from click.testing import CliRunner

from lenet_edge import errors
from lenet_edge.cli import cli
from lenet_edge.formats import c_source, projects, tflite
from lenet_edge.formats.projects.common import example_pixels
from lenet_edge.quantized import reference

FIRMWARE = Path(__file__).parents[2] / "firmware"
MODEL = sample_models.lenet5(7)
DSP = "cortex_m_dsp"
SEMVER = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
WITH_DSP = [target for target in projects.PROJECTS if DSP in projects.kernels_for(target)]
EXAMPLES = {
    "arduino": "examples/Classify",
    "platformio": "examples/classify/src",
    "zephyr": "samples/classify/src",
    "esp-idf": "examples/classify/main",
}


def exported(target: str, family: str = c_source.PLAIN, model=MODEL) -> dict[str, str]:
    return {
        name: data.decode()
        for name, data in projects.export(c_source.make_plan(model, family), FIRMWARE, target, "lenet5").items()
    }


def compiled(files: dict[str, str]) -> set[str]:
    return {name for name in files if name.startswith("src/") and name.endswith((".c", ".S"))}


# --- what all have ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [c_source.PLAIN, DSP])
@pytest.mark.parametrize("target", WITH_DSP)
def test_the_sources_are_those_of_the_c_export(target, family):
    plain = c_source.export(c_source.make_plan(MODEL, family), FIRMWARE)
    found = projects.export(c_source.make_plan(MODEL, family), FIRMWARE, target, "lenet5")
    sources = {name.removeprefix("src/"): data for name, data in found.items() if name.startswith("src/")}
    assert sources == {name: data for name, data in plain.items() if name.startswith("le_")}
    assert any(name.endswith(".S") for name in sources) == (family == DSP)


@pytest.mark.parametrize("make", ["lenet5", "lenet5_sigmoid", "every_layer"])
@pytest.mark.parametrize("target", projects.PROJECTS)
def test_the_example_has_an_image_and_the_reference_s_logits(target, make):
    model = getattr(sample_models, make)(7)
    text = exported(target, model=model)[f"{EXAMPLES[target]}/example_image.h"]
    arrays = [
        np.array([int(value) for value in body.split(",")]) for body in re.findall(r"= \{(.*?)\};", text, re.DOTALL)
    ]
    pixels, logits = arrays
    assert pixels.min() == 0
    assert pixels.max() == 255
    image = (pixels - 128).astype(np.int8).reshape(1, *model.input.shape)
    np.testing.assert_array_equal(logits, reference.run(model, image).ravel())


def test_the_picture_is_an_upright_bar():
    image = example_pixels((28, 28, 1))[0, ..., 0]
    rows, columns = np.nonzero(image)
    assert set(np.unique(image)) == {0, 255}
    assert (rows.min(), rows.max()) == (4, 23)
    assert np.ptp(columns) == 2
    assert len(rows) == 20 * 3


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4), (5, 40, 3)])
def test_every_picture_has_something_bright(shape):
    assert example_pixels(shape).shape == (1, *shape)
    assert example_pixels(shape).any()


@pytest.mark.parametrize("name", ["", "_x", "-x", "a b", "a/b", "../x", "x" * 64, "é", 'a"b', "a\nb"])
def test_a_name_that_some_tool_refuses(name):
    with pytest.raises(errors.BadInputError, match="--name"):
        projects.export(c_source.make_plan(MODEL), FIRMWARE, "arduino", name)


@pytest.mark.parametrize("name", ["x", "0", "lenet5", "my-model_2.1", "x" * 63])
def test_names_that_every_tool_takes(name):
    assert (
        f"name={name}\n"
        in projects.export(c_source.make_plan(MODEL), FIRMWARE, "arduino", name)["library.properties"].decode()
    )


def test_no_fast_kernels_for_the_processors_of_esp_idf():
    with pytest.raises(errors.BadInputError, match="--kernels plain"):
        exported("esp-idf", DSP)


# --- the command ------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str):
    (folder / "model.tflite").write_bytes(tflite.to_bytes(MODEL))
    argv = ["export", "--model", str(folder / "model.tflite"), "--out", str(folder / "out"), "--json", *arguments]
    return CliRunner().invoke(cli, argv, catch_exceptions=True)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_project_is_a_target_of_the_command():
    choices = next(option for option in cli.commands["export"].params if option.name == "target").type.choices
    assert [*choices] == ["tflite", "onnx", "tflm", "c", *projects.PROJECTS]


@pytest.mark.parametrize("target", projects.PROJECTS)
def test_the_command_writes_the_same_bytes_every_time(target, tmp_path):
    result = json.loads(run(tmp_path, "--target", target).stdout)
    first = content(tmp_path / "out")
    assert (result["target"], result["name"], result["family"]) == (target, "lenet5", "plain")
    assert set(result["files"]) | {"manifest.json"} == set(first)
    run(tmp_path, "--target", target)
    assert content(tmp_path / "out") == first


def test_other_kernels_leave_nothing_of_the_former(tmp_path):
    """Arduino and PlatformIO compile whatever is in src/."""
    run(tmp_path, "--target", "arduino")
    before = set(content(tmp_path / "out"))
    run(tmp_path, "--target", "arduino", "--kernels", DSP)
    assert any(name.endswith(".S") for name in content(tmp_path / "out"))
    run(tmp_path, "--target", "arduino", "--optimize", "size")
    assert set(content(tmp_path / "out")) == before


def test_the_name_can_be_chosen(tmp_path):
    run(tmp_path, "--target", "zephyr", "--name", "meter")
    assert yaml.safe_load((tmp_path / "out/zephyr/module.yml").read_text())["name"] == "meter"
    assert run(tmp_path, "--target", "zephyr", "--name", "a b").exit_code == 2


# --- Arduino ----------------------------------------------------------------------------------------

CATEGORIES = (
    "Display",
    "Communication",
    "Signal Input/Output",
    "Sensors",
    "Device Control",
    "Timing",
    "Data Storage",
    "Data Processing",
    "Other",
)


@pytest.mark.parametrize("family", [c_source.PLAIN, DSP])
def test_library_properties_has_what_the_specification_asks_for(family):
    files = exported("arduino", family)
    lines = files["library.properties"].splitlines()
    found = dict(line.split("=", 1) for line in lines)
    assert len(found) == len(lines)
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert set(found) == required | {"includes"}
    assert all(found.values())
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", found["name"])
    assert re.fullmatch(SEMVER, found["version"])
    assert found["category"] in CATEGORIES
    assert re.fullmatch(r"https?://\S+", found["url"])
    assert not found["maintainer"].lower().startswith("arduino")
    assert all(f"src/{name}" in files for name in found["includes"].split(","))
    architectures = found["architectures"].split(",")
    if family == DSP:  # STM32's, and no AVR
        assert "stm32" in architectures
        assert not {"*", "avr", "esp32"} & set(architectures)
        assert all(re.fullmatch("[a-z0-9_]+", name) for name in architectures)
    else:
        assert architectures == ["*"]


def test_a_sketch_has_the_name_of_its_folder_and_finds_its_header():
    files = exported("arduino")
    (sketch,) = (Path(name) for name in files if name.endswith(".ino"))
    assert sketch.stem == sketch.parent.name
    assert sketch.parts[0] == "examples"
    for name in re.findall(r'#include "(.*)"', files[str(sketch)]):
        assert str(sketch.with_name(name)) in files


# --- PlatformIO -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [c_source.PLAIN, DSP])
def test_library_json_has_fields_that_there_are(family):
    files = exported("platformio", family)
    found = json.loads(files["library.json"])
    optional = {"description", "keywords", "authors", "frameworks", "platforms", "headers", "build", "examples"}
    assert set(found) == {"name", "version"} | optional
    assert re.fullmatch(SEMVER, found["version"])
    assert len(found["description"]) <= 1000
    assert all(re.fullmatch(r"[a-z\d\-_+. ]{1,50}", keyword) for keyword in found["keywords"])
    assert all(f"src/{name}" in files for name in found["headers"])
    (example,) = found["examples"]
    there = {name for name in files if name.startswith(f"{example['base']}/")}
    assert {f"{example['base']}/{name}" for name in example["files"]} == there


@pytest.mark.parametrize("family", [c_source.PLAIN, DSP])
def test_each_environment_compiles_a_file_that_is_there(family):
    files = exported("platformio", family)
    environments = ini(files["examples/classify/platformio.ini"])
    default = environments["platformio"]["default_envs"]
    assert f"env:{default}" in environments
    assert ("env:native" in environments) == (family == c_source.PLAIN)
    for name, options in environments.items():
        if name.startswith("env:"):
            (source,) = re.fullmatch(r"\+<(.*)>", options["build_src_filter"]).groups()
            assert f"examples/classify/src/{source}" in files
            assert ("framework" in options) == (source == "arduino.cpp")
    depends = environments["env"]["lib_deps"].removeprefix("symlink://")
    assert (Path("examples/classify") / depends).as_posix() == "examples/classify/../.."


def ini(text: str) -> dict[str, dict[str, str]]:
    import configparser

    parser = configparser.ConfigParser(inline_comment_prefixes=None)
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


# --- Zephyr -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [c_source.PLAIN, DSP])
def test_a_zephyr_module(family):
    files = exported("zephyr", family)
    module = yaml.safe_load(files["zephyr/module.yml"])
    assert set(module) == {"name", "build", "samples"}
    assert module["build"] == {"cmake": ".", "kconfig": "Kconfig"}
    assert {"CMakeLists.txt", "Kconfig"} <= set(files)
    assert all(any(name.startswith(f"{folder}/") for name in files) for folder in module["samples"])
    assert set(re.findall(r"src/\S+", files["CMakeLists.txt"])) == compiled(files)
    (symbol,) = re.findall(r"^config (\w+)$", files["Kconfig"], re.MULTILINE)
    assert f"if(CONFIG_{symbol})" in files["CMakeLists.txt"]
    assert f"CONFIG_{symbol}=y\n" in files["samples/classify/prj.conf"]
    cpus = re.findall(r"^\tdepends on (.*)$", files["Kconfig"], re.MULTILINE)
    assert cpus == (["CPU_CORTEX_M4 || CPU_CORTEX_M7 || ARMV8_M_DSP"] if family == DSP else [])


@pytest.mark.parametrize("family", [c_source.PLAIN, DSP])
def test_twister_can_run_the_sample(family):
    files = exported("zephyr", family)
    described = yaml.safe_load(files["samples/classify/sample.yaml"])
    assert set(described) == {"sample", "tests"}
    assert set(described["sample"]) == {"name", "description"}
    ((name, test),) = described["tests"].items()
    assert re.fullmatch(r"[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)+", name)
    assert set(test) == {"tags", "integration_platforms", "harness", "harness_config"} | (
        {"filter"} if family == DSP else set()
    )
    assert test["harness"] == "console"
    assert test["harness_config"]["type"] == "one_line"
    (line,) = test["harness_config"]["regex"]
    assert re.search(line, "self-test: passed")
    assert not re.search(line, "self-test: FAILED")
    assert "self-test: %s" in files["samples/classify/src/main.c"]
    assert "find_package(Zephyr REQUIRED" in files["samples/classify/CMakeLists.txt"]


# --- ESP-IDF ----------------------------------------------------------------------------------------


def test_an_esp_idf_component():
    files = exported("esp-idf")
    found = yaml.safe_load(files["idf_component.yml"])
    assert set(found) == {"version", "description", "dependencies"}
    assert re.fullmatch(SEMVER, found["version"])
    assert found["dependencies"] == {"idf": ">=4.4"}
    assert set(re.findall(r"src/\S+", files["CMakeLists.txt"])) == compiled(files)
    top = files["examples/classify/CMakeLists.txt"]
    assert top.index("EXTRA_COMPONENT_DIRS") < top.index("project.cmake") < top.index("project(")
    assert "idf_component_register(SRCS main.c" in files["examples/classify/main/CMakeLists.txt"]
    assert "void app_main(void)" in files["examples/classify/main/main.c"]
