"""The C++ sources for TFLM: what a compiler makes of them, read back independently of the writer."""

from __future__ import annotations

import re
import shutil

import cpp_programs
import numpy as np
import pytest
import sample_models
from cpp_programs import run
from fake_tflm import STRICT, build_example
from written_trees import write

from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite, tflm
from lenet_edge.quantized.model import AveragePool2d

ARENA = tflm.HostArena(head=5888, tail=4368, smallest=10250, measured_with="tflite-micro 0.test")
STYLES = {
    "tflm": ("g_net_model_data", "g_net_model_data_size"),
    "xxd": ("net_tflite", "net_tflite_len"),
    "g_model": ("g_model", "g_model_len"),
}
BINUTILS = ["", *(["arm-none-eabi-"] if shutil.which("arm-none-eabi-g++") else [])]  # what their names begin with


@pytest.fixture(scope="module")
def model():
    return sample_models.lenet5(5)


@pytest.fixture(scope="module")
def file(model):
    return tflite.to_bytes(model)


# Prints the array byte for byte; exits 1 if it is not aligned.
PRINTER = """
#include <cstdint>
#include <cstdio>
#include "net_model_data.h"
int main() {
  if (reinterpret_cast<std::uintptr_t>(ARRAY) % 16 != 0) return 1;
  return std::fwrite(ARRAY, 1, LENGTH, stdout) == LENGTH ? 0 : 2;
}
"""


@pytest.mark.parametrize("style", STYLES)
def test_the_linked_array_is_the_file_and_aligned(style, model, file, tmp_path):
    write(tmp_path, tflm.export(model, file, arena=ARENA, array_style=style, name="net"))
    array, length = STYLES[style]
    (tmp_path / "printer.cc").write_text(
        PRINTER.replace("ARRAY", array).replace("LENGTH", f"static_cast<std::size_t>({length})")
    )
    sources = [tmp_path / "printer.cc", tmp_path / "net_model_data.cc"]
    assert run(cpp_programs.build(tmp_path / "printer", sources, *STRICT)) == file


@pytest.mark.parametrize("binutils", BINUTILS, ids=lambda prefix: prefix or "host")
@pytest.mark.parametrize("style", STYLES)
def test_the_object_holds_the_file_in_read_only_data(binutils, style, model, file, tmp_path):
    write(tmp_path, tflm.export(model, file, arena=ARENA, array_style=style, name="net"))
    compiler = (f"{binutils}g++",) if binutils else cpp_programs.compiler()
    run(*compiler, *STRICT, "-c", tmp_path / "net_model_data.cc", "-o", tmp_path / "net.o")
    run(f"{binutils}objcopy", "-O", "binary", "--only-section=.rodata*", tmp_path / "net.o", tmp_path / "rodata.bin")
    position = (tmp_path / "rodata.bin").read_bytes().find(file)
    assert position >= 0
    assert position % 16 == 0
    header = run(f"{binutils}readelf", "-SW", tmp_path / "net.o").decode()
    assert re.search(r"\.rodata\s.* 16$", header, re.MULTILINE), header  # the section's alignment


def test_the_array_reads_back(model, file):
    source = tflm.export(model, file, arena=ARENA, name="net")["net_model_data.cc"].decode()
    body = re.search(r"alignas\(16\) const unsigned char g_net_model_data\[\] = \{(.*?)\};", source, re.DOTALL)
    assert body
    assert bytes(int(byte, 16) for byte in re.findall(r"0x([0-9a-f]{2})", body[1])) == file
    assert f"const unsigned int g_net_model_data_size = {len(file)};" in source


