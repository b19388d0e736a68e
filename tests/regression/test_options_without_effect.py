"""Options without effect were taken without a word: `export --target tflm --kernels cortex_m_dsp`, `--float MISSING`.

Each is refused with exit 2, named, and nothing is read or written.
"""

import pytest
import sample_models

from lenet_edge.formats import tflite

REFUSED = {
    "export": [
        ("--kernels", "--target tflm --kernels x86"),
        ("--kernels", "--target tflite --kernels plain"),
        ("--kernels", "--target onnx --kernels rv32"),
        ("--kernels", "--target c --optimize size --kernels x86"),
        ("--kernels", "--target arduino --optimize size --kernels cortex_m_dsp"),
        ("--optimize", "--target tflm --optimize size"),
        ("--optimize", "--target onnx --optimize speed"),
        ("--float", "--target c --float MISSING"),
        ("--float", "--target tflm --float MISSING"),
        ("--float", "--target zephyr --float MISSING"),
        ("--onnx-form", "--target c --onnx-form qdq"),
        ("--onnx-form", "--target tflite --onnx-form qoperator"),
        ("--array-style", "--target onnx --array-style xxd"),
        ("--array-style", "--target c --array-style g_model"),
        ("--name", "--target tflite --name x"),
        ("--name", "--target onnx --name x"),
    ],
    "check": [
        ("--emulator", "--data noise --emulator unicorn"),
        ("--emulator", "--emulator auto"),
        ("--float", "--data noise --float MISSING"),
        ("--max-drop", "--data noise --max-drop 1"),
        ("--exports", "--engine tflm --engine litert-reference --exports there"),
    ],
    "run": [
        ("--emulator", "--board microbit --port /dev/null --emulator qemu"),
        ("--firmware", "--board microbit --port /dev/null --firmware there"),
        ("--data", "--board microbit --image x.png --data noise"),
        ("--images", "--board microbit --image x.png --images 3"),
        ("--invert", "--board microbit --invert"),
        ("--no-invert", "--board microbit --no-invert"),
    ],
    "bench": [
        ("--firmware", "--host --firmware there"),
        ("--emulator", "--host --emulator auto"),
        ("--compare", "--host --compare x.json"),
        ("--max-growth", "--host --max-growth 3"),
        ("--out", "--host --out x.json"),
        ("--max-growth", "--board microbit --max-growth 3"),
    ],
    "quantize": [("--seed", "--epochs 0 --seed 3")],
    "page": [
        ("--board", "--board microbit"),
        ("--port", "--port /dev/null"),
        ("--listen-port", "--listen-port 8000"),
        ("--emulator", "--serve --emulator qemu"),
        ("--emulator", "--serve --port /dev/null --emulator qemu"),
        ("--firmware", "--serve --board microbit --port /dev/null --firmware there"),
    ],
}


@pytest.mark.parametrize(
    ("command", "option", "arguments"),
    [(command, option, arguments) for command, cases in REFUSED.items() for option, arguments in cases],
)
def test_it_is_refused_and_named(call, tmp_path, command, option, arguments):
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(sample_models.lenet5()))
    done = call(command, *arguments.split(), "--model", "m.tflite")
    assert done.returncode == 2, done.stderr
    assert f"{option} has no effect " in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["m.tflite"]


@pytest.mark.parametrize(
    "arguments",
    [
        "--target c --kernels x86",
        "--target c --name meter",
        "--target c --optimize size --kernels plain",
        "--target arduino --name meter --kernels cortex_m_dsp --optimize speed",
        "--target onnx --onnx-form qoperator",
    ],
)
def test_options_that_have_an_effect_are_taken(answer, tmp_path, arguments):
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(sample_models.lenet5()))
    answer("export", *arguments.split(), "--model", "m.tflite")
