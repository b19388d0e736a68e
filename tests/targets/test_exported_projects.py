"""The exported projects, built and run; every logit is the reference's.

Arduino's own builder and PlatformIO's take the library, and the sketch runs with Arduino's core in the AVR's simulator.
All projects run on this machine, against stand-ins (stubs/) for what only the package servers of the tools have.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import workbench
from not_covered import PROJECTS
from project_folders import (
    M0,
    M4,
    MODEL,
    PREFIXES,
    STRICT,
    STUBS,
    built_by_arduino,
    built_sketch,
    export,
    need,
    printed_by,
    run,
    sketch_as_cpp,
)

from lenet_edge.formats import c_source
from lenet_edge.formats.projects.common import example_pixels
from lenet_edge.hardware.emulators import simavr
from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.resources import firmware_folder

DSP = "cortex_m_dsp"
CPUS = {"plain": M0, DSP: M4}


def line_of(image) -> str:
    """What the examples print for one image, int8 [h, w, c]."""
    logits = workbench.reference(MODEL, image[np.newaxis])[0]
    return f"{meaning_of(MODEL).classes[logits.argmax()]}: {' '.join(map(str, logits))}"


EXAMPLE = (example_pixels(MODEL.input.shape)[0] ^ 0x80).view(np.int8)
IMAGES = workbench.images(MODEL, 12, seed=5)
PIXELS = (IMAGES.view(np.uint8) ^ 0x80).tobytes()
GREETING = [line_of(EXAMPLE), "self-test: passed"]
ANSWERS = [line_of(image) for image in IMAGES]


# --- Arduino, PlatformIO ------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("target", ["arduino", "platformio"])
def test_the_sketch_on_this_machine(target, prefix, tmp_path):
    program = built_sketch(export(tmp_path, target, prefix=prefix), target, tmp_path)
    assert run(program, input=PIXELS).splitlines() == GREETING + ANSWERS


@pytest.mark.parametrize("family", CPUS)
@pytest.mark.parametrize("target", ["arduino", "platformio"])
def test_the_sketch_for_arm(target, family, tmp_path):
    """All of src/ is compiled, as both tools do; nothing is left undefined but what Arduino's core and libc have."""
    need("arm-none-eabi-g++")
    folder = export(tmp_path, target, family)
    flags = [*CPUS[family], "-Os", *STRICT, f"-I{folder / 'src'}"]
    sources = sorted([*(folder / "src").glob("*.c"), *(folder / "src").glob("*.S")])
    for source in sources:
        run("arm-none-eabi-gcc", *flags, "-c", source, "-o", tmp_path / f"{source.name}.o")
    cpp = ["-fno-exceptions", "-fno-rtti", f"-I{STUBS / 'arduino'}", "-c", sketch_as_cpp(folder, target)]
    run("arm-none-eabi-g++", *flags, *cpp, "-o", tmp_path / "sketch.o")
    objects = sorted(tmp_path.glob("*.o"))
    run("arm-none-eabi-ld", "-r", *objects, "-o", tmp_path / "all.o")
    undefined = re.findall(r"U (\S+)", run("arm-none-eabi-nm", tmp_path / "all.o"))
    ours = [name for name in undefined if name.startswith("le_") or "layer_" in name]
    assert len(objects) == len(sources) + 1
    assert ours == []


def test_kernels_for_another_processor_say_what_to_do(tmp_path):
    need("arm-none-eabi-gcc")
    folder = export(tmp_path, "arduino", DSP)
    for source in sorted([*(folder / "src").glob("*.c"), *(folder / "src").glob("*.S")]):
        argv = ["arm-none-eabi-gcc", *M0, "-c", str(source), "-o", str(tmp_path / "x.o")]
        done = subprocess.run(argv, capture_output=True, text=True)
        if source.suffix == ".c" and '"le_dsp.h"' in source.read_text():
            assert done.returncode != 0
            assert "--kernels plain" in done.stderr
        else:  # no assembler message buries the one that helps
            assert (done.returncode, done.stderr) == (0, ""), source.name


