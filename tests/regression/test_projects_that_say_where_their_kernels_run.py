"""Exported projects declared every processor, whatever kernels they had, unless these were for Cortex-M with DSP.

`export --target arduino --kernels avr` said architectures=*, and a Zephyr module with kernels for MVE that QEMU's
Cortex-M3 is to run it.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import re

import pytest
import sample_models
import yaml
from click.testing import CliRunner

from lenet_edge.cli import cli
from lenet_edge.engines import host_c
from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source, projects, tflite
from lenet_edge.formats.projects import platformio
from lenet_edge.hardware import boards
from lenet_edge.resources import firmware_folder

MODEL = sample_models.lenet5(7)


def exported(target: str, family: str) -> dict[str, str]:
    files = projects.export(c_source.make_plan(MODEL, family), firmware_folder(), target, "lenet5")
    return {name: data.decode() for name, data in files.items()}


@pytest.mark.parametrize(
    ("family", "there", "absent"),
    [
        ("avr", {"avr"}, {"*", "esp32", "megaavr", "samd", "stm32"}),
        ("cortex_m_base", {"mbed_rp2040", "nrf52", "sam", "samd", "stm32"}, {"*", "avr", "esp32", "megaavr"}),
        ("cortex_m_dsp", {"nrf52", "samd", "stm32"}, {"*", "avr", "esp32", "mbed_rp2040", "sam"}),
        ("rv32", {"esp32"}, {"*", "avr", "nrf52", "samd", "stm32"}),
    ],
)
def test_an_arduino_library_declares_the_architectures_of_its_kernels(family, there, absent):
    lines = dict(line.split("=", 1) for line in exported("arduino", family)["library.properties"].splitlines())
    declared = set(lines["architectures"].split(","))
    assert there <= declared
    assert not absent & declared


@pytest.mark.parametrize(
    ("family", "platforms", "condition"),
    [
        ("cortex_m_base", ["qemu_cortex_m0", "qemu_cortex_m3"], "CONFIG_CPU_CORTEX_M0 or "),
        ("cortex_m_mve", ["mps3/corstone300/an547"], "CONFIG_ARMV8_1_M_MVEI"),
        ("rv32", ["qemu_riscv32"], "CONFIG_RISCV_ISA_EXT_M and not CONFIG_64BIT"),
    ],
)
def test_a_zephyr_module_depends_on_the_processors_of_its_kernels(family, platforms, condition):
    files = exported("zephyr", family)
    (test,) = yaml.safe_load(files["samples/classify/sample.yaml"])["tests"].values()
    assert test["integration_platforms"] == platforms
    assert test["filter"].startswith(condition)
    (line,) = [line for line in files["Kconfig"].splitlines() if "depends on" in line]
    assert "CPU_CORTEX_M23" not in line  # no Thumb-2
    first = condition.removeprefix("CONFIG_").split(" ")[0]
    assert line.startswith(f"\tdepends on {first}")


# With a Cortex-M4, M7 or M33, which have the DSP instructions; and with an M0 or M0+ only.
WITH_M4 = [
    *("atmelsam", "freescalekinetis", "infineonxmc", "maxim32", "nordicnrf52", "nxpimxrt", "nxplpc", "renesas-ra"),
    *("siliconlabsefm32", "ststm32", "teensy", "titiva"),
]
WITHOUT_M4 = ["nordicnrf51", "raspberrypi", "wiznet7500"]


@pytest.mark.parametrize(
    ("family", "boards", "platforms"),
    [
        ("plain", ["native", "megaatmega2560", "esp32dev", "nano33ble", "nucleo_f446re"], ["*"]),
        ("avr", ["megaatmega2560"], ["atmelavr", "teensy"]),
        ("rv32", ["esp32-c3-devkitm-1"], ["espressif32", "gd32v", "sifive"]),
        ("x86", ["native"], ["native"]),
        ("neon", ["native"], ["native"]),
        ("cortex_m_base", ["nano33ble", "nucleo_f446re"], [*WITH_M4, *WITHOUT_M4]),
        ("cortex_m_dsp", ["nano33ble", "nucleo_f446re"], WITH_M4),
    ],
)
def test_a_platformio_library_has_environments_and_platforms_that_run_its_kernels(family, boards, platforms):
    files = exported("platformio", family)
    text = files["examples/classify/platformio.ini"]
    assert [line[5:-1] for line in text.splitlines() if line.startswith("[env:")] == boards
    declared = json.loads(files["library.json"])["platforms"]
    assert sorted([declared] if declared == "*" else declared) == sorted(platforms)
    assert ("examples/classify/src/native.c" in files) == ("native" in boards)
    assert ("examples/classify/src/arduino.cpp" in files) == (boards != ["native"])


def test_the_environments_of_platformio_are_for_processors_of_their_platforms():
    assert all(cpu in platformio._PLATFORMS[platform] for platform, _, cpu in platformio._BOARDS)


def test_a_zephyr_module_is_for_every_cortex_m_of_its_kernels():
    """GCC's name of a processor and Zephyr's symbol for it (arch/arm/core/cortex_m/Kconfig)."""
    cores = ["M0", "M0PLUS", "M1", "M3", "M4", "M7", "M33", "M35P", "M52", "M55", "M85"]
    condition = " || ".join(f"CPU_CORTEX_{core}" for core in cores)
    assert f"\tdepends on {condition}\n" in exported("zephyr", "cortex_m_base")["Kconfig"]
    ours = {name.partition("+")[0] for name in c_source.FAMILIES["cortex_m_base"].cpus}
    assert ours == {f"cortex-{core.lower()}" for core in cores}


def test_an_esp_idf_component_with_kernels_for_risc_v_is_not_for_xtensa():
    targets = yaml.safe_load(exported("esp-idf", "rv32")["idf_component.yml"])["targets"]
    assert {"esp32c3", "esp32c6"} <= set(targets)
    assert not {"esp32", "esp32s2", "esp32s3"} & set(targets)


@pytest.mark.parametrize(
    ("target", "kernels"),
    [
        ("arduino", "cortex_m_mve"),
        ("arduino", "neon"),
        ("arduino", "x86"),
        ("platformio", "cortex_m_mve"),
        ("zephyr", "avr"),
        ("zephyr", "neon"),
        ("zephyr", "x86"),
        *(("esp-idf", name) for name in ("avr", "cortex_m_base", "cortex_m_dsp", "cortex_m_mve", "neon", "x86")),
    ],
)
def test_kernels_that_no_processor_of_the_target_runs_are_wrong_usage(target, kernels, tmp_path):
    (tmp_path / "model.tflite").write_bytes(tflite.to_bytes(MODEL))
    argv = ["--target", target, "--kernels", kernels, "--model", str(tmp_path / "model.tflite")]
    done = CliRunner().invoke(cli, ["export", *argv, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert f"--kernels {kernels}: {target} has no processor for them; it has plain" in done.output
    assert not (tmp_path / "out").exists()
    with pytest.raises(BadInputError, match="--kernels plain"):
        exported(target, kernels)


def test_every_family_is_a_choice_of_export_and_has_its_folder():
    kernels = next(option for option in cli.commands["export"].params if option.name == "kernels")
    assert tuple(kernels.type.choices) == tuple(c_source.FAMILIES)
    assert next(iter(c_source.FAMILIES)) == kernels.default == c_source.PLAIN
    folders = {path.name for path in (firmware_folder() / "kernels").iterdir()}
    assert folders == {"shared", "prepare", "packed", *(family.folder for family in c_source.FAMILIES.values())}


def test_this_machine_runs_the_kernels_that_the_engine_says_it_runs():
    for name in host_c.FAMILIES:
        assert c_source.FAMILIES[name].runs_on(platform.machine()) == (name == host_c.FAMILY)


@pytest.mark.parametrize(
    ("name", "kernels", "able"),
    [
        ("microbit", "cortex_m_dsp", "cortex_m_base"),
        ("sifive_e", "cortex_m_base", "rv32"),
        ("atmega2560", "x86", "avr"),
        ("mps2-an386", "cortex_m_mve", "cortex_m_base, cortex_m_dsp"),
    ],
)
def test_a_board_whose_core_does_not_run_the_kernels_is_refused(name, kernels, able):
    board = boards.load(name)
    other = dataclasses.replace(board, cpu=dataclasses.replace(board.cpu, kernels=kernels))
    with pytest.raises(BadInputError, match=f"does not run '{kernels}'. It runs plain, {able}$"):
        boards.validate(other, None)


@pytest.mark.parametrize("kernels", ["zzzz", "cortex_m_dps"])
def test_families_that_there_are_are_said_once(kernels):
    board = boards.load("microbit")
    other = dataclasses.replace(board, cpu=dataclasses.replace(board.cpu, kernels=kernels))
    with pytest.raises(BadInputError, match=f"there is no family '{kernels}'") as refused:
        boards.validate(other, None)
    said = str(refused.value)
    assert said.count("Known:") + said.count("Did you mean 'cortex_m_dsp'?") == 1
    assert max(len(re.findall(rf"\b{name}\b", said)) for name in ("avr", "rv32", "x86")) <= 1


def test_of_a_core_that_no_family_knows_a_board_s_file_is_believed():
    board = boards.load("mps2-an386")
    own = dataclasses.replace(board.cpu, core="cortex-m4f", kernels="cortex_m_dsp")
    boards.validate(dataclasses.replace(board, cpu=own), None)
