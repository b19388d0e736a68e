"""Two models that were exported with `--name`, in one firmware and in one Arduino sketch: every logit is right.

The firmware has the start-up code, port and linker script of a board and another main(), which answers an image
of the one model, then of the other, with its logits.
"""

from __future__ import annotations

import re
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import sample_models
import two_models
import workbench
from elftools.elf.elffile import ELFFile
from project_folders import STUBS, built_by_arduino, built_by_cmake

from lenet_edge.files import write_files
from lenet_edge.formats import c_source, projects
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.hardware import toolchain as compilers
from lenet_edge.hardware.emulators import simavr
from lenet_edge.hardware.link import ByteStream
from lenet_edge.quantized import reference
from lenet_edge.resources import firmware_folder

COUNT = 3
# One board for each family of fast kernels, and how it runs.
BOARDS = {
    "microbit": "unicorn",
    "mps2-an386": "unicorn",
    "mps3-an547": "qemu",
    "sifive_e": "unicorn",
    "atmega2560": "simavr",
}
FAMILIES = {
    "microbit": "cortex_m_base",
    "mps2-an386": "cortex_m_dsp",
    "mps3-an547": "cortex_m_mve",
    "sifive_e": "rv32",
    "atmega2560": "avr",
}

MAIN = """\
#include "le_arch.h"
#include "le_port.h"

#include "meter_model.h"
#include "gauge_model.h"

static int8_t image[METER_INPUT_BYTES];
static int8_t logits[METER_CLASSES];

static void receive(uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        image[i] = (int8_t)port_getc();
    }
}

static void send(uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        port_putc((uint8_t)logits[i]);
    }
}

void le_fault(uint32_t program_counter)
{
    (void)program_counter;
    port_exit(1);
}

int main(void)
{
    port_init();
    for (;;) {
        receive(METER_INPUT_BYTES);
        (void)meter_infer(image, logits);
        send(METER_CLASSES);
        receive(GAUGE_INPUT_BYTES);
        (void)gauge_infer(image, logits);
        send(GAUGE_CLASSES);
    }
}
"""


def build(board: boards.Board, folder: Path) -> Path:
    """The firmware of both: what `build` compiles for the board, but other kernels and another main()."""
    plan = c_source.make_plan(two_models.MODELS["meter"], board.cpu.kernels)
    firmware._write_sources(plan, board, folder, row_bytes=0)
    for path in [*(folder / "kernels").iterdir(), *(folder / "app").iterdir()]:
        path.unlink()
    write_files(folder / "kernels", two_models.sources(board.cpu.kernels))
    (folder / "app" / "main.c").write_text(MAIN)
    compiler = compilers.choose(board, "gcc")
    elf = folder / "firmware.elf"
    regions = board.flash.size_bytes, board.ram.size_bytes
    elf.write_bytes(firmware._link(compiler, board, folder, board.stack.size_bytes, regions))
    return elf


def exchanged(stream: ByteStream, sent: list[bytes], expected: list[bytes], limit_s: float = 240) -> list[bytes]:
    """The answers, each waited for before the next image goes out."""
    deadline, received = time.monotonic() + limit_s, []
    for image, logits in zip(sent, expected, strict=True):
        stream.write(image)
        answer = b""
        while len(answer) < len(logits) and time.monotonic() < deadline:
            answer += stream.read(0.2)
        received.append(answer)
    return received


def global_symbols(elf: bytes) -> list[str]:
    """What a linker sees."""
    table = ELFFile(BytesIO(elf)).get_section_by_name(".symtab")
    return [
        symbol.name
        for symbol in table.iter_symbols()
        if symbol["st_info"]["bind"] != "STB_LOCAL" and symbol["st_shndx"] != "SHN_UNDEF"
    ]


@pytest.mark.parametrize("name", BOARDS)
def test_two_models_in_one_firmware(name, tmp_path):
    workbench.need(name, "gcc", BOARDS[name])
    board = boards.load(name)
    assert board.cpu.kernels == FAMILIES[name]
    elf = build(board, tmp_path)
    symbols = [name for path in sorted(tmp_path.glob("kernels/*.o")) for name in global_symbols(path.read_bytes())]
    assert two_models.wrong_symbols(set(symbols)) == set()
    assert len(symbols) == len(set(symbols))
    sent, expected = two_models.interleaved(COUNT)
    stream, _ = session._start(board, elf, BOARDS[name], None)
    try:
        assert exchanged(stream, sent, expected) == expected
    finally:
        stream.close()


# --- Arduino ----------------------------------------------------------------------------------------