@pytest.fixture
def pio(tmp_path):
    """``pio(*arguments)``: PlatformIO; SCons is PyPI's, and its platform `native` a stand-in (stubs/platformio)."""
    if not (PROJECTS / "pio").exists():
        pytest.skip("missing: .venv/projects (make .venv/.installed-projects)")
    (site,) = (PROJECTS.parent / "lib").glob("python*/site-packages")
    (pinned,) = site.glob("[sS][cC]ons-*.dist-info")
    major, minor, patch = pinned.name.split("-")[1].split(".")[:3]
    version = f"4.{major}{minor:0>2}{patch:0>2}.0"  # as PlatformIO numbers its package of SCons
    scons, core = tmp_path / "core" / "packages" / "tool-scons", tmp_path / "core"
    scons.mkdir(parents=True)
    (scons / "SCons").symlink_to(site / "SCons")
    (scons / "scons.py").symlink_to(PROJECTS / "scons")
    (scons / "package.json").write_text(json.dumps({"name": "tool-scons", "version": version, "description": "SCons"}))
    spec = {"owner": "platformio", "id": None, "name": "tool-scons", "requirements": None, "uri": None}
    (scons / ".piopm").write_text(json.dumps({"type": "tool", "name": "tool-scons", "version": version, "spec": spec}))
    shutil.copytree(STUBS / "platformio", core / "platforms" / "native")
    settings = {**os.environ, "PLATFORMIO_CORE_DIR": str(core), "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no"}
    settings.pop("PYTHONPATH", None)
    return lambda *arguments: run(PROJECTS / "pio", *arguments, env=settings)


def test_platformio_builds_the_example(pio, tmp_path):
    need("gcc", "g++")
    example = export(tmp_path / "lenet5", "platformio") / "examples" / "classify"
    assert "lenet5 @ " in pio("run", "-d", example)
    assert run(example / ".pio/build/native/program", input=PIXELS).splitlines() == ANSWERS


@pytest.mark.parametrize("family", CPUS)
def test_platformio_packs_the_library(family, pio, tmp_path):
    """Which validates library.json against PlatformIO's schema."""
    folder = export(tmp_path / "lenet5", "platformio", family)
    pio("pkg", "pack", folder, "-o", tmp_path)
    (packed,) = tmp_path.glob("lenet5-*.tar.gz")
    with tarfile.open(packed) as archive:
        assert {"library.json", "src/le_model.c"} <= set(archive.getnames())


def test_platformio_refuses_a_library_that_is_none(pio, tmp_path):
    """The test above can fail."""
    folder = export(tmp_path / "lenet5", "platformio")
    content = json.loads((folder / "library.json").read_text())
    (folder / "library.json").write_text(json.dumps({**content, "keywords": ["Not: allowed"]}))
    with pytest.raises(AssertionError, match="keywords"):
        pio("pkg", "pack", folder, "-o", tmp_path)


@pytest.mark.parametrize("family", CPUS)
def test_kconfig_reads_the_symbol(family, tmp_path):
    """By the parser that Zephyr's is derived from, with the processor's symbols as Zephyr has them."""
    if not (PROJECTS / "python").exists():
        pytest.skip("missing: .venv/projects (make .venv/.installed-projects)")
    folder = export(tmp_path / "module", "zephyr", family)
    found = {}
    for cpu in ("CPU_CORTEX_M4", "CPU_CORTEX_M0"):
        (tmp_path / "Kconfig").write_text(f'config {cpu}\n\tdef_bool y\nsource "{folder / "Kconfig"}"\n')
        code = "import kconfiglib, sys; k = kconfiglib.Kconfig(sys.argv[1]); k.load_config(sys.argv[2])\n"
        code += "print(k.syms['LENET_EDGE'].str_value)"
        prj_conf = tmp_path / "prj.conf"
        prj_conf.write_text("CONFIG_LENET_EDGE=y\n")
        found[cpu] = run(PROJECTS / "python", "-c", code, tmp_path / "Kconfig", prj_conf).strip()
    assert found == {"CPU_CORTEX_M4": "y", "CPU_CORTEX_M0": "y" if family == c_source.PLAIN else "n"}


def built_example(folder: Path, family: str = c_source.PLAIN) -> subprocess.CompletedProcess[str]:
    """The example of a library in the libraries folder, by Arduino's own builder."""
    library = export(folder / "libraries" / "lenet5", "arduino", family)
    return built_by_arduino(folder, library / "examples/Classify/Classify.ino")


