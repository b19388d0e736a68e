"""The C++ for TFLM of models whose inputs and outputs are not one int8 image and its classes."""

from __future__ import annotations

import re

import pytest
import written_files
from fake_tflm import build_example
from graph_files import GraphFile

from lenet_edge.formats import tflite, tflm

ARENA = tflm.HostArena(head=5888, tail=4368, smallest=10250, measured_with="tflite-micro 0.test")


def built(data, folder):
    files = tflm.export(tflite.from_bytes(data), data, arena=ARENA, name="net")
    return files, build_example(folder, files)


@pytest.mark.parametrize(
    ("kind", "added", "first"),
    [
        ("int8", ["MaxPool2D"], -3),  # the int8 of the real value 0
        ("uint8", ["Quantize", "MaxPool2D"], 125),
        ("float32", ["Quantize", "MaxPool2D", "Dequantize"], 0),
    ],
)
def test_the_example_feeds_a_file_in_its_own_type(kind, added, first, tmp_path):
    _, output = built(written_files.with_ends(kind), tmp_path)
    assert re.findall(r"add (\w+)", output) == added  # each once, though QUANTIZE stands at both ends
    assert f"first {first}" in output


def test_outputs_come_out_as_int8_whatever_the_files_type_is(tmp_path):
    _, output = built(written_files.with_ends("uint8"), tmp_path)
    # the stand-in gives 1, 2, 9, 4
    assert re.findall(r"^(-?\d+)", output.split("first 125\n")[1], re.M)[:1] == [str(1 - 128)]


def test_several_inputs_and_outputs_each_with_its_own_scale(tmp_path):
    files, output = built(written_files.with_two_ends(), tmp_path)
    assert "first 0" in output
    settings = files["net_model_settings.h"].decode()
    assert "constexpr int kInputSizes[2] = {6, 4};\nconstexpr int kInputSize = 10;" in settings
    assert "constexpr float kInputScales[2] = {5.0e-01f, 2.5e-01f};" in settings
    assert "constexpr float kOutputScales[2] = {2.5e-01f, 5.0e-01f};" in settings
    assert "constexpr int kOutputSize = 10;" in settings


def test_a_vector_has_no_height_and_width(tmp_path):
    file = GraphFile()
    first, second = file.tensor((1, 4)), file.tensor((1, 4))
    file.operator("ADD", [first, first], [second], "AddOptions", version=2)
    data = file.data([first], [second])
    assert tflite.operators_of(data) == ["ADD"]
    files, output = built(data, tmp_path)
    assert re.findall(r"add (\w+)", output) == ["Add"]
    assert "// The input, 4 values: not pixels" in files["net_model_settings.h"].decode()
    assert "kInputHeight" not in files["net_model_settings.h"].decode()