def test_the_xxd_style_has_the_rows_of_xxd(model, file):
    source = tflm.export(model, file, arena=ARENA, array_style="xxd", name="net")["net_model_data.cc"].decode()
    rows = source.split("= {\n")[1].split("\n")
    first = file[:12].hex(" ").replace(" ", ", 0x")
    assert rows[0] == f"  0x{first},"
    assert {row.count("0x") for row in rows[: len(file) // 12]} == {12}


# --- resolver, arena and main.cc against a stand-in for TFLM's headers ------------------------------

LAYER_CALLS = {
    "lenet5": ["Conv2D", "MaxPool2D", "Reshape", "FullyConnected"],
    "lenet5_sigmoid": ["Conv2D", "Logistic", "MaxPool2D", "Reshape", "FullyConnected"],
    "every_layer": ["Conv2D", "DepthwiseConv2D", "Tanh", "MaxPool2D", "Reshape", "FullyConnected", "Logistic"],
    "average_pool_softmax": ["Conv2D", "AveragePool2D", "Reshape", "FullyConnected", "Softmax"],
}


@pytest.mark.parametrize("sample", LAYER_CALLS)
def test_the_example_adds_exactly_the_operators_and_runs(sample, tmp_path):
    model = getattr(sample_models, sample)(2)
    files = tflm.export(model, tflite.to_bytes(model), arena=ARENA, name="net")
    output = build_example(tmp_path, files)
    assert re.findall(r"add (\w+)", output) == LAYER_CALLS[sample]
    assert f"MicroMutableOpResolver<{len(LAYER_CALLS[sample])}>" in files["net_op_resolver.h"].decode()
    first = -128 if model.input.zero_point == -128 else model.input.zero_point  # a black pixel, or the real value 0
    assert f"first {first}" in output
    assert "2 (9); arena: 7 bytes of" in output  # the largest of the stand-in's logits


def test_the_example_takes_a_larger_arena_for_cmsis_nn(model, file, tmp_path):
    files = tflm.export(model, file, arena=ARENA, array_style="g_model", name="net")
    plain = build_example(tmp_path / "plain", files)
    cmsis_nn = build_example(tmp_path / "cmsis_nn", files, "-DCMSIS_NN")
    # 10250 rounded up to 16 is 10256, and 16 more. C3's im2col: 4 columns of 5 * 5 * 6 bytes, each padded to 160
    # for MVE, is more than the 2 columns of 152 int16 for DSP; five operators have scratch, with 16 each.
    assert "arena 10272\n" in plain
    assert f"arena {10272 + 640 + 5 * 16}\n" in cmsis_nn


def test_the_arena_is_not_below_head_and_tail(model, file):
    arena = tflm.HostArena(head=100, tail=33, smallest=16, measured_with="x")
    header = tflm.export(model, file, arena=arena, name="net")["net_arena.h"].decode()
    assert "constexpr std::size_t kTensorArenaSize = 160;" in header  # 133 rounded up to 144, and 16


def test_scratch_of_each_layer_type(model):
    every = {layer.name: tflm.cmsis_nn_scratch(layer) for layer in sample_models.every_layer().layers}
    assert every["conv"] == 4 * 32  # 3 * 3 * 2 taps padded to 32 for MVE
    assert every["depthwise"] == 4 * 124 * 9
    assert every["tanh"] == every["pool"] == 0
    average = sample_models.average_pool_softmax()
    assert [tflm.cmsis_nn_scratch(layer) for layer in average.layers if isinstance(layer, AveragePool2d)] == [4 * 3]


# --- settings, names, determinism ---------------------------------------------------------------------


def test_settings_are_those_of_the_model(model, file):
    text = tflm.export(model, file, arena=ARENA, name="net")["net_model_settings.h"].decode()
    values = dict(re.findall(r"constexpr \w+ (k\w+) = ([^;]+);", text))
    assert np.float32(values["kInputScale"].rstrip("f")) == np.float32(model.input.scale)
    assert np.float32(values["kOutputScale"].rstrip("f")) == np.float32(model.output.scale)
    assert (values["kInputZeroPoint"], values["kClassCount"], values["kInputWidth"]) == ("-128", "10", "28")
    assert f'kFingerprint[] = "{model.fingerprint}"' in text


def test_class_names_reach_the_compiler_unharmed(tmp_path):
    names = ['"quote"', "back\\slash", "Käse ??/", "%s\\n", "*/ e", "f", "g", "h", "i", "9after"]
    model = sample_models.lenet5(1)
    model = type(model)(model.layers, {"classes": names})
    files = tflm.export(model, tflite.to_bytes(model), arena=ARENA, name="net")
    write(tmp_path, files)
    (tmp_path / "names.cc").write_text(
        '#include <cstdio>\n#include "net_model_settings.h"\n'
        'int main() { for (const char* name : net_model::kClassNames) std::printf("%s%c", name, 0); }\n'
    )
    program = cpp_programs.build(tmp_path / "names", [tmp_path / "names.cc"], *STRICT)
    assert run(program).decode().split("\0")[:-1] == names


def test_every_source_names_the_model(model, file):
    for content in tflm.export(model, file, arena=ARENA).values():
        assert model.fingerprint.encode() in content.splitlines()[2]


def test_the_same_arguments_give_the_same_bytes(model, file):
    assert tflm.export(model, file, arena=ARENA) == tflm.export(model, file, arena=ARENA)


@pytest.mark.parametrize("name", ["", "5net", "a-b", "a b", "é", "a\n", "../x"])
def test_a_name_that_is_no_identifier_is_refused(name, model, file):
    with pytest.raises(BadInputError, match="cannot name a C array"):
        tflm.export(model, file, arena=ARENA, name=name)


def test_an_unknown_style_is_refused(model, file):
    with pytest.raises(BadInputError, match="tflm, xxd, g_model"):
        tflm.export(model, file, arena=ARENA, array_style="c")


def test_the_file_of_another_model_is_refused(model):
    with pytest.raises(BadInputError, match="another model"):
        tflm.export(model, tflite.to_bytes(sample_models.lenet5(6)), arena=ARENA)
