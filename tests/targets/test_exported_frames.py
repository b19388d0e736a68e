"""Projects of `export --frames`: a camera's frame in, class and logits out, as numpy and the reference have them."""

from __future__ import annotations

import subprocess
import time

import numpy as np
import pytest
import workbench
from project_folders import (
    M0,
    STRICT,
    built_by_arduino,
    built_sketch,
    export,
    need,
    printed_by,
    run,
)
from written_trees import write

from lenet_edge.formats import c_source
from lenet_edge.hardware.emulators import simavr
from lenet_edge.preparation import Preparation, prepare, to_int8, to_json
from lenet_edge.preparation.frames import FORMATS, FrameShape, decode, encode
from lenet_edge.preparation.recorded import recorded
from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import run as emulate
from lenet_edge.resources import firmware_folder

CENTRED = QuantizedModel(workbench.LENET5.layers, {"arch": "lenet5"})
PLAIN = QuantizedModel(
    workbench.LENET5.layers, {"preparation": to_json(Preparation(28, 28, 1, "square", "bright border"))}
)
MODELS = [pytest.param(CENTRED, id="centred"), pytest.param(PLAIN, id="plain")]


def passes(model):
    """How often all rows must come."""
    return 2 if model is CENTRED else 1


def camera(frames, seed):
    """What a camera leaves of a dark sign on bright, uneven paper."""
    random = np.random.default_rng(seed)
    pixels = 200 + random.integers(-9, 10, (frames.height, frames.width, 3))
    top, left = frames.height // 4, frames.width // 3 + seed
    pixels[top : 3 * top, left : left + frames.width // 9 + 1] = [30, 60, 20]
    pixels[3 * top - seed - 2 : 3 * top, left : left + 5 * (seed + 1)] = [60, 20, 40]
    return encode(pixels.astype(np.uint8), frames.form)


def bar(frames, across):
    """The frame of the examples, drawn here once more; across: columns that the model reads, in the middle."""
    pixels = np.zeros((frames.height, frames.width), np.uint8)
    thickness = across // 9
    left = (frames.width - across) // 2 + (across - thickness) // 2
    pixels[frames.height // 7 : frames.height - frames.height // 7, left : left + thickness] = 255
    return pixels


def line_of(model, frames, data):
    """What the examples print of a frame."""
    preparation = recorded(model.metadata, model.input.shape, model.input.scale, model.input.zero_point)
    image = prepare(decode(data, frames.form, frames.width, frames.height, 1), preparation)
    logits = emulate(model, to_int8(image[None], preparation, model.input.scale, model.input.zero_point))[0]
    return f"{meaning_of(model).classes[logits.argmax()]}: {' '.join(map(str, logits))}"


def greeting(model, frames):
    across = frames.width if model is CENTRED else frames.height  # the square
    return [line_of(model, frames, encode(bar(frames, across), frames.form)), "self-test: passed"]


@pytest.mark.parametrize("form", FORMATS)
def test_the_c_example(form, tmp_path):
    need("cmake", "make", "gcc")
    frames = FrameShape(61, 43, form)
    write(tmp_path, c_source.export(c_source.make_plan(CENTRED), firmware_folder(), frames))
    sent = [camera(frames, seed) for seed in range(3)]
    blank = bytes([128]) * len(sent[0])
    run(
        "cmake", "-G", "Unix Makefiles", f"-DCMAKE_C_FLAGS={' '.join(STRICT)}", "-S", tmp_path, "-B", tmp_path / "build"
    )
    run("cmake", "--build", tmp_path / "build")
    printed = run(tmp_path / "build" / "classify", input=b"".join([sent[0], blank, *sent[1:]])).splitlines()
    wanted = [line_of(CENTRED, frames, data) for data in sent]
    assert printed == [wanted[0], "no image: -3", *wanted[1:]]
    assert len(set(wanted)) == 3


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (37, 9), (9, 37)])
def test_the_frame_of_the_example_is_the_bar_in_the_camera_s_bytes(form, size, tmp_path):
    need("gcc")
    frames = FrameShape(*size, form)
    folder = export(tmp_path, "esp-idf", frames=frames)
    (tmp_path / "rows.c").write_text(
        "#include <stdio.h>\n#include <string.h>\n"
        f'#include "{folder}/examples/classify/main/example_frame.h"\n'
        "int main(void) { for (uint16_t y = 0; y < FRAME_HEIGHT; y++)"
        " fwrite(example_row(NULL, y), 1, FRAME_ROW_BYTES, stdout); (void)example_logits; return 0; }\n"
    )
    run("gcc", "-std=c99", *STRICT, "-Wconversion", f"-I{folder / 'src'}", tmp_path / "rows.c", "-o", tmp_path / "rows")
    found = subprocess.run([tmp_path / "rows"], capture_output=True, check=True).stdout
    assert found == encode(bar(frames, frames.width), form)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("target", "prefix", "frames"),
    [("arduino", "le", FrameShape(45, 40, "yuv422")), ("platformio", "meter", FrameShape(70, 70, "rgb565-swapped"))],
)
def test_the_sketch_on_this_machine(target, prefix, frames, model, tmp_path):
    program = built_sketch(export(tmp_path, target, prefix=prefix, frames=frames, model=model), target, tmp_path)
    sent = [camera(frames, seed) for seed in range(2)]
    cut = sent[0][:100]
    printed = run(program, input=b"".join(b"!" + passes(model) * data for data in sent) + b"!" + cut)
    lines = [line for line in printed.splitlines() if not line.startswith("row ")]
    assert lines == greeting(model, frames) + [line_of(model, frames, data) for data in sent] + ["no image: -4"]
    rows = [line for line in printed.splitlines() if line.startswith("row ")]
    once = [f"row {y}" for y in range(frames.height)]
    assert rows[: 2 * passes(model) * frames.height] == 2 * passes(model) * once