@pytest.fixture(scope="module")
def mega_elf(tmp_path_factory) -> Path:
    """The example sketch for an Arduino Mega 2560."""
    folder = tmp_path_factory.mktemp("arduino")
    done = built_example(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stdout + done.stderr
    assert f"{folder}/libraries" not in done.stderr  # no compiler warning in what is ours
    return folder / "build" / "Classify.ino.elf"


def test_arduino_says_which_processors_the_fast_kernels_are_for(tmp_path):
    done = built_example(tmp_path, DSP)
    assert done.returncode != 0
    assert "claims to run on" in done.stdout + done.stderr
    assert "--kernels plain" in done.stderr


def test_the_sketch_on_an_arduino_mega(mega_elf):
    """With Arduino's core, through the simulator's UART."""
    workbench.need("atmega2560", emulator="simavr")
    wanted = GREETING + ANSWERS[:3]
    deadline = time.monotonic() + 120
    received, sent = b"", 0
    with simavr.start("atmega2560", mega_elf, clock_hz=16_000_000) as stream:
        while received.count(b"\n") < len(wanted) and time.monotonic() < deadline:
            received += stream.read(0.2)
            if received.count(b"\n") == len(GREETING) + sent and sent < 3:  # the next one after the answer
                stream.write(PIXELS[784 * sent : 784 * (sent + 1)])
                sent += 1
    assert received.decode().split("\r\n")[:-1] == wanted


def test_the_tables_leave_progmem_its_place(mega_elf):
    """LPM reaches the first 64 KB of flash: Arduino's pin tables have to be there, however large the model is."""
    symbols = {
        name: int(address, 16)
        for address, name in re.findall(r"^(\S+) \w (\S+)$", run("avr-nm", mega_elf), re.MULTILINE)
    }
    tables = [address for name, address in symbols.items() if re.match(r"layer_\d.*_(weights|bias|multiplier)", name)]
    assert len(tables) >= 15
    assert max(tables) - min(tables) > 60_000
    assert symbols["__ctors_end"] < min(tables)  # avr-ld has PROGMEM in front of the constructors


# --- Zephyr, ESP-IDF ----------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("target", ["zephyr", "esp-idf"])
def test_the_module_and_the_component(target, prefix, tmp_path):
    folder = export(tmp_path / "lenet5", target, prefix=prefix)
    assert printed_by(folder, target, tmp_path / "build") == GREETING


def test_the_zephyr_module_builds_nothing_where_nobody_asks_for_it(tmp_path):
    folder = export(tmp_path / "module", "zephyr")
    (folder / "samples/classify/prj.conf").write_text("CONFIG_MAIN_STACK_SIZE=2048\n")
    need("cmake", "make", "gcc")
    settings = {**os.environ, "ZEPHYR_BASE": str(STUBS / "zephyr")}
    run("cmake", "-Wno-dev", "-S", folder / "samples/classify", "-B", tmp_path / "build", env=settings)
    assert "lenet_edge" not in run("cmake", "--build", tmp_path / "build", "--target", "help")


@pytest.mark.parametrize("target", ["zephyr", "esp-idf"])
def test_an_example_that_computes_something_else_says_so(target, tmp_path):
    """The self-test of the examples can fail."""
    folder = export(tmp_path / "lenet5", target)
    header = next(folder.rglob("example_image.h"))
    header.write_text(
        re.sub(r"(example_logits.*\n    )(-?\d+)", lambda found: f"{found[1]}{-1 - int(found[2])}", header.read_text())
    )
    assert printed_by(folder, target, tmp_path / "build") == [GREETING[0], "self-test: FAILED"]


@pytest.mark.parametrize("target", ["zephyr", "esp-idf"])
def test_the_modules_for_a_microcontroller(target, tmp_path):
    """C as these build systems compile it, without a host."""
    libc = [f"-I{firmware_folder() / 'libc'}"]  # Debian's RISC-V GCC has none
    compiler, flags = (
        ("arm-none-eabi-gcc", M0)
        if target == "zephyr"
        else ("riscv64-unknown-elf-gcc", ("-march=rv32imc", "-mabi=ilp32"))
    )
    need(compiler)
    folder = export(tmp_path, target)
    for source in sorted((folder / "src").glob("*.c")):
        run(
            compiler,
            *flags,
            "-std=gnu17",
            "-O2",
            "-ffreestanding",
            *STRICT,
            *libc,
            "-c",
            source,
            "-o",
            tmp_path / "x.o",
        )