SKETCH = """\
#include <meter_model.h>
#include <gauge_model.h>

static uint8_t image[METER_INPUT_BYTES];
static int8_t logits[METER_CLASSES];

static void receive(uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        while (Serial.available() == 0) {
        }
        image[i] = (uint8_t)Serial.read() ^ 0x80;
    }
}

void setup()
{
    Serial.begin(115200);
}

void loop()
{
    receive(METER_INPUT_BYTES);
    (void)meter_infer_u8(image, logits);
    Serial.write((const uint8_t *)logits, METER_CLASSES);
    receive(GAUGE_INPUT_BYTES);
    (void)gauge_infer_u8(image, logits);
    Serial.write((const uint8_t *)logits, GAUGE_CLASSES);
}
"""


# avr-gcc 5.4 crashes when it optimises the assembly kernels and a depthwise convolution while linking, in
# convert_memory_address_addr_space_1, be it one model or two.
SIGMOID = {"meter": two_models.MODELS["meter"], "gauge": sample_models.lenet5_sigmoid(64)}


@pytest.mark.parametrize(("family", "models"), [("plain", two_models.MODELS), ("avr", SIGMOID)], ids=["plain", "avr"])
def test_two_models_in_one_arduino_sketch(family, models, tmp_path):
    """Built by Arduino's own builder from two libraries, with link-time optimisation as it does it; run by simavr."""
    for prefix, model in models.items():
        files = projects.export(c_source.make_plan(model, family), firmware_folder(), "arduino", prefix, prefix)
        write_files(tmp_path / "libraries" / prefix, files)
    write_files(tmp_path / "Both", {"Both.ino": SKETCH.encode()})
    done = built_by_arduino(tmp_path, tmp_path / "Both" / "Both.ino")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stdout + done.stderr
    assert not re.findall(rf"{tmp_path}/libraries\S+ warning", done.stderr)
    workbench.need("atmega2560", emulator="simavr")
    sent, expected = two_models.interleaved(COUNT, models)
    with simavr.start("atmega2560", tmp_path / "build" / "Both.ino.elf", clock_hz=16_000_000) as stream:
        assert exchanged(stream, sent, expected) == expected


# --- Zephyr, ESP-IDF --------------------------------------------------------------------------------

APPLICATION = """\
#include <stdio.h>

#include <meter_model.h>
#include <gauge_model.h>

static int8_t image[METER_INPUT_BYTES + GAUGE_INPUT_BYTES]; /* zeros */
static int8_t logits[METER_CLASSES + GAUGE_CLASSES];

$start
{
    (void)meter_infer(image, logits);
    (void)gauge_infer(image + METER_INPUT_BYTES, logits + METER_CLASSES);
    for (size_t i = 0; i < sizeof logits; i++) {
        printf("%d\\n", logits[i]);
    }
    $end
}
"""
# Target -> where the application and its main() are in what was exported for one model, and what names the other.
PLACES = {
    "zephyr": ("samples/classify", "src/main.c", "EXTRA_ZEPHYR_MODULES", "int main(void)", "return 0;"),
    "esp-idf": ("examples/classify", "main/main.c", "EXTRA_COMPONENT_DIRS", "void app_main(void)", ""),
}


@pytest.mark.parametrize("target", PLACES)
def test_two_models_in_one_application(target, tmp_path):
    """Two modules, or components, on this machine: the application of the one's example takes the other as well."""
    for prefix, model in two_models.MODELS.items():
        plan = c_source.make_plan(model)
        write_files(tmp_path / prefix, projects.export(plan, firmware_folder(), target, prefix, prefix))
    example, main, modules, start, end = PLACES[target]
    folder = tmp_path / "meter" / example
    (folder / main).write_text(APPLICATION.replace("$start", start).replace("$end", end))
    cmake = (folder / "CMakeLists.txt").read_text()
    second = f'set({modules} "${{{modules}}}" "{tmp_path}/gauge")\n'
    place = "find_package" if target == "zephyr" else "include("
    (folder / "CMakeLists.txt").write_text(cmake.replace(place, second + place, 1))
    environment = {"IDF_PATH": STUBS / "esp_idf"}
    if target == "zephyr":
        (folder / "prj.conf").write_text("CONFIG_LENET_EDGE_METER=y\nCONFIG_LENET_EDGE_GAUGE=y\n")
        environment = {"ZEPHYR_BASE": STUBS / "zephyr"}
    program = "app" if target == "zephyr" else "classify"
    printed = built_by_cmake(folder, tmp_path / "build", program, **environment)
    zeros = [np.zeros((1, *model.input.shape), np.int8) for model in two_models.MODELS.values()]
    logits = [reference.run(model, image) for model, image in zip(two_models.MODELS.values(), zeros, strict=True)]
    assert [int(line) for line in printed] == np.concatenate([values.ravel() for values in logits]).tolist()