def test_the_native_example_of_platformio_takes_frames(tmp_path):
    need("gcc")
    frames = FrameShape(33, 31, "rgb888")
    folder = export(tmp_path, "platformio", frames=frames, model=CENTRED)
    example = folder / "examples/classify"
    assert "program < frames.raw" in (example / "platformio.ini").read_text()
    sources = sorted((folder / "src").glob("*.c"))
    run("gcc", *STRICT, f"-I{folder / 'src'}", *sources, example / "src/native.c", "-o", tmp_path / "program")
    data = camera(frames, 1)
    assert run(tmp_path / "program", input=data).splitlines() == [line_of(CENTRED, frames, data)]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("target", ["zephyr", "esp-idf"])
def test_the_module_and_the_component(target, model, tmp_path):
    frames = FrameShape(40, 30, {"zephyr": "grey8", "esp-idf": "rgb565"}[target])
    prefix = {"zephyr": "meter", "esp-idf": "le"}[target]
    folder = export(tmp_path / "lenet5", target, prefix=prefix, frames=frames, model=model)
    assert printed_by(folder, target, tmp_path / "build") == greeting(model, frames)


@pytest.mark.parametrize(
    ("target", "compiler", "flags"),
    [
        ("zephyr", "arm-none-eabi-gcc", M0),
        ("esp-idf", "riscv64-unknown-elf-gcc", ("-march=rv32imc", "-mabi=ilp32")),
        ("arduino", "avr-gcc", ("-mmcu=atmega2560",)),
    ],
)
def test_the_sources_for_a_microcontroller(target, compiler, flags, tmp_path):
    need(compiler)
    folder = export(tmp_path, target, frames=FrameShape(320, 240, "rgb565"), model=PLAIN)
    libc = [] if compiler == "avr-gcc" else [f"-I{firmware_folder() / 'libc'}"]
    for source in sorted((folder / "src").glob("le_prep*.c")):
        run(
            compiler,
            *flags,
            "-std=gnu11",
            "-O2",
            "-ffreestanding",
            *STRICT,
            *libc,
            "-c",
            source,
            "-o",
            tmp_path / "x.o",
        )


def test_the_sketch_on_an_arduino_mega(tmp_path):
    """With Arduino's core, rows through the simulator's UART, in two passes."""
    workbench.need("atmega2560", emulator="simavr")
    frames = FrameShape(40, 36, "rgb565")
    library = export(tmp_path / "libraries" / "lenet5", "arduino", frames=frames, model=CENTRED)
    done = built_by_arduino(tmp_path, library / "examples/Classify/Classify.ino")
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{tmp_path}/libraries" not in done.stderr  # no compiler warning in what is ours
    data = camera(frames, 2)
    received, answered = b"", 0
    wanted = [*greeting(CENTRED, frames), line_of(CENTRED, frames, data)]
    deadline = time.monotonic() + 120
    with simavr.start("atmega2560", tmp_path / "build" / "Classify.ino.elf", clock_hz=16_000_000) as stream:
        while time.monotonic() < deadline:
            received += stream.read(0.2)
            lines = received.decode().split("\r\n")[:-1]
            rows = [line for line in lines if line.startswith("row ")]
            if len(lines) == 2 and not rows and answered == 0:
                stream.write(b"!")
            if len(rows) > answered:
                y = int(rows[answered].split()[1])
                stream.write(data[y * frames.row_bytes : (y + 1) * frames.row_bytes])
                answered += 1
            if len(lines) - len(rows) == len(wanted):
                break
    assert [line for line in lines if not line.startswith("row ")] == wanted
    assert answered == 2 * frames.height
